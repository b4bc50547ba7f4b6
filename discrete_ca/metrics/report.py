"""Reports in words: what each number is, in which unit, beside that of real data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple


class Measure(NamedTuple):
    """How a number of a report is told."""

    text: str
    """What it is, with its unit."""
    spec: str
    """How it is written, as `format` takes it."""
    real: str = ""
    """Name of the same measure taken on real data; "" for the name with _floor behind it."""
    of_real: bool = False
    """Taken on real data alone."""


_FLOOR = "_floor"

MEASURES = {
    "confident_share": Measure(
        "judge's confident share (>= 0.9)", ".1%", "confident_share_held_out"
    ),
    "class_entropy": Measure(f"class entropy (nats, even = {math.log(10):.3f})", ".3f"),
    "frechet_distance": Measure("Frechet distance to the test set (judge's features)", ".2f"),
    "frechet_distance_stratified": Measure(
        "the same, classes as even as the samples' (mean of 5)", ".2f", of_real=True
    ),
    "mmd_hamming": Measure("MMD^2, exp(-Hamming distance / its median)", ".2e"),
    "mmd_gaussian": Measure("MMD^2, Gaussian, a tenth of the median distance", ".2e"),
    "frechet_components": Measure("Frechet distance (principal components)", ".4g"),
    "precision": Measure("precision (principal components, k = 3)", ".1%"),
    "recall": Measure("recall (principal components, k = 3)", ".1%"),
    "density": Measure("density (principal components, k = 3)", ".3f"),
    "coverage": Measure("coverage (principal components, k = 3)", ".1%"),
    **{f"divergence_{n}": Measure(f"{n}-gram Jensen-Shannon (nats)", ".4f") for n in range(1, 6)},
    **{f"seen_{n}": Measure(f"{n}-grams that real examples have", ".1%") for n in range(1, 6)},
    **{
        f"cross_entropy_{n}": Measure(f"cross-entropy, {n}-gram model of real ones (nats)", ".3f")
        for n in range(1, 6)
    },
    "known_words": Measure("words that the real text has", ".1%"),
    "pitch_class_distance": Measure("pitch classes, total variation", ".4f"),
    "chords_seen": Measure("steps whose chord the real music has", ".1%"),
    "chord_cross_entropy": Measure("cross-entropy of chord changes (nats, 2-grams)", ".3f"),
    "melodic_divergence": Measure("melodic intervals, Jensen-Shannon (nats)", ".4f"),
    "leaps": Measure("moves by more than an octave", ".2%"),
    "crossings": Measure("neighbouring voices that cross", ".2%"),
    "parallel_fifths": Measure("parallel fifths a bar of 16 steps", ".3f"),
    "parallel_octaves": Measure("parallel octaves a bar of 16 steps", ".3f"),
    "held": Measure("notes held from the step before", ".1%"),
    "share_of_copies": Measure("equal to a training example", ".2%", "share_of_copies_test"),
    "reference": Measure("compared with", ""),
    "samples": Measure("samples measured", ",.0f"),
    "moves": Measure("moves between levels, T", ",.0f"),
    "correctors": Measure("correctors after each move, c", ",.0f"),
    "hold": Measure("hold, h", ".2g"),
    "guidance": Measure("guidance by the labels, g", ".2g"),
    "nfe": Measure("network evaluations a sample (NFE)", ",.0f"),
    "acceptance": Measure("Metropolis steps taken", ".1%"),
    "seconds": Measure("seconds, wall clock", ",.1f"),
    "sampling_seconds": Measure("seconds of sampling, wall clock", ",.1f"),
    "training_seconds": Measure("seconds of training, wall clock", ",.1f"),
    "steps": Measure("optimizer steps", ",.0f"),
    "training_steps": Measure("optimizer steps", ",.0f"),
    "parameters": Measure("parameters", ",.0f"),
    "seed": Measure("seed", ".0f"),
}
"""The numbers that this package's reports hold, by name."""


def floor_name(name: str) -> str:
    """The name of the same measure taken on real data.

    Example:
        >>> floor_name("precision"), floor_name("share_of_copies")
        ('precision_floor', 'share_of_copies_test')
    """
    measure = MEASURES.get(name)
    return (measure.real if measure else "") or name + _FLOOR


def rows(report: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """What each number is, the number, and the same for real data; "" where there is none.

    The order is the report's; a name that is not known stands as it is, and what is neither a
    number nor text is left out.

    Example:
        >>> rows({"confident_share": 0.81, "confident_share_held_out": 0.98, "nfe": 225})[0]
        ("judge's confident share (>= 0.9)", '81.0%', '98.0%')
    """
    beside = {floor_name(name) for name in report}
    found = []
    for name, value in report.items():
        if name in beside or not isinstance(value, int | float | str):
            continue
        measure = MEASURES.get(name, Measure(name.replace("_", " "), ""))
        both = (None, value) if measure.of_real else (value, report.get(floor_name(name)))
        drawn, real = (_written(each, measure.spec) for each in both)
        found.append((measure.text, drawn, real))
    return found


def _written(value: Any, spec: str) -> str:
    if value is None:
        return ""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return format(value, spec) if number else str(value)
