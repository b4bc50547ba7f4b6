"""Data of real-valued states: numbers as they are, or a range of them as [-1, 1]."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from discrete_ca.data import loading
from discrete_ca.data.sources import array_file
from discrete_ca.data.splitting import Splittable
from discrete_ca.data.transforms import Range
from discrete_ca.errors import DataError

_ARRAYS = (".npy", ".npz", ".pt")
_PIECE = 4096  # examples that are widened at once


def rescale(values: Tensor, value_range: Range) -> Tensor:
    """Numbers with a range [l, h] as [-1, 1], in float32: ``2 (v - l) / (h - l) - 1``.

    Args:
        values: numbers, any shape.
        value_range: (l, h).

    Raises:
        DataError: for values outside the range or not finite, or a range that is empty.

    Example:
        >>> rescale(torch.tensor([0, 255], dtype=torch.uint8), (0, 255))
        tensor([-1.,  1.])
    """
    low, high = value_range
    if not low < high:
        raise DataError(f"value_range was {value_range}; allowed: (lowest, highest), lowest first")
    numbers = _finite(values).double()
    if numbers.numel() and (float(numbers.min()) < low or float(numbers.max()) > high):
        raise DataError(
            f"values lie in [{float(numbers.min()):g}, {float(numbers.max()):g}]; "
            f"allowed: value_range = [{low:g}, {high:g}]"
        )
    return (2 * (numbers - low) / (high - low) - 1).float()


def as_numbers(values: Tensor, value_range: Range | None = None) -> tuple[Tensor, Range | None]:
    """Values in float32, and the range of them that became [-1, 1], if one did.

    Args:
        values: numbers, any shape.
        value_range: (l, h); None for (0, 255) of bytes, (0, 1) of booleans, and floats as they are.

    Raises:
        DataError: for values that are not finite or out of range, and whole numbers of no known
            range.

    Example:
        >>> as_numbers(torch.tensor([0.5, 3.0]))
        (tensor([0.5000, 3.0000]), None)
    """
    if value_range is None:
        if values.is_floating_point():
            return _finite(values).float(), None
        known = {torch.uint8: (0.0, 255.0), torch.bool: (0.0, 1.0)}
        if values.dtype not in known:
            raise DataError(
                f"values have dtype {values.dtype} and value_range was None; allowed: "
                "value_range=(lowest, highest), which only uint8, bool and floats do without"
            )
        value_range = known[values.dtype]
    return rescale(values, value_range), value_range


def _finite(values: Tensor) -> Tensor:
    if values.is_floating_point() and not bool(values.isfinite().all()):
        raise DataError("values hold NaN or infinity; allowed: finite numbers")
    return values


class ContinuousData(Splittable):
    """N clean examples of real numbers on sites of shape S, with labels where there are any.

    It is read as `DiscreteData` is, and stands where a data set is asked for: ``data[index]`` gives
    float32 states (B, *S).

    Args:
        states: numbers, shape (N, *S), N at least 1; kept in float32.
        labels: integer labels, shape (N,), or None.
        name: what the data are called in reports.
        value_range: the range of the source that became [-1, 1], where one did.

    Raises:
        DataError: for no examples, numbers that are not finite, or labels that do not fit.

    Example:
        >>> data = ContinuousData(torch.tensor([[0.5, -1.0], [0.0, 1.0]]))
        >>> data, data[torch.tensor([1])]
        (ContinuousData('data', N=2, shape=(2,), labels=False), tensor([[0., 1.]]))
    """

    labels: Tensor | None
    num_categories: None = None
    """There are none."""

    def __init__(
        self,
        states: Tensor,
        labels: Tensor | None = None,
        name: str = "data",
        value_range: Range | None = None,
    ) -> None:
        states = torch.as_tensor(states)
        if states.ndim == 0 or states.numel() == 0:
            raise DataError(f"states have shape {tuple(states.shape)}; allowed: >= one example")
        self.states = _finite(states).float()
        if labels is not None:
            labels = torch.as_tensor(labels)
            if labels.is_floating_point() or labels.shape != states.shape[:1]:
                raise DataError(
                    f"labels have shape {tuple(labels.shape)} and dtype {labels.dtype}; "
                    f"allowed: ({len(states)},), integers"
                )
            labels = labels.long()
        self.labels, self.name, self.value_range = labels, name, value_range

    @property
    def shape(self) -> tuple[int, ...]:
        """S, the shape of one example."""
        return tuple(self.states.shape[1:])

    @property
    def num_classes(self) -> int | None:
        """The largest label + 1, or None without labels."""
        return None if self.labels is None else int(self.labels.max()) + 1

    def __len__(self) -> int:
        return len(self.states)

    def __getitem__(self, index: Any) -> Tensor:
        return self.states[index]

    def __repr__(self) -> str:
        return (
            f"ContinuousData({self.name!r}, N={len(self)}, shape={self.shape}, "
            f"labels={self.labels is not None})"
        )

    def _part(self, index: Tensor) -> ContinuousData:
        labels = None if self.labels is None else self.labels[index]
        return ContinuousData(self.states[index], labels, self.name, self.value_range)


def load_continuous(
    source: str | Path | Any,
    split: str = "train",
    *,
    value_range: Range | None = None,
    states_key: str | None = None,
    label_key: str | None = None,
) -> ContinuousData:
    """Load data of real-valued states.

    Args:
        source: what `load` takes, an array file may hold floats; or "moons", points in the
            plane that come with the package.
        split: which split.
        value_range: (l, h) of the source, which becomes [-1, 1]; None for what the source says:
            the darkest and brightest value of pictures and bytes, floats as they are.
        states_key: the array or column of states, where its name does not tell.
        label_key: the array or column of labels, where its name does not tell.

    Raises:
        DataError: as `load` does, and for values that are not finite or out of range.

    Example:
        >>> data = load_continuous("mnist16", split="test")
        >>> data.shape, float(data.states.min()), float(data.states.max())
        ((28, 28), -1.0, 1.0)
    """
    path = Path(source) if isinstance(source, str | Path) else None
    if path is not None and path.suffix.lower() in _ARRAYS and path.exists():
        if split != "train":
            raise DataError(f"split was '{split}'; allowed: 'train', since {path} has no others")
        raw = array_file(path, states_key, label_key)
        if raw.present is not None:
            raise DataError(f"{path} says which sites are present; allowed: with categories")
        states, bounds = as_numbers(raw.values, value_range)
        return ContinuousData(states, raw.labels, path.stem, bounds)
    if isinstance(source, str) and source in loading.POINTS:
        points, labels = loading.POINTS[source](split)
        states, bounds = as_numbers(points, value_range)
        return ContinuousData(states, labels, source, bounds)
    found = loading.load(source, split, states_key=states_key, label_key=label_key)
    bounds = value_range or (0, found.num_categories - 1)
    rows = range(0, len(found), _PIECE)
    states = torch.cat([rescale(found[i : i + _PIECE], bounds) for i in rows])
    return ContinuousData(states, found.labels, found.name, bounds)
