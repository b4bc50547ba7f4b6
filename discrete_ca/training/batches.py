"""Batches of clean data, in a seeded order, from tensors, data sets or functions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from discrete_ca.errors import DataError

Batch = tuple[Tensor, Tensor | None]


@runtime_checkable
class Indexed(Protocol):
    """A data set in memory: ``data[index]`` gives states (B, *S); labels (N,) or None."""

    labels: Tensor | None

    def __len__(self) -> int:
        """N."""

    def __getitem__(self, index: Any) -> Tensor:
        """States at an index tensor (B,)."""


Source = Tensor | Indexed | Callable[[int, torch.Generator], Tensor | Batch]


def batches(source: Source, size: int, generator: torch.Generator) -> Iterator[Batch]:
    """Endless batches (z, label).

    A tensor (N, *S) or a data set is gone through in a new order each epoch, the incomplete last
    batch dropped; a function (count, generator) -> z, or (z, label), is called for each batch.

    Raises:
        DataError: for fewer examples than one batch.

    Example:
        >>> z, label = next(batches(torch.arange(6).reshape(6, 1), 4, torch.Generator()))
        >>> z.shape, label
        (torch.Size([4, 1]), None)
    """
    if not isinstance(source, Tensor | Indexed):
        while True:
            found = source(size, generator)
            yield (found, None) if isinstance(found, Tensor) else found
    if len(source) < size:
        raise DataError(f"data has {len(source)} examples; allowed: at least batch_size = {size}")
    labels = None if isinstance(source, Tensor) else source.labels
    while True:
        order = torch.randperm(len(source), generator=generator)
        for start in range(0, len(source) - size + 1, size):
            index = order[start : start + size]
            yield source[index], None if labels is None else labels[index]
