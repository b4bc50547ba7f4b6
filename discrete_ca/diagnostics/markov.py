r"""What a chain on few states does, from its matrix: where it tends to, how far off, how fast.

Matrices have ``P[x, y] = p(y|x)``, rows that sum to 1; laws are vectors. All are float64 inside.
"""

from __future__ import annotations

import torch
from torch import Tensor

_MANY_LAWS = "P has more than one stationary law: some states never lead to some others"


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


def detailed_balance_residual(P: Tensor, pi: Tensor) -> float:
    """``sum |pi(x) P(x, y) - pi(y) P(y, x)| / 2``: 0 exactly under detailed balance.

    Example:
        >>> detailed_balance_residual(torch.eye(2), torch.tensor([0.5, 0.5]))
        0.0
    """
    flow = pi.double()[:, None] * P.double()
    return float((flow - flow.T).abs().sum() / 2)


def spectral_gap(P: Tensor, pi: Tensor) -> float:
    """The absolute spectral gap ``1 - max |λ|`` over the eigenvalues but the one that is 1.

    Correlations of a reversible chain decay like ``(1 - gap)^t`` (Levin and Peres, Markov Chains
    and Mixing Times, section 12.2); a gap of 0 means that it never forgets, as one that alternates.
    Of a chain that is not reversible it is that of its reversible part ``(P + P*) / 2``, P* the
    time reversal under pi: close to it the chain's own, far from it see `mixing_time`.

    Example:
        >>> half = torch.tensor([0.5, 0.5])
        >>> round(spectral_gap(torch.full((2, 2), 0.5), half), 6)
        1.0
        >>> round(spectral_gap(torch.tensor([[0.0, 1.0], [1.0, 0.0]]), half), 6)
        0.0
    """
    lives = pi > 1e-15  # states that the chain leaves for good have no part in it
    root = pi[lives].double().sqrt()
    scaled = root[:, None] * P.double()[lives][:, lives] / root[None, :]
    eigenvalues = torch.linalg.eigvalsh((scaled + scaled.T) / 2)[:-1]
    return float(1 - eigenvalues.abs().max()) if len(eigenvalues) else 1.0


def mixing_time(P: Tensor, pi: Tensor, distance: float = 0.25, most: int = 1 << 20) -> int:
    """Steps until the law is within `distance` (TV) of pi from the worst start; `most` at least.

    A chain with a spectral gap of 0 never is, and has `most`.

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
