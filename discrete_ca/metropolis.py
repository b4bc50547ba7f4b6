r"""Metropolis steps: take a kernel's step as a proposal and refuse what breaks detailed balance.

A denoiser says more than its own chain uses. Its read-out at one state gives the probability of
every state that differs from it at one site,

    p_b(x with v at i) / p_b(x) = Σ_z p(z_i = z | x) Q_b[z, v] / Q_b[z, x_i],

so that the ratio p_b(y) / p_b(x) of the two ends of a step follows from the read-outs at both: half
of the sum of the logarithms over the sites that changed, seen from x, less the same seen from y.
That is exact for an exact denoiser where log p_b has terms of single sites and of pairs, and right
to second order otherwise. The proposal y is then taken with probability

    min(1, p_b(y) p_θ(x|y) / (p_b(x) p_θ(y|x)))

and else the chain stays at x (Metropolis et al. 1953; Hastings 1970). The read-out at y is the one
that the next step needs, so that a step still costs one network evaluation. (Theory, section 6.)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from discrete_ca import draws
from discrete_ca.distributions import CategoricalTransition, sum_sites
from discrete_ca.kernels import CategoricalNoiseKernel, TransitionKernel


def refusal(kernel: TransitionKernel) -> str | None:
    """Why a kernel's steps cannot be Metropolis steps; None where they can.

    They can be those of a `CategoricalNoiseKernel` under noise that leads from each category to
    every state.

    Example:
        >>> from discrete_ca import CategoricalNoiseKernel, corruption, nn
        >>> noise = corruption.Absorbing(2)
        >>> refusal(CategoricalNoiseKernel(nn.MLP(2, 3, shape=(5,)), noise)).partition(";")[0]
        'metropolis was True, but Absorbing rules out categories by a state'
    """
    if not isinstance(kernel, CategoricalNoiseKernel):
        return (
            f"metropolis was True with a {type(kernel).__name__}; allowed: a CategoricalNoiseKernel"
        )
    if kernel.corruption.rules_out:
        return (
            f"metropolis was True, but {type(kernel.corruption).__name__} rules out categories by "
            "a state; allowed: noise that leads from each to every state"
        )
    return None


class Step(NamedTuple):
    """What a Metropolis step came to."""

    law: CategoricalTransition
    """The law of the next proposal; its `x` is the state, (B, *S)."""
    accepted: Tensor
    """Which proposals were taken, boolean, (B,)."""


@torch.no_grad()
def step(
    law: CategoricalTransition,
    propose: Callable[[Tensor], CategoricalTransition],
    generator: torch.Generator | None = None,
) -> Step:
    """One Metropolis step from the state of an equal-level law.

    Args:
        law: p_θ(y|x) at the present state x.
        propose: gives the law at another state, (B, *S), under the same conditions: one network
            evaluation.
        generator: source of randomness.

    Raises:
        ValueError: for a law between two levels, or noise under which some states rule out some
            categories.

    Example:
        >>> from discrete_ca import CategoricalNoiseKernel, corruption, nn
        >>> kernel = CategoricalNoiseKernel(nn.MLP(2, 2, shape=(5,)), corruption.Uniform(2))
        >>> at = lambda x: kernel.transition(x, 0.3)
        >>> law, accepted = step(at(torch.zeros(3, 5, dtype=torch.long)), at)
        >>> law.x.shape, accepted.shape
        (torch.Size([3, 5]), torch.Size([3]))
    """
    y = law.sample(generator)
    there = propose(y)
    log_ratio = log_density_ratio(law, there) + there.log_prob(law.x) - law.log_prob(y)
    u = draws.uniform(log_ratio.shape, log_ratio.device, generator)
    accepted = u.log() < log_ratio
    return Step(law.where(~accepted, there), accepted)


def log_density_ratio(law: CategoricalTransition, there: CategoricalTransition) -> Tensor:
    """``log p_b(y) / p_b(x)`` from the read-outs at x and at y, (B,).

    Args:
        law: an equal-level law at x.
        there: the same at y.

    Raises:
        ValueError: as `step`.
    """
    if not bool((law.b_x == law.b_y).all()):
        raise ValueError("law is between two levels; allowed: an equal-level law")
    changed = law.x != there.x
    if law.known is not None:
        changed = changed & law.known[0]
    sites = changed.nonzero(as_tuple=True)
    out = law.log_site_ratios(there.x, sites) - there.log_site_ratios(law.x, sites)
    total = torch.zeros(changed.shape, dtype=out.dtype, device=out.device)
    return sum_sites(total.index_put(sites, out / 2))
