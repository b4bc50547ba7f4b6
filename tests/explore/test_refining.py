"""Refinement in a session is selection, kept as nodes and replayed without the score."""

import pytest
import torch

from discrete_ca.diagnostics import exact
from discrete_ca.errors import NonFiniteError
from discrete_ca.explore import Session, refine
from discrete_ca.explore.selection import selection_matrix
from tests.explore.helpers import Table, reversible, session_of
from tests.helpers import Counting, assert_counts, counts_of, seeded


def test_a_round_has_the_law_of_selection():
    """1,000 rounds from one design; rate of false alarms 1e-6."""
    P, _ = reversible(8, 2)
    kernel = Table(P, 2, (3,))
    session = Session(kernel, (3,), 2)
    first = session.start([1, 0, 1])
    s = torch.randn(8, dtype=torch.float64, generator=seeded(3))
    T = selection_matrix(P @ P, s, 3, 0.7)
    found = []
    for _ in range(1000):
        done = refine(
            session, lambda z: s[exact.index(z, 2)], 1, candidates=3, node=first, steps=2,
            temperature=0.7,
        )  # fmt: skip
        found.append(done.nodes[-1].design)
    assert_counts(counts_of(exact.index(torch.stack(found), 2), 8), T[5])


def test_many_rounds_have_the_tilted_law():
    """One chain of 1,000 rounds on four states, against p exp(s): its spread is near that of
    independent draws, so 0.06 is three standard deviations of the largest share."""
    P, pi = reversible(4, 5)
    session = Session(Table(P, 2, (2,)), (2,), 2)
    session.start([0, 0])
    s = torch.tensor([0.0, 1.0, -1.0, 0.5]).double()
    law = pi * s.exp() / (pi * s.exp()).sum()
    visits, here = torch.zeros(4), None

    def score(z):
        nonlocal here
        if len(z) > 1 and here is not None:
            visits[here] += 1  # where it stands when the next round begins
        return s[exact.index(z, 2)]

    class Watch(Session):
        def do(self, operation, parents, keep=None, pick=True):
            nonlocal here
            here = int(exact.index(parents[0].design[None], 2))
            return super().do(operation, parents, keep, pick)

    session.__class__ = Watch
    refine(session, score, 1000, candidates=4, steps=4)
    assert visits.sum() == 1000
    assert exact.total_variation(visits / 1000, law) < 0.06 < exact.total_variation(pi, law)


def test_costs_nodes_and_replay():
    session = session_of()
    net = session.studio.kernel.net = Counting(session.studio.kernel.net)
    first = session.start([0, 1, 1, 0, 0])
    session.lock(torch.tensor([True] + [False] * 4))
    net.examples = 0
    asked = []

    def score(z):
        asked.append(len(z))
        return z.sum(-1)

    done = refine(session, score, 12, candidates=3, level=0.5, steps=2, temperature=0.3)
    assert done.nfe == net.examples == 12 * (2 * 4 + 3) and asked == [1] + [3] * 12
    assert done.rounds == 12 and len(done.nodes) == len(done.scores) <= 13 and done.seconds > 0
    assert [float(n.design.sum()) for n in done.nodes] == [*done.scores]
    assert all(n.design[0] == first.design[0] for n in done.nodes)
    assert session.node() is done.nodes[-1]
    assert done.best.design.sum() == max(done.scores)
    assert [n.id for n in session.tree.path(done.nodes[-1].id)] == [1, *(n.id for n in done.nodes)]
    asked.clear()
    session.studio.kernel.net = net.net
    assert session.replay() == [] and asked == []
    assert len(session) == 2 + len(done.nodes) - 1


def test_the_same_session_refines_the_same():
    def once():
        session = session_of(seed=4)
        session.start([0, 1, 1, 0, 0])
        done = refine(session, lambda z: z.sum(-1), 10, level=0.5, draw=True, hold=0.2)
        return torch.stack([n.design for n in done.nodes])

    assert torch.equal(once(), once())


def test_metropolis_steps_are_of_the_recipe_and_cost_one_more_a_round():
    session = session_of(hold=0.1)
    first = session.start([0, 1, 1, 0, 1])
    found = refine(session, lambda z: z.double().sum(-1), 6, candidates=3, steps=2, metropolis=True)
    assert found.nfe == 6 * (2 * (1 + 3) + 3 + 1) and found.nodes[0] is first
    assert all(node.recipe.operation.metropolis for node in found.nodes[1:])
    assert session.replay() == []


def test_a_low_temperature_climbs_and_a_high_one_does_not_care():
    def last(tau):
        session = session_of(shape=(12,), seed=1)
        session.start([0] * 12)
        done = refine(session, lambda z: z.sum(-1), 30, level=0.4, steps=1, temperature=tau)
        return done.scores[-1]

    assert last(0.05) > last(1e6) and last(0.05) >= 10


def test_it_stays_where_nothing_is_wanted():
    session = session_of()
    first = session.start([0, 1, 1, 0, 0])

    def only(z):
        return torch.where((z == first.design).all(-1), 0.0, -torch.inf)

    done = refine(session, only, 5, level=0.9, steps=4, hold=0.0, candidates=2)
    assert all(torch.equal(n.design, first.design) for n in done.nodes)


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"rounds": 0}, ValueError, "rounds was 0"),
        ({"rounds": 1001}, ValueError, "rounds was 1001; allowed: 1 .. 1000"),
        ({"temperature": -1.0}, ValueError, "temperature was -1.0"),
        ({"candidates": 500}, ValueError, "n was 500"),
        ({"level": 1.5}, ValueError, "level was 1.5"),
        ({"score": lambda z: z}, ValueError, "score has shape"),
        ({"score": lambda z: z.sum(-1) / 0}, NonFiniteError, "score holds NaN"),
    ],
)
def test_refusals(options, error, match):
    session = session_of()
    session.start([0, 0, 0, 0, 0])
    with pytest.raises(error, match=match):
        refine(session, **{"score": lambda z: z.sum(-1), "rounds": 2, **options})
    assert len(session) == 1
