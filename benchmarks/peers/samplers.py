r"""Other people's samplers over one denoiser, from their papers' equations.

A sampler is a list of `Step`: the level b at which the denoiser is asked for p(z|x), and what is
made of it, the law of the next state y, independent over sites. So a step that draws and a step
that is enumerated are the same step. Every list ends at clean states and costs one network
evaluation a step (NFE). No sampler has a temperature. Levels are b = 1 - α in their notation.

- `d3pm`: Austin et al. 2021, arXiv 2107.03006, Eq. 3 and 4.
- `mdlm`: Sahoo et al. 2024, arXiv 2406.07524, the posterior of its section 3, with carry-over.
- `remdm`: Wang et al. 2025, arXiv 2503.00307: MDLM's with remasking, whose probability σ is
  `capped`, `rescaled`, or held while the level stands still (`remdm_loop`).
- `flow_euler`: Gat et al. 2024, arXiv 2407.15595, as the solver of the package flow-matching takes
  its steps; `benchmarks.peers.flow` runs the package itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from discrete_ca import draws
from discrete_ca.chains import cosine_levels, linear_levels
from discrete_ca.corruption import Corruption
from discrete_ca.diagnostics import exact

LEVELS = {"linear": linear_levels, "cosine": cosine_levels}
"""Levels to choose from, by name."""

Denoiser = Callable[[Tensor, float], Tensor]
"""p(z|x), (B, *S, K), from states (B, *S) and their level."""


class Step(NamedTuple):
    """One step of a sampler."""

    level: float
    """b of the state that it starts from, which the denoiser is told."""
    law: Callable[[Tensor, Tensor], Tensor]
    """From p(z|x), (B, *S, K), and x, (B, *S), to p(y|x) a site, (B, *S, V)."""


def one_hot(x: Tensor, num_states: int, like: Tensor) -> Tensor:
    """Point masses at states, (B, *S, V), in the dtype of another tensor."""
    return torch.nn.functional.one_hot(x, num_states).to(like)


def padded(p: Tensor, num_states: int) -> Tensor:
    """P over K categories as a law over V states, with 0 for those that are no categories."""
    return torch.nn.functional.pad(p, (0, num_states - p.shape[-1]))


def d3pm(corruption: Corruption, levels: Sequence[float], joint: bool = False) -> list[Step]:
    r"""Ancestral sampling, ``p(y|x) = Σ_z p(z|x) q(y|x, z)``, with the forward chain's posterior.

        q(y|x, z) = Q_s[z, y] Q_{t|s}[y, x] / Q_t[z, x]     (Eq. 3)

    Args:
        corruption: noise that is linear in b and forgets, as uniform and absorbing noise do.
        levels: from 1 down to 0.
        joint: leave the denominator out and normalise afterwards, as Eq. 4 is printed. The same for
            absorbing noise; for others, right only for a network that was trained through it.
    """
    forgotten = corruption.checked_matrix(1.0)[0]  # (V,), the row that all have at b = 1

    def step(t: float, s: float) -> Step:
        at_t, at_s = corruption.checked_matrix(t), corruption.checked_matrix(s)
        moved = (t - s) / (1 - s)  # Q_t = Q_s Q_{t|s}
        eye = torch.eye(len(forgotten), dtype=torch.float64)
        between = (1 - moved) * eye + moved * forgotten

        def law(p: Tensor, x: Tensor) -> Tensor:
            weights = p
            if not joint:
                weights = torch.nan_to_num(p / at_t.T.to(p)[x], nan=0.0, posinf=0.0)
            found = (weights @ at_s.to(p)) * between.T.to(p)[x]
            return found / found.sum(-1, keepdim=True).clamp_min(1e-30)

        return Step(t, law)

    return [step(t, s) for t, s in pairwise(levels)]


def remasking(t: float, s: float, sigma: float) -> Step:
    r"""ReMDM's step from level t to level s with remasking probability σ; MDLM's at σ = 0.

    An unmasked site is masked with probability σ; a masked one becomes

        [(α_s - (1 - σ) α_t) p(z|x) + (1 - α_s - σ α_t) mask] / (1 - α_t).

    Raises:
        ValueError: for a σ outside [0, `most_remasked`].
    """
    most = most_remasked(t, s)
    if not 0 <= sigma <= most + 1e-12:
        raise ValueError(f"sigma was {sigma}; allowed: [0, {most}]")
    at_t, at_s = 1 - t, 1 - s
    shown = (at_s - (1 - sigma) * at_t) / t
    hidden = max(0.0, (1 - at_s - sigma * at_t) / t)

    def law(p: Tensor, x: Tensor) -> Tensor:
        states = p.shape[-1] + 1
        mask = one_hot(torch.full_like(x, states - 1), states, p)
        kept = (1 - sigma) * one_hot(x, states, p) + sigma * mask
        drawn = shown * padded(p, states) + hidden * mask
        return torch.where((x == states - 1).unsqueeze(-1), drawn, kept)

    return Step(t, law)


def most_remasked(t: float, s: float) -> float:
    """Largest σ that keeps every probability: ``min(1, (1 - α_s) / α_t)``."""
    return min(1.0, s / (1 - t)) if t < 1 else 1.0


def mdlm(levels: Sequence[float]) -> list[Step]:
    """Masked ancestral sampling: what was revealed stays."""
    return [remasking(t, s, 0.0) for t, s in pairwise(levels)]


def capped(levels: Sequence[float], eta: float) -> list[Step]:
    """ReMDM-cap: ``σ = min(η, σ_max)``."""
    return [remasking(t, s, min(eta, most_remasked(t, s))) for t, s in pairwise(levels)]


def rescaled(levels: Sequence[float], eta: float) -> list[Step]:
    """ReMDM-rescale: ``σ = η σ_max``."""
    return [remasking(t, s, eta * most_remasked(t, s)) for t, s in pairwise(levels)]


def remdm_loop(
    steps: int, eta: float, begin: float = 0.55, end: float = 0.05, shown: float = 0.9
) -> list[Step]:
    """ReMDM-loop: MDLM until a share of sites is shown, then remask and redraw there, then finish.

    Args:
        steps: how many, evenly spaced in time 1 ... 0.
        eta: cap of σ while the level stands still.
        begin: time at which remasking begins, t_on.
        end: time at which it ends, t_off.
        shown: α while it lasts.
    """

    def level(time: float) -> float:
        if time > begin:
            return 1 - shown * (1 - time) / (1 - begin)
        return (1 - shown) * min(1.0, time / end)

    made = []
    for t, s in pairwise((steps - i) / steps for i in range(steps + 1)):
        most = most_remasked(level(t), level(s))
        sigma = min(eta, most) if end < t <= begin else 0.0
        made.append(remasking(level(t), level(s), sigma))
    return made


def flow_euler(
    source: Tensor, steps: int, power: float = 1.0, divergence_free: float = 0.0
) -> list[Step]:
    r"""Discrete flow matching, Euler steps of the mixture path from a source law.

    A draw z ~ p(z|x) gives the site the rates, to every y other than x,

        u(y) = (1 + c) κ' / (1 - κ) 1(y = z) + c κ' / κ p_0(y)

    and it jumps with probability ``1 - exp(-h Σ u)``; the last step is z itself.

    Args:
        source: p_0 a site, (V,): uniform, or all on the mask.
        steps: how many, evenly spaced in time.
        power: n of the scheduler κ = t^n.
        divergence_free: c; 0 at time 0, where the rate has no bound.
    """
    states, h = len(source), 1 / steps

    def step(time: float) -> Step:
        kappa, slope = time**power, power * time ** (power - 1)
        to_z = (1 + divergence_free) * slope / (1 - kappa) if time else slope
        to_any = divergence_free * slope / kappa if time else 0.0
        last = time > 1 - 1.5 * h

        def law(p: Tensor, x: Tensor) -> Tensor:
            p = padded(p, states)
            if last:
                return p
            p_0, here = source.to(p), one_hot(x, states, p)
            away = to_any * (1 - p_0[x]).unsqueeze(-1)
            stays = (p * here).sum(-1, keepdim=True)  # probability that z = x
            other, same = jumped(to_z + away, h), jumped(away, h)
            found = other * to_z * p + to_any * p_0 * ((1 - stays) * other + stays * same)
            found = found * (1 - here)
            return found + here * (1 - found.sum(-1, keepdim=True))

        return Step(1 - kappa, law)

    return [step(i / steps) for i in range(steps)]


def jumped(rate: Tensor, h: float) -> Tensor:
    """Probability of a jump in time h a unit of its rate: ``(1 - exp(-h λ)) / λ``, h at λ = 0."""
    return torch.where(rate > 0, -torch.expm1(-h * rate) / rate.clamp_min(1e-30), h)


@torch.no_grad()
def draw(
    steps: Sequence[Step], denoiser: Denoiser, x: Tensor, generator: torch.Generator | None = None
) -> Tensor:
    """Run a sampler from states x, (B, *S), to clean ones."""
    for step in steps:
        x = draws.weighted(step.law(denoiser(x, step.level), x), generator)
    return x


@torch.no_grad()
def draw_cached(
    steps: Sequence[Step], denoiser: Denoiser, x: Tensor, generator: torch.Generator | None = None
) -> tuple[Tensor, float]:
    """The same where the denoiser is not told the level: asked anew only where the state changed.

    Returns:
        Clean states, and the mean number of network evaluations of an example.
    """
    p = denoiser(x, steps[0].level)
    asked, mask = len(x), p.shape[-1]
    for step in steps:
        y = draws.weighted(step.law(p, x), generator)
        anew = (y != x) & (y == mask).flatten(1).any(1)[(...,) + (None,) * (x.ndim - 1)]
        anew = anew.flatten(1).any(1)
        x = y
        if bool(anew.any()):
            p[anew] = denoiser(x[anew], step.level)
            asked += int(anew.sum())
    return x, asked / len(x)


def cached_steps(evaluations: int, sites: int, most: int = 4096) -> int:
    """Most steps, evenly spaced in level, whose mean number of evaluations is not above a number.

    Each site is revealed at a step of its own, so all sites miss a step with probability
    ``(1 - 1/T)^D``; what happens after the last reveal is left out.

    Example:
        >>> cached_steps(8, 784), cached_steps(512, 784) > 512
        (8, True)
    """
    steps = evaluations
    while steps < most:
        if 1 + steps * -math.expm1(sites * math.log1p(-1 / (steps + 1))) > evaluations:
            break
        steps += 1
    return steps


def final_law(
    steps: Sequence[Step], denoiser: Denoiser, start: Tensor, values: int, shape: Sequence[int]
) -> tuple[Tensor, float]:
    """The exact law of a sampler's output, by enumeration.

    Args:
        steps: the sampler.
        denoiser: asked at all states, (V^D, *S), at once.
        start: law of the first state, (V^D,).
        values: V.
        shape: S.

    Returns:
        The law of the last state, (V^D,), and the mean number of times that the state changes to
        one that a denoiser must be asked at: what a cached run evaluates, less one.
    """
    x, law, changes = exact.states(values, shape), start.double(), 0.0
    unfinished = (x == values - 1).flatten(1).any(1).double()
    for step in steps:
        P = exact.product_laws(step.law(denoiser(x, step.level), x))
        anew = P @ unfinished - P.diagonal() * unfinished
        changes += float(law @ anew)
        law = law @ P
    return law, changes
