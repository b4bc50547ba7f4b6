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
from discrete_ca.corruption import Corruption
from discrete_ca.errors import SpaceTooLargeError
from discrete_ca.kernels import CategoricalNoiseKernel, TransitionKernel
from discrete_ca.metrics.divergences import total_variation as total_variation

MAX_STATES = 4096
"""Largest V^D that is enumerated: a matrix of 16.8 million entries, 134 MB."""

_MANY_LAWS = "P has more than one stationary law: some states never lead to some others"
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


@torch.no_grad()
def transition_matrix(
    kernel: TransitionKernel,
    shape: Sequence[int],
    level: float,
    target_level: float | None = None,
    label: Tensor | None = None,
    known: checks.Known | None = None,
) -> Tensor:
    """P[x, y] = p(y|x) of a kernel, (V^D, V^D) in float64.

    Categorical noise kernels are enumerated a site at a time; any other kernel with a
    `num_states` attribute by `log_prob` of every pair.

    Args:
        kernel: the kernel.
        shape: S.
        level: b_x.
        target_level: b_y; None for an equal-level step.
        label: labels (V^D,), for networks that declare them.
        known: (mask, values), each of shape S; mask True = generate.

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
    b_x = torch.tensor(float(level), dtype=torch.float64)
    b_y = None if target_level is None else torch.tensor(float(target_level), dtype=torch.float64)
    if isinstance(kernel, CategoricalNoiseKernel):
        return product_laws(kernel.transition(x, b_x, b_y, label, known).probs())
    rows, size = [], max(1, _PAIRS_AT_ONCE // len(x))
    for start in range(0, len(x), size):
        part = x[start : start + size]
        pairs = part.repeat_interleave(len(x), 0)
        labels = label if label is None else label[start : start + size].repeat_interleave(len(x))
        law = kernel.transition(pairs, b_x, b_y, labels, known)
        rows.append(law.log_prob(x.repeat(len(part), *(1,) * len(shape))).double().exp())
    return torch.cat(rows).reshape(len(x), len(x))


@torch.no_grad()
def metropolis_matrix(
    kernel: CategoricalNoiseKernel, shape: Sequence[int], level: float, label: Tensor | None = None
) -> Tensor:
    """P[x, y] of the chain that refuses what breaks balance (`discrete_ca.metropolis`), (V^D, V^D).

    Args:
        kernel: the kernel.
        shape: S.
        level: b.
        label: labels (V^D,), for networks that declare them.

    Raises:
        SpaceTooLargeError: for more than `MAX_STATES` states.
        ValueError: for noise under which a state rules out categories.
    """
    x = states(kernel.corruption.num_states, shape)
    b = torch.tensor(float(level), dtype=torch.float64)
    law = kernel.transition(x, b, label=label)
    proposal = product_laws(law.probs())
    n, values = len(x), kernel.corruption.num_states
    every, flat = torch.ones(x.shape).nonzero(as_tuple=True), x.reshape(n, -1)
    ratios = torch.stack(  # of each value at each site, (V^D, D, V); nothing for the one it has
        [
            law.log_site_ratios(torch.full_like(x, v), every).reshape(flat.shape)
            for v in range(values)
        ],
        -1,
    ).scatter(-1, flat.unsqueeze(-1), 0.0)
    onehot = torch.nn.functional.one_hot(flat, values).to(ratios)
    seen = torch.einsum("xdv,ydv->xy", ratios, onehot)  # sum over changed sites, from x
    log_ratio = (seen - seen.T) / 2 + proposal.T.log() - proposal.log()
    P = torch.where(proposal > 0, proposal * log_ratio.exp().clamp(max=1.0), 0.0)
    P.fill_diagonal_(0.0)
    return P + torch.diag(1 - P.sum(1))


@torch.no_grad()
def read_out_matrix(
    kernel: CategoricalNoiseKernel,
    shape: Sequence[int],
    level: float,
    mode: bool = False,
    label: Tensor | None = None,
    known: checks.Known | None = None,
) -> Tensor:
    """R[x, z]: the law of the read-out z given x, (V^D, K^D); a point mass at its mode if asked."""
    x = states(kernel.corruption.num_states, shape)
    b = torch.tensor(float(level), dtype=torch.float64)
    read_out = kernel.transition(x, b, None, label, known).read_out
    probs = read_out.log_probs.double().exp()
    if mode:
        probs = torch.nn.functional.one_hot(read_out.mode(), probs.shape[-1]).double()
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
    q = corruption.checked_matrix(float(level))
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


def stationary_distribution(P: Tensor) -> Tensor:
    """The law pi with ``pi P = pi``, (V^D,), from the linear system.

    Raises:
        ValueError: for a matrix that is not square and row-stochastic, or a chain that has more
            than one stationary law.

    Example:
        >>> stationary_distribution(torch.tensor([[0.5, 0.5], [0.25, 0.75]]))
        tensor([0.3333, 0.6667], dtype=torch.float64)
    """
    P = P.double()
    if P.ndim != 2 or P.shape[0] != P.shape[1]:
        raise ValueError(f"P has shape {tuple(P.shape)}; allowed: a square matrix")
    if float((P.sum(1) - 1).abs().max()) > 1e-6:
        raise ValueError("P has rows that do not sum to 1")
    system = (P - torch.eye(len(P)).to(P)).T.clone()
    system[-1] = 1.0  # one balance equation is redundant; normalisation takes its place
    right = torch.zeros(len(P), dtype=P.dtype)
    right[-1] = 1.0
    try:
        pi = torch.linalg.solve(system, right).clamp_min(0.0)
    except RuntimeError as error:
        raise ValueError(_MANY_LAWS) from error
    reaches = torch.zeros(len(P), dtype=torch.bool)
    reaches[pi.argmax()] = True
    while bool((wider := reaches | (P[:, reaches] > 0).any(1)).ne(reaches).any()):
        reaches = wider
    if not bool(reaches.all()):
        raise ValueError(_MANY_LAWS)
    return pi / pi.sum()


def annealed_law(
    kernel: CategoricalNoiseKernel,
    shape: Sequence[int],
    levels: Sequence[float],
    correctors: int = 0,
    mode: bool = False,
    known: checks.Known | None = None,
    metropolis: bool = False,
) -> tuple[Tensor, Tensor]:
    """The exact law of an annealed run: of its last state and of its read-out.

    Args:
        kernel: the kernel.
        shape: S.
        levels: the levels of the run, from the first (1.0) to the last.
        correctors: equal-level steps after each move.
        mode: whether the read-out takes the mode instead of a draw.
        known: (mask, values), each of shape S; mask True = generate.
        metropolis: whether equal-level steps are Metropolis steps; not together with `known`.

    Returns:
        Law of the state at the last level (V^D,), and of the read-out (K^D,).

    Raises:
        ValueError: for levels that do not start at 1, noise that does not forget, or Metropolis
            steps with known sites.
    """
    if metropolis and known is not None:
        raise ValueError("metropolis was True with known sites; allowed: one of the two")
    if levels[0] != 1 or not kernel.corruption.forgets:
        raise ValueError(
            f"levels starts at {levels[0]} with forgets={kernel.corruption.forgets}; allowed: 1 "
            "and noise that forgets, so that the start is known"
        )
    start = torch.zeros(kernel.corruption.num_categories ** math.prod(shape))
    start[0] = 1.0  # level 1 forgets it
    law = noisy_law(start, kernel.corruption, shape, levels[0])
    for b_x, b_y in pairwise(levels):
        law = law @ transition_matrix(kernel, shape, b_x, b_y, known=known)
        if correctors:
            if metropolis:
                P = metropolis_matrix(kernel, shape, b_y)
            else:
                P = transition_matrix(kernel, shape, b_y, known=known)
            for _ in range(correctors):
                law = law @ P
    return law, law @ read_out_matrix(kernel, shape, levels[-1], mode, known=known)


def detailed_balance_residual(P: Tensor, pi: Tensor) -> float:
    """``sum |pi(x) P(x, y) - pi(y) P(y, x)| / 2``: 0 exactly under detailed balance.

    Example:
        >>> detailed_balance_residual(torch.eye(2), torch.tensor([0.5, 0.5]))
        0.0
    """
    flow = pi.double()[:, None] * P.double()
    return float((flow - flow.T).abs().sum() / 2)


def spectral_gap(P: Tensor, pi: Tensor) -> float:
    """``1 - λ₂`` of the reversible part ``(P + P*) / 2``, P* the time reversal under pi.

    For a reversible chain without negative eigenvalues, correlations decay like (1 - gap)^t.

    Example:
        >>> round(spectral_gap(torch.full((2, 2), 0.5), torch.tensor([0.5, 0.5])), 6)
        1.0
    """
    lives = pi > 1e-15  # states that the chain leaves for good have no part in it
    root = pi[lives].double().sqrt()
    scaled = root[:, None] * P.double()[lives][:, lives] / root[None, :]
    eigenvalues = torch.linalg.eigvalsh((scaled + scaled.T) / 2)
    return float(1 - eigenvalues[-2]) if len(root) > 1 else 1.0


def mixing_time(P: Tensor, pi: Tensor, distance: float = 0.25, most: int = 1 << 20) -> int:
    """Steps until the law is within `distance` (TV) of pi from the worst start; `most` at least.

    Example:
        >>> mixing_time(torch.full((2, 2), 0.5), torch.tensor([0.5, 0.5]))
        1
    """
    if not 0 < distance < 1:
        raise ValueError(f"distance was {distance}; allowed: (0, 1)")
    pi = pi.double()

    def far(power: Tensor) -> bool:
        return float((power - pi).abs().sum(1).max() / 2) > distance

    powers = [P.double()]  # P^(2^i)
    while far(powers[-1]):
        if 2 ** len(powers) > most:
            return most
        powers.append(powers[-1] @ powers[-1])
    steps, reached = 0, torch.eye(len(P)).double()
    for i in range(len(powers) - 1, -1, -1):  # the last number of steps that is still far
        further = reached @ powers[i]
        if far(further):
            steps, reached = steps + 2**i, further
    return steps + 1
