"""Floors: the same measures of real data, at the size of the samples.

No finite set of samples is at distance 0 from the data, and no measure says alone how far is far.
So each stands beside its floor: the measure of as many real examples against the same reference,
which holds none of them. A perfect model's samples are at the floor, up to chance.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from discrete_ca import draws
from discrete_ca.metrics.report import floor_name

Measures = Callable[[Tensor], Mapping[str, float]]
"""From samples (N, *S) to numbers by name; what they are compared with is its own."""


def halves(real: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
    """Two random disjoint halves of real examples, each in the order they had.

    Args:
        real: examples, shape (N, *S), N >= 2.
        generator: source of randomness.

    Raises:
        ValueError: for fewer than two examples.

    Example:
        >>> first, second = halves(torch.arange(5), torch.Generator().manual_seed(0))
        >>> len(first), len(second), sorted(torch.cat([first, second]).tolist())
        (2, 3, [0, 1, 2, 3, 4])
    """
    if real.ndim == 0 or len(real) < 2:
        raise ValueError(f"real has shape {tuple(real.shape)}; allowed: (N, *S), N >= 2")
    order = draws.permutation(len(real), torch.device("cpu"), generator)
    middle = len(real) // 2
    return real[order[:middle].sort().values], real[order[middle:].sort().values]


def floor(
    measures: Measures, real: Tensor, size: int, generator: torch.Generator | None = None
) -> dict[str, float]:
    """The measures of `size` random real examples.

    Args:
        measures: of examples, against a reference that holds none of `real`.
        real: examples, shape (N, *S).
        size: how many, 1 .. N: as many as there are samples.
        generator: source of randomness.

    Raises:
        ValueError: for a size outside 1 .. N.

    Example:
        >>> floor(lambda x: {"mean": float(x.double().mean())}, torch.ones(9, 2), 4)
        {'mean': 1.0}
    """
    if not 1 <= size <= len(real):
        raise ValueError(f"size was {size}; allowed: 1 .. {len(real)}, the real examples")
    order = draws.permutation(len(real), torch.device("cpu"), generator)
    return dict(measures(real[order[:size].to(real.device)]))


def with_floor(
    measures: Measures, samples: Tensor, real: Tensor, generator: torch.Generator | None = None
) -> dict[str, float]:
    """The measures of samples, each with its floor beside it; see `discrete_ca.metrics.rows`.

    Args:
        measures: of examples, against a reference that holds none of `real`.
        samples: shape (N, *S).
        real: at least N examples, shape (M, *S).
        generator: source of randomness.

    Raises:
        ValueError: for fewer real examples than samples.

    Example:
        >>> measures = lambda x: {"ink": float(x.double().mean())}
        >>> with_floor(measures, torch.zeros(2, 4), torch.ones(3, 4))
        {'ink': 0.0, 'ink_floor': 1.0}
    """
    beside = floor(measures, real, len(samples), generator)
    found = measures(samples)
    return {
        key: number
        for name in found
        for key, number in ((name, found[name]), (floor_name(name), beside[name]))
    }
