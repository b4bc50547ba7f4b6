"""Designs to begin with, of a run's data or of a file, and the classes that these give them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from discrete_ca import data
from discrete_ca.data import DiscreteData
from discrete_ca.data.sources import array_file
from discrete_ca.errors import DataError
from discrete_ca.files import DIGITS, class_of
from discrete_ca.runs import SavedRun

_PADDED_LOOKED_AT = 10_000


@dataclass(frozen=True, eq=False)
class Examples:
    """Designs to begin with.

    Args:
        designs: categories, (N, *S).
        labels: the class of each, long, (N,); None where the data have none.
        label_names: what each class is called; None where that is not known.
        whose: what they are, where they are not of the run's data.
    """

    designs: Tensor | Sequence[Tensor] = ()
    labels: Tensor | None = None
    label_names: tuple[str, ...] | None = None
    whose: str = ""

    @classmethod
    def of(cls, given: Tensor | DiscreteData) -> Self:
        """Designs alone, or data: of these, the ones without padding, which designs know not of.

        Example:
            >>> z = torch.zeros(2, 5, dtype=torch.long)
            >>> Examples.of(z).label(0), Examples.of(DiscreteData(z, labels=[4, 1])).label(0)
            (None, 4)
        """
        if isinstance(given, Tensor):
            return cls(given)
        if given.present is None:
            return cls(given, given.labels, given.label_names)  # type: ignore[arg-type]
        rows = torch.arange(min(len(given), _PADDED_LOOKED_AT))
        rows = rows[given.present[rows].flatten(1).all(1)]
        labels = None if given.labels is None else given.labels[rows]
        return cls(given[rows], labels, given.label_names)

    def __len__(self) -> int:
        return len(self.designs)

    def __getitem__(self, place: int) -> Tensor:
        return self.designs[place]

    def label(self, place: int) -> int | None:
        """The class of one; None where the data have none."""
        return class_of(self.labels, place)


def read_examples(source: str | Path, run: SavedRun) -> DiscreteData:
    """Designs to begin with, from an array file (N, *S) that the operator names.

    Labels that stand beside them are their classes.

    Raises:
        DataError: for a file that cannot be read or does not fit.
    """
    raw = array_file(Path(source), None, None)
    values, most = raw.values, run.num_categories
    if run.shape is not None and tuple(values.shape[1:]) != run.shape:
        raise DataError(f"designs have shape {tuple(values.shape[1:])}; allowed: {run.shape}")
    if values.is_floating_point():
        raise DataError(f"designs hold {values.dtype}; allowed: whole numbers")
    found = values.long()
    if found.numel() and (int(found.min()) < 0 or (most is not None and int(found.max()) >= most)):
        raise DataError(f"designs hold values outside 0 .. {(most or 0) - 1}")
    labels = raw.labels
    if labels is not None and (labels.is_floating_point() or bool((labels < 0).any())):
        labels = None  # no classes
    return DiscreteData(found, most, labels, Path(source).stem, present=raw.present)


def own_examples(run: SavedRun, shape: tuple[int, ...], num_categories: int) -> Examples:
    """The run's own, those of a test split first, else MNIST's test digits where they fit.

    What a digit shows is no class of other data: the digits then come without their labels.
    """
    for split in ("test", None):
        own: Any = run.examples(split) if run.shape == shape else None
        if own is not None and len(found := Examples.of(own)):
            return found
    name = DIGITS.get(num_categories)
    if name is None or shape != (28, 28):
        return Examples()
    return Examples(data.load(name, split="test").states, whose="MNIST's test digits")
