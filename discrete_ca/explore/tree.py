"""A tree of designs: what was made from what, where one stands in it, the way back.

Nothing here knows what a kernel is. A node never changes but for its note and its stars; undo and
redo move through the places where one stood and delete nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

MAX_NODES = 4096
MAX_HISTORY = 1000
MAX_NOTE = 2000
MAX_STARS = 5


@dataclass(frozen=True, eq=False)
class Recipe:
    """How designs were made; siblings of one operation share theirs.

    Args:
        operation: what was done, with all its settings.
        parents: the nodes that it was done to, by id.
        seed: together with the session's seed, what every draw depends on.
        nfe: network evaluations that it took, all examples together.
        seconds: how long it took.
        acceptance: share of its Metropolis steps that were taken; None without them.
    """

    operation: Any
    parents: tuple[int, ...]
    seed: int
    nfe: int = 0
    seconds: float = 0.0
    acceptance: float | None = None


@dataclass(frozen=True, eq=False)
class Node:
    """A design in the tree.

    Args:
        id: its number; parents have lower ones.
        design: clean categories, long, (*S).
        locked: cells that no draw may change, boolean, (*S).
        recipe: how it was made.
        place: which of the recipe's designs it is.
        state: the noisy state of the chain that it was read from, (*S), so that the chain can be
            walked on; None where it lies on none.
        level: the level of `state`.
        note: what a person wrote about it.
        stars: how a person rates it, 0 to 5.
    """

    id: int
    design: Tensor
    locked: Tensor
    recipe: Recipe
    place: int = 0
    state: Tensor | None = None
    level: float | None = None
    note: str = ""
    stars: int = 0

    @property
    def parents(self) -> tuple[int, ...]:
        """The nodes that it was made from, by id."""
        return self.recipe.parents

    @property
    def nfe(self) -> int:
        """Network evaluations of the operation that made it and its siblings."""
        return self.recipe.nfe

    @property
    def seconds(self) -> float:
        """How long that operation took."""
        return self.recipe.seconds


@dataclass(frozen=True)
class Pick:
    """One or several nodes that a person chose, with weights that sum to 1.

    Args:
        ids: the nodes.
        weights: how much each counts; positive, made to sum to 1.

    Raises:
        ValueError: for no nodes, one twice, or weights that are not allowed.

    Example:
        >>> Pick((3, 5), (1.0, 3.0)).weights, Pick((3, 5)).shares(5)
        ((0.25, 0.75), (3, 2))
    """

    ids: tuple[int, ...]
    weights: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not self.ids or len(set(self.ids)) != len(self.ids):
            raise ValueError(f"ids was {self.ids}; allowed: at least one node, each once")
        given = self.weights or (1.0,) * len(self.ids)
        if len(given) != len(self.ids) or not all(0 < w < math.inf for w in given):
            raise ValueError(f"weights was {self.weights}; allowed: a positive number a node")
        largest = max(given)  # so that the sum of large ones is finite
        total = sum(w / largest for w in given)
        object.__setattr__(self, "weights", tuple(w / largest / total for w in given))

    def shares(self, n: int) -> tuple[int, ...]:
        """Share n out by weight, in whole numbers (largest remainders)."""
        exact = [n * w for w in self.weights]
        found = [math.floor(e) for e in exact]
        order = sorted(range(len(exact)), key=lambda i: (found[i] - exact[i], i))
        for i in order[: n - sum(found)]:
            found[i] += 1
        return tuple(found)


class Tree:
    """Nodes by id, and the places where a person stood among them.

    Args:
        limit: how many nodes it may hold.

    Example:
        >>> import torch
        >>> cell = torch.tensor(0)
        >>> tree = Tree()
        >>> for parents in ((), (1,), (1,)):
        ...     node = tree.add(Node(tree.next_id, cell, cell == 1, Recipe("start", parents, 0)))
        >>> [n.id for n in tree.children(1)], [n.id for n in tree.path(3)]
        ([2, 3], [1, 3])
        >>> tree.pick(Pick((2,))), tree.pick(Pick((3,))), tree.undo().ids, tree.redo().ids
        (None, None, (2,), (3,))
    """

    def __init__(self, limit: int = MAX_NODES) -> None:
        self.limit = limit
        self.next_id = 1
        self.history: list[Pick] = []
        self.place = -1
        self._nodes: dict[int, Node] = {}

    def __len__(self) -> int:
        return len(self._nodes)

    def __iter__(self) -> Iterator[Node]:
        """The nodes, parents first."""
        return iter(self._nodes.values())

    def __contains__(self, node_id: object) -> bool:
        return node_id in self._nodes

    def __getitem__(self, node_id: int) -> Node:
        """A node by its id.

        Raises:
            ValueError: for one that is not there.
        """
        try:
            return self._nodes[node_id]
        except (KeyError, TypeError):
            few = ", ".join(str(i) for i in [*self._nodes][-8:]) or "none, the tree is empty"
            raise ValueError(
                f"node was {node_id!r}; allowed: one in the tree, of late {few}"
            ) from None

    def room(self, n: int) -> None:
        """Refuse n more nodes where there is no room for them.

        Raises:
            ValueError: for more than `limit`.
        """
        if len(self) + n > self.limit:
            raise ValueError(
                f"the tree has {len(self)} nodes and would get {n} more; allowed: {self.limit} "
                "in all (discard some)"
            )

    def add(self, node: Node) -> Node:
        """Put a node in, after its parents.

        Raises:
            ValueError: for an id that was given before, a parent that is not there, a full tree.
        """
        self.room(1)
        if node.id < self.next_id:
            raise ValueError(f"node id was {node.id}; allowed: at least {self.next_id}")
        for parent in node.parents:
            _ = self[parent]
        self._nodes[node.id] = node
        self.next_id = node.id + 1
        return node

    def children(self, node_id: int) -> list[Node]:
        """The nodes that were made from one, in the order of their making."""
        _ = self[node_id]
        return [node for node in self if node_id in node.parents]

    def siblings(self, node_id: int) -> list[Node]:
        """The nodes of the same recipe, itself included, by their places in it."""
        recipe = self[node_id].recipe
        return sorted((n for n in self if n.recipe is recipe), key=lambda n: n.place)

    def roots(self) -> list[Node]:
        """The nodes that were made from nothing in the tree."""
        return [node for node in self if not node.parents]

    def path(self, node_id: int) -> list[Node]:
        """From a root to a node, along first parents."""
        found = [self[node_id]]
        while found[-1].parents:
            found.append(self[found[-1].parents[0]])
        return found[::-1]

    def ancestors(self, ids: Iterable[int]) -> list[Node]:
        """Everything that nodes were made from, themselves included, parents first."""
        wanted, left = set[int](), list(ids)
        while left:
            node_id = left.pop()
            if node_id not in wanted:
                wanted.add(node_id)
                left.extend(self[node_id].parents)
        return [node for node in self if node.id in wanted]

    def discard(self, node_id: int) -> list[int]:
        """Take a node out with everything that was made from it; the ids that went.

        Raises:
            ValueError: for a node that is not there.
        """
        gone = {self[node_id].id}
        for node in self:
            if gone & set(node.parents):
                gone.add(node.id)
        for each in gone:
            del self._nodes[each]
        kept = [i for i, pick in enumerate(self.history) if not gone & set(pick.ids)]
        self.place = sum(i <= self.place for i in kept) - 1
        self.history = [self.history[i] for i in kept]
        if self.history:
            self.place = max(self.place, 0)
        return sorted(gone)

    def annotate(self, node_id: int, note: str | None = None, stars: int | None = None) -> Node:
        """Write a note or stars on a node; what is None stays.

        Raises:
            ValueError: for a note that is too long, or stars that are no number from 0 to 5.
        """
        node = self[node_id]
        if note is not None:
            if len(note) > MAX_NOTE:
                raise ValueError(f"note has {len(note)} characters; allowed: {MAX_NOTE}")
            node = replace(node, note=str(note))
        if stars is not None:
            if isinstance(stars, bool) or stars not in range(MAX_STARS + 1):
                raise ValueError(f"stars was {stars}; allowed: 0 .. {MAX_STARS}")
            node = replace(node, stars=int(stars))
        self._nodes[node_id] = node
        return node

    @property
    def picked(self) -> Pick | None:
        """Where one stands; None in a tree where nothing was picked."""
        return self.history[self.place] if self.history else None

    def pick(self, pick: Pick) -> None:
        """Go to one node or several. What was undone before can no longer be redone.

        Raises:
            ValueError: for a node that is not there.
        """
        for node_id in pick.ids:
            _ = self[node_id]
        self.history = [*self.history[: self.place + 1], pick][-MAX_HISTORY:]
        self.place = len(self.history) - 1

    def undo(self) -> Pick:
        """Back to where one stood before.

        Raises:
            ValueError: at the first place.
        """
        return self._move(-1, "undo")

    def redo(self) -> Pick:
        """Forward again, after `undo`.

        Raises:
            ValueError: at the last place.
        """
        return self._move(1, "redo")

    def _move(self, by: int, name: str) -> Pick:
        if not 0 <= self.place + by < len(self.history):
            raise ValueError(f"there is nothing to {name}")
        self.place += by
        return self.history[self.place]

    def restore(self, history: Sequence[Pick], place: int) -> None:
        """Stand where one stood, with the way there; for loading.

        Raises:
            ValueError: for nodes or a place that are not there.
        """
        places = range(len(history)) if history else range(-1, 0)
        if place not in places or len(history) > MAX_HISTORY:
            raise ValueError(f"place was {place} of {len(history)}; allowed: one of them")
        for pick in history:
            for node_id in pick.ids:
                _ = self[node_id]
        self.history, self.place = list(history), place

    def nfe(self) -> int:
        """Network evaluations that the tree took, each operation once."""
        return sum(recipe.nfe for recipe in self.recipes())

    def recipes(self) -> list[Recipe]:
        """Every recipe once, in the order of their first nodes."""
        return [*dict.fromkeys(node.recipe for node in self)]
