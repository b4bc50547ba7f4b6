"""The levels that an annealed run goes through."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from discrete_ca import checks


def cosine_levels(moves: int, lowest: float = 0.02) -> list[float]:
    """``moves + 1`` levels from 1 down to `lowest`, closer together at both ends.

    Example:
        >>> [round(b, 2) for b in cosine_levels(4, 0.0)]
        [1.0, 0.85, 0.5, 0.15, 0.0]
    """
    place = torch.linspace(0, 1, checks.positive(moves, "moves") + 1, dtype=torch.float64)
    shape = (1 + torch.cos(torch.pi * place)) / 2
    return (lowest + (1 - lowest) * shape).tolist()  # type: ignore[no-any-return]


def linear_levels(moves: int, lowest: float = 0.02) -> list[float]:
    """``moves + 1`` evenly spaced levels from 1 down to `lowest`.

    Example:
        >>> linear_levels(2, 0.0)
        [1.0, 0.5, 0.0]
    """
    place = torch.linspace(0, 1, checks.positive(moves, "moves") + 1, dtype=torch.float64)
    return (1 - (1 - lowest) * place).tolist()  # type: ignore[no-any-return]


def checked_levels(levels: Sequence[float] | None, moves: int, lowest: float) -> list[float]:
    """The levels of a run: those given, or `cosine_levels`.

    Raises:
        TypeError: for what is no numbers.
        ValueError: for fewer than two, numbers outside [0, 1], or a start that is not 1.
    """
    if levels is None:
        found = cosine_levels(moves, checks.probability(lowest, "lowest"))
    else:
        found = [*levels]
    if len(found) < 2 or any(not 0 <= checks.number(b, "levels") <= 1 for b in found):
        raise ValueError(f"levels was {found}; allowed: at least two numbers in [0, 1]")
    if found[0] != 1:
        raise ValueError(f"levels starts at {found[0]}; allowed: 1, where the start is known")
    return found
