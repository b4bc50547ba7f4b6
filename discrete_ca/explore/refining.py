"""Refinement by preferences: rounds of selection with a score in place of a person's picks."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from discrete_ca.explore.operations import Made, bounded
from discrete_ca.explore.proposals import Propose
from discrete_ca.explore.selection import Score, choose, scores_of, temperature_of
from discrete_ca.explore.session import Session
from discrete_ca.explore.tree import Node, Pick
from discrete_ca.explore.workspace import Where

MAX_ROUNDS = 1000


@dataclass(frozen=True, eq=False)
class Refined:
    """What a refinement did.

    Args:
        nodes: the design that it began with, and each that it moved to; the last is picked.
        scores: their scores.
        rounds: how many rounds it took; in the others the present design stayed.
        nfe: network evaluations, those of rounds that stayed included.
        seconds: how long it took.
    """

    nodes: Sequence[Node]
    scores: Sequence[float]
    rounds: int
    nfe: int
    seconds: float

    @property
    def best(self) -> Node:
        """The design with the highest score on the way; the last one is a draw, this is not."""
        return self.nodes[max(range(len(self.nodes)), key=lambda i: self.scores[i])]


def refine(
    session: Session,
    score: Score,
    rounds: int = 10,
    *,
    candidates: int = 8,
    node: Where = None,
    level: float = 0.2,
    hold: float | None = None,
    steps: int = 4,
    temperature: float = 1.0,
    label: int | None = None,
    draw: bool = False,
    metropolis: bool = False,
) -> Refined:
    """Walk from a design by what a score prefers.

    A round proposes candidates (`Session.propose`) and takes one of them or stays, with odds
    exp(score/τ). In the long run designs have the law ``p(z) exp(score(z)/τ)``, p being what the
    chain at this level reads out, given the locked cells; this takes a kernel in detailed balance
    (what it means and how far it carries: `selection`). Moves are nodes of the tree and are
    replayed without the score.

    Costs ``steps (1 + candidates) + candidates`` network evaluations a round.

    Args:
        session: the session.
        score: clean designs, long, (N, *S), to numbers (N,): higher is better, -inf never.
        rounds: how many.
        candidates: how many a round.
        node: from where; None for what is picked.
        level: b.
        hold: h; None for the kernel's own.
        steps: k, steps of the chain to a centre and from it to each candidate.
        temperature: τ; low follows the score closely, high hardly.
        label: the class to draw, for kernels that are told it.
        draw: read out by a draw instead of the mode.
        metropolis: refuse steps that break detailed balance, for one evaluation more a round.

    Raises:
        ValueError: for settings out of range, a score of another shape, or a tree without room for
            a node a round.
        NonFiniteError: for a score of NaN or +inf.

    Example:
        >>> from discrete_ca import CategoricalNoiseKernel, corruption, nn
        >>> kernel = CategoricalNoiseKernel(nn.MLP(2, 2, shape=(5,)), corruption.Uniform(2))
        >>> session = Session(kernel, (5,))
        >>> first = session.start(torch.zeros(5, dtype=torch.long))
        >>> found = refine(session, lambda z: z.sum(-1), 20, temperature=0.1, level=0.5)
        >>> found.scores[0] <= max(found.scores), found.nfe, session.replay()
        (True, 880, [])
    """
    bounded(rounds, "rounds", MAX_ROUNDS)
    tau, begun = temperature_of(temperature), time.perf_counter()
    operation = Propose(
        n=candidates,
        level=level,
        hold=session.studio.hold(hold),
        steps=steps,
        label=label,
        draw=draw,
        metropolis=metropolis,
    )
    present = session.node(node)
    session.tree.room(rounds)
    scores = [float(scores_of(score, present.design[None]))]
    nodes, nfe = [present], 0

    def keep(made: Made) -> list[int]:
        """The place of the candidate that is taken, or none."""
        nonlocal nfe
        nfe += made.nfe
        found = torch.cat([torch.tensor(scores[-1:]).double(), scores_of(score, made.designs)])
        chosen = int(choose(found[None] / tau, session.chance()))
        if chosen:
            scores.append(float(found[chosen]))
        return [chosen - 1] if chosen else []

    for _ in range(rounds):
        nodes += session.do(operation, nodes[-1:], keep, pick=False)
    session.tree.pick(Pick((nodes[-1].id,)))
    return Refined(nodes, scores, rounds, nfe, time.perf_counter() - begun)
