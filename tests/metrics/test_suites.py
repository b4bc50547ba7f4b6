from __future__ import annotations

import pytest
import torch

from discrete_ca.metrics import (
    MEASURES,
    ChoraleSuite,
    DigitSuite,
    ImageSuite,
    PitchCoding,
    PointSuite,
    SequenceSuite,
    with_floor,
)
from tests.helpers import SHAPES, seeded


def stripes(n, seed):
    """Images of 0 .. 3 with one bright row, whose place is random."""
    x = torch.randint(0, 2, (n, 6, 5), generator=seeded(seed))
    x[torch.arange(n), torch.randint(0, 6, (n,), generator=seeded(seed + 1))] = 3
    return x


def walks(n, seed, length=12):
    """Tokens of 0 .. 4 that step up or down, round a circle."""
    return (torch.randint(0, 2, (n, length), generator=seeded(seed)) * 2 - 1).cumsum(1) % 5


def tunes(n, seed):
    """Four voices as categories: 0 is the rest, the others C major from 60 on."""
    steps = torch.randint(-1, 2, (n, 4, 16), generator=seeded(seed)).cumsum(2).clamp(-3, 3)
    tones = torch.tensor([0, 2, 4, 5, 7, 9, 11])[steps + 3]
    return tones + 1


def worse(x, seed):
    noise = torch.randint(0, int(x.max()) + 1, x.shape, generator=seeded(seed))
    return torch.where(torch.rand(x.shape, generator=seeded(seed)) < 0.5, noise, x)


SUITES = {
    "images": (stripes, ImageSuite),
    "tokens": (walks, lambda real: SequenceSuite(real, 5)),
    "music": (tunes, lambda real: ChoraleSuite(real, PitchCoding(59, rest=0))),
}
LESS = {"mmd_hamming", "frechet_components", "divergence_1", "divergence_2", "divergence_3",
        "cross_entropy_5", "chord_cross_entropy", "melodic_divergence"}  # fmt: skip
MORE = {"precision", "density", "seen_3", "chords_seen"}


@pytest.mark.parametrize("name", SUITES)
def test_real_data_are_at_the_floor_and_noise_is_not(name):
    make, suite = SUITES[name]
    measures = suite(make(400, 0))
    real = with_floor(measures, make(200, 10), make(400, 20), seeded())
    noise = with_floor(measures, worse(make(200, 10), 30), make(400, 20), seeded())
    found = {key for key in real if not key.endswith("_floor")}
    assert found <= MEASURES.keys() and found & (LESS | MORE)
    for key in found & LESS:
        assert noise[key] > max(real[key], real[f"{key}_floor"]), key
    for key in found & MORE:
        assert noise[key] < min(real[key], real[f"{key}_floor"]), key


@pytest.mark.parametrize("shape", SHAPES)
def test_images_of_any_rank(shape):
    x, y = (torch.randint(0, 4, (30, *shape), generator=seeded(s)) for s in (0, 1))
    assert all(value == value for value in ImageSuite(x)(y).values())


@pytest.mark.parametrize(
    ("length", "num_categories", "names"),
    [
        (1, 3, {"divergence_1", "seen_1", "cross_entropy_1"}),
        (8, 3, {"divergence_1", "divergence_2", "divergence_3", "seen_3", "cross_entropy_5"}),
        (8, 50_000, {"divergence_1", "divergence_2", "divergence_3", "seen_3", "cross_entropy_3"}),
    ],
)
def test_orders_fit_the_rows_and_the_categories(length, num_categories, names):
    x = torch.randint(0, num_categories, (6, length), generator=seeded())
    found = SequenceSuite(x, num_categories)(x)
    assert found.keys() == names <= MEASURES.keys()


def test_words_where_tokens_have_a_text():
    letters = "ab "
    real = torch.tensor([[0, 2, 0, 1, 2, 1]])  # "a ab b"
    suite = SequenceSuite(real, 3, decode=lambda row: "".join(letters[i] for i in row))
    assert suite(torch.tensor([[0, 2, 0, 1, 2, 1]]))["known_words"] == 1.0
    assert suite(torch.tensor([[0, 2, 1, 1, 2, 1]]))["known_words"] == 0.0  # "bb"


def test_digits():
    x = torch.eye(28, dtype=torch.long).expand(4, 28, 28)
    found = DigitSuite(x)(x)
    assert found["frechet_distance"] == 0.0 and found.keys() <= MEASURES.keys()


def test_points_near_and_far():
    """A Gaussian similarity fine enough to see that a ring is no disc of the same spread."""
    g = seeded(0)
    angle = 6.2832 * torch.rand(1200, generator=g)
    ring = torch.stack([angle.cos(), angle.sin()], 1)
    suite = PointSuite(ring[:400])
    same = suite(ring[400:800])["mmd_gaussian"]
    cloud = suite(0.7 * torch.randn(400, 2, generator=g))["mmd_gaussian"]
    assert abs(same) < 3e-3 and cloud > 10 * abs(same)
