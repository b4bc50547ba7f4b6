"""Random masks of known sites, for training networks that are told them; True = generate."""

from __future__ import annotations

import torch
from torch import Tensor

from discrete_ca import checks, draws


def random_masks(z: Tensor, share: float, generator: torch.Generator | None = None) -> Tensor:
    """Masks for a batch: all True, but for a share of the examples with some sites known.

    Half of those have scattered known sites, at a rate drawn evenly; half a box, of which the
    inside or the outside is known. Works for sites of any rank.

    Args:
        z: the batch, for its shape (B, *S).
        share: probability that an example has known sites.
        generator: source of randomness.

    Returns:
        Boolean masks, (B, *S), True = generate.

    Example:
        >>> random_masks(torch.zeros(4, 2, 3), share=0.0).all()
        tensor(True)
    """
    batch, *sites = z.shape

    def draw(*shape: int) -> Tensor:
        return draws.uniform(shape, z.device, generator)

    scattered = draw(*z.shape) < checks.spread(draw(batch), z)
    box = torch.ones(z.shape, dtype=torch.bool, device=z.device)
    for axis, size in enumerate(sites):
        ends = (draw(2, batch) * (size + 1)).floor().sort(0).values
        place = torch.arange(size, device=z.device).reshape(-1, *(1,) * (len(sites) - axis - 1))
        low, high = (checks.spread(end, z) for end in ends)
        box &= (place >= low) & (place < high)
    box ^= checks.spread(draw(batch) < 0.5, z)
    mask = torch.where(checks.spread(draw(batch) < 0.5, z), scattered, box)
    return mask | checks.spread(draw(batch) >= share, z)
