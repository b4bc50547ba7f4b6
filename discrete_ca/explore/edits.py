"""Operations by hand, without the network: begin with a design, lock, unlock, paint."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor

from discrete_ca.errors import DataError
from discrete_ca.explore.operations import Made, Operation, flag, labelled
from discrete_ca.explore.studio import Studio, as_array
from discrete_ca.explore.tree import Node


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Begin(Operation, name="begin", parents=(0, 0)):
    """A root: a design that came from outside, which its recipe holds.

    Args:
        design: categories of shape S.
        locked: cells that no draw may change, such as padding; None for none.
        label: its class, where its data say one; the design is the same with it and without.
    """

    design: Tensor
    locked: Tensor | None = None
    label: int | None = None  # which the first files do not have

    def __post_init__(self) -> None:
        labelled(self.label)

    def apply(self, studio: Studio, parents: Sequence[Node], generator: torch.Generator) -> Made:
        """The design as it is."""
        design = studio.design(self.design)
        none = torch.zeros(studio.shape, dtype=torch.bool)
        locked = none if self.locked is None else studio.cells(self.locked, "locked", least=0)
        return Made(design[None], locked)


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Lock(Operation, name="lock"):
    """Cells that no draw may change from here on.

    Args:
        cells: True = lock, boolean, of shape S or one that broadcasts to it.
    """

    cells: Tensor

    def apply(self, studio: Studio, parents: Sequence[Node], generator: torch.Generator) -> Made:
        """The same design with more locked."""
        cells = studio.cells(self.cells, "cells")
        return Made(parents[0].design[None], parents[0].locked | cells)


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Unlock(Operation, name="unlock"):
    """Cells that may change again.

    Args:
        cells: True = unlock, as for `Lock`.
    """

    cells: Tensor

    def apply(self, studio: Studio, parents: Sequence[Node], generator: torch.Generator) -> Made:
        """The same design with less locked."""
        cells = studio.cells(self.cells, "cells")
        return Made(parents[0].design[None], parents[0].locked & ~cells)


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Paint(Operation, name="paint"):
    """Cells that get the categories a person wants.

    Args:
        cells: True = paint, boolean, of shape S or one that broadcasts to it.
        values: categories, of shape S, () or one that broadcasts; only those of `cells` are read.
        held: lock what was painted; otherwise it is a hint, from which draws start and which they
            may change.
    """

    cells: Tensor
    values: Tensor
    held: bool = True

    def __post_init__(self) -> None:
        flag(self.held, "held")

    def apply(self, studio: Studio, parents: Sequence[Node], generator: torch.Generator) -> Made:
        """The painted design.

        Raises:
            DataError: for locked cells (unlock them first), values out of range.
        """
        node, cells = parents[0], studio.cells(self.cells, "cells")
        over = int((cells & node.locked).sum())
        if over:
            raise DataError(f"cells has {over} locked ones; allowed: others (unlock them first)")
        given = as_array(self.values, "values")
        try:
            values = given.expand(studio.shape)
        except RuntimeError as error:
            raise DataError(
                f"values have shape {tuple(given.shape)}; allowed: {studio.shape} or ()"
            ) from error
        values = studio.design(values.masked_fill(~cells, 0), "values")
        design = torch.where(cells, values, node.design)
        return Made(design[None], node.locked | cells if self.held else node.locked)
