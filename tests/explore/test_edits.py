"""By hand: begin, lock, unlock, paint."""

import pytest
import torch

from discrete_ca.errors import DataError
from tests.explore.helpers import session_of

DESIGN = torch.tensor([[0, 1, 2], [2, 1, 0]])


@pytest.fixture
def session():
    session = session_of("uniform-5", (2, 3))
    session.start(DESIGN)
    return session


def test_begin_keeps_a_copy(session):
    given = DESIGN.clone()
    node = session.start(given, locked=torch.tensor([True, False, False]))
    given.zero_()
    assert torch.equal(node.design, DESIGN) and node.parents == () and node.nfe == 0
    assert node.locked.tolist() == [[True, False, False]] * 2
    assert not session.start(DESIGN, locked=torch.zeros(2, 3, dtype=torch.bool)).locked.any()
    assert session.replay() == []


def test_locks_add_up_and_go(session):
    left, top = torch.tensor([True, False, False]), torch.tensor([[True], [False]])
    session.lock(left)
    both = session.lock(top)
    assert both.locked.tolist() == [[True, True, True], [True, False, False]]
    assert session.unlock(left).locked.tolist() == [[False, True, True], [False, False, False]]
    assert not session.unlock().locked.any()
    assert torch.equal(session.node().design, DESIGN)
    assert [node.nfe for node in session.tree] == [0] * 5 and session.replay() == []


def test_paint_holds_or_hints(session):
    cells = torch.tensor([[True, True, False], [False, False, False]])
    held = session.paint(cells, 4)
    assert held.design.tolist() == [[4, 4, 2], [2, 1, 0]] and torch.equal(held.locked, cells)
    hint = session.paint(cells, DESIGN.flip(0), held=False, node=1)
    assert hint.design.tolist() == [[2, 1, 2], [2, 1, 0]] and not hint.locked.any()
    each = session.paint(cells, torch.tensor([3, 0, 77]), node=1)  # what is not painted is not read
    assert each.design.tolist() == [[3, 0, 2], [2, 1, 0]]
    assert session.replay() == []


def test_a_held_cell_stays_and_a_hint_may_change(session):
    cells = torch.tensor([[True, True, True], [False, False, False]])
    held, hint = session.paint(cells, 4, node=1), session.paint(cells, 4, held=False, node=1)
    for parent, stays in ((held, True), (hint, False)):
        near = session.variants(16, node=parent, level=0.9, steps=4)
        assert all(bool((node.design[cells] == 4).all()) for node in near) is stays
        assert all(torch.equal(node.locked, parent.locked) for node in near)


def test_refusals(session):
    cells = torch.tensor([True, False, False])
    with pytest.raises(DataError, match=r"values holds values in \[0, 5\]; allowed: 0 .. 4"):
        session.paint(cells, 5)
    with pytest.raises(DataError, match=r"values have shape \(4,\)"):
        session.paint(cells, torch.zeros(4, dtype=torch.long))
    with pytest.raises(DataError, match="values has dtype"):
        session.paint(cells, 0.5)
    with pytest.raises(DataError, match="design has shape"):
        session.start(DESIGN[0])
    session.lock(cells)
    with pytest.raises(DataError, match="cells has 2 locked ones; allowed: others"):
        session.paint(torch.tensor([True, True, False]), 1)
    assert len(session) == 2
