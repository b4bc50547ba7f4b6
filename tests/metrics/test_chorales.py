from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from discrete_ca.metrics import PitchCoding, chorale_metrics
from discrete_ca.metrics.chorales import changes, chords, parallels
from tests.helpers import seeded

# Three steps of four voices. Sounding: {C, G}, {D, G}, {D, A, B}.
SCORE = torch.tensor([[
    [72, 74, 74],
    [67, 67, 69],
    [60, 62, 62],
    [48, 50, 47],
]])  # fmt: skip
# Two voices with a rest; they cross at the first step, and the upper one leaps after the rest.
CROSSING = torch.tensor([[
    [60, -1, 77, 64],
    [64, 64, 64, 62],
]])  # fmt: skip


def scores(seed, n=3, voices=4, steps=6):
    found = torch.randint(55, 72, (n, voices, steps), generator=seeded(seed))
    return found.masked_fill(torch.rand(found.shape, generator=seeded(seed + 1)) < 0.1, -1)


def test_chords():
    # bits of C = 0, D = 2, G = 7, A = 9, B = 11: 1 + 128, 4 + 128, 4 + 512 + 2048
    assert chords(SCORE).tolist() == [[129, 132, 2564]]
    # {C, E}, {E}, {F, E}, {E, D}
    assert chords(CROSSING).tolist() == [[1 + 16, 16, 32 + 16, 16 + 4]]
    assert chords(torch.full((1, 4, 2), -1)).tolist() == [[0, 0]]


def test_changes():
    tokens, present = changes(torch.tensor([[7, 7, 3, 3, 7], [5, 5, 5, 5, 5]]))
    assert tokens[present].tolist() == [7, 3, 7, 5]
    assert present.sum(1).tolist() == [3, 1] and bool(present[:, 0].all())


def test_parallels():
    # To step 1 soprano, tenor and bass rise by 2, octaves apart: three pairs. To step 2 alto rises
    # and bass falls, the others hold.
    assert parallels(SCORE, 0).tolist() == [[3, 0]]
    assert parallels(SCORE, 7).tolist() == [[0, 0]]
    fifths = torch.tensor([[[67, 69, 69, 74], [60, 62, 62, 67]]])  # up, held, up
    assert parallels(fifths, 7).tolist() == [[1, 0, 1]]
    assert parallels(fifths.flip(1), 7).tolist() == [[1, 0, 1]]  # crossed: a fifth all the same
    twelfths = torch.tensor([[[79, 81], [60, 62]]])
    assert parallels(twelfths, 7).tolist() == [[1]]
    contrary = torch.tensor([[[67, 62], [60, 69]]])  # from a fifth to one that crosses
    assert parallels(contrary, 7).tolist() == [[0]]
    rest = torch.tensor([[[67, -1, 69], [60, 62, 62]]])
    assert parallels(rest, 7).tolist() == [[0, 0]]


def test_a_score_by_hand():
    found = chorale_metrics(SCORE, SCORE)
    # 8 notes at the two later steps, of which alto, soprano and tenor hold one each; 5 moves of at
    # most 3 semitones; 3 pairs in octaves over 2 of 16 steps of a bar.
    assert found.held == 3 / 8 and found.leaps == 0 and found.crossings == 0
    assert found.parallel_octaves == 3 / (2 / 16) and found.parallel_fifths == 0
    assert found.pitch_class_distance == 0 and found.melodic_divergence == 0
    assert found.chords_seen == 1.0
    assert chorale_metrics(SCORE, SCORE, steps_a_bar=8).parallel_octaves == 3 / (2 / 8)


def test_rests_crossings_and_leaps_by_hand():
    found = chorale_metrics(CROSSING, CROSSING)
    # Both sound at steps 0, 2 and 3, and cross at 0. Moves: 77 to 64 by 13, 64 to 62. Notes at
    # steps 1 to 3: 77, 64, 64, 64, 62, of which the lower voice holds two.
    assert found.crossings == pytest.approx(1 / 3)
    assert found.leaps == 1 / 2 and found.held == 2 / 5


def test_distances_by_hand():
    samples, reference = torch.tensor([[[60, 62, 64]]]), torch.tensor([[[60, 62, 60]]])
    found = chorale_metrics(samples, reference)
    # Pitch classes C, D, E once each, against C twice and D once
    assert found.pitch_class_distance == pytest.approx(1 / 3)
    # Moves +2, +2 against +2, -2: m = (3/4, 1/4)
    wanted = (math.log(4 / 3) + math.log(2 / 3) / 2 + math.log(2) / 2) / 2
    assert found.melodic_divergence == pytest.approx(wanted)
    assert found.chords_seen == pytest.approx(2 / 3)


def test_cross_entropy_of_changes_by_hand():
    # The reference changes from a to b once. p = p(a) = p(b) = (1 + 2 / 4096) / 4 and
    # p(b | a) = (1 + p) / 2.
    reference = torch.tensor([[[60, 60, 62]]])
    p = (1 + 2 / 4096) / 4
    found = chorale_metrics(torch.tensor([[[60, 62, 62, 62]]]), reference).chord_cross_entropy
    assert found == pytest.approx(-(math.log(p) + math.log((1 + p) / 2)) / 2)


def test_silence_is_measured_too():
    silent = torch.full((2, 4, 5), -1)
    found = chorale_metrics(silent, SCORE)
    assert found.pitch_class_distance == 1 and found.chords_seen == 0
    assert found.melodic_divergence == pytest.approx(math.log(2))
    assert found.held == found.leaps == found.crossings == found.parallel_fifths == 0
    assert chorale_metrics(silent, silent).melodic_divergence == 0


@given(st.integers(0, 2**31))
def test_contracts(seed):
    x, y = scores(seed), scores(seed + 7, n=5, steps=8)
    found = chorale_metrics(x, y)
    for name in ("pitch_class_distance", "chords_seen", "leaps", "crossings", "held"):
        assert 0 <= getattr(found, name) <= 1
    assert 0 <= found.melodic_divergence <= math.log(2) and found.chord_cross_entropy > 0
    assert found.parallel_fifths >= 0 and found.parallel_octaves >= 0
    back = chorale_metrics(y, x)
    assert back.pitch_class_distance == pytest.approx(found.pitch_class_distance)
    assert back.melodic_divergence == pytest.approx(found.melodic_divergence, abs=1e-12)
    again = chorale_metrics(x.flip(0), y.flip(0))
    assert again.as_dict() == pytest.approx(found.as_dict(), rel=1e-9)
    same = chorale_metrics(x, x)
    assert same.pitch_class_distance == same.melodic_divergence == 0 and same.chords_seen == 1
    raised = chorale_metrics(torch.where(x < 0, x, x + 5), torch.where(y < 0, y, y + 5))
    for name in ("melodic_divergence", "crossings", "parallel_fifths", "held", "chords_seen"):
        assert getattr(raised, name) == pytest.approx(getattr(found, name), abs=1e-12)


def test_codings_of_pitches():
    z = torch.tensor([0, 1, 46])
    assert PitchCoding().pitches(z).tolist() == [0, 1, 46]
    assert PitchCoding(lowest=36, rest=46).pitches(z).tolist() == [36, 37, -1]


def test_errors():
    with pytest.raises(TypeError, match="samples has dtype torch.float32"):
        chorale_metrics(SCORE.float(), SCORE)
    with pytest.raises(ValueError, match=r"reference has shape \(1, 4, 1\); allowed: .* T >= 2"):
        chorale_metrics(SCORE, SCORE[..., :1])
    with pytest.raises(ValueError, match="samples holds the pitch 202; allowed: 0 .. 127"):
        chorale_metrics(SCORE + 128, SCORE)
    with pytest.raises(ValueError, match="samples have 4 voices, reference 2; allowed: equal"):
        chorale_metrics(SCORE, CROSSING)
