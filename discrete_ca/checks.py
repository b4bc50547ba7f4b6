"""Checks of arguments that every public entry shares, with errors that name what was wrong."""

from __future__ import annotations

import math

import torch
from torch import Tensor

Level = float | Tensor
Known = tuple[Tensor, Tensor]
MAX_LABEL = 1 << 31
"""The largest class that anything is told."""


def levels(level: Level, batch: int, device: torch.device, name: str = "level") -> Tensor:
    """Noise levels as a floating tensor of shape (B,), each within [0, 1].

    Args:
        level: one number for the whole batch, or a tensor of shape () or (B,).
        batch: B.
        device: where the result lives.
        name: the argument's name, for errors.

    Raises:
        TypeError: for what is neither a number nor a tensor.
        ValueError: for a level outside [0, 1], NaN, or a tensor of another shape.

    Example:
        >>> levels(0.5, 2, torch.device("cpu"))
        tensor([0.5000, 0.5000])
    """
    if isinstance(level, Tensor):
        if level.ndim > 1 or (level.ndim == 1 and level.shape[0] != batch):
            raise ValueError(f"{name} has shape {tuple(level.shape)}; allowed: () or ({batch},)")
        b = level if level.is_floating_point() else level.float()
        inside = bool(((b >= 0) & (b <= 1)).all())
    else:
        inside = 0.0 <= number(level, name) <= 1.0
        b = torch.tensor(float(level), dtype=torch.get_default_dtype())
    if not inside:
        raise ValueError(f"{name} was {level}; allowed: [0, 1]")
    return b.to(device).expand(batch)


def number(value: float, name: str) -> float:
    """A number of any type as a float.

    Raises:
        TypeError: for what is none, such as a text.

    Example:
        >>> number("0.3", "level")
        Traceback (most recent call last):
        TypeError: level was '0.3'; allowed: a number
    """
    try:
        if not isinstance(value, str):
            return float(value)
    except (TypeError, ValueError, RuntimeError):  # of lists, arrays, tensors of several
        pass
    raise TypeError(f"{name} was {value!r}; allowed: a number")


def tensor(value: Tensor, name: str) -> Tensor:
    """A tensor, as it is.

    Raises:
        TypeError: for anything else, such as a list or an array.

    Example:
        >>> tensor([0, 1], "z")
        Traceback (most recent call last):
        TypeError: z was a list; allowed: a torch.Tensor
    """
    if not isinstance(value, Tensor):
        raise TypeError(f"{name} was a {type(value).__name__}; allowed: a torch.Tensor")
    return value


def interval(value: tuple[float, float], name: str) -> tuple[float, float]:
    """A range (low, high) within [0, 1].

    Example:
        >>> interval((0.0, 0.5, 1.0), "levels")
        Traceback (most recent call last):
        ValueError: levels was (0.0, 0.5, 1.0); allowed: (low, high) within [0, 1]
    """
    ends = value if isinstance(value, tuple | list) else ()
    if len(ends) == 2:
        low, high = (number(end, name) for end in ends)
        if 0.0 <= low <= high <= 1.0:
            return low, high
    raise ValueError(f"{name} was {value}; allowed: (low, high) within [0, 1]")


def labels(label: Tensor | int, batch: int, device: torch.device) -> Tensor:
    """Labels, long, (B,), from one for all or one each.

    Raises:
        TypeError: for labels that are no whole numbers.
        ValueError: for another shape.

    Example:
        >>> labels(2, 3, torch.device("cpu"))
        tensor([2, 2, 2])
    """
    if isinstance(label, str):
        raise TypeError(f"label was {label!r}; allowed: whole numbers")
    found = torch.as_tensor(label, device=device)
    if found.is_floating_point() or found.dtype == torch.bool:
        raise TypeError(f"label has dtype {found.dtype}; allowed: whole numbers")
    if found.shape not in ((), (batch,)):
        raise ValueError(f"label has shape {tuple(found.shape)}; allowed: () or ({batch},)")
    return found.long().expand(batch)


def states(x: Tensor, num_states: int, name: str = "x", shape: torch.Size | None = None) -> None:
    """Refuse anything but an integer tensor of shape (B, *S) with values in 0 .. num_states - 1.

    A `shape`, where it is given, is the only one that is allowed.

    Raises:
        TypeError: for anything but a tensor of int64.
        ValueError: for values out of range, no batch dimension or another shape.

    Example:
        >>> states(torch.tensor([0, 2]), 2)
        Traceback (most recent call last):
        ValueError: x holds values in [0, 2]; allowed: 0 .. 1
    """
    if tensor(x, name).dtype != torch.long:
        raise TypeError(f"{name} has dtype {x.dtype}; allowed: torch.int64 (long)")
    if x.ndim == 0:
        raise ValueError(f"{name} has shape (); allowed: (B, *S), a batch dimension first")
    if x.numel():
        low, high = (int(v) for v in x.aminmax())
        if low < 0 or high >= num_states:
            raise ValueError(
                f"{name} holds values in [{low}, {high}]; allowed: 0 .. {num_states - 1}"
            )
    if shape is not None and x.shape != shape:
        raise ValueError(f"{name} has shape {tuple(x.shape)}; allowed: {tuple(shape)}")


def probability(value: float, name: str, *, below_one: bool = False) -> float:
    """A number within [0, 1] (or [0, 1)), returned as a float.

    Example:
        >>> probability(1, "hold")
        1.0
    """
    found = number(value, name)
    if not (0.0 <= found <= 1.0) or (below_one and found == 1.0):
        raise ValueError(f"{name} was {value}; allowed: [0, 1{')' if below_one else ']'}")
    return found


def holds(hold: float | Tensor, b: Tensor) -> Tensor:
    """Holds h of the shape (B,) and dtype of the levels b, each within [0, 1].

    Args:
        hold: one number for the whole batch, or a tensor of shape () or (B,).
        b: levels, (B,).

    Raises:
        ValueError: for another shape, or holds outside [0, 1].

    Example:
        >>> holds(0.5, torch.zeros(2))
        tensor([0.5000, 0.5000])
    """
    if not isinstance(hold, Tensor):
        hold = torch.tensor(probability(hold, "hold"), dtype=b.dtype)
    return levels(hold, len(b), b.device, "hold").to(b.dtype)


def positive(value: int, name: str, least: int = 1) -> int:
    """A whole number of at least `least`.

    Example:
        >>> positive(3, "steps")
        3
    """
    found = number(value, name)
    if isinstance(value, bool) or not least <= found < math.inf or int(found) != found:
        raise ValueError(f"{name} was {value}; allowed: a whole number >= {least}")
    return int(found)


def known_sites(known: Known, x: Tensor) -> Known:
    """The pair (mask, values), each broadcast to the shape of `x`; mask True = generate.

    Raises:
        TypeError: for what is no pair of tensors, and a mask that is not boolean.
        ValueError: for shapes that do not fit `x`.

    Example:
        >>> x = torch.zeros(2, 3, dtype=torch.long)
        >>> mask, values = known_sites((torch.tensor([True, False, True]), x), x)
        >>> mask.shape
        torch.Size([2, 3])
    """
    if not isinstance(known, tuple | list) or len(known) != 2:
        raise TypeError(f"known was a {type(known).__name__}; allowed: a pair (mask, values)")
    mask, values = known
    return sites(mask, x, "known mask"), _fitting(values, x, "known values")


def sites(mask: Tensor, x: Tensor, name: str, true: str = "generate") -> Tensor:
    """A boolean mask of sites, broadcast to the shape of `x`.

    Args:
        mask: shape (B, *S) or (*S).
        x: states, (B, *S).
        name: the argument's name, for errors.
        true: what True stands for, for errors.

    Raises:
        TypeError: for a mask that is not boolean.
        ValueError: for a shape that does not fit `x`.

    Example:
        >>> sites(torch.tensor([True, False]), torch.zeros(3, 2), "present").shape
        torch.Size([3, 2])
    """
    if tensor(mask, name).dtype != torch.bool:
        raise TypeError(f"{name} has dtype {mask.dtype}; allowed: torch.bool (True = {true})")
    return _fitting(mask, x, name)


def _fitting(part: Tensor, x: Tensor, name: str) -> Tensor:
    if tensor(part, name).shape not in (x.shape, x.shape[1:]):
        raise ValueError(
            f"{name} has shape {tuple(part.shape)}; "
            f"allowed: {tuple(x.shape)} or {tuple(x.shape[1:])}"
        )
    return part.to(x.device).expand(x.shape)


def spread(b: Tensor, like: Tensor) -> Tensor:
    """Values of shape (B,) as (B, 1, ..., 1), to broadcast against `like` of shape (B, *S).

    Example:
        >>> spread(torch.zeros(2), torch.zeros(2, 3, 4)).shape
        torch.Size([2, 1, 1])
    """
    return b.reshape(b.shape + (1,) * (like.ndim - 1))
