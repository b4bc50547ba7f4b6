"""Data that come one example after another and are never whole: on the Hub, in files, from code."""

from __future__ import annotations

import copy
import hashlib
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from discrete_ca.data import tables
from discrete_ca.data.dataset import categories, narrowest, whole
from discrete_ca.data.passes import Passes
from discrete_ca.data.sources import as_tensor, choose_keys, reading
from discrete_ca.data.transforms import Range, Transform
from discrete_ca.errors import DataError

Batch = tuple[Tensor, Tensor | None]

_NUMBERS, _PICTURES = 256, 16  # examples held as they came, before they are made small
_HELD = 2  # blocks in memory: the one in use, and the next
_MARKS = 4  # blocks whose beginnings are remembered
_AS_THEY_ARE = Transform()

log = logging.getLogger(__name__)


class StreamedData:
    """The endless stream that a source gives when it is gone through again and again.

    Example number i is the same whenever it is asked for, so that batches are a function of the
    step (`discrete_ca.training.batches`). `take` goes on where it stopped. Going elsewhere reads
    and drops what lies between, from the start of a pass if need be; a `mark` of a `datasets`
    stream lets another process go there directly. A mark says what was read at its place, and is
    believed only where the same is read again: shuffle buffers of `datasets`, for one, are not
    restored by its state.

    Examples are checked and made discrete when they are read. Each pass must give as many;
    `datasets` takes the shards of a stream in another order from the second pass on.

    Args:
        source: an `IterableDataset`, or anything that can be iterated over again and gives
            mappings of arrays or pictures. Shuffled ones need a seed.
        num_categories: K; None for what the transform says, 2 for booleans, 256 for pictures.
        states_key: the column of states, where its name does not tell.
        label_key: the column of labels, where its name does not tell.
        transform: what makes the values categories.
        buffer: examples that are shuffled together; twice as many are held in memory.
        name: what the data are called in reports.

    Attributes:
        num_categories: K.
        shape: S, the shape of one example.
        label_names: what the labels are called, or None.
        buffer: as given.

    Raises:
        DataError: for a source without examples, columns that do not exist, and a K that is not
            known; in `take`, for examples that differ in shape or are no categories.

    Example:
        >>> from datasets import Dataset
        >>> rows = Dataset.from_dict({"states": [[0, 1], [2, 0], [1, 1]]}).to_iterable_dataset()
        >>> data = StreamedData(rows, num_categories=3)
        >>> data.take(2, 2)[0].tolist()  # the last example, and the first again
        [[1, 1], [0, 1]]
    """

    def __init__(
        self,
        source: Iterable[Mapping[str, Any]],
        num_categories: int | None = None,
        states_key: str | None = None,
        label_key: str | None = None,
        transform: Transform = _AS_THEY_ARE,
        buffer: int = 10_000,
        name: str = "stream",
    ) -> None:
        if buffer < 1:
            raise DataError(f"buffer was {buffer}; allowed: a whole number >= 1")
        if transform.stochastic:
            raise DataError("stochastic was True for a stream; allowed: False")
        self.source, self.buffer, self.name = source, buffer, name
        self._lock = Lock()
        self._held: dict[tuple[int, int], Batch] = {}
        self._marks: tuple[dict[str, Any], ...] = ()
        self._hint: dict[str, Any] | None = None
        with reading(name):
            first = next(iter(source), None)
            if first is None:
                raise DataError("it gives no examples; allowed: at least one")
            keys = choose_keys(list(first), states_key, label_key, name, likely=tables.LIKELY)
            states_key, self._label_key = keys
            if self._label_key is not None and np.all(np.asarray(first[self._label_key]) == -1):
                self._label_key = None  # the Hub's mark of a split without labels
            values = as_tensor(_array(first[states_key])[None], "states")
        made = 2 if values.dtype == torch.bool else None
        picture = _is_picture(first[states_key])
        if picture and made is None:
            made = 256
        features = getattr(source, "features", None)
        self.label_names = tables.label_names(features, self._label_key)
        self._transform = transform.within(made)
        made = self._transform.num_categories or made
        states, highest = whole(self._transform(values), "states")
        if num_categories is None and made is None:
            raise DataError(
                "num_categories was None for a stream; allowed: a whole number >= 2, since it "
                "cannot be gone through to count them"
            )
        self.num_categories = categories(num_categories or made, highest)
        self.shape = tuple(states.shape[1:])
        read = [key for key in (states_key, self._label_key) if key is not None]
        chunk = min(buffer, _PICTURES if picture else _NUMBERS)
        self._passes = Passes(source, read, chunk, arrays=not picture, name=name)

    @property
    def num_classes(self) -> int | None:
        """How many labels have names; None where that is not known."""
        return None if self.label_names is None else len(self.label_names)

    def __repr__(self) -> str:
        return (
            f"StreamedData({self.name!r}, shape={self.shape}, "
            f"num_categories={self.num_categories}, labels={self._label_key is not None})"
        )

    # -- reading ----------------------------------------------------------------------------------

    def take(self, start: int, count: int) -> Batch:
        """Examples number start .. start + count - 1 of the endless stream.

        Returns:
            States, in as few bytes as K needs, shape (count, *S), and labels (count,) or None.
        """
        key = (start, count)
        if (held := self._held.get(key)) is not None:  # not to wait while the next is read
            return held
        with self._lock:
            if key not in self._held:
                while len(self._held) >= _HELD:
                    self._held.pop(next(iter(self._held)))
                try:
                    self._go(start)
                    place = self._passes.place()
                    batch = self._read(count)
                except DataError:
                    self._hint = self.mark(start) or None  # so that trying again is cheap
                    raise
                mark = {"start": start, "place": place, "count": count, "digest": _digest(batch)}
                self._marks = (*self._marks[1 - _MARKS :], mark)
                self._held[key] = batch
            return self._held[key]

    def mark(self, start: int) -> dict[str, Any]:
        """Where the last block at or before `start` began, as plain values; {} where unknown."""
        return next((mark for mark in reversed(self._marks) if mark["start"] <= start), {})

    def restore(self, mark: Mapping[str, Any]) -> None:
        """Use a mark, of this process or another, when something is next read."""
        with self._lock:
            self._hint = dict(mark)

    def _go(self, start: int) -> None:
        """Stand before example number `start`."""
        hint, self._hint = self._hint, None
        if hint and hint["start"] <= start and not self._resumed(hint):
            log.warning("%s: a saved place is not what it was; read from the start", self.name)
        self._passes.forward_to(start)

    def _resumed(self, mark: Mapping[str, Any]) -> bool:
        """Go to a mark; False, and at the start, where what is read there is not what was."""
        fresh, place = copy.copy(self._passes), mark["place"]
        if place["state"] is None:
            return True  # the source has none, and is read from where it stands
        try:
            for check in (True, False):
                self._passes.go(place)
                self._passes.forward_to(mark["start"])
                if check and _digest(self._read(mark["count"])) != mark["digest"]:
                    break
            else:
                return True
        except Exception as error:  # a state of another source or version
            log.warning("%s: a saved place cannot be read: %s", self.name, error)
        self._passes = fresh
        return False

    def _read(self, count: int) -> Batch:
        states, labels = [], []
        left = count
        while left:
            columns = self._passes.some(left)
            left -= len(columns[0])
            with reading(f"{self.name}, before example {self._passes.position}"):
                found, highest = whole(self._transform(_values(columns[0])), "states")
                if found.shape[1:] != self.shape:
                    raise DataError(
                        f"states have shape {tuple(found.shape[1:])}; allowed: {self.shape}"
                    )
                categories(self.num_categories, highest)
                states.append(found.to(narrowest(self.num_categories)))
                if self._label_key is not None:
                    labels.append(whole(_values(columns[1]), "labels")[0])
        return torch.cat(states), torch.cat(labels) if labels else None


def _values(column: Any) -> Tensor:
    """A column of examples of one shape as a tensor."""
    if isinstance(column, np.ndarray) and column.dtype != object:
        return as_tensor(column, "values")
    arrays = [_array(value) for value in column]
    shapes = {array.shape for array in arrays}
    if len(shapes) > 1:
        raise DataError(f"the examples differ in shape: {sorted(shapes)}; allowed: one shape")
    return as_tensor(np.stack(arrays), "values")


def _array(value: Any) -> NDArray[Any]:
    """A picture, tensor or nested list as an array."""
    if _is_picture(value) or value is None:
        return tables.as_pixels(value)
    return value.numpy() if isinstance(value, Tensor) else np.asarray(value)


def _is_picture(value: Any) -> bool:
    return hasattr(value, "mode") and hasattr(value, "convert")


def _digest(batch: Batch) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for tensor in batch:
        if tensor is not None:
            digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


def stream(
    source: str | Path | Any,
    split: str = "train",
    *,
    num_categories: int | None = None,
    binarize: float | None = None,
    quantize: int | None = None,
    value_range: Range | None = None,
    states_key: str | None = None,
    label_key: str | None = None,
    buffer: int = 10_000,
) -> StreamedData:
    """Read data as a stream: nothing is downloaded or held but what training has come to.

    Args:
        source: the name of a data set on the Hub, "user/name"; an `IterableDataset`, a `Dataset`
            or a dict of splits of them; or a folder made by `save_to_disk`.
        split: which split.
        num_categories: K; a stream of numbers that are categories already must say.
        binarize: as in `load`.
        quantize: as in `load`.
        value_range: as in `load`.
        states_key: as in `load`.
        label_key: as in `load`.
        buffer: examples that are shuffled together. Streams sorted by class want their shards
            shuffled too: pass ``dataset.shuffle(seed=0, buffer_size=1)``.

    Raises:
        DataError: for sources that cannot be streamed, and as `StreamedData`.

    Example:
        >>> from datasets import Dataset
        >>> stream(Dataset.from_dict({"x": [[0.1], [0.9]]}), quantize=2)
        StreamedData('stream', shape=(1,), num_categories=2, labels=False)
    """
    transform = Transform(binarize, False, quantize, value_range)
    rows, name = tables.streamed(source, split)
    return StreamedData(rows, num_categories, states_key, label_key, transform, buffer, name)
