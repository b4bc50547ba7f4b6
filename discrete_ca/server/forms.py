"""What the page may ask: every field bounded, unknown ones refused."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from discrete_ca.explore.studio import MAX_SITES
from discrete_ca.explore.tree import MAX_NOTE, MAX_STARS

MOST_DESIGNS, MOST_STEPS, MOST_MOVES = 64, 1000, 200
MOST_NODES = 256
"""How many nodes a request may name or fetch."""

NodeId = Annotated[int, Field(ge=1, le=2**53, strict=True)]
Cell = Annotated[int, Field(ge=0, lt=MAX_SITES, strict=True)]
Cells = Annotated[list[Cell], Field(min_length=1, max_length=MAX_SITES)]
Category = Annotated[int, Field(ge=0, le=2**31, strict=True)]
Label = Annotated[int, Field(ge=0, lt=2**31, strict=True)]
Guidance = Annotated[float, Field(ge=0, le=20)]
Share = Annotated[float, Field(ge=0, le=1)]


class Form(BaseModel):
    """A body."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class NewSession(Form):
    """A new session; its seed, or none for one by chance."""

    seed: Annotated[int, Field(ge=0, lt=2**31, strict=True)] | None = None


class Begin(Form):
    """A design from outside: its categories row by row, an example of the run's data, or a text.

    `locked` are cells that no draw may change; with `blank`, every cell has category 0.
    """

    design: Annotated[list[Category], Field(max_length=MAX_SITES)] | None = None
    example: Annotated[int, Field(ge=0, le=2**53, strict=True)] | None = None
    text: Annotated[str, Field(max_length=1 << 20)] | None = None
    blank: bool = False
    locked: Annotated[list[Cell], Field(max_length=MAX_SITES)] = []


class _Drawing(Form):
    """What every drawing takes: how many, the hold, the class and how loud, how it is read out.

    With `metropolis`, steps that break detailed balance are refused.
    """

    n: Annotated[int, Field(ge=1, le=MOST_DESIGNS, strict=True)] = 8
    hold: Share | None = None
    label: Label | None = None
    guidance: Guidance = 0.0
    draw: bool = False
    metropolis: bool = False


class _Annealed(_Drawing):
    """Moves between levels, and equal-level steps after each."""

    moves: Annotated[int, Field(ge=1, le=MOST_MOVES, strict=True)] = 24
    correctors: Annotated[int, Field(ge=0, le=4, strict=True)] = 1


class FromNoise(_Annealed):
    """New designs from noise."""


class Near(_Drawing):
    """A run at one level from a node, for variants and for walks."""

    node: NodeId
    level: Share = 0.2
    steps: Annotated[int, Field(ge=1, le=MOST_STEPS, strict=True)] = 20


class Inpaint(_Annealed):
    """The cells of a node that are drawn anew."""

    node: NodeId
    cells: Cells


class Blend(_Annealed):
    """The nodes between which designs are drawn."""

    nodes: Annotated[list[NodeId], Field(min_length=2, max_length=16)]


class Paint(Form):
    """Cells of a node and their new categories: one for all, or one each."""

    node: NodeId
    cells: Cells
    values: Annotated[list[Category], Field(min_length=1, max_length=MAX_SITES)]
    held: bool = True


class OnCells(Form):
    """Cells of a node, to lock or to unlock."""

    node: NodeId
    cells: Cells


class Pick(Form):
    """Where to stand."""

    nodes: Annotated[list[NodeId], Field(min_length=1, max_length=16)]


class Annotation(Form):
    """A note or stars; what is left out stays."""

    note: Annotated[str, Field(max_length=MAX_NOTE)] | None = None
    stars: Annotated[int, Field(ge=0, le=MAX_STARS, strict=True)] | None = None


class Expect(Form):
    """Settings whose change is to be measured on a few short runs."""

    node: NodeId
    level: Share
    hold: Share | None = None
    steps: Annotated[int, Field(ge=1, le=MOST_STEPS, strict=True)] = 20
    label: Label | None = None
    guidance: Guidance = 0.0
    metropolis: bool = False


class Wish(Form):
    """A share of the unlocked cells that variants shall change."""

    node: NodeId
    change: Annotated[float, Field(gt=0, lt=1)]
    hold: Share | None = None
    steps: Annotated[int, Field(ge=1, le=200, strict=True)] = 20
    label: Label | None = None
    guidance: Guidance = 0.0
    metropolis: bool = False
