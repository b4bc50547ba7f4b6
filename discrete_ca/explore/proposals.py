"""Operations that draw: from noise, near a design, along a chain, into a part, between designs."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor

from discrete_ca import chains, checks
from discrete_ca.conditions import Conditions
from discrete_ca.drawing import UNKNOWN
from discrete_ca.errors import DataError
from discrete_ca.explore.operations import (
    MAX_DESIGNS,
    MAX_STEPS,
    Made,
    Operation,
    bounded,
    flag,
    labelled,
)
from discrete_ca.explore.selection import candidates_around
from discrete_ca.explore.studio import Studio
from discrete_ca.explore.tree import Node
from discrete_ca.kernels import TransitionKernel
from discrete_ca.walker import Tally, Walker


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class _Drawing(Operation):
    """What every drawing operation says.

    Args:
        n: how many designs.
        hold: h; None for kernels that have none to choose.
        label: the class to draw, for kernels that are told it.
        draw: read out by a draw instead of the mode.
        guidance: g, how much louder the label is (`CategoricalNoiseKernel.guided`).
        metropolis: refuse steps that break detailed balance; see `discrete_ca.metropolis`.
    """

    n: int = 8
    hold: float | None = None
    label: int | None = None
    draw: bool = False
    guidance: float = 0.0
    metropolis: bool = False

    def __post_init__(self) -> None:
        bounded(self.n, "n", MAX_DESIGNS)
        if self.hold is not None:
            checks.probability(self.hold, "hold")
        labelled(self.label)
        flag(self.draw, "draw")
        flag(self.metropolis, "metropolis")
        if not 0 <= self.guidance < math.inf or (self.guidance and self.label is None):
            raise ValueError(
                f"guidance was {self.guidance}; allowed: a number >= 0, and 0 without a label"
            )

    @property
    def count(self) -> int:
        """How many designs it makes."""
        return self.n

    def _kernel(self, studio: Studio) -> AbstractContextManager[TransitionKernel]:
        """The kernel as this asks for it."""
        return studio.set(self.hold, self.guidance, self.metropolis)

    def _labels(self, studio: Studio) -> Tensor | None:
        return None if self.label is None else torch.tensor([self.label], device=studio.device)

    def _common(self, generator: torch.Generator) -> dict[str, Any]:
        """What every chain is told."""
        return {
            "draw": self.draw, "label": self.label, "metropolis": self.metropolis,
            "chunk": MAX_DESIGNS, "generator": generator, "progress": False, "return_info": True,
        }  # fmt: skip


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class _Stationary(_Drawing):
    """A run at one level: what it says besides.

    Args:
        level: b, low stays near and high goes far.
        steps: equal-level steps.
    """

    level: float = 0.2
    steps: int = 20

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.probability(self.level, "level")
        bounded(self.steps, "steps", MAX_STEPS)

    @property
    def calls(self) -> int:
        """Calls of the kernel one after another: the steps and a read-out."""
        return self.steps + 1


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class _Annealed(_Drawing):
    """A run through falling levels: what it says besides.

    Args:
        moves: T, moves between levels.
        correctors: c, equal-level steps after each.
    """

    moves: int = 32
    correctors: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        bounded(self.moves, "moves", MAX_STEPS)
        bounded(self.correctors, "correctors", MAX_STEPS, least=0)
        bounded(self.moves * (1 + self.correctors), "moves with correctors", MAX_STEPS)

    @property
    def calls(self) -> int:
        """Calls of the kernel one after another: moves, correctors and a read-out."""
        return self.moves * (1 + self.correctors) + 1

    def _anneal(self, chain: Callable[..., Any], studio: Studio, *given: Any, **more: Any) -> Any:
        with self._kernel(studio) as kernel:
            z, info = chain(kernel, *given, moves=self.moves, correctors=self.correctors, **more)
        return z.cpu(), {"nfe": info.nfe * self.n, "acceptance": info.acceptance}

    def _fill(
        self,
        studio: Studio,
        design: Tensor,
        mask: Tensor,
        locked: Tensor,
        generator: torch.Generator,
    ) -> Made:
        """Draw the masked cells anew, given the others, which stay."""
        z, cost = self._anneal(
            chains.inpaint, studio, design.to(studio.device), mask.to(studio.device), n=self.n,
            **self._common(generator),
        )  # fmt: skip
        return Made(torch.where(mask, z, design), locked, **cost)


class FromNoise(_Annealed, name="noise", parents=(0, 0)):
    """New designs, from noise through falling levels to a read-out."""

    def apply(self, studio: Studio, parents: Sequence[Node], generator: torch.Generator) -> Made:
        """Anneal."""
        z, cost = self._anneal(
            chains.sample, studio, self.n, studio.shape, **self._common(generator)
        )
        return Made(z, torch.zeros(studio.shape, dtype=torch.bool), **cost)


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class FromSketch(_Annealed, name="sketch", parents=(0, 0)):
    """Designs around the cells of a sketch.

    Args:
        sketch: categories of shape S, -1 where it leaves open what shall be.
        held: lock what was sketched; otherwise the first designs show it and later draws may
            change it.
    """

    sketch: Tensor
    held: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        flag(self.held, "held")

    def apply(self, studio: Studio, parents: Sequence[Node], generator: torch.Generator) -> Made:
        """Inpaint what is open."""
        sketch = studio.design(self.sketch, "sketch", least=UNKNOWN)
        drawn = studio.cells(sketch == UNKNOWN, "open part of the sketch")
        locked = ~drawn if self.held else torch.zeros_like(drawn)
        return self._fill(studio, sketch.clamp_min(0), drawn, locked, generator)


class Variants(_Stationary, name="variants"):
    """Neighbours of a design, each by a run of its own; locked cells stay."""

    def apply(self, studio: Studio, parents: Sequence[Node], generator: torch.Generator) -> Made:
        """Noise it to the level, run the chain there, read out."""
        (node,) = parents
        with self._kernel(studio) as kernel:
            z, info = chains.variants(
                kernel, node.design, self.n, level=self.level, steps=self.steps,
                known=studio.known(node), **self._common(generator),
            )  # fmt: skip
        designs = torch.where(node.locked, node.design, z.cpu())
        return Made(designs, node.locked, nfe=info.nfe * self.n, acceptance=info.acceptance)


class Walk(_Stationary, name="walk"):
    """A strip of n designs along one chain, `steps` apart; from a node on a chain it goes on."""

    @property
    def calls(self) -> int:
        """Calls of the kernel one after another: of Metropolis steps the laws are at hand."""
        return 1 + self.n * self.steps if self.metropolis else self.n * (self.steps + 1)

    def apply(self, studio: Studio, parents: Sequence[Node], generator: torch.Generator) -> Made:
        """Run the chain, reading out on the way."""
        (node,), tally = parents, Tally.of(self.metropolis, [self.level])
        states, designs = [], []
        with self._kernel(studio) as kernel:
            x = studio.noisy(node, self.level, generator)
            given = Conditions(self._labels(studio), studio.known(node))
            walker = Walker(kernel, x, self.level, given, generator, tally)
            for _ in range(self.n):
                for _ in range(self.steps):
                    walker.step()
                z = walker.read_out(self.draw)
                states.append(walker.x.cpu())
                designs.append(torch.where(node.locked, node.design, z.cpu()))
        nfe = self.calls * kernel.evaluations(self.label is not None)
        acceptance = None if tally is None else tally.acceptance
        return Made(torch.cat(designs), node.locked, torch.cat(states), self.level, nfe, acceptance)


class Propose(_Stationary, name="propose"):
    """n candidates around a hidden centre near a design, to pick from (see `selection`)."""

    @property
    def calls(self) -> int:
        """Calls of the kernel one after another."""
        return 2 * self.steps + 1 + self.metropolis

    def apply(self, studio: Studio, parents: Sequence[Node], generator: torch.Generator) -> Made:
        """Walk to a centre, and from it to each candidate."""
        (node,), tally = parents, Tally.of(self.metropolis, [self.level])
        with self._kernel(studio) as kernel:
            x = studio.noisy(node, self.level, generator)
            found = candidates_around(
                kernel, x, self.n, self.level, steps=self.steps, draw=self.draw,
                label=self._labels(studio), known=studio.known(node), generator=generator,
                tally=tally,
            )  # fmt: skip
        designs = torch.where(node.locked, node.design, found.designs[0].cpu())
        nfe = self.steps * (1 + self.n) + self.n + self.metropolis
        nfe *= kernel.evaluations(self.label is not None)
        acceptance = None if tally is None else tally.acceptance
        return Made(designs, node.locked, found.states[0].cpu(), self.level, nfe, acceptance)


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Inpaint(_Annealed, name="inpaint"):
    """A part of a design drawn anew, given the rest.

    Args:
        mask: True = generate, boolean, of shape S or one that broadcasts to it; locked cells stay.
    """

    mask: Tensor

    def apply(self, studio: Studio, parents: Sequence[Node], generator: torch.Generator) -> Made:
        """Inpaint."""
        (node,) = parents
        mask = studio.cells(self.mask, "mask") & ~node.locked
        mask = studio.cells(mask, "unlocked part of the mask")
        return self._fill(studio, node.design, mask, node.locked, generator)


class Blend(_Annealed, name="blend", parents=(2, MAX_DESIGNS)):
    """Designs between several: where they agree stays, the rest is drawn anew.

    What is locked in any of them stays too, and is locked in what comes of it.
    """

    def apply(self, studio: Studio, parents: Sequence[Node], generator: torch.Generator) -> Made:
        """Inpaint the cells on which they differ.

        Raises:
            DataError: for designs that lock a cell to different categories, or that agree on every
                cell that is not locked.
        """
        design, locked = parents[0].design, parents[0].locked
        agree = torch.ones_like(locked)
        for node in parents[1:]:
            agree &= node.design == parents[0].design
            clash = int((locked & node.locked & (node.design != design)).sum())
            if clash:
                raise DataError(
                    f"{clash} cells are locked to different categories; allowed: none (unlock them "
                    "in one of the designs)"
                )
            design = torch.where(node.locked & ~locked, node.design, design)
            locked = locked | node.locked
        mask = ~agree & ~locked
        if not bool(mask.any()):
            raise DataError("the designs agree on every unlocked cell; allowed: ones that differ")
        return self._fill(studio, design, mask, locked, generator)
