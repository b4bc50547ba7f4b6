"""What networks over sequences share: states to one vector a time step, and back to logits.

A sequence has shape S = (T,), or (C, T) for C voices that run side by side. Voices are stacked as
channels: a time step is one position, the sum of its voices' embeddings. The cost is then that of
(T,), a fourth of what four voices one after another would cost (and a sixteenth of their
attention), and what sounds together is read together, while the logits of each voice still depend
on all of them at all times. No length is fixed: a network runs at any T.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from einops import rearrange
from torch import Tensor, nn

from discrete_ca import checks
from discrete_ca.nn.embeddings import ConditionEmbedding, accepted
from discrete_ca.serialization import Configured


class Modulation(nn.Module):
    """Shifts, scales and gates (B, 1, W) from the condition (B, W); all zero at the start.

    (adaLN-Zero: Peebles and Xie 2023, arXiv 2212.09748.)

    Example:
        >>> shift, scale = Modulation(8, count=2)(torch.ones(3, 8))
        >>> shift.shape, bool(scale.any())
        (torch.Size([3, 1, 8]), False)
    """

    def __init__(self, width: int, count: int) -> None:
        super().__init__()
        self.count = count
        self.layers = nn.Sequential(nn.SiLU(), nn.Linear(width, count * width))
        for parameter in self.layers.parameters():
            nn.init.zeros_(parameter)

    def forward(self, condition: Tensor) -> tuple[Tensor, ...]:
        """`count` tensors of shape (B, 1, W)."""
        out: Tensor = self.layers(condition)
        return out.unsqueeze(1).chunk(self.count, -1)


class SequenceNet(Configured, nn.Module, ABC):
    """Logits (B, *S, K) from states (B, *S), S = (T,) or (C, T); a subclass writes `mix`.

    Args:
        num_categories: K, categories of the read-out.
        num_states: V, states of the input (K + 1 under absorbing noise).
        channels: C, the voices of S = (C, T); None for S = (T,).
        width: W, the size of the vector at a time step.
        num_classes: labels that the network takes; None for none.
        known: whether the network takes the mask of known sites.
        hold: whether the network takes the hold.
        tied: use the embedding of a category as its output row, which halves the weights at
            large K.
        period: steps after which time repeats, such as those of a bar: the network is told the
            place of a step in it. None for time that is all alike.
        stack: time steps that are one position, such as those of a beat: n of them cost an n-th.

    Raises:
        ValueError: for a period or stack below 1, and a period that is no multiple of the stack.
    """

    def __init__(
        self,
        num_categories: int,
        num_states: int,
        channels: int | None,
        width: int,
        num_classes: int | None,
        known: bool,
        tied: bool,
        hold: bool = False,
        period: int | None = None,
        stack: int = 1,
    ) -> None:
        super().__init__()
        self.num_categories, self.num_states = num_categories, num_states
        self.channels, self.stack = channels, checks.positive(stack, "stack")
        self.accepts = accepted(num_classes, known, hold)
        voices = range((channels or 1) * stack)
        self.condition = ConditionEmbedding(width, num_classes, hold)
        self.embed = nn.ModuleList(nn.Embedding(num_states, width) for _ in voices)
        self.told = nn.Linear(len(voices), width, bias=False) if known else None
        self.place = None
        if period is not None:
            if checks.positive(period, "period") % stack:
                raise ValueError(f"period was {period}; allowed: a multiple of stack = {stack}")
            self.place = nn.Parameter(0.02 * torch.randn(period // stack, width))
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.modulation = Modulation(width, 2)
        self.out = nn.ModuleList(nn.Linear(width, num_categories) for _ in voices)
        for embed, out in zip(self.embed, self.out, strict=True):
            nn.init.normal_(embed.weight, std=0.02)  # type: ignore[arg-type]
            nn.init.zeros_(out.weight)  # type: ignore[arg-type]
            nn.init.zeros_(out.bias)  # type: ignore[arg-type]
            if tied:
                del out.weight
        if self.told is not None:
            nn.init.normal_(self.told.weight, std=0.02)
        self.tied = tied

    @abstractmethod
    def mix(self, h: Tensor, condition: Tensor) -> Tensor:
        """Vectors (B, T, W) that have seen one another, from vectors (B, T, W)."""

    def forward(
        self,
        x: Tensor,
        b: Tensor,
        label: Tensor | None = None,
        known: Tensor | None = None,
        hold: Tensor | None = None,
    ) -> Tensor:
        """States (B, *S) at levels (B,) to logits (B, *S, K).

        Raises:
            ValueError: for states that are not (B, T), or (B, C, T) where there are channels, and
                a T that is no multiple of the stack.
        """
        self._check(x)
        condition = self.condition(b, label, hold)
        h = self.mix(self._read(x, known), condition)
        shift, scale = self.modulation(condition)
        h = self.norm(h) * (1 + scale) + shift
        logits = [self._logits(h, voice) for voice in range(len(self.out))]
        if len(logits) == 1:
            return logits[0].reshape(*x.shape, self.num_categories)
        apart = rearrange(torch.stack(logits, 1), "b (c n) t k -> b c (t n) k", n=self.stack)
        return apart.reshape(*x.shape, self.num_categories)

    def _check(self, x: Tensor) -> None:
        if self.channels is None and x.ndim != 2:
            raise ValueError(f"x has shape {tuple(x.shape)}; allowed: (B, T)")
        if self.channels is not None and (x.ndim != 3 or x.shape[1] != self.channels):
            raise ValueError(f"x has shape {tuple(x.shape)}; allowed: (B, {self.channels}, T)")
        if x.shape[-1] % self.stack:
            raise ValueError(
                f"x has shape {tuple(x.shape)}; allowed: T that is a multiple of stack = "
                f"{self.stack}"
            )

    def _stacked(self, x: Tensor) -> Tensor:
        """(B, T) or (B, C, T) to voices and positions, (B, C n, T / n)."""
        return rearrange(x.reshape(len(x), -1, x.shape[-1]), "b c (t n) -> b (c n) t", n=self.stack)

    def _logits(self, h: Tensor, voice: int) -> Tensor:
        """Vectors (B, T, W) to the logits of one voice, (B, T, K)."""
        out, embed = self.out[voice], self.embed[voice]
        if not self.tied:
            return out(h)
        rows: Tensor = embed.weight  # type: ignore[assignment]
        if self.num_states > self.num_categories:  # a slice's gradient costs a copy
            rows = rows[: self.num_categories]
        return nn.functional.linear(h, rows, out.bias)  # type: ignore[arg-type]

    def _read(self, x: Tensor, known: Tensor | None) -> Tensor:
        """One vector a position, (B, T, W): the sum over its voices."""
        x = self._stacked(x)
        h: Tensor = self.embed[0](x[:, 0])
        for voice, embed in enumerate(self.embed[1:], start=1):
            h = h + embed(x[:, voice])
        if self.told is not None and known is not None:
            h = h + self.told(self._stacked(~known).to(h).transpose(1, 2))
        if self.place is not None:
            h = h + self.place[torch.arange(h.shape[1], device=h.device) % len(self.place)]
        return h
