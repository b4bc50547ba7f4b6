"""A tree of designs with the kernel that made them: doing, replaying, standing, saving.

What is done is recorded, so that every design can be made again, bit for bit, on the same machine.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch

from discrete_ca import draws
from discrete_ca.data import Tokenizer
from discrete_ca.errors import CheckpointError, ConfigError
from discrete_ca.explore import storage
from discrete_ca.explore.operations import Made, Operation, perform
from discrete_ca.explore.selection import choose
from discrete_ca.explore.studio import Studio, kernel_checksum
from discrete_ca.explore.tree import Node, Pick, Recipe, Tree
from discrete_ca.kernels import TransitionKernel
from discrete_ca.runs import SavedRun

Where = int | Node | None
"""A node, or its id; None for the one that is picked."""


@dataclass(frozen=True, eq=False)
class Draft:
    """What an operation made, before it is in the tree.

    Args:
        recipe: how.
        made: what.
    """

    recipe: Recipe
    made: Made


class Workspace:
    """A tree of designs over a kernel, without the verbs that `Session` has.

    Args:
        kernel: any kernel over categories; it is never left changed.
        shape: S.
        num_categories: K; None for that of the kernel.
        seed: with it and the number of an operation every draw is the same again.
        tokenizer: what makes text of designs, where they are text.

    Attributes:
        tree: the designs.

    Raises:
        ValueError: for a shape or K that is not allowed.
    """

    def __init__(
        self,
        kernel: TransitionKernel,
        shape: Sequence[int],
        num_categories: int | None = None,
        *,
        seed: int = 0,
        tokenizer: Tokenizer | None = None,
    ) -> None:
        studio = Studio(kernel, tuple(shape), num_categories)
        record = storage.Record(
            type(kernel).__name__, studio.checksum, studio.shape, studio.num_categories,
            studio.num_states, int(seed), 1, Tree(),
        )  # fmt: skip
        self._become(record, studio, tokenizer)

    def _become(
        self, record: storage.Record, studio: Studio | None, tokenizer: Tokenizer | None
    ) -> None:
        self._record, self._studio, self.tokenizer = record, studio, tokenizer
        self._labels: dict[int, int | None] = {}  # by node, so that long lines are gone once

    @classmethod
    def of_run(cls, run: SavedRun, seed: int = 0) -> Self:
        """A session over a saved run (`runs.load_run`), with the shape and tokenizer of its data.

        Raises:
            ConfigError: for a run that does not say its shape.
        """
        if run.shape is None:
            raise ConfigError("the run does not say the shape of its data; pass it to Session")
        return cls(run.kernel, run.shape, run.num_categories, seed=seed, tokenizer=run.tokenizer)

    # -- looking ----------------------------------------------------------------------------------

    @property
    def tree(self) -> Tree:
        """The designs."""
        return self._record.tree

    @property
    def shape(self) -> tuple[int, ...]:
        """S."""
        return self._record.shape

    @property
    def num_categories(self) -> int:
        """K."""
        return self._record.num_categories

    @property
    def seed(self) -> int:
        """The session's seed."""
        return self._record.seed

    @property
    def studio(self) -> Studio:
        """The kernel with the space of the designs.

        Raises:
            ValueError: for a session that was opened without its kernel.
        """
        if self._studio is None:
            raise ValueError("the session was opened without its kernel; load it with the kernel")
        return self._studio

    def __len__(self) -> int:
        return len(self.tree)

    def __getitem__(self, node_id: int) -> Node:
        """A node by its id."""
        return self.tree[node_id]

    @property
    def picked(self) -> list[Node]:
        """The design or designs where one stands; none in an empty session."""
        pick = self.tree.picked
        return [] if pick is None else [self.tree[i] for i in pick.ids]

    def node(self, where: Where = None) -> Node:
        """One node: as named, or the picked one.

        Raises:
            ValueError: for a node that is not there, nothing picked, or several picked.
        """
        if where is not None:
            return self.tree[where.id if isinstance(where, Node) else where]
        if len(self.picked) != 1:
            raise ValueError(f"{len(self.picked)} designs are picked; allowed: 1, or name the node")
        return self.picked[0]

    def label(self, node: Where = None) -> int | None:
        """The class that a design is of, to be told on: `variants(label=session.label())`.

        That is the class its drawing was told or its example has; edits by hand leave it.

        Args:
            node: of which design; None for what is picked.

        Returns:
            None where the drawing was told none, or the example has none.
        """
        found, passed = self.node(node), []
        while found.id not in self._labels:
            passed.append(found.id)
            if hasattr(found.recipe.operation, "label") or not found.parents:
                self._labels[found.id] = getattr(found.recipe.operation, "label", None)
            else:
                found = self.tree[found.parents[0]]
        label = self._labels[found.id]
        self._labels.update(dict.fromkeys(passed, label))
        return label

    # -- standing and going -----------------------------------------------------------------------

    def pick(self, *nodes: int | Node, weights: Sequence[float] | None = None) -> Node:
        """Stand at one design, or several with weights; the first of them.

        `variants` of several are shared out by weight, and `blend` goes between them.

        Args:
            nodes: the designs.
            weights: how much each counts, positive; None for all alike.

        Raises:
            ValueError: for nodes that are not there, or weights that are not allowed.
        """
        ids = tuple(self.node(node).id for node in nodes)
        self.tree.pick(Pick(ids, () if weights is None else tuple(float(w) for w in weights)))
        return self.picked[0]

    def choose(self, weights: Mapping[int, float]) -> Node:
        """Let chance pick one by weights, such as exp(rating / τ), and stand there.

        With the picked design among the weighed and the rest made by `propose`, this is the round
        of selection that `refine` takes.

        Args:
            weights: positive weights by id.

        Raises:
            ValueError: for nodes that are not there, or weights that are not allowed.
        """
        pick = Pick(tuple(self.node(i).id for i in weights), tuple(map(float, weights.values())))
        logs = torch.tensor(pick.weights, dtype=torch.float64).log()
        return self.pick(pick.ids[int(choose(logs[None], self.chance()))])

    def undo(self) -> Node:
        """Back to where you stood before; nothing is deleted."""
        self.tree.undo()
        return self.picked[0]

    def redo(self) -> Node:
        """Forward again, after `undo`."""
        self.tree.redo()
        return self.picked[0]

    def note(self, text: str, node: Where = None) -> Node:
        """Write a note on a design."""
        return self.tree.annotate(self.node(node).id, note=text)

    def star(self, stars: int = 1, node: Where = None) -> Node:
        """Rate a design, 0 to 5."""
        return self.tree.annotate(self.node(node).id, stars=stars)

    def discard(self, node: Where = None) -> list[int]:
        """Delete a design with everything that was made from it; the ids that went."""
        return self.tree.discard(self.node(node).id)

    def save(self, path: str | Path) -> None:
        """Write the session into a folder; a failure leaves what was there before."""
        storage.save(self._record, path)

    @classmethod
    def load(
        cls, path: str | Path, kernel: TransitionKernel | None,
        tokenizer: Tokenizer | None = None,
    ) -> Self:  # fmt: skip
        """Read a session.

        Args:
            path: the folder.
            kernel: the kernel that it was made with; None to look and export alone.
            tokenizer: what makes text of designs.

        Raises:
            CheckpointError: for files that are damaged or no session, and for another kernel.
        """
        record = storage.load(path)
        studio = None
        if kernel is not None:
            _same_kernel(kernel, record)
            studio = Studio(kernel, record.shape, record.num_categories)
        session = cls.__new__(cls)
        session._become(record, studio, tokenizer)
        return session

    def replay(self, nodes: Iterable[int | Node] | None = None) -> list[int]:
        """Make designs anew from their recipes; the ids of those that came out otherwise.

        An empty list says that every one came out the same, bit for bit.

        Args:
            nodes: which, with what they were made from; None for all.

        Raises:
            CheckpointError: where the kernel has changed since the session began.
        """
        return [node.id for node in self.remade(nodes) if not _same(node, self.tree[node.id])]

    def remade(self, nodes: Iterable[int | Node] | None = None) -> list[Node]:
        """Designs made anew from their recipes, parents first; see `replay`."""
        studio = self.studio
        _same_kernel(studio.kernel, self._record)
        wanted = self.tree if nodes is None else [self.node(node) for node in nodes]
        made: dict[Recipe, Made] = {}
        found: dict[int, Node] = {}
        for node in self.tree.ancestors(node.id for node in wanted):
            recipe = node.recipe
            if recipe not in made:
                parents = [found[i] for i in recipe.parents]
                made[recipe] = perform(recipe.operation, studio, parents, self.seed, recipe.seed)
            found[node.id] = made[recipe].node(node.id, recipe, node.place)
        return [*found.values()]

    # -- doing ------------------------------------------------------------------------------------

    def chance(self) -> torch.Generator:
        """Draws that no recipe depends on."""
        self._record.next_seed += 1
        return draws.keyed(self.seed, "choose", self._record.next_seed)

    def do(
        self,
        operation: Operation,
        parents: Sequence[Node],
        keep: Callable[[Made], Iterable[int]] | None = None,
        pick: bool = True,
    ) -> list[Node]:
        """Apply an operation, such as one of your own, and put what it makes into the tree.

        Args:
            operation: what to do.
            parents: to which designs.
            keep: which of the designs become nodes, by their places; None for all.
            pick: stand at the design, where one came of it.

        Raises:
            ValueError: for a full tree, or other parents than the operation takes.
        """
        self.tree.room(operation.count if keep is None else 1)
        return self.take(self.draft(operation, parents), keep, pick)

    def draft(self, operation: Operation, parents: Sequence[Node]) -> Draft:
        """Apply an operation and leave the tree as it is; `take` puts what it made into it.

        The two halves of `do`, for whoever lets a person go on while a chain runs.
        """
        seed, begun = self._record.next_seed, time.perf_counter()
        made = perform(operation, self.studio, parents, self.seed, seed)
        seconds = time.perf_counter() - begun
        ids = tuple(node.id for node in parents)
        return Draft(Recipe(operation, ids, seed, made.nfe, seconds, made.acceptance), made)

    def take(
        self,
        draft: Draft,
        keep: Callable[[Made], Iterable[int]] | None = None,
        pick: bool = True,
    ) -> list[Node]:
        """Put what a draft made into the tree; see `do`."""
        recipe, made, tree = draft.recipe, draft.made, self.tree
        tree.room(recipe.operation.count if keep is None else 1)
        self._record.next_seed = max(self._record.next_seed, recipe.seed + 1)
        places = range(recipe.operation.count) if keep is None else keep(made)
        found = [tree.add(made.node(tree.next_id, recipe, place)) for place in places]
        if pick and len(found) == 1:
            tree.pick(Pick((found[0].id,)))
        return found


def _same(one: Node, other: Node) -> bool:
    states = (one.state is None) == (other.state is None) and (
        one.state is None or other.state is None or torch.equal(one.state, other.state)
    )
    return (
        states
        and one.level == other.level
        and torch.equal(one.design, other.design)
        and torch.equal(one.locked, other.locked)
    )


def _same_kernel(kernel: TransitionKernel, record: storage.Record) -> None:
    found = kernel_checksum(kernel)
    if found != record.checksum:
        raise CheckpointError(
            f"the session was made with the {record.kernel} {record.checksum[:12]}…; the "
            f"{type(kernel).__name__} given is {found[:12]}…; allowed: the same kernel"
        )
