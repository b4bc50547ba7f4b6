"""A residual MLP over all sites at once, for small spaces."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from discrete_ca.nn.embeddings import ConditionEmbedding, accepted
from discrete_ca.serialization import Configured


class MLP(Configured, nn.Module):
    """Logits (B, *S, K) from states (B, *S): one-hot, residual layers of one width.

    Args:
        num_categories: K, categories of the read-out, or as many other numbers a site: 2 for a
            Gaussian kernel.
        num_states: V, states of the input (K + 1 under absorbing noise); None for real numbers.
        shape: S; () for scalar states.
        width: hidden units.
        depth: residual layers.
        num_classes: labels that the network takes; None for none.
        known: whether the network takes the mask of known sites.
        hold: whether the network takes the hold.

    Example:
        >>> MLP(2, 3, shape=(4, 4))(torch.full((8, 4, 4), 2), torch.full((8,), 0.5)).shape
        torch.Size([8, 4, 4, 2])
    """

    def __init__(
        self,
        num_categories: int,
        num_states: int | None,
        shape: tuple[int, ...] | list[int],
        width: int = 128,
        depth: int = 2,
        num_classes: int | None = None,
        known: bool = False,
        hold: bool = False,
    ) -> None:
        super().__init__()
        self.num_categories, self.num_states, self.shape = num_categories, num_states, tuple(shape)
        self.accepts = accepted(num_classes, known, hold)
        sites = math.prod(self.shape)
        self.condition = ConditionEmbedding(width, num_classes, hold)
        self.embed = nn.Linear(sites * ((num_states or 1) + known), width)
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.out = nn.Linear(width, sites * num_categories)

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
            ValueError: for states of another shape than S.
        """
        if tuple(x.shape[1:]) != self.shape:
            raise ValueError(f"x has shape {tuple(x.shape)}; allowed: (B, {self.shape})")
        if self.num_states is None:
            features = x.unsqueeze(-1).to(self.out.weight)
        else:
            features = nn.functional.one_hot(x, self.num_states).to(self.out.weight)
        features = features.reshape(x.shape[0], -1)
        if "known" in self.accepts:
            told = torch.zeros_like(x) if known is None else (~known)
            features = torch.cat([features, told.reshape(x.shape[0], -1).to(features)], -1)
        h = self.embed(features) + self.condition(b, label, hold)
        for layer in self.layers:
            h = h + layer(nn.functional.silu(h))
        out: Tensor = self.out(nn.functional.silu(h))
        return out.reshape(*x.shape, self.num_categories)
