"""A dilated convolutional network over sequences, small and quick on a processor.

Each block looks twice as far as the one before and then begins again, as in WaveNet (van den Oord
et al. 2016, arXiv 1609.03499), but to both sides.
"""

from __future__ import annotations

from torch import Tensor, nn

from discrete_ca.nn.sequence import Modulation, SequenceNet


class DilatedBlock(nn.Module):
    """A dilated convolution and a mixing of channels, scaled, shifted and gated by the condition.

    It normalises each position by itself, so that nothing depends on the length. A fresh block is
    the identity.

    Args:
        width: W.
        dilation: steps between the three positions that it looks at.
    """

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.modulation = Modulation(width, 3)
        self.look = nn.Conv1d(width, 2 * width, 3, padding=dilation, dilation=dilation)
        self.mix = nn.Linear(2 * width, width)

    def forward(self, h: Tensor, condition: Tensor) -> Tensor:
        """Vectors (B, T, W) with the condition (B, W) to vectors (B, T, W)."""
        shift, scale, gate = self.modulation(condition)
        inner = self.norm(h) * (1 + scale) + shift
        inner = self.look(inner.transpose(1, 2)).transpose(1, 2)
        out: Tensor = h + gate * self.mix(nn.functional.gelu(inner))
        return out


class DilatedConv(SequenceNet):
    """Logits (B, *S, K) from states (B, *S), S = (T,) or (C, T), of any length T.

    A site sees ``sum of the dilations`` steps to each side: 30 for two cycles of four.

    Args:
        num_categories: K, categories of the read-out.
        num_states: V, states of the input (K + 1 under absorbing noise).
        channels: C, the voices of S = (C, T), which are read together at each time step; None for
            S = (T,).
        width: W, the size of the vector at a time step.
        depth: blocks.
        cycle: blocks after which the dilation, 1, 2, 4, ..., begins again.
        num_classes: labels that the network takes; None for none.
        known: whether the network takes the mask of known sites.
        hold: whether the network takes the hold.
        tied: use the embedding of a category as its output row.
        period: steps after which time repeats, such as those of a bar, in which the network is
            told the place of a step; None for time that is all alike.
        stack: time steps that are one position, such as those of a beat: n of them cost an n-th.

    Raises:
        ValueError: (when called) for states of another shape.

    Example:
        >>> import torch
        >>> net = DilatedConv(27, 27, width=16, depth=3)
        >>> net(torch.zeros(2, 50, dtype=torch.long), torch.tensor([0.1, 0.9])).shape
        torch.Size([2, 50, 27])
    """

    def __init__(
        self,
        num_categories: int,
        num_states: int,
        channels: int | None = None,
        width: int = 128,
        depth: int = 8,
        cycle: int = 4,
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
        if cycle < 1:
            raise ValueError(f"cycle was {cycle}; allowed: >= 1")
        self.blocks = nn.ModuleList(DilatedBlock(width, 2 ** (i % cycle)) for i in range(depth))

    def mix(self, h: Tensor, condition: Tensor) -> Tensor:
        """The blocks, one after another."""
        for block in self.blocks:
            h = block(h, condition)
        return h
