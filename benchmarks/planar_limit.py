"""The best denoiser that a planar law can have, exact but for the bits that it takes for noise."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from benchmarks.planar_laws import BITS, PlanarLaw


def noised(p: Tensor, level: float, bits: int) -> Tensor:
    """A law over 2^bits states, (..., 2^bits), after uniform noise at a level."""
    flips = level / 2
    for i in range(bits):
        split = p.reshape(*p.shape[:-1], 2**i, 2, -1)
        p = ((1 - flips) * split + flips * split.flip(-2)).reshape(p.shape)
    return p


class BestDenoiser(nn.Module):
    """What the context says of each bit under a law's exact posterior, as a network of evidence.

    Args:
        laws: one a label.
        levels: those that it can be asked at.
        kept: leading bits a coordinate that are not taken for noise.
        draws: of each law, that its probabilities are counted from.
    """

    accepts = frozenset({"label"})
    num_categories = num_states = 2

    def __init__(
        self,
        laws: Sequence[PlanarLaw],
        levels: Sequence[float],
        kept: int,
        draws: int,
    ) -> None:
        super().__init__()
        self.sites = torch.cat([torch.arange(kept), BITS + torch.arange(kept)])
        self.places = 2 ** torch.arange(2 * kept - 1, -1, -1)
        self.tables: dict[float, Tensor] = {}
        laws_of_bits = [self._count(law, draws) for law in laws]
        for b in levels:
            self.tables[b] = torch.stack([self._context(p, b) for p in laws_of_bits])

    def _count(self, law: PlanarLaw, draws: int) -> Tensor:
        code = self._code(law.sample(draws, torch.Generator().manual_seed(7)))
        return code.bincount(minlength=2 ** len(self.sites)).double() / draws

    def _code(self, x: Tensor) -> Tensor:
        return (x[:, self.sites] * self.places).sum(1)

    def _context(self, p: Tensor, level: float) -> Tensor:
        """Log-odds of each kept bit given the state, less what the bit says of itself."""
        bits = len(self.sites)
        ones = (torch.arange(len(p))[:, None] // self.places % 2).double()
        on, every = noised((p[:, None] * ones).T, level, bits).T, noised(p, level, bits)[:, None]
        odds = on.clamp_min(1e-30).log() - (every - on).clamp_min(1e-30).log()
        return (odds - (2 * ones - 1) * torch.tensor(2 / level - 1).log()).float()

    def forward(self, x: Tensor, b: Tensor, label: Tensor | None = None) -> Tensor:
        """States (B, 32) at one of the levels to logits (B, 32, 2)."""
        assert label is not None
        tables = self.tables[round(float(b[0]), 6)]
        out = torch.zeros(*x.shape, 2)
        out[:, self.sites, 1] = tables[label, self._code(x)]
        return out
