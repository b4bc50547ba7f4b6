"""A source gone through again and again as one endless stream, with places that can be kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from discrete_ca.data.sources import reading
from discrete_ca.errors import DataError

Columns = list[Any]  # for each key, the values of some examples: a list or an array


class Passes:
    """Example number i of the passes through a source, one after another.

    It is read forwards in chunks. Where it stands is a `place`, plain values that hold the source's
    own state (its ``state_dict``, as `datasets` has it) at the start of the chunk, so that another
    object of the same source can `go` there without what came before.

    Args:
        source: an `IterableDataset`, or anything that can be iterated over again and gives
            mappings.
        keys: the columns that are read.
        chunk: examples that are read together, at most.
        arrays: ask a `datasets` source for arrays, which are read faster than lists.
        name: what the source is called in errors.

    Attributes:
        position: the number of the next example.
        length: examples in a pass, once one has ended; each must have as many.

    Example:
        >>> passes = Passes([{"x": 1}, {"x": 2}, {"x": 3}], ["x"], chunk=2)
        >>> passes.forward_to(7)
        >>> passes.some(5), passes.position, passes.length
        ([[2, 3]], 9, 3)
    """

    position: int
    _columns: Columns | None  # the chunk that is being read, and how much of it was
    _used: int
    _broken: bool

    def __init__(
        self,
        source: Iterable[Mapping[str, Any]],
        keys: Sequence[str],
        chunk: int,
        arrays: bool = False,
        name: str = "stream",
    ) -> None:
        self.source, self.keys, self.chunk, self.name = source, list(keys), chunk, name
        self.arrays = arrays
        self.length: int | None = None
        self._open(0)

    # -- places -----------------------------------------------------------------------------------

    def place(self) -> dict[str, Any]:
        """Where the next example is."""
        return {
            "position": self.position - self._used, "pass": self._pass, "first": self._first,
            "state": self._state,
        }  # fmt: skip

    def go(self, place: Mapping[str, Any]) -> None:
        """Stand at a place, or at most a chunk before it."""
        self._open(place["pass"], place["state"])
        self.position, self._first = place["position"], place["first"]

    def forward_to(self, position: int) -> None:
        """Stand before example number `position`; what lies between is read and dropped.

        Whole passes are left out once their length is known. Going back, and going on after an
        error, starts the pass anew, or the first pass where the length is not known.
        """
        number = position // self.length if self.length else 0
        if self._broken or position < self.position or number > self._pass:
            self._open(number)
        while self.position < position:
            self.some(position - self.position)

    # -- reading ----------------------------------------------------------------------------------

    def some(self, most: int) -> Columns:
        """The next examples, 1 .. most of them, as columns in the order of the keys.

        Raises:
            DataError: for a source that cannot be read, or a pass of another length.
        """
        while self._columns is None:
            self._read_chunk(most)
        count = len(self._columns[0])
        last = min(self._used + most, count)
        found = [column[self._used : last] for column in self._columns]
        self.position += last - self._used
        self._used = last
        if last == count:
            self._columns, self._used, self._state = None, 0, self._source_state()
        return found

    def _read_chunk(self, most: int) -> None:
        place = self.position - self._first
        self._broken = True  # until it is read: an iterator that failed seems to have ended
        with reading(f"{self.name}, from example {place} of pass {self._pass},"):
            self._columns = self._chunk(most)
        self._broken = False
        if self._columns is None:
            if place == 0 or self.length not in (None, place):
                raise DataError(
                    f"{self.name}: pass {self._pass} gave {place} examples; allowed: "
                    f"{self.length or 'at least one'}, as in each pass"
                )
            self.length = place
            self._open(self._pass + 1)

    def _open(self, number: int, state: Mapping[str, Any] | None = None) -> None:
        """Start a pass, at its first example or at a state of the source."""
        source: Any = self.source
        if hasattr(source, "select_columns"):
            source = source.select_columns(self.keys)  # a copy, with a state of its own
        if self.arrays and hasattr(source, "with_format"):
            source = source.with_format("numpy")
        if hasattr(source, "set_epoch"):
            source.set_epoch(number)
        if state is not None:
            source.load_state_dict(state)
        self._source, self._pass = source, number
        self._batched = hasattr(source, "select_columns")
        self._iterator = iter(source.iter(batch_size=self.chunk) if self._batched else source)
        self._columns, self._used, self._broken = None, 0, False
        self._state = self._source_state() if state is None else dict(state)
        self.position = self._first = number * (self.length or 0)

    def _source_state(self) -> dict[str, Any] | None:
        state = getattr(self._source, "state_dict", None)
        return None if state is None else state()

    def _chunk(self, most: int) -> Columns | None:
        """The next chunk; of a source without a state, no more than is wanted."""
        if self._batched:
            batch = next(self._iterator, None)
            return None if batch is None else [batch[key] for key in self.keys]
        examples = list(islice(self._iterator, min(self.chunk, most)))
        return [[example[key] for example in examples] for key in self.keys] if examples else None
