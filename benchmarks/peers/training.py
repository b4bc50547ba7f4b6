"""The networks of the comparison: one architecture, data, optimizer and cost for every sampler.

Two of each budget and data set, denoisers of uniform and of absorbing noise, and for the chain with
an adjustment head a third of uniform noise. Nothing but the head and the noise tells them apart.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

import discrete_ca as dca
from benchmarks import real_data
from discrete_ca import runs
from discrete_ca.data import DiscreteData

LEVELS = (0.001, 1.0)
"""Levels that denoisers are trained at; rivals go down to less than the usual 0.02."""

NET = {"widths": (32, 48), "head_width": 8, "labels": False}
DENOISING = dca.Denoising(levels=LEVELS, level_weight=dca.InverseLevel(0.1))


class Timeless(nn.Module):
    """A network that is never told the level, as MDLM's is not (its masks say it anyway).

    Only then are its answers the same while the state stays, so that they may be kept.

    Args:
        net: ``net(x, b)``.
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor, b: Tensor) -> Tensor:
        """States (B, *S) to logits (B, *S, K)."""
        return self.net(x, torch.full_like(b, 0.5))


class Job(NamedTuple):
    """One network to train."""

    data: str
    """Name of a recipe of the package."""
    noise: str
    """uniform, absorbing or ordinal."""
    steps: int
    """The budget, in steps of denoising."""
    head: bool = False
    """With an adjustment head, which takes its share of the same cost."""
    seed: int = 0
    holds: tuple[float, float] | None = None
    """That the head is told, one for all of them; None for the recipe's own hold."""

    @property
    def name(self) -> str:
        """Name of its file."""
        seed = f"-seed{self.seed}" if self.seed else ""
        holds = "" if self.holds is None else "-holds{}-{}".format(*self.holds)
        return f"{self.data}-{self.noise}{'-head' if self.head else ''}-{self.steps}{seed}{holds}"

    def config(self, small: bool) -> runs.RunConfig:
        """The recipe with this network and noise."""
        config, adjust = runs.RunConfig.from_toml(self.data), real_data.CASES[self.data].adjust
        kind, share = ("head", adjust) if self.head else ("denoising", None)
        sizes = {**NET, **real_data.SMALL} if small else NET
        return dataclasses.replace(
            config,
            net=dataclasses.replace(config.net, **sizes),
            kernel=dataclasses.replace(config.kernel, corruption=self.noise),
            recipe=dataclasses.replace(config.recipe, kind=kind, adjust=share, holds=self.holds),
            train=dataclasses.replace(
                config.train, steps=self.steps, minutes=None, seed=self.seed, progress=False
            ),
        )

    def kernel(self, examples: DiscreteData, small: bool = False) -> dca.CategoricalNoiseKernel:
        """The network with its first weights."""
        torch.manual_seed(self.seed)
        kernel = runs.build_kernel(self.config(small), examples)
        assert isinstance(kernel, dca.CategoricalNoiseKernel)
        if self.noise != "absorbing":
            return kernel
        return dca.CategoricalNoiseKernel(
            Timeless(kernel.net), kernel.corruption, kernel.hold, add_evidence=kernel.add_evidence
        )

    def schedule(self, small: bool = False) -> dca.Schedule:
        """What it is trained by."""
        if not self.head:
            return dca.Schedule.of(DENOISING)
        _, adjust = runs.build_schedule(self.config(small).recipe).phases
        return dca.Schedule((dca.Phase(DENOISING, 1 - adjust.share, ("net",)), adjust))


def fit(
    job: Job, examples: DiscreteData, folder: Path, small: bool = False
) -> dca.CategoricalNoiseKernel:
    """The trained kernel; taken from the folder where an earlier run has left it there.

    Raises:
        ValueError: where what is there is a network of other sizes.
    """
    kernel = job.kernel(examples, small)
    place = folder / f"{job.name}.pt"
    if place.exists():
        try:
            kernel.load_state_dict(torch.load(place, weights_only=True))
        except RuntimeError as problem:
            told = f"{place} holds a network of other sizes; remove it to train anew"
            raise ValueError(told) from problem
        return kernel.eval()
    config, schedule = job.config(small), job.schedule(small)
    train, steps = config.train, job.steps
    if job.head:  # as many steps of both phases as cost the same
        equal = real_data.steps_of_equal_cost(config, examples, schedule, steps)
        train = dataclasses.replace(train, steps=max(1, round(steps * steps / equal)))
    dca.Trainer(kernel, schedule, examples, train).fit()
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(kernel.state_dict(), place)
    return kernel.eval()
