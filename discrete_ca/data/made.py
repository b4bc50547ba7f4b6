"""Data that are made when they are asked for, the same each time: coloured shapes, points."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from discrete_ca import draws
from discrete_ca.errors import DataError, unknown_name

SIDE = 8
PAPER = torch.tensor([230, 230, 230])
INKS = torch.tensor([[220, 40, 40], [40, 160, 60], [50, 70, 210]])
SHAPES = ("disc", "square")

_COUNTS = {"train": 4096, "test": 1024}
_POINTS = {"train": 8192, "test": 2048}
_CENTRES = range(2, SIDE - 2)  # rows and columns on which a shape lies within the picture


def every_shape() -> Tensor:
    """All pictures that there are, uint8, (96, 3, 8, 8): 16 places, two shapes, three inks.

    Example:
        >>> every_shape().shape
        torch.Size([96, 3, 8, 8])
    """
    rows, columns = torch.arange(SIDE)[:, None], torch.arange(SIDE)
    found = []
    for y in _CENTRES:
        for x in _CENTRES:
            disc = (rows - y) ** 2 + (columns - x) ** 2 <= 5
            square = ((rows - y).abs() <= 1) & ((columns - x).abs() <= 1)
            for inside in (disc, square):
                for ink in INKS:
                    found.append(torch.where(inside, ink[:, None, None], PAPER[:, None, None]))
    return torch.stack(found).to(torch.uint8)


def shapes(split: str) -> tuple[Tensor, Tensor]:
    """Coloured discs and squares on paper, and labels, 0 for a disc and 1 for a square.

    Args:
        split: "train" (4,096 draws of the 96 pictures) or "test" (1,024).

    Returns:
        uint8 values 0 .. 255, (N, 3, 8, 8), and labels (N,).

    Raises:
        DataError: for another split.

    Example:
        >>> pictures, labels = shapes("test")
        >>> pictures.shape, labels.unique()
        (torch.Size([1024, 3, 8, 8]), tensor([0, 1]))
    """
    every = every_shape()
    u = draws.uniform((_size(split, _COUNTS),), torch.device("cpu"), draws.keyed(0, "made", split))
    chosen = (u * len(every)).long().clamp_max(len(every) - 1)
    return every[chosen], chosen // len(INKS) % len(SHAPES)


def moons(split: str) -> tuple[Tensor, Tensor]:
    """Points about two half circles that reach into each other, float32, (N, 2); which one, (N,).

    They are wide beside the noise, of deviation 1 at level 1, so that the two can be told apart at
    the levels that chains end on.

    Args:
        split: "train" (8,192 points) or "test" (2,048).

    Raises:
        DataError: for another split.

    Example:
        >>> points, labels = moons("test")
        >>> points.shape, labels.unique()
        (torch.Size([2048, 2]), tensor([0, 1]))
    """
    count, cpu = _size(split, _POINTS), torch.device("cpu")
    u, which, *jitter = draws.uniform((4, count), cpu, draws.keyed(0, "made points", split))
    labels = (which < 0.5).long()
    angle, sign = math.pi * u, 1 - 2 * labels
    points = torch.stack([angle.cos() - 0.5, angle.sin() - 0.25], 1) * sign[:, None]
    points = points + 0.08 * (2 * torch.stack(jitter, 1) - 1)
    return (2 * points).float(), labels


def _size(split: str, counts: dict[str, int]) -> int:
    if split not in counts:
        raise DataError(unknown_name("split", split, counts))
    return counts[split]
