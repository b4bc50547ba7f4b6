"""Small laws that can be enumerated: random peaked ones and one of real digits."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

import discrete_ca as dca
from discrete_ca.diagnostics import exact


@dataclass(frozen=True)
class Law:
    """A law over K^D states of shape S, in the order of `exact.states`."""

    name: str
    p: Tensor
    num_categories: int
    shape: tuple[int, ...]

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """States drawn from the law, (count, *S)."""
        states = exact.states(self.num_categories, self.shape)
        return states[torch.multinomial(self.p, count, replacement=True, generator=generator)]


def random_law(seed: int, num_categories: int = 2, sites: int = 5, sharpness: float = 2.0) -> Law:
    """A peaked law: softmax of Gaussian logits with deviation `sharpness`."""
    generator = torch.Generator().manual_seed(seed)
    count = num_categories**sites
    logits = sharpness * torch.randn(count, generator=generator, dtype=torch.float64)
    return Law(f"random {seed}", logits.softmax(0), num_categories, (sites,))


def patch_law(smoothing: float = 1e-3) -> Law:
    """All 3 x 3 patches at the 12 x 12 middle positions of the binarized MNIST training images."""
    images = dca.data.load("binarized_mnist").states
    middle = images[:, 7:21, 7:21]
    patches = middle.unfold(1, 3, 1).unfold(2, 3, 1).reshape(-1, 9)
    p = exact.empirical_law(patches, 2)
    return Law("patches", (1 - smoothing) * p + smoothing / 512, 2, (3, 3))
