r"""The seven planar laws of the literature on discrete energy-based models, in 32 bits.

A point of the plane is written as a sign and 15 Gray-coded bits of magnitude a coordinate: the
steps between neighbouring magnitudes flip one bit. Laws, scales and code are those of Dai et al.
2020 (arXiv 2011.05363), whose laws are FFJORD's (Grathwohl et al. 2018, arXiv 1810.01367), used
since by Zhang et al. 2022 (EB-GFN, arXiv 2202.01361) and Schröder et al. 2023 (arXiv 2307.07595).
Two things differ: arms, classes and angles that are dealt out evenly there are drawn at random
here, each point by itself, which is the same law of a point; and all randomness is one generator's.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

BITS = 16
"""Bits a coordinate: a sign and 15 of magnitude."""

Points = Callable[[int, torch.Generator], Tensor]


def _uniform(count: int, generator: torch.Generator) -> Tensor:
    return torch.rand(count, generator=generator)


def _normal(count: int, generator: torch.Generator) -> Tensor:
    return torch.randn(count, 2, generator=generator)


def _whole(high: int, count: int, generator: torch.Generator) -> Tensor:
    return torch.randint(high, (count,), generator=generator)


def _circle(angle: Tensor) -> Tensor:
    return torch.stack([angle.cos(), angle.sin()], -1)


def two_spirals(count: int, generator: torch.Generator) -> Tensor:
    """Two arms of three half turns, (N, 2)."""
    turn = 3 * math.pi * _uniform(count, generator).sqrt()
    jitter = torch.rand(count, 2, generator=generator) / 2
    arm = torch.stack([-turn.cos(), turn.sin()], -1) * turn[:, None] + jitter
    sign = 1 - 2 * _whole(2, count, generator)[:, None]
    return sign * arm / 3 + 0.1 * _normal(count, generator)


def eight_gaussians(count: int, generator: torch.Generator) -> Tensor:
    """Eight blobs on a circle, (N, 2)."""
    centre = 4 * _circle(_whole(8, count, generator) * math.pi / 4)
    return (centre + 0.5 * _normal(count, generator)) / 1.414


def circles(count: int, generator: torch.Generator) -> Tensor:
    """A circle in another, (N, 2)."""
    on = _circle(2 * math.pi * _uniform(count, generator))
    radius = 1 - 0.5 * _whole(2, count, generator)[:, None]
    return 3 * (radius * on + 0.08 * _normal(count, generator))


def moons(count: int, generator: torch.Generator) -> Tensor:
    """Two interleaved half circles, (N, 2)."""
    upper = _circle(math.pi * _uniform(count, generator))
    lower = torch.tensor([1.0, 0.5]) - upper
    moon = torch.where(_whole(2, count, generator)[:, None] == 0, upper, lower)
    return 2 * (moon + 0.1 * _normal(count, generator)) - torch.tensor([1.0, 0.2])


def pinwheel(count: int, generator: torch.Generator) -> Tensor:
    """Five bent blades, (N, 2)."""
    blade = _normal(count, generator) * torch.tensor([0.3, 0.1]) + torch.tensor([1.0, 0.0])
    along, across = blade.T
    angle = _whole(5, count, generator) * 2 * math.pi / 5 + 0.25 * along.exp()
    c, s = _circle(angle).T
    return 2 * torch.stack([along * c + across * s, across * c - along * s], -1)


def swiss_roll(count: int, generator: torch.Generator) -> Tensor:
    """A spiral of one arm, (N, 2)."""
    turn = 1.5 * math.pi * (1 + 2 * _uniform(count, generator))
    return (_circle(turn) * turn[:, None] + _normal(count, generator)) / 5


def checkerboard(count: int, generator: torch.Generator) -> Tensor:
    """The eight black squares of 4 x 4, (N, 2)."""
    x = 4 * _uniform(count, generator) - 2
    y = _uniform(count, generator) - 2 * _whole(2, count, generator) + x.floor() % 2
    return 2 * torch.stack([x, y], -1)


@dataclass(frozen=True)
class PlanarLaw:
    """A law of points of the plane, as a law of 32 bits.

    Args:
        name: as in the literature.
        points: ``(N, generator) -> (N, 2)``.
    """

    name: str
    points: Points
    num_categories: int = 2
    shape: tuple[int, ...] = (2 * BITS,)

    @cached_property
    def scale(self) -> float:
        """Magnitude steps a unit of the plane: 2^15 to 2 beyond the farthest of 5,000 points."""
        found = self.points(5000, torch.Generator().manual_seed(1))
        return float(2 ** (BITS - 1) / (found.abs().max() + 2))

    def encode(self, points: Tensor) -> Tensor:
        """Points (N, 2) to states (N, 32): each coordinate's sign, then its magnitude's Gray code.

        Example:
            >>> law = LAWS["moons"]
            >>> point = torch.tensor([[3.5, -3.5]]) / law.scale
            >>> law.encode(point)[0, [0, 14, 15, 16, 31]]
            tensor([0, 1, 0, 1, 0])
        """
        most = 2 ** (BITS - 1) - 1
        magnitude = (points.abs().double() * self.scale).long().clamp(max=most)
        gray = magnitude ^ (magnitude >> 1)
        places = torch.arange(BITS - 2, -1, -1)
        bits = (gray.unsqueeze(-1) >> places) & 1
        return torch.cat([(points < 0).long().unsqueeze(-1), bits], -1).flatten(1)

    def decode(self, states: Tensor) -> Tensor:
        """States (..., 32) to points (..., 2): `encode`, up to a step of magnitude."""
        bits = states.unflatten(-1, (2, BITS))
        binary = bits[..., 1:].cumsum(-1) % 2  # a bit is the sum of the code's up to there
        magnitude = (binary * 2 ** torch.arange(BITS - 2, -1, -1)).sum(-1)
        return (1 - 2 * bits[..., 0]) * magnitude / self.scale

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """States drawn from the law, (N, 32)."""
        return self.encode(self.points(count, generator))


LAWS = {
    law.name: law
    for law in (
        PlanarLaw("2spirals", two_spirals),
        PlanarLaw("8gaussians", eight_gaussians),
        PlanarLaw("circles", circles),
        PlanarLaw("moons", moons),
        PlanarLaw("pinwheel", pinwheel),
        PlanarLaw("swissroll", swiss_roll),
        PlanarLaw("checkerboard", checkerboard),
    )
}
