"""Dataclasses from plain values, such as those of a TOML file: names and types are checked."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from discrete_ca.errors import ConfigError, unknown_name

Config = TypeVar("Config")


def from_plain(cls: type[Config], values: Mapping[str, Any], where: str = "") -> Config:
    """A dataclass from plain values by name; those of dataclasses in it are tables.

    Args:
        cls: the dataclass.
        values: the values of its fields; a whole number will do for a float, a list for a tuple.
        where: what stands before names in errors.

    Raises:
        ConfigError: for unknown keys, with the nearest name, and values of the wrong type.

    Example:
        >>> @dataclasses.dataclass
        ... class Size:
        ...     width: float = 1.0
        >>> from_plain(Size, {"width": 3})
        Size(width=3.0)
    """
    hints = typing.get_type_hints(cls)
    made: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{where}{key}"
        if key not in hints:
            raise ConfigError(unknown_name("key", name, [f"{where}{known}" for known in hints]))
        if dataclasses.is_dataclass(hints[key]):
            if not isinstance(value, Mapping):
                raise ConfigError(f"{name} was {value!r:.60}; allowed: a table of settings")
            made[key] = from_plain(hints[key], value, f"{name}.")  # type: ignore[arg-type]
        else:
            made[key] = _checked(value, hints[key], name)
    return cls(**made)


def _checked(value: Any, hint: Any, name: str) -> Any:
    """The value where it is of the type, else a ConfigError that names it."""
    origin, options = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple:
        item, every = options[0], options[-1] is ...  # else of a fixed length
        if isinstance(value, list | tuple) and (every or len(value) == len(options)):
            return tuple(_checked(v, item, f"{name}[{i}]") for i, v in enumerate(value))
    elif origin in (typing.Union, types.UnionType):
        for option in options:
            try:
                return _checked(value, option, name)
            except ConfigError:
                continue
    elif hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    elif isinstance(value, hint) and not (isinstance(value, bool) and hint is not bool):
        return value
    kind = getattr(hint, "__name__", str(hint)) if origin is None else str(hint)
    raise ConfigError(f"{name} was {value!r:.60}; allowed: {kind}")
