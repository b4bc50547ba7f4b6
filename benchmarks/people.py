"""Simulated people who look for a hidden target, and where their candidates come from.

A person knows the class of what they have in mind. Each round they see some candidates and pick one
or keep the design they have, with odds exp(s/τ): s is less the sum over cells of the differences
between blurred pictures (means of 3 x 3 cells), in cells. Who paints first repairs a few wrong
cells, where the blurred pictures differ most, and locks them.
"""

from __future__ import annotations

import copy
import dataclasses
from abc import ABC, abstractmethod
from functools import cache
from typing import Any, ClassVar

import torch
from torch import Tensor

import discrete_ca as dca
from discrete_ca import chains, draws
from discrete_ca.data import DiscreteData
from discrete_ca.explore.selection import choose
from discrete_ca.metrics.distances import hamming

TEMPERATURE = 2.0  # τ, in cells
PAINTED = 4  # cells a round
NFE = 32  # network evaluations a round
SHOWN = 8  # candidates a round, but of resampling
LOWEST_LEVEL = 0.05


@cache
def digits(split: str) -> DiscreteData:
    """Binarized MNIST."""
    return dca.data.load("binarized_mnist", split=split)


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

    def repeat(self, count: int) -> Task:
        """Each row so many times in a row."""
        return self[torch.arange(len(self.label)).repeat_interleave(count)]

    def replace(self, **changes: Tensor) -> Task:
        """With other columns."""
        return dataclasses.replace(self, **changes)

    def reached(self) -> Tensor:
        """Which designs are near their targets, boolean, (B,)."""
        return (self.design != self.target).flatten(1).sum(1) <= self.near


class Method(ABC):
    """Where candidates come from; a subclass's fields are its settings."""

    level, fall = 1.0, 1.0
    """b of the first round, and what it is multiplied with when the present design is kept."""
    nfe: ClassVar[int] = NFE
    """Network evaluations a round."""

    @abstractmethod
    def propose(self, kernel: Any, task: Task, generator: torch.Generator) -> Tensor:
        """Candidates (B, n, *S), n for each of the designs."""


@dataclasses.dataclass(frozen=True)
class Chain(Method):
    """Neighbours of the present design, each by a run of its own.

    Args:
        level: b of the first round.
        fall: what b is multiplied with when the present design is kept.
    """

    level: float
    fall: float

    def propose(self, kernel: Any, task: Task, generator: torch.Generator) -> Tensor:
        """Noise, run, read out: NFE / SHOWN evaluations each."""
        every = task.repeat(SHOWN)
        given = {**_conditions(kernel, every), "generator": generator}
        x = kernel.corrupt(every.design, every.level, generator)
        for state in chains.run(kernel, x, every.level, NFE // SHOWN - 1, **given):
            x = state
        z = chains.read_out(kernel, x, every.level, **given)
        return z.unflatten(0, (-1, SHOWN))


@dataclasses.dataclass(frozen=True)
class DenoisersChain(Chain):
    """The same without the adjustment head."""

    def propose(self, kernel: Any, task: Task, generator: torch.Generator) -> Tensor:
        """As the chain."""
        return super().propose(without_head(kernel), task, generator)


@dataclasses.dataclass(frozen=True)
class Resampling(Method):
    """New designs from noise, given the class and what is locked.

    Args:
        count: how many a round.
        hold: h of the moves; None for the kernel's own.
    """

    count: int
    hold: float | None

    def propose(self, kernel: Any, task: Task, generator: torch.Generator) -> Tensor:
        """Anneal: NFE / count evaluations each."""
        every = task.repeat(self.count)
        z = dca.sample(
            kernel, len(every.label), every.design.shape[1:], moves=NFE // self.count - 1,
            correctors=0, hold=self.hold, **_conditions(kernel, every), generator=generator,
            progress=False,
        )  # fmt: skip
        return z.unflatten(0, (-1, self.count))


@dataclasses.dataclass(frozen=True)
class RealDigits(Method):
    """Real training digits of the class: what a perfect sampler would show."""

    nfe = 0

    def propose(self, kernel: Any, task: Task, generator: torch.Generator) -> Tensor:
        """SHOWN random ones each."""
        return torch.stack([of_class(task.label, generator) for _ in range(SHOWN)], 1)


@dataclasses.dataclass(frozen=True)
class Nothing(Method):
    """No candidates: painting alone."""

    nfe = 0

    def propose(self, kernel: Any, task: Task, generator: torch.Generator) -> Tensor:
        """None."""
        return task.design[:, None][:, :0]


def _conditions(kernel: Any, task: Task) -> dict[str, Any]:
    """The locked cells and, where the network takes them, the classes."""
    label = task.label if kernel.told_label else None
    return {"known": (~task.locked, task.design), "label": label}


def of_class(label: Tensor, generator: torch.Generator) -> Tensor:
    """A random training digit of each class (B,), (B, *S)."""
    labels = digits("train").labels
    assert labels is not None
    place = torch.empty_like(label)
    for value in label.unique():
        rows, here = (labels == value).nonzero()[:, 0], label == value
        place[here] = rows[torch.randint(len(rows), (int(here.sum()),), generator=generator)]
    return digits("train")[place]


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


@torch.no_grad()
def one_round(
    method: Method, kernel: Any, task: Task, painting: bool, generator: torch.Generator
) -> Task:
    """Paint, look at candidates, pick."""
    task = paint(task) if painting else task
    candidates = method.propose(kernel, task, generator)
    chosen = pick(task, candidates, generator)
    shown = torch.cat([task.design[:, None], candidates], 1)
    level = torch.where(chosen == 0, task.level * method.fall, task.level)
    return task.replace(
        design=shown[torch.arange(len(shown)), chosen], level=level.clamp_min(LOWEST_LEVEL)
    )


def rounds_needed(
    method: Method, kernel: Any, task: Task, painting: bool, bound: int, generator: torch.Generator
) -> Tensor:
    """How many rounds each person takes, float (B,); infinity for those not done at the bound."""
    rounds = torch.where(task.reached(), 0.0, torch.inf)
    left = rounds.isinf().nonzero()[:, 0]
    task = task.replace(level=torch.full(task.label.shape, method.level))[left]
    for number in range(1, bound + 1):
        if not len(left):
            break
        task = one_round(method, kernel, task, painting, generator)
        done = task.reached()
        rounds[left[done]] = float(number)
        task, left = task[~done], left[~done]
    return rounds


def tasks(split: str, count: int, others: int, seed: int) -> Task:
    """Random targets of a split of binarized MNIST, each begun at a training digit of its class.

    A design is near in no more cells than the nearest of so many other digits of the split.
    """
    data, g = digits(split), draws.keyed(seed, "people", split)
    places = torch.randperm(len(data), generator=g)[: count + others]
    target, rest = data[places[:count]], data[places[count:]]
    assert data.labels is not None
    label = data.labels[places[:count]]
    near = hamming(target.flatten(1), rest.flatten(1)).amin(1)
    locked = torch.zeros_like(target, dtype=torch.bool)
    return Task(target, label, of_class(label, g), locked, near, torch.ones(count))
