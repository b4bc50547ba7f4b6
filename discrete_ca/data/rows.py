"""Rows that stay on disk: arrays in files, columns of tables, pictures, and parts of these.

Rows are read by sorted indices without repeats, so that a disk is read forwards.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from discrete_ca.data.sources import as_tensor, reading
from discrete_ca.errors import DataError

Index = NDArray[np.int64]


class Rows(Protocol):
    """N values of one shape on disk."""

    @property
    def num_values(self) -> int | None:
        """One more than the largest value of the format, where it says so.

        Such rows are not gone through when data are made of them.
        """

    def __len__(self) -> int:
        """N."""

    def __getitem__(self, index: Index) -> Tensor:
        """The values (B, *S) at a sorted index (B,) without repeats."""


class ArrayRows:
    """Arrays one after another: anything with a shape and a dtype that a sorted index reads.

    Of an array that is mapped into memory, such as ``np.memmap``, the system counts the pages that
    were read as memory of the process until it wants them back; `NpyFile` has none.

    Args:
        arrays: arrays (N_i, *S) of one shape S and dtype.
        name: what they are called in errors.

    Raises:
        DataError: for none, or arrays that differ.

    Example:
        >>> rows = ArrayRows([np.arange(4), np.arange(10, 12)])
        >>> len(rows), rows[np.array([1, 4])]
        (6, tensor([ 1, 10]))
    """

    num_values = None

    def __init__(self, arrays: Sequence[Any], name: str = "data") -> None:
        if not arrays:
            raise DataError(f"{name} holds no arrays; allowed: at least one")
        kinds = [(array.shape[1:], array.dtype) for array in arrays]
        for i, (array, kind) in enumerate(zip(arrays, kinds, strict=True)):
            if not array.shape or kind != kinds[0]:
                raise DataError(
                    f"{name}: array {i} has shape {array.shape} of {array.dtype}; allowed: "
                    f"(N, *S) with S = {tuple(kinds[0][0])} of {kinds[0][1]}, as the first has"
                )
        self.arrays, self.name = list(arrays), name
        self._ends = np.cumsum([len(array) for array in arrays])

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, index: Index) -> Tensor:
        cuts = np.searchsorted(index, self._ends)
        parts, first = [], 0
        for array, end, cut in zip(self.arrays, self._ends, cuts, strict=True):
            if cut > first:
                parts.append(np.asarray(array[index[first:cut] - (end - len(array))]))
            first = cut
        values = parts[0] if len(parts) == 1 else np.concatenate(parts)
        return as_tensor(values, "states")


class NpyFile:
    """A .npy file whose rows are read from the file, without mapping it.

    A page fault may map megabytes around a row; what is read takes the memory of what was asked
    for. The file is open only while it is read, so that there may be many.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "x.npy"
        >>> np.save(path, np.arange(6).reshape(3, 2))
        >>> NpyFile(path)[np.array([0, 2])]
        array([[0, 1],
               [4, 5]])
    """

    def __init__(self, path: Path) -> None:
        with reading(path):
            mapped = np.load(path, mmap_mode="r", allow_pickle=False)
        self.path, self.shape, self.dtype = path, mapped.shape, mapped.dtype
        self._offset: int = mapped.offset
        self._plain = mapped.flags.c_contiguous and hasattr(os, "preadv")

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, index: Index) -> NDArray[Any]:
        """The rows at a sorted index without repeats.

        Raises:
            DataError: for a file that became shorter or cannot be read any more.
        """
        with reading(self.path):
            if not self._plain:
                return np.array(np.load(self.path, mmap_mode="r")[index])
            out = np.empty((len(index), *self.shape[1:]), self.dtype)
            into = out.reshape(len(index), -1).view(np.uint8)
            with self.path.open("rb", buffering=0) as file:
                for first, last in _runs(index):
                    self._fill(file.fileno(), into[first:last], int(index[first]))
            return out

    def _fill(self, file: int, into: NDArray[np.uint8], row: int) -> None:
        left = into.reshape(-1).data
        place = self._offset + row * into.shape[1]
        while left:
            count = os.preadv(file, [left], place)
            if count == 0:
                raise EOFError("the file became shorter")
            left, place = left[count:], place + count


def _runs(index: Index) -> Iterator[tuple[int, int]]:
    """Where runs of consecutive numbers start and end."""
    ends = np.flatnonzero(np.diff(index) != 1) + 1
    return pairwise([0, *ends.tolist(), len(index)])


def npy_rows(paths: Sequence[Path]) -> ArrayRows:
    """.npy files one after another; nothing is read but their headers.

    Raises:
        DataError: for a file that cannot be read, or files that differ.
    """
    name = str(paths[0].parent if len(paths) > 1 else paths[0])
    return ArrayRows([NpyFile(path) for path in paths], name)


class ReadRows:
    """Rows that a function reads one at a time, such as pictures.

    Args:
        count: N.
        read: gives the values (*S) of a row.
        name: gives the name of a row for errors.

    Raises:
        DataError: for no rows, and when a row is read that differs from the first.

    Example:
        >>> rows = ReadRows(3, lambda i: np.full((2, 2), i, dtype=np.uint8), str)
        >>> rows[np.array([0, 2])].shape, rows.num_values
        (torch.Size([2, 2, 2]), 256)
    """

    def __init__(
        self, count: int, read: Callable[[int], NDArray[Any]], name: Callable[[int], str]
    ) -> None:
        self._count, self._read, self._name = count, read, name
        if count < 1:
            raise DataError("states have shape (0,); allowed: at least one example")
        first = self._one(0)
        self._kind = first.shape, first.dtype
        self.num_values = 2 if first.dtype == bool else 256

    def __len__(self) -> int:
        return self._count

    def _one(self, row: int) -> NDArray[Any]:
        with reading(self._name(row)):
            return self._read(row)

    def __getitem__(self, index: Index) -> Tensor:
        values = [self._one(int(row)) for row in index]
        for row, value in zip(index, values, strict=True):
            if (value.shape, value.dtype) != self._kind:
                raise DataError(
                    f"{self._name(int(row))} has shape {value.shape} of {value.dtype}; allowed: "
                    f"{self._kind[0]} of {self._kind[1]}, as {self._name(0)} has"
                )
        return as_tensor(np.stack(values), "states")


class Chosen:
    """The rows at a sorted index.

    Example:
        >>> Chosen(ArrayRows([np.arange(10)]), np.array([2, 7]))[np.array([1])]
        tensor([7])
    """

    def __init__(self, rows: Rows, index: Index) -> None:
        self.rows, self.index, self.num_values = rows, index, rows.num_values

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, index: Index) -> Tensor:
        return self.rows[self.index[index]]


class Without:
    """The rows that are not at a sorted index; what it costs in memory is that index.

    Row p is the p-th that is left: p plus the number of left-out rows below it.

    Example:
        >>> Without(ArrayRows([np.arange(5)]), np.array([0, 3]))[np.arange(3)]
        tensor([1, 2, 4])
    """

    def __init__(self, rows: Rows, index: Index) -> None:
        self.rows, self.num_values = rows, rows.num_values
        self._left_before = index - np.arange(len(index))

    def __len__(self) -> int:
        return len(self.rows) - len(self._left_before)

    def __getitem__(self, index: Index) -> Tensor:
        return self.rows[index + np.searchsorted(self._left_before, index, side="right")]
