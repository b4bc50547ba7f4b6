"""What can be done to designs: one small class an operation, a pure function to new designs.

An operation is its settings. It is written down as its name and its fields, and read again through
the registry that subclasses enter by their name: a file can name operations, never code.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from discrete_ca import checks, draws
from discrete_ca.errors import CheckpointError, unknown_name
from discrete_ca.explore.studio import Studio
from discrete_ca.explore.tree import Node, Recipe

MAX_DESIGNS = 256
"""How many designs one operation may make."""
MAX_STEPS = 10_000
"""How many steps a design it may take."""

_NAME, _ARRAY = "name", "array"
_registry: dict[str, type[Operation]] = {}


@dataclasses.dataclass(frozen=True, eq=False)
class Made:
    """What an operation made.

    Args:
        designs: clean categories, long, (n, *S), on the CPU.
        locked: cells that are locked in all of them, boolean, (*S).
        states: the noisy states that they were read from, (n, *S), where they lie on a chain that
            can be walked on.
        level: the level of `states`.
        nfe: network evaluations, all examples together.
        acceptance: share of the Metropolis steps that were taken; None without them.
    """

    designs: Tensor
    locked: Tensor
    states: Tensor | None = None
    level: float | None = None
    nfe: int = 0
    acceptance: float | None = None

    def node(self, node_id: int, recipe: Recipe, place: int) -> Node:
        """The design at a place as a node."""
        state = None if self.states is None else self.states[place].clone()
        design = self.designs[place].clone()  # a view would keep the others alive
        return Node(node_id, design, self.locked, recipe, place, state, self.level)


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Operation(ABC):
    """Something that is done to some designs and makes new ones of them.

    A subclass says its name in files and how many designs it is done to, as in
    ``class Mirror(Operation, name="mirror", parents=(1, 1))``; its fields are numbers, None and
    tensors, and it checks them when it is made.

    Example:
        >>> @dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
        ... class Mirror(Operation, name="mirror"):
        ...     '''The design read backwards.'''
        ...     def apply(self, studio, parents, generator):
        ...         return Made(parents[0].design.flip(-1)[None], parents[0].locked.flip(-1))
        >>> decode({"name": "mirror"}, {}).name
        'mirror'
        >>> _ = _registry.pop("mirror")
    """

    name: ClassVar[str]
    parents: ClassVar[tuple[int, int]]

    def __init_subclass__(
        cls, name: str | None = None, parents: tuple[int, int] = (1, 1), **kwargs: Any
    ) -> None:
        """Enter the registry, where the class has a name; others are bases."""
        super().__init_subclass__(**kwargs)
        if name is not None:
            cls.name, cls.parents = name, parents
            _registry[name] = cls

    @property
    def count(self) -> int:
        """How many designs it makes."""
        return 1

    @property
    def calls(self) -> int:
        """Calls of the kernel one after another; 0 for an operation without the network."""
        return 0

    @abstractmethod
    def apply(self, studio: Studio, parents: Sequence[Node], generator: torch.Generator) -> Made:
        """Make new designs; the same arguments make the same ones, bit for bit."""


def perform(
    operation: Operation, studio: Studio, parents: Sequence[Node], session_seed: int, seed: int
) -> Made:
    """Apply an operation with the draws of its recipe: the one way, for doing and for replaying.

    Raises:
        ValueError: for another number of parents than it is done to.
    """
    low, high = operation.parents
    if not low <= len(parents) <= high:
        raise ValueError(
            f"{operation.name} was given {len(parents)} designs; allowed: {low} .. {high}"
        )
    return operation.apply(studio, parents, draws.keyed(session_seed, "explore", seed))


def bounded(value: int, name: str, most: int, least: int = 1) -> int:
    """A whole number within bounds.

    Example:
        >>> bounded(3, "n", most=256)
        3
    """
    found = checks.positive(value, name, least)
    if found > most:
        raise ValueError(f"{name} was {value}; allowed: {least} .. {most}")
    return found


def flag(value: bool, name: str) -> None:
    """Refuse anything but True and False: recipes come from files too.

    Example:
        >>> flag(True, "held")
    """
    if not isinstance(value, bool):
        raise TypeError(f"{name} was {value!r}; allowed: True or False")


def labelled(label: int | None) -> None:
    """Refuse what is no class; None is none.

    Example:
        >>> labelled(3)
    """
    if label is not None:
        bounded(label, "label", checks.MAX_LABEL, least=0)


def encode(operation: Operation, arrays: dict[str, Tensor]) -> dict[str, Any]:
    """An operation as JSON; its tensors are put into `arrays`."""
    found: dict[str, Any] = {_NAME: operation.name}
    for field in dataclasses.fields(operation):
        value = getattr(operation, field.name)
        if isinstance(value, Tensor):
            key = f"{_ARRAY}:{len(arrays)}"
            arrays[key] = value
            value = {_ARRAY: key}
        found[field.name] = value
    return found


def decode(values: Mapping[str, Any], arrays: Mapping[str, Tensor]) -> Operation:
    """The operation that `encode` wrote.

    Raises:
        CheckpointError: for an unknown name, fields that are not its own, values it refuses.
    """
    name = values.get(_NAME)
    if not isinstance(name, str) or name not in _registry:
        raise CheckpointError(unknown_name("operation", str(name), _registry))
    cls, given = _registry[name], {}
    for key, value in values.items():
        if key == _NAME:
            continue
        if isinstance(value, dict):
            place = value.get(_ARRAY)
            if not isinstance(place, str) or place not in arrays:
                raise CheckpointError(f"operation '{name}' has an array '{key}' that is missing")
            value = arrays[place]
        elif not (value is None or isinstance(value, bool | int | float)):
            raise CheckpointError(f"operation '{name}' has {key} = {value!r:.60}; allowed: numbers")
        given[key] = value
    try:
        return cls(**given)
    except (TypeError, ValueError, OverflowError, RuntimeError) as error:
        raise CheckpointError(f"operation '{name}' cannot be read: {error}") from error
