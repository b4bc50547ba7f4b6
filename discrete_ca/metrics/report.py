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
    """Name of the same measure taken on real data, where there is one."""


MEASURES = {
    "confident_share": Measure(
        "judge's confident share (>= 0.9)", ".1%", "confident_share_held_out"
    ),
    "class_entropy": Measure(f"class entropy (nats, even = {math.log(10):.3f})", ".3f"),
    "frechet_distance": Measure(
        "Frechet distance to the test set (judge's features)", ".2f", "frechet_distance_floor"
    ),
    "share_of_copies": Measure("equal to a training image", ".2%", "share_of_copies_test"),
    "samples": Measure("samples measured", ",.0f"),
    "moves": Measure("moves between levels, T", ",.0f"),
    "correctors": Measure("correctors after each move, c", ",.0f"),
    "nfe": Measure("network evaluations a sample (NFE)", ",.0f"),
    "seconds": Measure("seconds, wall clock", ",.1f"),
    "sampling_seconds": Measure("seconds of sampling, wall clock", ",.1f"),
    "training_seconds": Measure("seconds of training, wall clock", ",.1f"),
    "steps": Measure("optimizer steps", ",.0f"),
    "training_steps": Measure("optimizer steps", ",.0f"),
    "parameters": Measure("parameters", ",.0f"),
    "seed": Measure("seed", ".0f"),
}
"""The numbers that this package's reports hold, by name."""


def rows(report: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """What each number is, the number, and the same for real data ("" for none).

    The order is the report's; a name that is not known stands as it is, and what is neither a
    number nor text is left out.

    Example:
        >>> rows({"confident_share": 0.81, "confident_share_held_out": 0.98, "nfe": 225})[0]
        ("judge's confident share (>= 0.9)", '81.0%', '98.0%')
    """
    beside = {measure.real for name, measure in MEASURES.items() if name in report}
    found = []
    for name, value in report.items():
        if name in beside or not isinstance(value, int | float | str):
            continue
        measure = MEASURES.get(name, Measure(name.replace("_", " "), ""))
        real = report.get(measure.real)
        found.append((measure.text, _written(value, measure.spec), _written(real, measure.spec)))
    return found


def _written(value: Any, spec: str) -> str:
    if value is None:
        return ""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return format(value, spec) if number else str(value)
