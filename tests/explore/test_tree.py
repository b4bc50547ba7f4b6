"""The tree: ids, ways, undo and redo, discarding, bounds."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from discrete_ca.explore.tree import MAX_HISTORY, Node, Pick, Recipe, Tree

CELL = torch.zeros(2, dtype=torch.long)


def grow(tree, *parents, recipe=None, place=0):
    return tree.add(
        Node(tree.next_id, CELL, CELL == 1, recipe or Recipe("x", parents, 0, nfe=3), place)
    )


def family():
    """1 -> 2, 3 (siblings); 2 -> 4; (3, 4) -> 5."""
    tree = Tree()
    grow(tree)
    recipe = Recipe("y", (1,), 1, nfe=10)
    for place in (1, 0):
        grow(tree, 1, recipe=recipe, place=place)
    grow(tree, 2)
    grow(tree, 3, 4)
    return tree


def ids(nodes):
    return [node.id for node in nodes]


def test_ways_through_a_family():
    tree = family()
    assert ids(tree) == [1, 2, 3, 4, 5] and len(tree) == 5 and 5 in tree and 6 not in tree
    assert ids(tree.roots()) == [1] and ids(tree.children(1)) == [2, 3]
    assert ids(tree.siblings(2)) == [3, 2]  # by place
    assert ids(tree.path(5)) == [1, 3, 5] and ids(tree.ancestors([5])) == [1, 2, 3, 4, 5]
    assert ids(tree.ancestors([4, 2])) == [1, 2, 4]
    assert len(tree.recipes()) == 4 and tree.nfe() == 19  # siblings once


def test_discarding_takes_what_was_made_from_it():
    tree = family()
    for each in ((1,), (4,), (3,), (3, 2), (5,), (1,)):
        tree.pick(Pick(each))
    tree.undo()
    assert tree.discard(4) == [4, 5]
    assert ids(tree) == [1, 2, 3]
    assert [p.ids for p in tree.history] == [(1,), (3,), (3, 2), (1,)]
    assert tree.picked.ids == (3, 2)  # the last one before that is still there
    assert grow(tree, 2).id == 6  # ids are never given twice
    assert tree.discard(1) == [1, 2, 3, 6] and tree.picked is None and len(tree) == 0


@given(st.lists(st.one_of(st.integers(1, 5), st.sampled_from(["undo", "redo", "discard"]))))
def test_undo_and_redo_follow_a_plain_model(moves):
    """The model: a list of places and an index."""
    tree, model, at = family(), [], -1
    for move in moves:
        if move == "discard":
            if 5 in tree:
                tree.discard(5)
                at = sum(1 for p in model[: at + 1] if p != 5) - 1
                model = [p for p in model if p != 5]
                at = max(at, 0) if model else -1
        elif move in ("undo", "redo"):
            step = -1 if move == "undo" else 1
            if 0 <= at + step < len(model):
                at += step
                assert getattr(tree, move)().ids == (model[at],)
            else:
                with pytest.raises(ValueError, match=f"there is nothing to {move}"):
                    getattr(tree, move)()
        elif move in tree:
            tree.pick(Pick((move,)))
            model, at = [*model[: at + 1], move], at + 1
        assert (tree.picked.ids if tree.picked else None) == ((model[at],) if model else None)


def test_history_is_bounded():
    tree = family()
    for i in range(MAX_HISTORY + 5):
        tree.pick(Pick((1 + i % 2,)))
    assert len(tree.history) == MAX_HISTORY and tree.place == MAX_HISTORY - 1


def test_refusals():
    tree = Tree(limit=2)
    with pytest.raises(ValueError, match="node was 7; allowed: one in the tree, of late none"):
        tree[7]
    grow(tree)
    with pytest.raises(ValueError, match="node was 9"):
        grow(tree, 9)
    with pytest.raises(ValueError, match="node id was 1; allowed: at least 2"):
        tree.add(Node(1, CELL, CELL == 1, Recipe("x", (), 0)))
    with pytest.raises(ValueError, match=r"node was \[1\]"):
        tree[[1]]
    grow(tree)
    with pytest.raises(ValueError, match=r"has 2 nodes and would get 1 more; allowed: 2"):
        grow(tree)
    with pytest.raises(ValueError, match="note has 2001 characters; allowed: 2000"):
        tree.annotate(1, note="x" * 2001)
    for stars in (6, -1, True, 2.5):
        with pytest.raises(ValueError, match="stars was"):
            tree.annotate(1, stars=stars)
    with pytest.raises(ValueError, match="node was 3"):
        tree.pick(Pick((1, 3)))
    for history, place in (([], 0), ([Pick((1,))], 1), ([Pick((1,))], -1)):
        with pytest.raises(ValueError, match="place was"):
            tree.restore(history, place)


@given(st.lists(st.floats(1e-300, 1e300), min_size=1, max_size=9), st.integers(0, 100))
def test_shares_are_whole_and_fair(weights, n):
    pick = Pick(tuple(range(1, len(weights) + 1)), tuple(weights))
    assert sum(pick.weights) == pytest.approx(1)
    shares = pick.shares(n)
    assert sum(shares) == n
    assert all(abs(s - n * w) < 1 + 1e-9 for s, w in zip(shares, pick.weights, strict=True))


@pytest.mark.parametrize(
    ("ids", "weights"),
    [((), ()), ((1, 1), ()), ((1, 2), (1.0,)), ((1,), (0.0,)), ((1,), (float("inf"),)),
     ((1,), (float("nan"),))],
)  # fmt: skip
def test_picks_that_are_none(ids, weights):
    with pytest.raises(ValueError, match="allowed"):
        Pick(ids, weights)


def test_notes_and_stars_leave_the_rest():
    tree = family()
    before = tree[2]
    assert tree.annotate(2, note="good").note == "good"
    after = tree.annotate(2, stars=3)
    assert (after.note, after.stars, after.recipe) == ("good", 3, before.recipe)
    assert before.note == ""
