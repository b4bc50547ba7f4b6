"""Sparse row-stochastic matrices: draws from rows, single entries, and what leads to a state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor, nn

_ROW_TOLERANCE = 1e-6


class Precise(nn.Module):
    """A module whose own floating buffers stay in float64 whatever its network is cast to.

    Probabilities in half precision would draw another law.
    """

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        before = dict(self._buffers)
        super()._apply(fn, recurse)
        for name, old in before.items():
            new = self._buffers[name]
            if old is not None and new is not None and old.dtype != new.dtype:
                self._buffers[name] = old.to(new.device)
        return self

    def _hold(self, **buffers: Tensor) -> None:
        """Buffers that move with the module and are made again from its arguments, not saved."""
        for name, value in buffers.items():
            self.register_buffer(name, value, persistent=False)


class SparseRows(Precise):
    """A row-stochastic matrix S, K x V, of which the entries above 0 alone are stored.

    Args:
        matrix: shape (K, V'), V' <= V; sparse of any layout, or dense.
        num_states: V.
        name: the argument's name, for errors.

    Raises:
        TypeError: for what is not a floating tensor.
        ValueError: for another number of dimensions, entries that are not finite or negative, and
            rows that are empty or do not sum to 1.

    Example:
        >>> near = SparseRows(torch.tensor([[0.0, 1.0], [0.5, 0.5]]), 2, "near")
        >>> both = torch.tensor([0, 1])
        >>> near.at(both, both), near.in_degree(both)
        (tensor([0.0000, 0.5000], dtype=torch.float64), tensor([1, 2]))
    """

    start: Tensor
    key: Tensor
    value: Tensor
    reach: Tensor
    in_start: Tensor
    in_row: Tensor
    in_log: Tensor

    def __init__(self, matrix: Tensor, num_states: int, name: str) -> None:
        super().__init__()
        if not isinstance(matrix, Tensor) or not matrix.is_floating_point():
            was = matrix.dtype if isinstance(matrix, Tensor) else type(matrix).__name__
            raise TypeError(f"{name} was of {was}; allowed: a floating tensor")
        if matrix.ndim != 2:
            raise ValueError(f"{name} has shape {tuple(matrix.shape)}; allowed: (K, V)")
        self.num_rows, self.num_states = matrix.shape[0], num_states
        row, column, value = _entries(matrix.detach(), name)
        degree = torch.bincount(row, minlength=self.num_rows)
        start = _starts(degree)
        value = value / _row_sums(row, value, degree, name)[row]
        place = torch.arange(len(row), device=row.device) - start[row]
        order = (column * self.num_rows + row).argsort()
        self._longest = int(degree.max())
        self._hold(
            start=start,
            key=row * num_states + column,
            value=value,
            reach=_sums_within(value, place),
            in_start=_starts(torch.bincount(column, minlength=num_states)),
            in_row=row[order],
            in_log=value[order].log(),
        )

    def extra_repr(self) -> str:
        """The sizes, for printing."""
        return f"{self.num_rows} x {self.num_states}, {len(self.value)} entries"

    def dense(self) -> Tensor:
        """S in full, (K, V) in float64: for small spaces."""
        whole = self.value.new_zeros(self.num_rows * self.num_states)
        return whole.index_put((self.key,), self.value).reshape(self.num_rows, self.num_states)

    @property
    def rows_equal(self) -> bool:
        """Whether all rows are the same to 1e-9."""
        count = len(self.value) // self.num_rows
        if count * self.num_rows != len(self.value) or self._longest != count:
            return False
        column = (self.key % self.num_states).reshape(self.num_rows, count)
        value = self.value.reshape(self.num_rows, count)
        same = torch.equal(column, column[:1].expand_as(column))
        return same and bool((value - value[:1]).abs().max() <= 1e-9)

    def at(self, z: Tensor, x: Tensor) -> Tensor:
        """The entries S[z, x] at single points, of the shape of x, in float64."""
        wanted = z * self.num_states + x
        place = torch.searchsorted(self.key, wanted).clamp_(max=len(self.key) - 1)
        return torch.where(self.key[place] == wanted, self.value[place], 0.0)

    def draw(self, z: Tensor, u: Tensor) -> Tensor:
        """The inverse CDF of row z at u, by bisection: ``log k`` steps; z and u of one shape.

        Args:
            z: rows, long.
            u: uniform numbers on [0, 1), float64.
        """
        low, high = self.start[z], self.start[z + 1] - 1
        total = self.reach[high]
        target = torch.minimum(u * total, torch.nextafter(total, torch.zeros_like(total)))
        for _ in range((self._longest - 1).bit_length()):
            middle = (low + high) // 2  # where a search has ended, low = high = middle
            above = self.reach[middle] > target
            low, high = torch.where(above, low, middle + 1), torch.where(above, middle, high)
        return self.key[low] % self.num_states

    def in_degree(self, x: Tensor) -> Tensor:
        """How many categories lead to each state."""
        return self.in_start[x + 1] - self.in_start[x]

    def pairs(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Every category that leads to the states x, (N,), one list after another.

        Returns:
            site: which of the N, long, shape (P,), ascending.
            z: the category, long, shape (P,).
            log_value: ``log S[z, x]``, shape (P,), in float64.
            starts: where the list of each site starts, and P; long, shape (N + 1,).
        """
        starts = _starts(self.in_degree(x))
        count = int(starts[-1])
        every = torch.arange(len(x), device=x.device)
        site = every.repeat_interleave(starts.diff(), output_size=count)
        entry = torch.arange(count, device=x.device)
        entry += (self.in_start[x] - starts[:-1]).index_select(0, site)
        z, log_value = (t.index_select(0, entry) for t in (self.in_row, self.in_log))
        return site, z, log_value, starts


def _starts(counts: Tensor) -> Tensor:
    return torch.cat([counts.new_zeros(1), counts.cumsum(0)])


def _entries(matrix: Tensor, name: str) -> tuple[Tensor, Tensor, Tensor]:
    """Row, column and value (float64) of each entry above 0, in the order of rows and columns."""
    if matrix.layout is torch.strided:
        matrix = matrix.to_sparse()
    elif matrix.layout is not torch.sparse_coo:
        matrix = matrix.to_sparse_coo()
    matrix = matrix.coalesce()
    (row, column), value = matrix.indices(), matrix.values().double()
    if not bool(value.isfinite().all()):
        raise ValueError(f"{name} has entries that are not finite")
    if bool((value < 0).any()):
        raise ValueError(f"{name} has negative entries; the smallest is {float(value.min()):g}")
    there = value > 0
    return row[there], column[there], value[there]


def _row_sums(row: Tensor, value: Tensor, degree: Tensor, name: str) -> Tensor:
    empty = degree == 0
    if bool(empty.any()):
        raise ValueError(
            f"{name} row {int(empty.long().argmax())} is empty; allowed: rows that sum to 1 "
            "(a category without neighbours may lead to itself)"
        )
    sums = value.new_zeros(len(degree)).index_add(0, row, value)
    error = (sums - 1).abs()
    if float(error.max()) > _ROW_TOLERANCE:
        worst = int(error.argmax())
        raise ValueError(f"{name} row {worst} sums to {float(sums[worst]):g}; allowed: 1")
    return sums


def _sums_within(value: Tensor, place: Tensor) -> Tensor:
    """Cumulative sums within each row, by doubling; `place` is an entry's place in its row.

    One cumulative sum of the whole would lose the small entries of late rows.
    """
    reach, shift = value.clone(), 1
    while shift <= int(place.max()):
        before = torch.cat([reach.new_zeros(shift), reach[:-shift]])
        reach, shift = reach + torch.where(place >= shift, before, 0.0), 2 * shift
    return reach
