r"""Music in voices: its chords and how the voices move, beside those of real music.

A score is (C, T): C voices from the highest down, T steps of equal length, MIDI pitches (60 is the
middle C, 12 an octave) or any negative number for a rest. A chord is the set of pitch classes
(pitch mod 12) that sound together, written as a number of 12 bits. A voice *moves* where it sounds
at two steps in a row with different pitches; it *holds* where they are equal, whether the note is
struck again or not.

Parallel fifths (octaves) are two voices that move in the same direction and are 7 (0) semitones
apart before and after, up to octaves: what books on the style of chorales forbid (Aldwell and
Schachter, Harmony and Voice Leading). Voices that move at different steps are not compared.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from discrete_ca.metrics.divergences import jensen_shannon, law, total_variation
from discrete_ca.metrics.ngram_model import NGramModel

OCTAVE = 12
BAR = 16
"""Steps a bar: semiquavers in four-four time."""

_CHORDS = 1 << OCTAVE
_WIDEST = 127  # between two MIDI pitches


@dataclass(frozen=True)
class PitchCoding:
    """Which pitch a category means.

    Args:
        lowest: the MIDI pitch that category 0 is, or would be if it were not the rest.
        rest: the category of a rest; None for none.

    Example:
        >>> PitchCoding(lowest=35, rest=0).pitches(torch.tensor([0, 1, 46]))
        tensor([-1, 36, 81])
    """

    lowest: int = 0
    rest: int | None = None

    @classmethod
    def of_scores(cls, name: str) -> PitchCoding | None:
        """The coding of data that `data.load_scores` named, by their name; None for others.

        Example:
            >>> PitchCoding.of_scores("songs, lowest 36"), PitchCoding.of_scores("text")
            (PitchCoding(lowest=35, rest=0), None)
        """
        _, found, lowest = name.rpartition("lowest ")
        return cls(int(lowest) - 1, rest=0) if found else None

    def pitches(self, z: Tensor) -> Tensor:
        """Categories, long, any shape, to MIDI pitches, -1 for a rest."""
        found = z + self.lowest
        return found if self.rest is None else found.masked_fill(z == self.rest, -1)


@dataclass(frozen=True)
class ChoraleMetrics:
    """What chords samples have and how their voices move.

    Attributes:
        pitch_class_distance: total variation between the histograms of the twelve pitch classes
            and the rest, of the samples and of the reference.
        chords_seen: share of steps whose chord the reference has.
        chord_cross_entropy: nats a change of chord, under a Witten–Bell bigram model of the
            reference's changes.
        melodic_divergence: Jensen–Shannon divergence, in nats, between the laws of the intervals by
            which voices move in samples and reference, averaged over voices.
        leaps: share of moves by more than an octave.
        crossings: share of the places where two neighbouring voices sound and the lower of them is
            above.
        parallel_fifths: pairs of voices in parallel fifths, a bar.
        parallel_octaves: pairs of voices in parallel octaves or unisons, a bar.
        held: share of notes that were there at the step before.

    Example:
        >>> ChoraleMetrics(0.1, 0.9, 4.0, 0.02, 0.0, 0.01, 0.03, 0.02, 0.75).as_dict()["held"]
        0.75
    """

    pitch_class_distance: float
    chords_seen: float
    chord_cross_entropy: float
    melodic_divergence: float
    leaps: float
    crossings: float
    parallel_fifths: float
    parallel_octaves: float
    held: float

    def as_dict(self) -> dict[str, float]:
        """The metrics by name, to print or to write as JSON."""
        return asdict(self)


def chorale_metrics(samples: Tensor, reference: Tensor, steps_a_bar: int = BAR) -> ChoraleMetrics:
    """Measure samples of music in voices.

    Shares of nothing, such as leaps where no voice moves, are 0.

    Args:
        samples: MIDI pitches, negative for rests, long, shape (N, C, T), T >= 2.
        reference: real music, long, shape (M, C, T'), T' >= 2; best not what was trained on.
        steps_a_bar: the bar in which parallels are counted.

    Raises:
        TypeError: for scores that do not hold int64.
        ValueError: for other shapes or pitches above 127.

    Example:
        >>> score = torch.tensor([[[67, 69], [60, 62]]])  # two voices in parallel fifths
        >>> found = chorale_metrics(score, score)
        >>> found.parallel_fifths, found.chords_seen, found.melodic_divergence
        (16.0, 1.0, 0.0)
    """
    check_scores(samples, "samples")
    check_scores(reference, "reference")
    if samples.shape[1] != reference.shape[1]:
        raise ValueError(
            f"samples have {samples.shape[1]} voices, reference {reference.shape[1]}; "
            "allowed: equal"
        )
    known = chords(reference)
    model = NGramModel(2, _CHORDS).fit(*changes(known))
    held, moved = _steps(samples)
    parallel = (parallels(samples, interval) for interval in (7, 0))
    bars = len(samples) * (samples.shape[2] - 1) / steps_a_bar
    fifths, octaves = (int(found.sum()) / bars for found in parallel)
    sounding = samples >= 0
    pairs = sounding[:, 1:] & sounding[:, :-1]
    leaps = samples.diff(dim=2).abs() > OCTAVE
    return ChoraleMetrics(
        pitch_class_distance=total_variation(_pitch_classes(samples), _pitch_classes(reference)),
        chords_seen=float(torch.isin(chords(samples), known).double().mean()),
        chord_cross_entropy=model.cross_entropy(*changes(chords(samples))).nats,
        melodic_divergence=_melodic_divergence(samples, reference),
        leaps=_share(leaps, moved),
        crossings=_share(samples[:, 1:] > samples[:, :-1], pairs),
        parallel_fifths=fifths,
        parallel_octaves=octaves,
        held=_share(held, sounding[..., 1:]),
    )


def chords(pitches: Tensor) -> Tensor:
    """The pitch classes that sound at each step, bit p for class p; 0 is silence.

    Args:
        pitches: MIDI pitches, negative for rests, long, shape (N, C, T).

    Returns:
        Chords, long, shape (N, T), in 0 .. 4095.

    Example:
        >>> chords(torch.tensor([[[72, 64], [67, -1], [60, 60]]])).tolist()  # C and G; C and E
        [[129, 17]]
    """
    found = torch.zeros_like(pitches[:, 0])
    for voice in pitches.unbind(1):
        found |= torch.where(voice >= 0, 1 << voice.remainder(OCTAVE), 0)
    return found


def changes(tokens: Tensor) -> tuple[Tensor, Tensor]:
    """Rows without repetitions: the first token, and each that differs from the one before.

    Args:
        tokens: long, shape (N, T).

    Returns:
        Tokens, moved to the left of their rows, (N, T), and where they are present, bool, (N, T).

    Example:
        >>> changes(torch.tensor([[5, 5, 6, 5]]))
        (tensor([[5, 6, 5, 0]]), tensor([[ True,  True,  True, False]]))
    """
    new = torch.ones_like(tokens, dtype=torch.bool)
    new[:, 1:] = tokens[:, 1:] != tokens[:, :-1]
    present = torch.arange(tokens.shape[1], device=tokens.device) < new.sum(1, keepdim=True)
    found = torch.zeros_like(tokens)
    found[present] = tokens[new]  # both in the order of rows
    return found, present


def parallels(pitches: Tensor, interval: int) -> Tensor:
    """Pairs of voices that move alike and keep an interval, up to octaves, at each step.

    Args:
        pitches: MIDI pitches, negative for rests, long, shape (N, C, T).
        interval: in semitones, 0 .. 11: 7 for parallel fifths, 0 for octaves and unisons.

    Returns:
        Numbers of pairs, long, shape (N, T - 1): between each step and the next.

    Example:
        >>> parallels(torch.tensor([[[67, 69, 69], [60, 62, 62]]]), 7)
        tensor([[1, 0]])
    """
    moved, step = _steps(pitches)[1], pitches.diff(dim=2)
    count = torch.zeros_like(step[:, 0])
    voices = pitches.shape[1]
    for i in range(voices):
        for j in range(i + 1, voices):
            kept = (pitches[:, i] - pitches[:, j]).abs().remainder(OCTAVE) == interval
            alike = moved[:, i] & moved[:, j] & (step[:, i].sign() == step[:, j].sign())
            count += alike & kept[:, 1:] & kept[:, :-1]
    return count


def check_scores(pitches: Tensor, name: str = "pitches") -> None:
    """Refuse anything but MIDI pitches (N, C, T), long, with at least one score of two steps.

    Example:
        >>> check_scores(torch.zeros(1, 4, 8, dtype=torch.long))
    """
    if pitches.dtype != torch.long:
        raise TypeError(f"{name} has dtype {pitches.dtype}; allowed: torch.int64 (long)")
    if pitches.ndim != 3 or not pitches.numel() or pitches.shape[2] < 2:
        raise ValueError(
            f"{name} has shape {tuple(pitches.shape)}; allowed: (N, C, T), N, C >= 1 and T >= 2"
        )
    if int(pitches.max()) > _WIDEST:
        raise ValueError(
            f"{name} holds the pitch {int(pitches.max())}; allowed: 0 .. {_WIDEST}, or negative"
        )


def _steps(pitches: Tensor) -> tuple[Tensor, Tensor]:
    """Where each voice holds, and where it moves, from each step to the next, (N, C, T - 1)."""
    both = (pitches[..., 1:] >= 0) & (pitches[..., :-1] >= 0)
    same = pitches[..., 1:] == pitches[..., :-1]
    return both & same, both & ~same


def _pitch_classes(pitches: Tensor) -> Tensor:
    """The law of the twelve pitch classes and the rest, (13,)."""
    classes = torch.where(pitches >= 0, pitches.remainder(OCTAVE), OCTAVE)
    return law(torch.bincount(classes.flatten(), minlength=OCTAVE + 1))


def _melodic_divergence(pitches: Tensor, reference: Tensor) -> float:
    found = [
        jensen_shannon(_intervals(a), _intervals(b))
        for a, b in zip(pitches.unbind(1), reference.unbind(1), strict=True)
    ]
    return sum(found) / len(found)


def _intervals(voice: Tensor) -> Tensor:
    """The law of the moves of one voice (N, T), up and down; where it never moves, all on 0."""
    moves = voice.diff(dim=1)[_steps(voice)[1]]
    moves = moves if len(moves) else torch.zeros(1, dtype=torch.long)
    return law(torch.bincount(moves.cpu() + _WIDEST, minlength=2 * _WIDEST + 1))


def _share(what: Tensor, of: Tensor) -> float:
    count = int(of.sum())
    return int((what & of).sum()) / count if count else 0.0
