"""Checks of arguments that every public entry shares, with errors that name what was wrong."""

from __future__ import annotations

import math

import torch
from torch import Tensor

Level = float | Tensor
Known = tuple[Tensor, Tensor]


def levels(level: Level, batch: int, device: torch.device, name: str = "level") -> Tensor:
    """Noise levels as a floating tensor of shape (B,), each within [0, 1].

    Args:
        level: one number for the whole batch, or a tensor of shape () or (B,).
        batch: B.
        device: where the result lives.
        name: the argument's name, for errors.

    Raises:
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
        inside = math.isfinite(level) and 0.0 <= level <= 1.0
        b = torch.tensor(level, dtype=torch.get_default_dtype())
    if not inside:
        raise ValueError(f"{name} was {level}; allowed: [0, 1]")
    return b.to(device).expand(batch)


def states(x: Tensor, num_states: int, name: str = "x") -> None:
    """Refuse anything but an integer tensor of shape (B, *S) with values in 0 .. num_states - 1.

    Raises:
        TypeError: for a tensor that does not hold int64.
        ValueError: for values out of range or no batch dimension.

    Example:
        >>> states(torch.tensor([0, 2]), 2)
        Traceback (most recent call last):
        ValueError: x holds values in [0, 2]; allowed: 0 .. 1
    """
    if x.dtype != torch.long:
        raise TypeError(f"{name} has dtype {x.dtype}; allowed: torch.int64 (long)")
    if x.ndim == 0:
        raise ValueError(f"{name} has shape (); allowed: (B, *S), a batch dimension first")
    if x.numel():
        low, high = (int(v) for v in x.aminmax())
        if low < 0 or high >= num_states:
            raise ValueError(
                f"{name} holds values in [{low}, {high}]; allowed: 0 .. {num_states - 1}"
            )


def probability(value: float, name: str, *, below_one: bool = False) -> float:
    """A number within [0, 1] (or [0, 1)), returned as a float.

    Example:
        >>> probability(1, "hold")
        1.0
    """
    number = float(value)
    if not (0.0 <= number <= 1.0) or (below_one and number == 1.0):
        raise ValueError(f"{name} was {value}; allowed: [0, 1{')' if below_one else ']'}")
    return number


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
    if isinstance(value, bool) or not least <= value < math.inf or int(value) != value:
        raise ValueError(f"{name} was {value}; allowed: a whole number >= {least}")
    return int(value)


def known_sites(known: Known, x: Tensor) -> Known:
    """The pair (mask, values), each broadcast to the shape of `x`; mask True = generate.

    Raises:
        TypeError: for a mask that is not boolean.
        ValueError: for shapes that do not fit `x`.

    Example:
        >>> x = torch.zeros(2, 3, dtype=torch.long)
        >>> mask, values = known_sites((torch.tensor([True, False, True]), x), x)
        >>> mask.shape
        torch.Size([2, 3])
    """
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
    if mask.dtype != torch.bool:
        raise TypeError(f"{name} has dtype {mask.dtype}; allowed: torch.bool (True = {true})")
    return _fitting(mask, x, name)


def _fitting(part: Tensor, x: Tensor, name: str) -> Tensor:
    if part.shape not in (x.shape, x.shape[1:]):
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
