r"""Everything about a chain on a small space, by enumeration in float64.

States x of shape S over V values are ordered as numbers of D digits in base V, the first site most
significant, which is the order of `states`. Laws are vectors (V^D,), kernels matrices (V^D, V^D)
with ``P[x, y] = p(y|x)``, so that a step of the law is ``pi @ P``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from discrete_ca import checks
from discrete_ca.chains.levels import checked_levels
from discrete_ca.conditions import Conditions
from discrete_ca.corruption import Corruption
from discrete_ca.diagnostics.markov import detailed_balance_residual as detailed_balance_residual
from discrete_ca.diagnostics.markov import mixing_time as mixing_time
from discrete_ca.diagnostics.markov import spectral_gap as spectral_gap
from discrete_ca.diagnostics.markov import stationary_distribution as stationary_distribution
from discrete_ca.distributions import CategoricalTransition
from discrete_ca.errors import SpaceTooLargeError
from discrete_ca.kernels import CategoricalNoiseKernel, TransitionKernel
from discrete_ca.logits import wide
from discrete_ca.metrics.divergences import total_variation as total_variation

MAX_STATES = 4096
"""Largest V^D that is enumerated: a matrix of 16.8 million entries, 134 MB."""

_PAIRS_AT_ONCE = 1 << 18


def num_states(values: int, shape: Sequence[int]) -> int:
    """V^D, refused above `MAX_STATES`.

    Raises:
        SpaceTooLargeError: for a larger space.

    Example:
        >>> num_states(2, (3, 3))
        512
    """
    sites = math.prod(shape)
    if sites * math.log(values) > math.log(MAX_STATES) + 1e-9:
        raise SpaceTooLargeError(
            f"{values} values on {sites} sites are {values}^{sites} states; "
            f"allowed: at most {MAX_STATES}"
        )
    return int(values**sites)


def states(values: int, shape: Sequence[int]) -> Tensor:
    """All states in order, long, shape (V^D, *S).

    Example:
        >>> states(2, (2,))
        tensor([[0, 0],
                [0, 1],
                [1, 0],
                [1, 1]])
    """
    count, place = num_states(values, shape), _place(values, math.prod(shape))
    return (torch.arange(count)[:, None] // place % values).reshape(count, *shape)


def _place(values: int, sites: int) -> Tensor:
    """What one more at each site adds to the index of a state, (D,)."""
    return values ** torch.arange(sites - 1, -1, -1)


def index(x: Tensor, values: int) -> Tensor:
    """Where states (N, *S) stand in the order of `states`, (N,).

    Example:
        >>> index(torch.tensor([[0, 1], [1, 0]]), 2)
        tensor([1, 2])
    """
    sites = x.reshape(x.shape[0], -1)
    return (sites * _place(values, sites.shape[1])).sum(1)


def empirical_law(z: Tensor, values: int) -> Tensor:
    """The law of a data set by counting, (K^D,) in float64, in the order of `states`.

    Args:
        z: examples, long, (N, *S).
        values: K.

    Raises:
        SpaceTooLargeError: for more states than `MAX_STATES`.

    Example:
        >>> empirical_law(torch.tensor([[0, 1], [0, 1], [1, 1], [0, 0]]), 2)
        tensor([0.2500, 0.5000, 0.0000, 0.2500], dtype=torch.float64)
    """
    counts = torch.bincount(index(z, values), minlength=num_states(values, z.shape[1:]))
    return counts.double() / len(z)


def product_laws(site_probs: Tensor) -> Tensor:
    """Joint laws of independent sites: (N, *S, V) to (N, V^D).

    Example:
        >>> product_laws(torch.tensor([[[0.5, 0.5], [0.0, 1.0]]]))
        tensor([[0.0000, 0.5000, 0.0000, 0.5000]])
    """
    sites = site_probs.reshape(site_probs.shape[0], -1, site_probs.shape[-1])
    joint = sites.new_ones(sites.shape[0], 1)
    for i in range(sites.shape[1]):
        joint = (joint.unsqueeze(-1) * sites[:, i].unsqueeze(1)).flatten(1)
    return joint


def _level(kernel: TransitionKernel, level: float, name: str = "level") -> Tensor:
    """A level in float64, or as chains have it where the kernel's networks are in less."""
    dtypes = [p.dtype for p in kernel.parameters() if p.is_floating_point()]
    dtype = wide(dtypes[0]) if dtypes else torch.float64
    return torch.tensor(checks.probability(level, name), dtype=dtype)


def _given(
    x: Tensor, label: Tensor | int | None, known: checks.Known | None, hold: float | Tensor | None
) -> Conditions:
    """Conditions of all states, a hold in float64."""
    if hold is not None and not isinstance(hold, Tensor):
        hold = torch.tensor(checks.number(hold, "hold"), dtype=torch.float64)
    return Conditions.of(x, label, known, hold)


def _noise_kernel(kernel: TransitionKernel) -> CategoricalNoiseKernel:
    if not isinstance(kernel, CategoricalNoiseKernel):
        raise ValueError(f"kernel was a {type(kernel).__name__}; allowed: a CategoricalNoiseKernel")
    return kernel


@torch.no_grad()
def transition_matrix(
    kernel: TransitionKernel,
    shape: Sequence[int],
    level: float,
    target_level: float | None = None,
    label: Tensor | int | None = None,
    known: checks.Known | None = None,
    hold: float | Tensor | None = None,
) -> Tensor:
    """P[x, y] = p(y|x) of a kernel, (V^D, V^D) in float64.

    Categorical noise kernels are enumerated a site at a time; any other kernel with a
    `num_states` attribute by `log_prob` of every pair.

    Args:
        kernel: the kernel.
        shape: S.
        level: b_x.
        target_level: b_y; None for an equal-level step.
        label: one label, or labels (V^D,), for networks that declare them.
        known: (mask, values), each of shape S; mask True = generate. A state with other values
            there steps as the one with the known values; none leads to it.
        hold: h, one or (V^D,); None for the kernel's own.

    Raises:
        SpaceTooLargeError: for more than `MAX_STATES` states.
        ValueError: for a kernel of another class without `num_states`.
    """
    if isinstance(kernel, CategoricalNoiseKernel):
        x = states(kernel.corruption.num_states, shape)
    else:
        values = getattr(kernel, "num_states", None)
        if not isinstance(values, int):
            raise ValueError(f"{type(kernel).__name__} has no attribute num_states; allowed: V")
        x = states(values, shape)
    b_x = _level(kernel, level)
    b_y = None if target_level is None else _level(kernel, target_level, "target_level")
    given = _given(x, label, known, hold)
    if isinstance(kernel, CategoricalNoiseKernel):
        return product_laws(given.step(kernel, x, b_x, b_y).probs())
    rows, size = [], max(1, _PAIRS_AT_ONCE // len(x))
    for part in torch.arange(len(x)).split(size):
        law = given[at := part.repeat_interleave(len(x))].step(kernel, x[at], b_x, b_y)
        rows.append(law.log_prob(x.repeat(len(part), *(1,) * len(shape))).double().exp())
    P = torch.cat(rows).reshape(len(x), len(x))
    if given.known is not None:  # which count nothing in `log_prob`, right or wrong
        mask, values = given.known
        P = P.masked_fill((~mask & (x != values)).reshape(len(x), -1).any(1), 0.0)
    return P


@torch.no_grad()
def metropolis_matrix(
    kernel: CategoricalNoiseKernel,
    shape: Sequence[int],
    level: float,
    label: Tensor | int | None = None,
    known: checks.Known | None = None,
    hold: float | None = None,
) -> Tensor:
    """P[x, y] of the chain that refuses what breaks balance (`discrete_ca.metropolis`), (V^D, V^D).

    Args:
        kernel: the kernel.
        shape: S.
        level: b.
        label: one label, for networks that declare it: a step and the one back are told the same.
        known: (mask, values), each of shape S; mask True = generate.
        hold: h; None for the kernel's own.

    Raises:
        SpaceTooLargeError: for more than `MAX_STATES` states.
        ValueError: for a kernel of another class, noise under which a state rules out categories,
            or labels that differ.
    """
    x = states(_noise_kernel(kernel).corruption.num_states, shape)
    given = _given(x, label, known, hold)
    if given.label is not None and bool((given.label != given.label[0]).any()):
        raise ValueError("label holds several labels; allowed: one, for a step and the one back")
    law = given.step(kernel, x, _level(kernel, level))
    return metropolized(law)[index(law.x, kernel.corruption.num_states)]  # where known values stand


@torch.no_grad()
def metropolized(law: CategoricalTransition) -> Tensor:
    """P[x, y] of Metropolis steps whose proposals are those of a law, (V^D, V^D).

    Args:
        law: an equal-level law at all states, in the order of `states`; a row each. Where it knows
            sites, rows of states with other values there are those of no chain.

    Raises:
        ValueError: for a law between two levels, or noise under which a state rules out categories.
    """
    if not bool((law.b_x == law.b_y).all()):
        raise ValueError("law is between two levels; allowed: an equal-level law")
    proposal, x, values = product_laws(law.probs()), law.x, law.corruption.num_states
    every, flat = torch.ones(x.shape).nonzero(as_tuple=True), x.reshape(len(x), -1)
    ratios = torch.stack(  # of each value at each site, (V^D, D, V); nothing for the one it has
        [
            law.log_site_ratios(torch.full_like(x, v), every).reshape(flat.shape)
            for v in range(values)
        ],
        -1,
    ).scatter(-1, flat.unsqueeze(-1), 0.0)
    if law.known is not None:
        ratios = ratios.where(law.known[0].reshape(len(x), -1, 1), 0.0)
    onehot = torch.nn.functional.one_hot(states(values, x.shape[1:]).reshape(len(x), -1), values)
    seen = torch.einsum("xdv,ydv->xy", ratios, onehot.to(ratios))  # sum over changed, from x
    log_ratio = (seen - seen.T) / 2 + proposal.T.log() - proposal.log()
    P = torch.where(proposal > 0, proposal * log_ratio.exp().clamp(max=1.0), 0.0)
    P.fill_diagonal_(0.0)
    return P + torch.diag(1 - P.sum(1))


@torch.no_grad()
def read_out_matrix(
    kernel: CategoricalNoiseKernel,
    shape: Sequence[int],
    level: float,
    *,
    draw: bool = False,
    label: Tensor | int | None = None,
    known: checks.Known | None = None,
    hold: float | Tensor | None = None,
) -> Tensor:
    """R[x, z]: the law of the read-out z given x, (V^D, K^D).

    Args:
        kernel: the kernel.
        shape: S.
        level: b.
        draw: read out by a draw instead of the mode, where there is a point mass; as in `sample`.
        label: one label, or labels (V^D,), for networks that declare them.
        known: (mask, values), each of shape S; mask True = generate.
        hold: h, for networks that are told it; None for the kernel's own.

    Raises:
        SpaceTooLargeError: for more than `MAX_STATES` states.
        ValueError: for a kernel of another class.
    """
    x = states(_noise_kernel(kernel).corruption.num_states, shape)
    law = _given(x, label, known, hold).step(kernel, x, _level(kernel, level))
    probs = law.read_out.log_probs.double().exp()
    if not draw:
        probs = torch.nn.functional.one_hot(law.read_out.mode(), probs.shape[-1]).double()
    return product_laws(probs)


def noisy_law(p_data: Tensor, corruption: Corruption, shape: Sequence[int], level: float) -> Tensor:
    """``p_b(x) = sum_z p(z) q_b(x|z)``: (K^D,) to (V^D,) in float64.

    Raises:
        ValueError: for a law of another length, or one that is no law.

    Example:
        >>> from discrete_ca.corruption import Uniform
        >>> noisy_law(torch.tensor([1.0, 0, 0, 0]), Uniform(2), (2,), 1.0)
        tensor([0.2500, 0.2500, 0.2500, 0.2500], dtype=torch.float64)
    """
    sites = math.prod(shape)
    k, v = corruption.num_categories, corruption.num_states
    num_states(v, shape)
    law = _law(p_data, k**sites, "p_data")
    q = corruption.checked_matrix(checks.probability(level, "level"))
    for _ in range(sites):  # each turn moves the first site, noised, to the end
        law = (law.reshape(k, -1).T @ q).reshape(-1)
    return law.reshape(-1)


def _law(p: Tensor, size: int, name: str) -> Tensor:
    law = p.double().reshape(-1)
    if len(law) != size:
        raise ValueError(f"{name} has {len(law)} entries; allowed: {size}")
    if bool((law < 0).any()) or abs(float(law.sum()) - 1) > 1e-6:
        raise ValueError(
            f"{name} is no law: smallest {float(law.min()):g}, sum {float(law.sum()):g}"
        )
    return law / law.sum()


def annealed_law(
    kernel: CategoricalNoiseKernel,
    shape: Sequence[int],
    levels: Sequence[float],
    correctors: int = 0,
    *,
    draw: bool = False,
    label: Tensor | int | None = None,
    known: checks.Known | None = None,
    hold: float | None = None,
    metropolis: bool = False,
) -> tuple[Tensor, Tensor]:
    """The exact law of an annealed run, as `sample` makes it: of its last state and its read-out.

    Args:
        kernel: the kernel.
        shape: S.
        levels: the levels of the run, the first 1.
        correctors: equal-level steps after each move.
        draw: read out by a draw instead of the mode.
        label: one label, for networks that declare it.
        known: (mask, values), each of shape S; mask True = generate.
        hold: h; None for the kernel's own.
        metropolis: whether equal-level steps are Metropolis steps.

    Returns:
        Law of the state at the last level (V^D,), and of the read-out (K^D,).

    Raises:
        ValueError: for a kernel of another class, levels that do not start at 1, or noise that
            does not forget.
    """
    run = checked_levels(levels, 1, 0.0)
    if not _noise_kernel(kernel).corruption.forgets:
        name = type(kernel.corruption).__name__
        raise ValueError(f"{name} does not forget at level 1; allowed: noise of a known start")
    start = torch.zeros(kernel.corruption.num_categories ** math.prod(shape))
    start[0] = 1.0  # level 1 forgets it
    law = noisy_law(start, kernel.corruption, shape, 1.0)
    for b_x, b_y in pairwise(run):
        law = law @ transition_matrix(kernel, shape, b_x, b_y, label, known, hold)
        if correctors:
            if metropolis:
                P = metropolis_matrix(kernel, shape, b_y, label, known, hold)
            else:
                P = transition_matrix(kernel, shape, b_y, None, label, known, hold)
            for _ in range(correctors):
                law = law @ P
    last = read_out_matrix(kernel, shape, run[-1], draw=draw, label=label, known=known, hold=hold)
    return law, law @ last
