"""Batches of clean data as a function of the step: of tensors, data sets, streams, functions."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from discrete_ca import draws
from discrete_ca.data.mapped import MappedData
from discrete_ca.errors import ConfigError, DataError
from discrete_ca.orders import Order

log = logging.getLogger(__name__)


class Batch(NamedTuple):
    """Clean examples z (B, *S), labels (B,), and which sites are data and not padding (B, *S)."""

    z: Tensor
    label: Tensor | None = None
    present: Tensor | None = None


@runtime_checkable
class Indexed(Protocol):
    """Examples that can be read one by one: ``data[index]`` gives states (B, *S).

    Labels are (N,), or None.
    """

    labels: Tensor | None

    def __len__(self) -> int:
        """N."""

    def __getitem__(self, index: Any) -> Tensor:
        """States at an index tensor (B,)."""


@runtime_checkable
class Streamed(Protocol):
    """Examples that come one after another, without an end: `discrete_ca.data.StreamedData`."""

    buffer: int

    def take(self, start: int, count: int) -> tuple[Tensor, Tensor | None]:
        """Examples number start .. start + count - 1; cheap where it goes on with the last."""

    def mark(self, start: int) -> dict[str, Any]:
        """Plain values from which `restore` finds the way to a place near `start` again."""

    def restore(self, mark: Mapping[str, Any]) -> None:
        """Be ready to go on from a mark."""


Source = Tensor | NDArray[Any] | Indexed | Streamed | Callable[[int, torch.Generator], Any]


class Batches:
    """``batches(step)`` is the same `Batch` for a seed and step whatever came before.

    A tensor (N, *S) or a data set is gone through in a new order each epoch, the incomplete last
    batch dropped. Where a batch is larger than the data, each example comes in it as often as any
    other, or once more; an objective draws a level and noise for each. A stream is cut into blocks
    of whole batches, about its `buffer` examples each, and each block is put in an order of its
    own; nothing is dropped. A function (count, generator) -> z, (z, label) or (z, label, present),
    is called for each batch.

    Args:
        source: where the examples come from.
        size: examples a batch, B.
        seed: seeds the order.

    Attributes:
        block: batches a block of a stream has; 0 for other sources.

    Raises:
        DataError: for no examples.

    Example:
        >>> batches = Batches(torch.arange(6).reshape(6, 1), 4, seed=0)
        >>> batch = batches(step=10)
        >>> batch.z.shape, batch.label
        (torch.Size([4, 1]), None)
        >>> half = batches.part(step=10, index=1, count=2)
        >>> bool((half.z == batch.z[2:]).all())
        True
    """

    def __init__(self, source: Source, size: int, seed: int) -> None:
        if isinstance(source, np.ndarray):  # what cannot be written to lies on disk
            source = torch.from_numpy(source) if source.flags.writeable else MappedData(source)
        if isinstance(source, Tensor) and not source.is_floating_point():
            source = source.long()
        if not isinstance(source, Tensor | Indexed | Streamed) and not callable(source):
            raise DataError(
                f"data was a {type(source).__name__}; allowed: a tensor or array (N, *S), a "
                "DiscreteData, a StreamedData, or a function (count, generator) -> states"
            )
        self.source, self.size, self.seed = source, size, seed
        self.block = max(1, source.buffer // size) if isinstance(source, Streamed) else 0
        self._order = lru_cache(maxsize=2)(self._new_order)  # two: threads meet at a boundary
        if isinstance(source, Tensor | Indexed):
            _look_at_number(len(source), size, getattr(source, "tokenizer", None) is not None)

    def _new_order(self, number: int) -> Order:
        """The order of an epoch, or of a block of a stream."""
        if isinstance(self.source, Streamed):
            return Order(self.block * self.size, self.seed, "order", number)
        return Order(len(self.source), self.seed, "order", number)  # type: ignore[arg-type]

    def __call__(self, step: int) -> Batch:
        """The batch of one step."""
        return self.part(step, 0, 1)

    def part(self, step: int, index: int, count: int) -> Batch:
        """One of `count` equal consecutive parts of a step's batch; the rest is not read.

        The parts of a step, joined, are its batch: processes that take a part each see all its
        examples and none twice. A stream must be read as a whole by each of them. A function is
        asked for B / count examples with a generator keyed by (seed, "data", step, index), and by
        (seed, "data", step) where there is one part: other numbers of parts are other examples.

        Args:
            step: the step.
            index: which part, 0 .. count - 1.
            count: how many parts.

        Raises:
            ConfigError: where `count` does not divide the batch, and for an index out of range.
        """
        if count < 1 or self.size % count:
            raise ConfigError(f"batch_size was {self.size}; allowed: a multiple of {count} parts")
        if not 0 <= index < count:
            raise ConfigError(f"index was {index}; allowed: 0 .. {count - 1}")
        source, size = self.source, self.size // count
        if not isinstance(source, Tensor | Indexed | Streamed):
            key = (step,) if count == 1 else (step, index)
            found = source(size, draws.keyed(self.seed, "data", *key))
            return Batch(found) if isinstance(found, Tensor) else Batch(*found)
        whole = self.block or max(1, len(source) // self.size)  # type: ignore[arg-type]
        number, place = divmod(step, whole)
        first = place * self.size + index * size
        order = self._order(number)
        rows = order(torch.arange(first, first + size) % order.length)  # again, where few
        if isinstance(source, Streamed):
            states, labels = self.read_block(number)
            z, present = states[rows].long(), None
        else:
            labels, present = getattr(source, "labels", None), getattr(source, "present", None)
            z = source[rows]
        label = None if labels is None else labels[rows].long()
        return Batch(z, label, None if present is None else present[rows])

    def read_block(self, number: int) -> tuple[Tensor, Tensor | None]:
        """A block of a stream, in the stream's order; it is read once, and kept for a while."""
        assert isinstance(self.source, Streamed)
        count = self.block * self.size
        return self.source.take(number * count, count)

    def state(self, step: int) -> dict[str, Any]:
        """Plain values that let another `Batches` reach `step` sooner; empty but for streams.

        They change no batch: without them a stream is read again from its start.
        """
        if not isinstance(self.source, Streamed):
            return {}
        return self.source.mark(step // self.block * self.block * self.size)

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take what `state` gave."""
        if isinstance(self.source, Streamed) and state:
            self.source.restore(state)


def _look_at_number(count: int, size: int, text: bool) -> None:
    """Refuse no examples, and warn of fewer than a batch."""
    if count == 0:
        raise DataError("data has 0 examples; allowed: at least one")
    if count < size:
        windows = ", and shorter windows of text (--data.length) are more" if text else ""
        log.warning(
            f"the data have {count} examples, fewer than batch_size = {size}: a step goes through "
            f"them {size / count:.3g} times, at other levels and noise; batch_size = {count} "
            f"(--train.batch-size) is once{windows}"
        )
