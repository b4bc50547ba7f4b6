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


def patch_law(
    smoothing: float = 1e-3, height: int = 3, width: int = 3, split: str = "train"
) -> Law:
    """All patches of the 14 x 14 middle of the binarized MNIST images of a split."""
    images = dca.data.load("binarized_mnist", split=split).states
    middle, sites = images[:, 7:21, 7:21], height * width
    patches = middle.unfold(1, height, 1).unfold(2, width, 1).reshape(-1, sites)
    p = (1 - smoothing) * exact.empirical_law(patches, 2) + smoothing / 2**sites
    return Law("patches", p, 2, (height, width))
