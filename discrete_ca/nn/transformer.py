"""A transformer over sequences: adaLN-zero on level and label, rotary positions, SDPA.

(Rotary positions: Su et al. 2021, arXiv 2104.09864; adaLN-zero: Peebles and Xie 2023, arXiv
2212.09748.) Positions enter attention by their differences alone, so that a network trained at one
length runs at others.
"""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn

from discrete_ca.nn.sequence import Modulation, SequenceNet


def rotary_angles(length: int, size: int, device: torch.device, base: float = 1e4) -> Tensor:
    """Angles of positions, (T, size / 2) in float32: position t times `base`^(-2i/size).

    Example:
        >>> rotary_angles(3, 4, torch.device("cpu"))
        tensor([[0.0000, 0.0000],
                [1.0000, 0.0100],
                [2.0000, 0.0200]])
    """
    pair = torch.arange(0, size, 2, device=device, dtype=torch.float32)
    place = torch.arange(length, device=device, dtype=torch.float32)
    return place[:, None] * base ** (-pair / size)


def rotate(q: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
    """Queries or keys (..., T, size) turned by the cosines and sines of their positions' angles.

    Example:
        >>> angles = rotary_angles(2, 2, torch.device("cpu"))
        >>> rotate(torch.tensor([[1.0, 0.0], [1.0, 0.0]]), (angles.cos(), angles.sin()))
        tensor([[1.0000, 0.0000],
                [0.5403, 0.8415]])
    """
    cos, sin = turn
    first, second = q.chunk(2, -1)
    return torch.cat([first * cos - second * sin, first * sin + second * cos], -1)


class Block(nn.Module):
    """Attention, then an MLP of four times the width, each scaled, shifted and gated.

    A fresh block is the identity.

    Args:
        width: W.
        heads: attention heads; W / heads must be even.
        causal: whether a position sees itself and earlier ones alone.
    """

    def __init__(self, width: int, heads: int, causal: bool = False) -> None:
        super().__init__()
        self.heads, self.causal = heads, causal
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.modulation = Modulation(width, 6)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(approximate="tanh"), nn.Linear(4 * width, width)
        )

    def _heads(self, h: Tensor, turn: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values (B, heads, T, W / heads) of vectors (B, T, W)."""
        q, k, v = rearrange(self.qkv(h), "b t (three h c) -> three b h t c", three=3, h=self.heads)
        return rotate(q, turn).to(v.dtype), rotate(k, turn).to(v.dtype), v

    def attend(self, h: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
        """Self-attention over (B, T, W)."""
        q, k, v = self._heads(h, turn)
        mixed = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        out: Tensor = self.out(rearrange(mixed, "b h t c -> b t (h c)"))
        return out

    def attend_next(self, h: Tensor, turn: tuple[Tensor, Tensor], seen: list[Tensor]) -> Tensor:
        """Attention of one more position (B, 1, W) to itself and those before it.

        Args:
            h: the position.
            turn: its cosines and sines, (1, W / heads / 2).
            seen: keys and values of the positions before, (B, heads, t, W / heads), or empty; those
                of this one are added.
        """
        q, k, v = self._heads(h, turn)
        if seen:
            k, v = torch.cat([seen[0], k], 2), torch.cat([seen[1], v], 2)
        seen[:] = [k, v]
        mixed = nn.functional.scaled_dot_product_attention(q, k, v)
        out: Tensor = self.out(rearrange(mixed, "b h t c -> b t (h c)"))
        return out

    def forward(
        self,
        h: Tensor,
        condition: Tensor,
        turn: tuple[Tensor, Tensor],
        seen: list[Tensor] | None = None,
    ) -> Tensor:
        """Vectors (B, T, W) with the condition (B, W) to vectors (B, T, W).

        With `seen`, h is one position that follows those; see `attend_next`.
        """
        shift, scale, gate, shift_mlp, scale_mlp, gate_mlp = self.modulation(condition)
        given = self.norm(h) * (1 + scale) + shift
        mixed = self.attend(given, turn) if seen is None else self.attend_next(given, turn, seen)
        h = h + gate * mixed
        out: Tensor = h + gate_mlp * self.mlp(self.norm(h) * (1 + scale_mlp) + shift_mlp)
        return out


class Transformer(SequenceNet):
    """Logits (B, *S, K) from states (B, *S), S = (T,) or (C, T), of any length T.

    Args:
        num_categories: K, categories of the read-out.
        num_states: V, states of the input (K + 1 under absorbing noise).
        channels: C, the voices of S = (C, T), which are read together at each time step; None for
            S = (T,).
        width: W, the size of the vector at a time step.
        depth: blocks.
        heads: attention heads; W must be a multiple of twice their number.
        num_classes: labels that the network takes; None for none.
        known: whether the network takes the mask of known sites.
        hold: whether the network takes the hold.
        tied: use the embedding of a category as its output row.
        period: steps after which time repeats, such as those of a bar, in which the network is
            told the place of a step; None for time that is all alike.
        stack: time steps that are one position, such as those of a beat: n of them cost an n-th.

    Raises:
        ValueError: for heads that do not divide the width into even sizes, and (when called) for
            states of another shape.

    Example:
        >>> net = Transformer(27, 27, width=32, depth=2)
        >>> [tuple(net(torch.zeros(2, n, dtype=torch.long), torch.ones(2)).shape) for n in (8, 50)]
        [(2, 8, 27), (2, 50, 27)]
        >>> voices = Transformer(46, 46, channels=4, width=32, depth=2)
        >>> voices(torch.zeros(2, 4, 16, dtype=torch.long), torch.ones(2)).shape
        torch.Size([2, 4, 16, 46])
    """

    def __init__(
        self,
        num_categories: int,
        num_states: int,
        channels: int | None = None,
        width: int = 256,
        depth: int = 4,
        heads: int = 4,
        num_classes: int | None = None,
        known: bool = False,
        tied: bool = False,
        hold: bool = False,
        period: int | None = None,
        stack: int = 1,
    ) -> None:
        super().__init__(
            num_categories, num_states, channels, width, num_classes, known, tied, hold, period,
            stack,
        )  # fmt: skip
        if heads < 1 or width % (2 * heads):
            raise ValueError(
                f"width was {width} with heads = {heads}; allowed: a multiple of 2 x heads"
            )
        self.size = width // heads
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))

    def mix(self, h: Tensor, condition: Tensor) -> Tensor:
        """The blocks, one after another."""
        angles = rotary_angles(h.shape[1], self.size, h.device)
        turn = (angles.cos().to(h.dtype), angles.sin().to(h.dtype))
        for block in self.blocks:
            h = block(h, condition, turn)
        return h
