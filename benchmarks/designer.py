r"""Simulated designers: rounds of picking until a design is as near to a hidden target as real ones.

A person has a digit of the test set in mind, knows its class, and begins with a random training
digit of that class. Each round they see some candidates and pick one, or keep the design they have,
by noisy similarity: odds exp(s/τ), s less the sum over cells of the differences between blurred
pictures (means of 3 x 3 cells), in cells. Who paints first repairs a few wrong cells, where the
blurred pictures differ most, and locks them. They are done when the design differs from the target
in no more cells than the target's nearest neighbour among 1,000 other test digits; who is not done
after so many rounds counts as longer than all others.

Candidates come, at an equal number of network evaluations (NFE) a round, from

* the adjusted chain: the design noised to a level, some steps of the kernel there, read out;
* the denoiser's chain: the same without the adjustment head;
* resampling from scratch, given the class and what is locked;

and without a network from real training digits of the class (a perfect sampler; without painting),
or from nowhere (painting alone). The level of both chains falls by a factor in a round that keeps
the present design; where it begins and the factor, and among how many candidates resampling parts
its evaluations and at which hold, are chosen on targets from the training set, each for each
method, by the mean number of rounds.

    python -m benchmarks.designer [--run FOLDER] [--quick]

FOLDER is what ``make demo`` writes; without one, a kernel is trained first by its recipe.
"""

from __future__ import annotations

import copy
import dataclasses
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import discrete_ca as dca
from benchmarks import report
from discrete_ca import chains, draws, runs
from discrete_ca.data import DiscreteData
from discrete_ca.explore.selection import choose
from discrete_ca.metrics.distances import hamming

OTHERS = 1000  # real digits, the nearest of which is the threshold
TEMPERATURE = 2.0  # cells
PAINTED = 4  # cells a round
NFE = 32  # a round
SHOWN = 8  # candidates a round of the chains
LOWEST_LEVEL = 0.05
RESAMPLES = 1000  # of the bootstrap


@dataclasses.dataclass(frozen=True)
class Task:
    """What people have in mind and begin with, one a row.

    Args:
        target: the hidden targets, (B, *S).
        label: their classes, (B,).
        design: the present designs, (B, *S).
        locked: their locked cells, boolean, (B, *S).
        near: in how many cells a design may differ from its target to be near it, (B,).
        level: where the chains are run next, (B,).
    """

    target: Tensor
    label: Tensor
    design: Tensor
    locked: Tensor
    near: Tensor
    level: Tensor

    def __getitem__(self, rows: Tensor) -> Task:
        """Some of the rows."""
        return Task(*(getattr(self, field.name)[rows] for field in dataclasses.fields(self)))

    def replace(self, **changes: Tensor) -> Task:
        """With other columns."""
        return dataclasses.replace(self, **changes)

    def reached(self) -> Tensor:
        """Which designs are near their targets, boolean, (B,)."""
        return (self.design != self.target).flatten(1).sum(1) <= self.near


class Method(ABC):
    """Where candidates come from."""

    level, fall = 1.0, 1.0

    @abstractmethod
    def propose(self, task: Task, generator: torch.Generator) -> Tensor:
        """Candidates (B, n, *S) for each of the designs."""


@dataclasses.dataclass(frozen=True)
class Chain(Method):
    """Neighbours of the present design, each by a run of its own.

    Args:
        kernel: the kernel.
        level: b of the first round.
        fall: what b is multiplied with when the present design is kept.
    """

    kernel: Any
    level: float = 0.4
    fall: float = 0.8

    def propose(self, task: Task, generator: torch.Generator) -> Tensor:
        """Noise, run, read out: NFE / SHOWN evaluations each."""
        every = task[torch.arange(len(task.label)).repeat_interleave(SHOWN)]
        given: dict[str, Any] = {
            "label": _told(self.kernel, every), "known": (~every.locked, every.design),
            "generator": generator,
        }  # fmt: skip
        x = self.kernel.corrupt(every.design, every.level, generator)
        for state in chains.run(self.kernel, x, every.level, NFE // SHOWN - 1, **given):
            x = state
        z = chains.read_out(self.kernel, x, every.level, **given)
        return z.unflatten(0, (-1, SHOWN))


@dataclasses.dataclass(frozen=True)
class Resampling(Method):
    """New designs from noise, given what is locked.

    Args:
        kernel: the kernel.
        count: how many a round.
        hold: h of the moves; None for the kernel's own.
    """

    kernel: Any
    count: int = SHOWN
    hold: float | None = None

    def propose(self, task: Task, generator: torch.Generator) -> Tensor:
        """Anneal: NFE / count evaluations each."""
        every = task[torch.arange(len(task.label)).repeat_interleave(self.count)]
        z = dca.sample(
            self.kernel, len(every.label), every.design.shape[1:], moves=NFE // self.count - 1,
            correctors=0, hold=self.hold, label=_told(self.kernel, every),
            known=(~every.locked, every.design), generator=generator, progress=False,
        )  # fmt: skip
        return z.unflatten(0, (-1, self.count))


@dataclasses.dataclass(frozen=True)
class Real(Method):
    """Real digits of the class: what a perfect sampler would show."""

    digits: DiscreteData

    def propose(self, task: Task, generator: torch.Generator) -> Tensor:
        """SHOWN random ones each."""
        return torch.stack([_of_class(self.digits, task.label, generator) for _ in range(SHOWN)], 1)


class Nothing(Method):
    """No candidates: painting alone."""

    def propose(self, task: Task, generator: torch.Generator) -> Tensor:
        """None."""
        return task.design[:, None][:, :0]


def _told(kernel: Any, task: Task) -> Tensor | None:
    """The labels, where the network takes them."""
    return task.label if "label" in getattr(kernel.net, "accepts", ()) else None


def _of_class(digits: DiscreteData, label: Tensor, generator: torch.Generator) -> Tensor:
    """A random digit of each class."""
    assert digits.labels is not None
    fits = (digits.labels[None] == label[:, None]).double().log()
    return digits[draws.categorical(fits, generator)]


def without_head(kernel: Any) -> Any:
    """The denoiser's kernel: the same weights, no adjustment."""
    made = copy.copy(kernel)
    made._modules = {**kernel._modules, "adjustment": None}
    return made


# -- the person -----------------------------------------------------------------------------------


def blurred(z: Tensor) -> Tensor:
    """Means of 3 x 3 cells, of pictures (..., H, W)."""
    flat = z.float().flatten(0, -3).unsqueeze(1)
    return torch.nn.functional.avg_pool2d(flat, 3, 1, 1).reshape(z.shape)


def pick(task: Task, candidates: Tensor, generator: torch.Generator) -> Tensor:
    """Which design each person takes, (B,): 0 the present one, i candidate i."""
    shown = torch.cat([task.design[:, None], candidates], 1)
    away = (blurred(shown) - blurred(task.target)[:, None]).abs().flatten(2).sum(2)
    return choose(-away.double() / TEMPERATURE, generator)


def paint(task: Task, cells: int = PAINTED) -> Task:
    """Repair so many wrong cells, where the blurred pictures differ most, and lock them."""
    wrong = task.design != task.target
    visible = (blurred(task.design) - blurred(task.target)).abs()
    rank = torch.where(wrong, visible, -1.0).flatten(1).argsort(dim=1, descending=True)
    chosen = torch.zeros_like(rank, dtype=torch.bool).scatter(1, rank[:, :cells], True)
    chosen = chosen.reshape(wrong.shape) & wrong
    return task.replace(
        design=torch.where(chosen, task.target, task.design), locked=task.locked | chosen
    )


def one_round(method: Method, task: Task, painting: bool, generator: torch.Generator) -> Task:
    """Paint, look at candidates, pick."""
    task = paint(task) if painting else task
    candidates = method.propose(task, generator)
    chosen = pick(task, candidates, generator)
    shown = torch.cat([task.design[:, None], candidates], 1)
    level = torch.where(chosen == 0, task.level * method.fall, task.level)
    return task.replace(
        design=shown[torch.arange(len(shown)), chosen], level=level.clamp_min(LOWEST_LEVEL)
    )


def rounds_needed(
    method: Method, task: Task, painting: bool, bound: int, generator: torch.Generator
) -> Tensor:
    """How many rounds each person took, float (B,); infinity for those not done at the bound."""
    rounds = torch.where(task.reached(), 0.0, torch.inf)
    task = task.replace(level=torch.full(task.label.shape, method.level))
    left = (~task.reached()).nonzero()[:, 0]
    task = task[left]
    for number in range(1, bound + 1):
        if not len(left):
            break
        task = one_round(method, task, painting, generator)
        done = task.reached()
        rounds[left[done]] = float(number)
        task, left = task[~done], left[~done]
    return rounds
