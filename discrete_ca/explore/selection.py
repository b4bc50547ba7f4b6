r"""Selection among proposals of a chain: a law that a score has tilted, without training.

Let P(x, y) be k equal-level steps of a kernel with stationary law π, and s a score of what is read
out. A round at x draws a hidden *centre* c ~ P(x, ·) and n candidates y_i ~ P(c, ·) around it, and
takes one of {x, y_1, …, y_n} with probability ∝ exp(s/τ).

**The law.** If P is in detailed balance with π, then
``π(x) P(x, c) Π_i P(c, y_i) = π(c) P(c, x) Π_i P(c, y_i)`` is symmetric in x and the y_i: given c
and the set, each of them is equally likely, before scores, to be the present one. Taking one by
exp(s/τ) is a Gibbs step, and ``π(x) exp(s(x)/τ)`` is stationary, for every n, k and τ. Read-outs,
by mode or by a draw that is kept with its state, carry over: what is read out has the law
``p(z) exp(s(z)/τ)``, p the law of the chain's own read-outs. (Tjelmeland 2004, "Using all
Metropolis-Hastings proposals to estimate mean values", without ratios of π; with a person in place
of s it is Sanborn and Griffiths 2008, "Markov chain Monte Carlo with people": someone who picks one
of the shown designs with odds exp(s/τ) draws from the tilted law.)

**The assumption** is detailed balance of P. A learned kernel has it nearly, with Metropolis steps
more nearly; ``exact.detailed_balance_residual`` of P measures it, and `selection_matrix` what comes
of it, where the space is small. Without balance the error vanishes as k grows, since c and the y_i
become independent draws of π. Where π is known up to a constant, `select` takes its logarithm and
weighs by ``exp(s/τ) π(u) P(u, c) / P(c, u)``, which is exact for any P with k = 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from discrete_ca import checks, draws
from discrete_ca.conditions import Conditions
from discrete_ca.errors import NonFiniteError
from discrete_ca.kernels import TransitionKernel
from discrete_ca.walker import Tally, Walker

Score = Callable[[Tensor], Tensor]
"""Clean designs (N, *S) to numbers (N,): higher is better, -inf never."""

_STEP = 0.25  # in log t: the rule's error falls like exp(-π²/step)


def scores_of(score: Score, designs: Tensor) -> Tensor:
    """What a score says of designs (N, *S), (N,) in float64 on the CPU.

    Raises:
        ValueError: for another shape.
        NonFiniteError: for NaN or +inf.
    """
    found = torch.as_tensor(score(designs)).detach().double().cpu()
    if found.shape != designs.shape[:1]:
        raise ValueError(f"score has shape {tuple(found.shape)}; allowed: ({len(designs)},)")
    if bool((found.isnan() | (found == torch.inf)).any()):
        raise NonFiniteError("score holds NaN or +inf; allowed: numbers and -inf")
    return found


def choose(log_weights: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """One of each row (B, n), by its weights: (B,). Where every weight is 0, the first.

    Example:
        >>> choose(torch.tensor([[-torch.inf, 0.0], [-torch.inf, -torch.inf]]))
        tensor([1, 0])
    """
    stuck = (log_weights == -torch.inf).all(-1)
    first = torch.full_like(log_weights, -torch.inf)
    first[..., 0] = 0.0
    return draws.categorical(torch.where(stuck.unsqueeze(-1), first, log_weights), generator)


def temperature_of(value: float) -> float:
    """τ, a positive number.

    Raises:
        ValueError: for anything else.
    """
    if not 0 < value < math.inf:
        raise ValueError(f"temperature was {value}; allowed: a number > 0")
    return float(value)


@dataclass(frozen=True, eq=False)
class Candidates:
    """Proposals around hidden centres.

    Args:
        centres: c, (B, *S).
        states: y, noisy states of the chain, (B, n, *S).
        designs: what is read out of them, (B, n, *S).
    """

    centres: Tensor
    states: Tensor
    designs: Tensor


@torch.no_grad()
def candidates_around(
    kernel: TransitionKernel,
    x: Tensor,
    n: int,
    level: float,
    *,
    steps: int = 1,
    draw: bool = False,
    label: Tensor | None = None,
    known: checks.Known | None = None,
    generator: torch.Generator | None = None,
    tally: Tally | None = None,
) -> Candidates:
    """Draw a centre from each state and n candidates from each centre.

    Costs ``steps (1 + n) + n`` network evaluations a state, and one more with Metropolis steps.

    Args:
        kernel: the kernel.
        x: states of the chain at `level`, (B, *S).
        n: how many candidates.
        level: b.
        steps: k, steps to a centre and from it.
        draw: read out by a draw instead of the mode.
        label: labels (B,), for networks that declare them.
        known: (mask, values), each of shape (*S); mask True = generate.
        generator: source of randomness.
        tally: counts Metropolis steps, and asks for them: None for plain ones.
    """
    shape = x.shape[0], n, *x.shape[1:]
    labels = None if label is None else label.repeat_interleave(n)
    centre = Walker(kernel, x, level, Conditions(label, known), generator, tally)
    for _ in range(steps):
        centre.step()
    start = centre.x.repeat_interleave(n, 0)
    walker = Walker(kernel, start, level, Conditions(labels, known), generator, tally)
    for _ in range(steps):
        walker.step()
    designs = walker.read_out(draw)
    return Candidates(centre.x, walker.x.reshape(shape), designs.reshape(shape))


@dataclass(frozen=True, eq=False)
class Selected:
    """What a round took.

    Args:
        states: the next states of the chain, (B, *S).
        designs: what was read out of them, (B, *S).
        scores: their scores, (B,).
        chosen: 0 where the present one stayed, i for candidate i, (B,).
        nfe: network evaluations a chain.
    """

    states: Tensor
    designs: Tensor
    scores: Tensor
    chosen: Tensor
    nfe: int


@torch.no_grad()
def select(
    kernel: TransitionKernel,
    x: Tensor,
    z: Tensor,
    score: Score,
    *,
    level: float,
    candidates: int = 8,
    steps: int = 1,
    temperature: float = 1.0,
    draw: bool = False,
    log_law: Callable[[Tensor], Tensor] | None = None,
    label: Tensor | None = None,
    known: checks.Known | None = None,
    metropolis: bool = False,
    generator: torch.Generator | None = None,
) -> Selected:
    """One round of selection for B chains side by side.

    Args:
        kernel: the kernel; nothing is assumed of it but detailed balance (see the module), and not
            even that where `log_law` is given.
        x: states of the chains at `level`, (B, *S).
        z: what was read out of them, (B, *S).
        score: clean designs (N, *S) to numbers (N,).
        level: b.
        candidates: n, proposals a round.
        steps: k, steps of the chain to a centre and from it.
        temperature: τ; low follows the score closely, high hardly.
        draw: read out by a draw instead of the mode.
        log_law: the logarithm of the law of states that is to be tilted, up to a constant,
            (N, *S) -> (N,), in place of the chain's stationary law.
        label: labels (B,), for networks that declare them.
        known: (mask, values), each of shape (*S); mask True = generate.
        metropolis: refuse steps that break detailed balance, for one evaluation more; not with
            `log_law`, which needs no balance.
        generator: source of randomness.

    Raises:
        ValueError: for settings out of range, a score of another shape, or several steps or
            Metropolis steps together with `log_law`.
        NonFiniteError: for a score of NaN or +inf.

    Example:
        >>> from discrete_ca import CategoricalNoiseKernel, corruption, nn
        >>> kernel = CategoricalNoiseKernel(nn.MLP(2, 2, shape=(5,)), corruption.Uniform(2))
        >>> x = torch.zeros(3, 5, dtype=torch.long)
        >>> found = select(kernel, x, x, lambda z: z.sum(-1), level=0.3, candidates=4)
        >>> found.designs.shape, found.nfe
        (torch.Size([3, 5]), 9)
    """
    tau, n = temperature_of(temperature), checks.positive(candidates, "candidates")
    checks.positive(steps, "steps")
    if log_law is not None and steps != 1:
        raise ValueError(f"steps was {steps} with log_law; allowed: 1, whose log_prob is known")
    if log_law is not None and metropolis:
        raise ValueError("metropolis was True with log_law; allowed: one of them")
    tally = Tally.of(metropolis, (level,))
    drawn = candidates_around(
        kernel, x, n, level, steps=steps, draw=draw, label=label, known=known, generator=generator,
        tally=tally,
    )  # fmt: skip
    states = torch.cat([x.unsqueeze(1), drawn.states], 1)  # (B, 1 + n, *S), the present one first
    designs = torch.cat([z.unsqueeze(1), drawn.designs], 1)
    scores = scores_of(score, designs.flatten(0, 1)).to(x.device).reshape(len(x), 1 + n)
    weights, nfe = scores / tau, steps * (1 + n) + n + metropolis
    if log_law is not None:
        flat, labels = (
            states.flatten(0, 1),
            None if label is None else label.repeat_interleave(1 + n),
        )
        centres = drawn.centres.repeat_interleave(1 + n, 0)
        there = kernel.transition(flat, level, label=labels, known=known).log_prob(centres)
        back = kernel.transition(centres, level, label=labels, known=known).log_prob(flat)
        ratio = log_law(flat).double() + there.double() - back.double()
        weights, nfe = weights + ratio.reshape(len(x), 1 + n), nfe + 2 * (1 + n)
    chosen = choose(weights, generator)
    row = torch.arange(len(x), device=x.device)
    return Selected(states[row, chosen], designs[row, chosen], scores[row, chosen], chosen, nfe)


def selection_matrix(
    P: Tensor, scores: Tensor, candidates: int, temperature: float = 1.0
) -> Tensor:
    r"""T[x, y], the exact law of a round on a small space, (N, N) in float64.

    With w = exp(s/τ), the candidates of a centre being independent,
    ``w_y / Σ w = ∫ w_y exp(-t Σ w) dt``, so that

        T[x, y] = Σ_c P(x, c) n P(c, y) ∫ w_y exp(-t (w_x + w_y)) φ_c(t)^(n-1) dt,  y drawn anew,

    with ``φ_c(t) = Σ_u P(c, u) exp(-t w_u)``; what is missing stays at x. The integral is taken by
    the trapezoidal rule in log t, to about 1e-12.

    Args:
        P: the proposal, ``P[x, y] = p(y|x)``, such as a power of `exact.transition_matrix`.
        scores: s of each state (of its read-out), (N,), finite.
        candidates: n.
        temperature: τ.

    Raises:
        ValueError: for shapes that do not fit or scores that are not finite.

    Example:
        >>> fair = torch.full((2, 2), 0.5)
        >>> selection_matrix(fair, torch.tensor([0.0, 0.0]), candidates=1)
        tensor([[0.7500, 0.2500],
                [0.2500, 0.7500]], dtype=torch.float64)
    """
    n = checks.positive(candidates, "candidates")
    P, s = P.double(), scores.double() / temperature_of(temperature)
    if P.ndim != 2 or P.shape != (len(s), len(s)):
        raise ValueError(f"P has shape {tuple(P.shape)}; allowed: ({len(s)}, {len(s)})")
    if not bool(s.isfinite().all()):
        raise ValueError("scores are not finite; allowed: numbers")
    w = (s - s.max()).exp()
    places = torch.arange(-40.0, 4.0 - float(w.min().log()), _STEP, dtype=torch.float64)
    T = torch.zeros_like(P)
    for t in places.exp():
        fade = (-t * w).exp()
        around = P * (P @ fade)[:, None] ** (n - 1)
        T += _STEP * t * n * fade[:, None] * (P @ around) * (w * fade)
    return T + torch.diag(1 - T.sum(1))
