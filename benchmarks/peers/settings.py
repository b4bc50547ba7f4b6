"""Samplers over the networks, each with the settings that it may choose from.

Those of other people are `benchmarks.peers.samplers` and two packages; ours is the annealed chain
of `discrete_ca.sample`. Every read-out is a draw and nothing has a temperature.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import product
from typing import Any, NamedTuple

import torch
from torch import Tensor

import discrete_ca as dca
from benchmarks.peers import flow, grids, samplers, schedulers
from benchmarks.peers.grids import HOLDS, Ways
from benchmarks.peers.samplers import Step
from discrete_ca.corruption import Corruption

LEAST = 2
"""Fewest evaluations that any sampler can do with here."""

Kernel = dca.CategoricalNoiseKernel
Shape = tuple[int, ...]


class Setting(NamedTuple):
    """A sampler with everything chosen."""

    text: str
    draw: Callable[[Kernel, int, Shape, int, torch.Generator], tuple[Tensor, float]]
    """From a kernel, the number of samples, their shape, the most NFE and a generator to samples
    and NFE."""
    least: int = LEAST
    """Fewest evaluations that it can do with."""


class Sampler(NamedTuple):
    """A sampler, the network that it draws from, and what may be chosen."""

    name: str
    noise: str
    settings: list[Setting]
    head: bool = False

    def able(self, nfe: int) -> list[Setting]:
        """The settings that can do with so many evaluations."""
        return [each for each in self.settings if each.least <= nfe]


def nearest(able: Sequence[Setting], tried: Iterable[dict[str, Any]], measure: str) -> Setting:
    """The setting whose trial, a row with its text, has the lowest measure."""
    best = min(tried, key=lambda row: row[measure])["setting"]
    return next(each for each in able if each.text == best)


def denoiser(kernel: Kernel) -> samplers.Denoiser:
    """p(z|x) as a kernel's network says it."""

    def probs(x: Tensor, level: float) -> Tensor:
        with torch.no_grad():
            return kernel.transition(x, level).read_out.log_probs.exp()

    return probs


def peer(
    steps: Callable[[Corruption, int], list[Step]], cached: bool,
    kernel: Kernel, count: int, shape: Shape, nfe: int, generator: torch.Generator,
) -> tuple[Tensor, float]:  # fmt: skip
    """Samples of another sampler, and their mean NFE."""
    x = kernel.initial(count, shape, generator)
    if cached:
        made = steps(kernel.corruption, samplers.cached_steps(nfe, x[0].numel()))
        return samplers.draw_cached(made, denoiser(kernel), x, generator)
    return samplers.draw(steps(kernel.corruption, nfe), denoiser(kernel), x, generator), nfe


def flow_peer(
    power: float, divergence_free: float,
    kernel: Kernel, count: int, shape: Shape, nfe: int, generator: torch.Generator,
) -> tuple[Tensor, float]:  # fmt: skip
    """Samples of the package flow-matching."""
    x = kernel.initial(count, shape, generator)
    source = kernel.corruption.checked_matrix(1.0)[0]
    with torch.random.fork_rng([]):
        torch.manual_seed(generator.initial_seed())
        z = flow.draw_flow(denoiser(kernel), source, x, nfe, power, divergence_free)
    return z, nfe


def amused_peer(
    schedule: str, noise: float,
    kernel: Kernel, count: int, shape: Shape, nfe: int, generator: torch.Generator,
) -> tuple[Tensor, float]:  # fmt: skip
    """Samples by the package diffusers."""
    x = kernel.initial(count, shape, generator)
    z = schedulers.draw_amused(denoiser(kernel), x, nfe, schedule, noise, generator)
    return z, nfe


def chain(
    hold: float, metropolis: bool, correctors: int,
    kernel: Kernel, count: int, shape: Shape, nfe: int, generator: torch.Generator,
) -> tuple[Tensor, float]:  # fmt: skip
    """Samples of our annealed chain, as `discrete_ca.sample` draws them."""
    z, info = dca.sample(
        kernel, count, shape, moves=(nfe - 1) // (1 + correctors), correctors=correctors,
        hold=hold, metropolis=metropolis, draw=True, generator=generator, progress=False,
        return_info=True,
    )  # fmt: skip
    return z, info.nfe


def _settings(ways: Ways, cached: bool = False) -> list[Setting]:
    return [Setting(text, partial(peer, steps, cached)) for text, steps in ways.items()]


def _flow() -> list[Setting]:
    return [
        Setting(f"κ = t^{n:g}, c = {c:g}", partial(flow_peer, n, c))
        for n, c in ((1.0, 0.0), (2.0, 0.0), (1.0, 1.0))
    ]


def _amused() -> list[Setting]:
    return [
        Setting(f"{schedule}, order noise {noise:g}", partial(amused_peer, schedule, noise))
        for schedule, noise in (("cosine", 2.0), ("cosine", 0.0), ("linear", 2.0))
    ]


def chain_settings(hold: float, metropolis: bool) -> list[Setting]:
    """What our annealed chain may choose from at a hold."""
    return [
        Setting(f"{c} correctors", partial(chain, hold, metropolis, c), 2 + c)
        for c in ((1, 3) if metropolis else (0, 1, 3))
    ]


def peers() -> Iterator[Sampler]:
    """The other samplers."""
    yield Sampler("D3PM, uniform", "uniform", _settings(grids.leveled({"": samplers.d3pm})))
    yield Sampler("flow-matching, uniform source", "uniform", _flow())
    yield Sampler("MDLM (D3PM, absorbing)", "absorbing", _settings(grids.mdlm()))
    yield Sampler("MDLM, cached", "absorbing", _settings(grids.mdlm(("linear",)), cached=True))
    for name, ways in grids.remdm(("linear",), {"": 0.9}):
        yield Sampler(name, "absorbing", _settings(ways))
    yield Sampler("flow-matching, masked source", "absorbing", _flow())
    yield Sampler("diffusers, AmusedScheduler", "absorbing", _amused())


def chains(head: bool) -> Iterator[Sampler]:
    """Our chain, at each hold, plain and with Metropolis steps."""
    for hold, metropolis in product(HOLDS, (False, True)):
        text = "Metropolis" if metropolis else "plain"
        yield Sampler(f"chain, h = {hold:g}, {text}", "uniform", chain_settings(hold, metropolis))
    if head:
        for metropolis in (False, True):
            text = "Metropolis" if metropolis else "plain"
            settings = chain_settings(0.85, metropolis)
            yield Sampler(f"chain with head, h = 0.85, {text}", "uniform", settings, head=True)
