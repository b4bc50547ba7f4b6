"""A transformer that gives the next state site by site, each site seeing those before it.

The state x is read whole, by blocks that look both ways; the next state y is then written in the
order of its sites (row by row) by causal blocks, from the site before and what was read there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from discrete_ca.nn.embeddings import ConditionEmbedding, LevelEmbedding, accepted
from discrete_ca.nn.sequence import Modulation
from discrete_ca.nn.transformer import Block, rotary_angles
from discrete_ca.serialization import Configured


class AutoregressiveTransformer(Configured, nn.Module):
    """Logits of ``p(y_i | y_<i, x)`` at each site, (B, *S, V), for `AutoregressiveKernel`.

    Args:
        num_states: V, of x and of y.
        shape: S; D sites are written in their order.
        width: W, the size of the vector at a site.
        depth: blocks that read x, and as many that write y.
        heads: attention heads; W must be a multiple of twice their number.
        num_classes: labels that the network takes; None for none.
        known: whether the network takes the mask of known sites.
        hold: whether the network takes the hold.

    Raises:
        ValueError: for heads that do not divide the width into even sizes, and (when called) for
            states of another shape.

    Example:
        >>> net = AutoregressiveTransformer(2, shape=(5,), width=16, depth=1)
        >>> x, b = torch.zeros(3, 5, dtype=torch.long), torch.ones(3)
        >>> net(x, b, x, b).shape
        torch.Size([3, 5, 2])
    """

    def __init__(
        self,
        num_states: int,
        shape: Sequence[int],
        width: int = 128,
        depth: int = 2,
        heads: int = 4,
        num_classes: int | None = None,
        known: bool = False,
        hold: bool = False,
    ) -> None:
        super().__init__()
        if heads < 1 or width % (2 * heads):
            raise ValueError(
                f"width was {width} with heads = {heads}; allowed: a multiple of 2 x heads"
            )
        self.num_states, self.shape, self.size = num_states, tuple(shape), width // heads
        self.sites = math.prod(self.shape)
        self.accepts = accepted(num_classes, known, hold)
        self.condition = ConditionEmbedding(width, num_classes, hold)
        self.target = LevelEmbedding(width)
        self.read_embed = nn.Embedding(num_states, width)
        self.write_embed = nn.Embedding(num_states + 1, width)  # the last one: nothing yet
        self.place = nn.Parameter(0.02 * torch.randn(self.sites, width))
        self.told = nn.Embedding(2, width) if known else None
        self.readers = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.writers = nn.ModuleList(Block(width, heads, causal=True) for _ in range(depth))
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.modulation = Modulation(width, 2)
        self.out = nn.Linear(width, num_states)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def read(
        self,
        x: Tensor,
        b: Tensor,
        target: Tensor,
        label: Tensor | None = None,
        known: Tensor | None = None,
        hold: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """What is known before y is written: vectors at each site (B, D, W), a condition (B, W).

        Args:
            x: states at levels b, (B, *S).
            b: b_x, (B,).
            target: b_y, (B,).
            label: labels, (B,).
            known: mask of the sites that are generated, (B, *S).
            hold: h, (B,).

        Raises:
            ValueError: for states of another shape.
        """
        if tuple(x.shape[1:]) != self.shape:
            raise ValueError(f"x has shape {tuple(x.shape)}; allowed: (B, *{self.shape})")
        condition = self.condition(b, label, hold) + self.target(target)
        h = self.read_embed(in_order(x)) + self.place
        if self.told is not None and known is not None:
            h = h + self.told(in_order(known).long())
        turn = self._turn(0, self.sites, h)
        for block in self.readers:
            h = block(h, condition, turn)
        return h, condition

    def forward(
        self,
        x: Tensor,
        b: Tensor,
        y: Tensor,
        target: Tensor,
        label: Tensor | None = None,
        known: Tensor | None = None,
        hold: Tensor | None = None,
    ) -> Tensor:
        """Logits (B, *S, V) of each site of y given those before it, in one pass.

        Args:
            x: states at levels b, (B, *S).
            b: b_x, (B,).
            y: next states, (B, *S).
            target: b_y, (B,).
            label: labels, (B,).
            known: mask of the sites that are generated, (B, *S).
            hold: h, (B,).
        """
        seen, condition = self.read(x, b, target, label, known, hold)
        before = torch.full_like(in_order(y), self.num_states)
        before[:, 1:] = in_order(y)[:, :-1]
        h = seen + self.write_embed(before)
        turn = self._turn(0, self.sites, h)
        for block in self.writers:
            h = block(h, condition, turn)
        return self._logits(h, condition).reshape(*x.shape, self.num_states)

    def write(
        self, seen: Tensor, condition: Tensor, site: int, before: Tensor | None,
        memory: list[list[Tensor]],
    ) -> Tensor:  # fmt: skip
        """Logits (B, V) of one site, after the sites before it were written by this.

        Args:
            seen: what `read` returned.
            condition: likewise.
            site: i, in the order of the sites.
            before: y_{i-1}, (B,); None at the first site.
            memory: keys and values of the sites before, one list a block; added to.
        """
        if before is None:
            before = torch.full((len(seen),), self.num_states, device=seen.device)
        h = (seen[:, site] + self.write_embed(before)).unsqueeze(1)
        turn = self._turn(site, site + 1, h)
        for block, kept in zip(self.writers, memory, strict=True):
            h = block(h, condition, turn, kept)
        return self._logits(h, condition).squeeze(1)

    def memory(self) -> list[list[Tensor]]:
        """An empty memory for `write`."""
        return [[] for _ in self.writers]

    def _logits(self, h: Tensor, condition: Tensor) -> Tensor:
        shift, scale = self.modulation(condition)
        out: Tensor = self.out(self.norm(h) * (1 + scale) + shift)
        return out

    def _turn(self, begin: int, end: int, like: Tensor) -> tuple[Tensor, Tensor]:
        angles = rotary_angles(end, self.size, like.device)[begin:]
        return angles.cos().to(like.dtype), angles.sin().to(like.dtype)


def in_order(states: Tensor) -> Tensor:
    """States with their sites in the order in which they are written, (B, *S) to (B, D).

    Example:
        >>> in_order(torch.zeros(3, 2, 2)).shape, in_order(torch.zeros(3)).shape
        (torch.Size([3, 4]), torch.Size([3, 1]))
    """
    return states.reshape(len(states), -1)
