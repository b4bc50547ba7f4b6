"""Batches of clean data as a function of the step, from tensors, data sets or functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from discrete_ca import draws
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


Source = Tensor | NDArray[Any] | Indexed | Callable[[int, torch.Generator], Tensor | Batch]


class Batches:
    """``batches(step)`` gives (z, label), the same for a seed and step whatever came before.

    A tensor (N, *S) or a data set is gone through in a new order each epoch, the incomplete last
    batch dropped; a function (count, generator) -> z, or (z, label), is called for each batch.

    Args:
        source: where the examples come from.
        size: examples a batch, B.
        seed: seeds the order.

    Raises:
        DataError: for fewer examples than one batch.

    Example:
        >>> z, label = Batches(torch.arange(6).reshape(6, 1), 4, seed=0)(step=10)
        >>> z.shape, label
        (torch.Size([4, 1]), None)
    """

    def __init__(self, source: Source, size: int, seed: int) -> None:
        if isinstance(source, np.ndarray):
            source = torch.from_numpy(source)
        if isinstance(source, Tensor) and not source.is_floating_point():
            source = source.long()
        if not isinstance(source, Tensor | Indexed) and not callable(source):
            raise DataError(
                f"data was a {type(source).__name__}; allowed: a tensor or array (N, *S), a "
                "DiscreteData, or a function (count, generator) -> states"
            )
        self.source, self.size, self.seed = source, size, seed
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.long)
        if isinstance(source, Tensor | Indexed) and len(source) < size:
            raise DataError(
                f"data has {len(source)} examples; allowed: at least batch_size = {size}"
            )

    def __call__(self, step: int) -> Batch:
        """The batch of one step."""
        source = self.source
        if not isinstance(source, Tensor | Indexed):
            found = source(self.size, draws.keyed(self.seed, "data", step))
            return (found, None) if isinstance(found, Tensor) else found
        epoch, place = divmod(step, len(source) // self.size)
        if epoch != self._epoch:
            generator = draws.keyed(self.seed, "order", epoch)
            self._order, self._epoch = torch.randperm(len(source), generator=generator), epoch
        index = self._order[place * self.size : (place + 1) * self.size]
        labels = None if isinstance(source, Tensor) else source.labels
        return source[index], None if labels is None else labels[index]

    def part(self, step: int, index: int, count: int) -> Batch:
        """STUB: the index-th of `count` equal slices of a step's batch."""
        z, label = self(step)
        rows = slice(index * self.size // count, (index + 1) * self.size // count)
        return z[rows], None if label is None else label[rows]
