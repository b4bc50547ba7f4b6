r"""From grey levels and other numbers to categories.

A range [l, h] of values is cut into V equal bins. Whole numbers are cells of width 1 and span
h - l + 1, other numbers span h - l:

.. math:: q(v) = \min(V - 1, \lfloor V (v - l) / \text{span} \rfloor),

so that a pixel of 0 .. 255 at V = 16 levels becomes pixel // 16, and two levels are a threshold at
the middle of the range, 128.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from discrete_ca import draws
from discrete_ca.errors import DataError

Range = tuple[float, float]

# Random draws and double-precision quotients are made for this many values at a time.
_PIECE = 1 << 22

_WAYS = ("binarize", "stochastic", "quantize")


@dataclass(frozen=True)
class Transform:
    """What is done to the values of a source: at most one of three ways to make them categories.

    Args:
        binarize: K = 2, by this threshold.
        stochastic: K = 2, drawn with the values as probabilities.
        quantize: K equal bins of the range.
        value_range: for `stochastic` and `quantize`.

    Raises:
        DataError: for more than one way, or a range without a use.

    Example:
        >>> Transform(quantize=4)(torch.tensor([0.0, 0.6]))
        tensor([0, 2], dtype=torch.uint8)
    """

    binarize: float | None = None
    stochastic: bool = False
    quantize: int | None = None
    value_range: Range | None = None

    def __post_init__(self) -> None:
        if self.binarize is not None and not math.isfinite(self.binarize):
            raise DataError(f"binarize was {self.binarize}; allowed: a finite threshold")
        given = {name: getattr(self, name) for name in _WAYS}
        asked = [name for name, value in given.items() if value is not None and value is not False]
        if len(asked) > 1:
            raise DataError(f"{' and '.join(asked)} were given together; allowed: one of them")
        if self.value_range is not None and asked not in (["stochastic"], ["quantize"]):
            raise DataError(
                f"value_range was {self.value_range}; allowed: None without quantize or stochastic"
            )

    @property
    def num_categories(self) -> int | None:
        """K of what comes out; None where nothing is done."""
        if self.quantize is not None:
            return self.quantize
        return 2 if self.stochastic or self.binarize is not None else None

    def within(self, num_values: int | None) -> Transform:
        """The same for values 0 .. num_values - 1, where no other range is given."""
        if num_values is None or self.value_range is not None or not self._ranged:
            return self
        return replace(self, value_range=(0, num_values - 1))

    @property
    def _ranged(self) -> bool:
        return self.stochastic or self.quantize is not None

    def __call__(self, values: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """The categories, or the values as they are: whole numbers in floats become integers."""
        if self.quantize is not None:
            return quantize(values, self.quantize, value_range=self.value_range)
        if self.num_categories is None:
            return whole_numbers(values)
        return binarize(
            values, self.binarize, stochastic=self.stochastic,
            value_range=self.value_range, generator=generator,
        )  # fmt: skip


def whole_numbers(values: Tensor) -> Tensor:
    """Floats that are all whole numbers as integers; other values as they are.

    Example:
        >>> whole_numbers(torch.tensor([0.0, 3.0])), whole_numbers(torch.tensor([0.5]))
        (tensor([0, 3]), tensor([0.5000]))
    """
    whole = values.is_floating_point() and bool((values % 1 == 0).all())
    return values.long() if whole else values


def binarize(
    values: Tensor,
    threshold: float | None = None,
    *,
    stochastic: bool = False,
    value_range: Range | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Values as 0 or 1: by a threshold, or drawn with the value as probability.

    Args:
        values: numbers, any shape.
        threshold: 1 where value >= threshold, in the values' own units; None for the middle of
            the range.
        stochastic: draw 1 with probability (value - l) / (h - l) instead, once and for all.
        value_range: (l, h); None for (0, 255) of uint8 and (0, 1) of floats and booleans. A
            given threshold needs none.
        generator: source of randomness.

    Returns:
        uint8, the shape of `values`.

    Raises:
        DataError: for both a threshold and `stochastic`, values outside the range or not finite,
            and whole numbers of no known range.

    Example:
        >>> binarize(torch.tensor([0, 127, 128, 255], dtype=torch.uint8))
        tensor([0, 0, 1, 1], dtype=torch.uint8)
        >>> binarize(torch.tensor([0.0, 1.0]), stochastic=True)
        tensor([0, 1], dtype=torch.uint8)
    """
    if stochastic and threshold is not None:
        raise DataError(f"threshold was {threshold} with stochastic=True; allowed: one of the two")
    if threshold is not None:
        _finite(values)
        return (values >= threshold).to(torch.uint8)
    if not stochastic:
        return quantize(values, 2, value_range=value_range)
    low, high = _range(values, value_range)
    flat = values.reshape(-1)
    out = torch.empty(flat.shape, dtype=torch.uint8, device=flat.device)
    for start in range(0, flat.numel(), _PIECE):
        piece = flat[start : start + _PIECE]
        u = draws.uniform(piece.shape, piece.device, generator)
        out[start : start + _PIECE] = u * (high - low) < piece.double() - low
    return out.reshape(values.shape)


def quantize(values: Tensor, levels: int, *, value_range: Range | None = None) -> Tensor:
    """Values as the indices of `levels` equal bins of their range.

    Args:
        values: numbers, any shape.
        levels: V, at least 2.
        value_range: (l, h), both reached; None for (0, 255) of uint8 and (0, 1) of floats and
            booleans.

    Returns:
        Indices 0 .. V - 1, uint8 up to 256 levels and int32 above, the shape of `values`.

    Raises:
        DataError: for fewer than 2 levels, values outside the range or not finite, and whole
            numbers of no known range.

    Example:
        >>> quantize(torch.tensor([0.0, 0.3, 0.5, 1.0]), 4)
        tensor([0, 1, 2, 3], dtype=torch.uint8)
        >>> quantize(torch.tensor([-1.0, 0.99]), 2, value_range=(-1.0, 1.0))
        tensor([0, 1], dtype=torch.uint8)
    """
    if isinstance(levels, bool) or int(levels) != levels or levels < 2:
        raise DataError(f"levels was {levels}; allowed: a whole number >= 2")
    low, high = _range(values, value_range)
    span = high - low if values.is_floating_point() else high - low + 1
    flat = values.reshape(-1)
    dtype = torch.uint8 if levels <= 256 else torch.int32
    out = torch.empty(flat.shape, dtype=dtype, device=flat.device)
    for start in range(0, flat.numel(), _PIECE):
        scaled = (flat[start : start + _PIECE].double() - low) * levels / span
        out[start : start + _PIECE] = scaled.floor_().clamp_(max=levels - 1)
    return out.reshape(values.shape)


def _finite(values: Tensor) -> None:
    if values.is_floating_point() and not bool(values.isfinite().all()):
        raise DataError("values hold NaN or infinity; allowed: finite numbers")


def _range(values: Tensor, value_range: Range | None) -> Range:
    """The range (l, h), given or known from the dtype, with every value checked to be in it."""
    _finite(values)
    if value_range is None:
        if values.dtype == torch.uint8:
            value_range = (0, 255)
        elif values.is_floating_point() or values.dtype == torch.bool:
            value_range = (0, 1)
        else:
            raise DataError(
                f"values have dtype {values.dtype} and value_range was None; allowed: "
                "value_range=(lowest, highest), which only uint8, bool and floats do without"
            )
    low, high = value_range
    if not low < high:
        raise DataError(f"value_range was {value_range}; allowed: (lowest, highest), lowest first")
    if values.numel():
        least, most = (v.item() for v in values.aminmax())
        if least < low or most > high:
            raise DataError(
                f"values lie in [{least:g}, {most:g}]; allowed: value_range = [{low:g}, {high:g}], "
                "or another value_range that holds them"
            )
    return low, high
