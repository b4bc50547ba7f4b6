"""Errors that the package raises: each names the argument, what it was and what is allowed.

All of them are `ValueError`s (or `TypeError`s where the type is wrong), so that code which knows
nothing of this package can still catch them.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class DataError(ValueError):
    """Data that cannot be used: wrong dtype, categories out of range, empty, truncated."""


class CheckpointError(ValueError):
    """A saved model or run that cannot be loaded, or a place where none can be saved."""


class ConfigError(ValueError):
    """A configuration that names something unknown or holds a value that is not allowed."""


class NonFiniteError(ValueError):
    """A network gave NaN or infinite values where a distribution was asked for."""


class MissingLibraryError(ImportError):
    """A library that only some of the package needs, and that is not installed."""


class SpaceTooLargeError(ValueError):
    """A state space too large to enumerate."""


def unknown_name(kind: str, name: str, known: Iterable[str]) -> str:
    """Text of an error for an unknown name, with the nearest valid one.

    Example:
        >>> unknown_name("key", "lrr", ["lr", "steps"])
        "unknown key 'lrr'; did you mean 'lr'? Known: lr, steps"
    """
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.4)
    hint = f"; did you mean '{near[0]}'?" if near else "."
    return f"unknown {kind} '{name}'{hint} Known: {', '.join(names)}"
