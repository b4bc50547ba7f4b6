"""A data set whose states stay on disk and are read as they are asked for."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from discrete_ca.data.dataset import DiscreteData, categories, narrowest, whole
from discrete_ca.data.rows import ArrayRows, Chosen, Rows, Without
from discrete_ca.data.sources import reading
from discrete_ca.data.transforms import Transform
from discrete_ca.errors import DataError

_PIECE_BYTES = 1 << 22
_AS_THEY_ARE = Transform()


class MappedData(DiscreteData):
    """`DiscreteData` of any size: states are read, and made discrete, a batch at a time.

    Numbers are gone through once, in pieces, when the data are opened: that is as fast as the disk,
    small beside the passes of training, and what is wrong is refused before work starts. Pictures
    hold bytes by their format and are decoded, and checked, when they are read.

    Args:
        rows: an array such as ``np.load(path, mmap_mode="r")``, or `Rows`.
        num_categories: K; None for what the transform or the format says, else the largest value
            + 1, and at least 2.
        labels: integer labels, shape (N,), or None; these are in memory, a byte each up to 256.
        name: what the data are called in reports.
        label_names: what each label is called, where that is known.
        transform: what makes the values categories.
        present: which sites are data and not padding, booleans (N, *S) on disk as `rows` are, or
            None for all. It is gone through when the data are opened.

    Raises:
        DataError: as `DiscreteData`; for pictures, when a batch is read.

    Example:
        >>> data = MappedData(np.array([[0.1, 0.9], [0.5, 0.2]]), transform=Transform(quantize=4))
        >>> data
        MappedData('data', N=2, shape=(2,), num_categories=4, labels=False)
        >>> data[torch.tensor([1])]
        tensor([[2, 0]])
    """

    def __init__(
        self,
        rows: Rows | NDArray[Any],
        num_categories: int | None = None,
        labels: Tensor | None = None,
        name: str = "data",
        label_names: Sequence[str] | None = None,
        transform: Transform = _AS_THEY_ARE,
        present: Rows | NDArray[Any] | None = None,
    ) -> None:
        if transform.stochastic:
            raise DataError(
                "stochastic was True for data on disk; allowed: False, since each value is drawn "
                "once and for all (save the drawn states, or load them into memory)"
            )
        self._rows: Rows = ArrayRows([rows], name) if isinstance(rows, np.ndarray) else rows
        made, count = self._rows.num_values, len(self._rows)
        self._transform = transform.within(made)
        if count == 0:
            raise DataError("states have shape (0,); allowed: at least one example")
        with reading(name):
            first = self._transform(self._rows[np.zeros(1, dtype=np.int64)])
        self._shape, self.name = tuple(first.shape[1:]), name
        self._checked = made is None
        highest = self._highest() if self._checked else self._read(np.zeros(1, dtype=np.int64))[1]
        if num_categories is None:
            num_categories = self._transform.num_categories or made
        self._describe(highest, count, num_categories, labels, name, None, label_names)
        self.present = None if present is None else _Present(present, (count, *self._shape), name)
        if self.labels is not None:
            self.labels = self.labels.to(narrowest(int(self.labels.max()) + 1))

    def _read(self, index: NDArray[np.int64]) -> tuple[Tensor, int]:
        """The states at a sorted index, and the largest of them."""
        with reading(self.name):
            states = self._transform(self._rows[index])
            if states.shape[1:] != self.shape:
                raise DataError(
                    f"examples have shape {tuple(states.shape[1:])}; allowed: {self.shape}, as the "
                    "first has"
                )
            return whole(states, "states")

    def _highest(self) -> int:
        """The largest state of all, from one pass in pieces."""
        return max(self._read(piece)[1] for piece in self._pieces())

    def _pieces(self) -> Iterator[NDArray[np.int64]]:
        """All places, in pieces that fit in memory."""
        step = max(1, _PIECE_BYTES // (8 * max(1, math.prod(self.shape))))
        for first in range(0, len(self), step):
            yield np.arange(first, min(first + step, len(self)))

    @property
    def states(self) -> Tensor:
        """All states, long, shape (N, *S): the whole of the data in memory."""
        return self[:]

    @property
    def shape(self) -> tuple[int, ...]:
        """S, the shape of one example."""
        return self._shape

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: Any) -> Tensor:
        places = _places(index, len(self))
        if places.size == 0:
            return torch.empty((*places.shape, *self.shape), dtype=torch.long)
        forwards, back = np.unique(places.reshape(-1), return_inverse=True)
        states, highest = self._read(forwards)
        if not self._checked:
            categories(self.num_categories, highest)
        found = states[torch.from_numpy(back.reshape(-1))].long()
        return found.reshape((*places.shape, *self.shape))

    def _parted(self, held_out: Tensor) -> tuple[Self, Self]:
        index = held_out.numpy()
        rest, taken = copy.copy(self), copy.copy(self)
        rest._rows, taken._rows = Without(self._rows, index), Chosen(self._rows, index)
        if self.present is not None:
            rest.present, taken.present = self.present._parted(held_out)
        if self.labels is not None:
            kept = torch.ones(len(self), dtype=torch.bool)
            kept[held_out] = False
            rest.labels, taken.labels = self.labels[kept], self.labels[held_out]
        return rest, taken


class _Present(MappedData):
    """Which sites are data, on disk: ``present[index]`` reads booleans (B, *S)."""

    def __init__(self, rows: Rows | NDArray[Any], shape: tuple[int, ...], name: str) -> None:
        super().__init__(rows, 2, name=f"present of {name}")
        if (len(self), *self.shape) != shape:
            raise DataError(f"present has shape {(len(self), *self.shape)}; allowed: {shape}")
        if not self._checked:  # else it was gone through already
            self._highest()

    def _read(self, index: NDArray[np.int64]) -> tuple[Tensor, int]:
        states, highest = super()._read(index)
        nothing = ~states.bool().reshape(len(states), -1).any(1)
        if bool(nothing.any()):
            raise DataError(
                f"present is False at every site of example {index[int(nothing.long().argmax())]}; "
                "allowed: at least one site an example"
            )
        return states, highest

    def __getitem__(self, index: Any) -> Tensor:
        return super().__getitem__(index).bool()


def _places(index: Any, length: int) -> NDArray[np.int64]:
    """What an index of any kind means, as places 0 .. length - 1."""
    if isinstance(index, slice):
        return np.arange(*index.indices(length))
    places = np.asarray(index)
    if places.dtype == bool:
        if places.shape != (length,):
            raise IndexError(f"a mask has shape {places.shape}; allowed: ({length},)")
        return np.flatnonzero(places)
    if places.size and places.dtype.kind not in "iu":
        raise IndexError(f"index has dtype {places.dtype}; allowed: whole numbers or booleans")
    places = places.astype(np.int64)
    if places.size and not -length <= places.min() <= places.max() < length:
        raise IndexError(
            f"index holds values in [{places.min()}, {places.max()}]; allowed: -{length} .. "
            f"{length - 1}"
        )
    return np.where(places < 0, places + length, places)
