"""Images that are not digits, made from digits: what a judge of digits must not be sure about.

A plain classifier calls nearly anything a digit with confidence, which makes its confidence useless
as a measure of samples. The judge here is trained with these as an eleventh class.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from discrete_ca import draws

Garbage = Callable[[Tensor, torch.Generator | None], Tensor]
"""From digits (N, H, W) to as many images of the same shape that are none."""


def shuffled_pixels(z: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Each image (N, H, W) with its pixels in a random order of its own.

    Example:
        >>> z = torch.eye(4, dtype=torch.long)[None]
        >>> shuffled_pixels(z, torch.Generator().manual_seed(0)).sum()
        tensor(4)
    """
    pixels = z.flatten(1)
    return pixels.gather(1, draws.uniform(pixels.shape, z.device, generator).argsort(1)).reshape(
        z.shape
    )


def shuffled_blocks(z: Tensor, generator: torch.Generator | None = None, across: int = 4) -> Tensor:
    """Each image (N, H, W) cut into `across` × `across` blocks, put together in a random order.

    Raises:
        ValueError: where H or W is no multiple of `across`.

    Example:
        >>> shuffled_blocks(torch.ones(1, 28, 28, dtype=torch.long)).shape
        torch.Size([1, 28, 28])
    """
    num, height, width = z.shape
    if height % across or width % across:
        raise ValueError(f"across was {across}; allowed: divisors of {height} and {width}")
    h, w = height // across, width // across
    blocks = z.reshape(num, across, h, across, w).transpose(2, 3).reshape(num, -1, h * w)
    order = draws.uniform(blocks.shape[:2], z.device, generator).argsort(1)
    blocks = blocks.gather(1, order[..., None].expand_as(blocks))
    return blocks.reshape(num, across, across, h, w).transpose(2, 3).reshape(z.shape)


def flipped_pixels(
    z: Tensor,
    generator: torch.Generator | None = None,
    least: float = 0.08,
    most: float = 0.5,
) -> Tensor:
    """Each image of 0 and 1 with pixels flipped at a rate of its own, uniform on [least, most].

    Example:
        >>> flipped_pixels(torch.zeros(2, 28, 28, dtype=torch.long)).shape
        torch.Size([2, 28, 28])
    """
    rate = least + (most - least) * draws.uniform((len(z), 1, 1), z.device, generator)
    return z ^ (draws.uniform(z.shape, z.device, generator) < rate).long()


def joined_halves(z: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """The upper or left half of each image joined to the other half of a random one.

    One in ten meets its own class, and some other halves fit: a part of these are digits.

    Example:
        >>> joined_halves(torch.ones(3, 28, 28, dtype=torch.long)).sum()
        tensor(2352)
    """
    other = z[draws.permutation(len(z), z.device, generator)]
    upright = draws.uniform((len(z), 1, 1), z.device, generator) < 0.5
    rows = torch.arange(z.shape[1], device=z.device)[:, None] < z.shape[1] // 2
    columns = torch.arange(z.shape[2], device=z.device) < z.shape[2] // 2
    return torch.where(torch.where(upright, rows, columns), z, other)


def overlaid(z: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Each image of 0 and 1 drawn over a random other one; a few of these are digits too.

    Example:
        >>> overlaid(torch.eye(2, dtype=torch.long)[None]).shape
        torch.Size([1, 2, 2])
    """
    return z | z[draws.permutation(len(z), z.device, generator)]


def blank(z: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Images of one value, 0 or 1 with equal odds, apart from up to 2 % of stray pixels.

    Example:
        >>> blank(torch.zeros(2, 28, 28, dtype=torch.long)).shape
        torch.Size([2, 28, 28])
    """
    value = (draws.uniform((len(z), 1, 1), z.device, generator) < 0.5).long().expand_as(z)
    return flipped_pixels(value, generator, 0.0, 0.02)


def blobs(z: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Smooth random shapes with the share of ink of each image: thresholded, blurred noise.

    Example:
        >>> z = torch.eye(28, dtype=torch.long)[None]
        >>> blobs(z, torch.Generator().manual_seed(0)).sum()
        tensor(28)
    """
    size = (z.shape[1] + 4, z.shape[2] + 4)
    coarse = torch.nn.functional.avg_pool2d(
        draws.uniform((len(z), 1, *size), z.device, generator), 5, stride=1
    )
    field = torch.nn.functional.avg_pool2d(coarse, 5, 1, 2, count_include_pad=False)
    rank = field.flatten(1).argsort(1, descending=True).argsort(1)
    return (rank < z.flatten(1).sum(1, keepdim=True)).long().reshape(z.shape)


GARBAGE: dict[str, Garbage] = {
    "shuffled pixels": shuffled_pixels,
    "shuffled blocks": shuffled_blocks,
    "flipped pixels": flipped_pixels,
    "joined halves": joined_halves,
    "overlaid": overlaid,
    "blobs": blobs,
    "blank": blank,
}
"""Every kind by name."""
