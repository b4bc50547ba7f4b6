"""An N-dimensional UNet with a patch stem and a full-resolution head, sized for a CPU by default.

Most of the work is done on patches (4 x 4 pixels in one position), where convolutions are cheap; a
thin head at full resolution puts the sites back together. (UNet: Ronneberger et al. 2015, arXiv
1505.04597; level conditioning by scale and shift: Perez et al. 2018, arXiv 1709.07871.)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn

from discrete_ca.nn.embeddings import ConditionEmbedding, accepted, embedding
from discrete_ca.serialization import Configured

_CONVOLUTIONS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}


def _groups(width: int) -> int:
    return next(g for g in (8, 4, 2, 1) if width % g == 0)


class Block(nn.Module):
    """Two convolutions with a residual path; the condition scales and shifts between them."""

    def __init__(self, conv: Any, width_in: int, width: int, condition: int) -> None:
        super().__init__()
        self.first = nn.Sequential(
            nn.GroupNorm(_groups(width_in), width_in),
            nn.SiLU(),
            conv(width_in, width, 3, padding=1),
        )
        self.norm = nn.GroupNorm(_groups(width), width)
        self.film = nn.Linear(condition, 2 * width)
        self.second = nn.Sequential(nn.SiLU(), conv(width, width, 3, padding=1))
        self.skip = nn.Identity() if width_in == width else conv(width_in, width, 1)
        nn.init.zeros_(self.second[-1].weight)  # type: ignore[arg-type]

    def forward(self, h: Tensor, condition: Tensor) -> Tensor:
        """(B, C_in, *R) to (B, C, *R)."""
        scale, shift = (
            self.film(condition).reshape(h.shape[0], -1, *(1,) * (h.ndim - 2)).chunk(2, 1)
        )
        inner = self.norm(self.first(h)) * (1 + scale) + shift
        out: Tensor = self.skip(h) + self.second(inner)
        return out


class Stage(nn.Module):
    """Blocks at one resolution."""

    def __init__(self, conv: Any, width_in: int, width: int, condition: int, blocks: int) -> None:
        super().__init__()
        widths = [width_in] + [width] * (blocks - 1)
        self.blocks = nn.ModuleList(Block(conv, w, width, condition) for w in widths)

    def forward(self, h: Tensor, condition: Tensor) -> Tensor:
        """(B, C_in, *R) to (B, C, *R)."""
        for block in self.blocks:
            h = block(h, condition)
        return h


class Attention(nn.Module):
    """Self-attention over all positions of the lowest resolution."""

    def __init__(self, width: int, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.GroupNorm(_groups(width), width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        nn.init.zeros_(self.out.weight)

    def forward(self, h: Tensor) -> Tensor:
        """(B, C, *R) to the same."""
        flat = self.norm(h).flatten(2).transpose(1, 2)
        q, k, v = rearrange(
            self.qkv(flat), "b n (three h c) -> three b h n c", three=3, h=self.heads
        )
        mixed = nn.functional.scaled_dot_product_attention(q, k, v)
        back = self.out(rearrange(mixed, "b h n c -> b n (h c)")).transpose(1, 2)
        return h + back.reshape(h.shape)


class UNet(Configured, nn.Module):
    """Logits (B, *S, K) from states (B, *S), S of `dims` dimensions, or (channels, *dims).

    Args:
        num_categories: K, categories of the read-out, or as many other numbers a site: 2 for a
            Gaussian kernel, 3M for `Logistic`.
        num_states: V, states of the input (K + 1 under absorbing noise); None for real numbers.
        dims: 1, 2 or 3 spatial dimensions.
        channels: leading channel dimension of S (3 for colour); None where S has none.
        patch: side of the patches of the stem; each spatial size must be a multiple.
        widths: channels at each resolution, the first on patches, each next at half of it.
        blocks: residual blocks a resolution.
        head_width: channels of the full-resolution head.
        attention: self-attention at the lowest resolution.
        num_classes: labels that the network takes; None for none.
        known: whether the network takes the mask of known sites.
        hold: whether the network takes the hold.

    Raises:
        ValueError: (when called) for states whose shape does not fit; the error names both.

    Example:
        >>> net = UNet(2, 2, widths=(16, 32))
        >>> net(torch.zeros(1, 28, 28, dtype=torch.long), torch.tensor([0.3])).shape
        torch.Size([1, 28, 28, 2])
    """

    def __init__(
        self,
        num_categories: int,
        num_states: int | None,
        dims: int = 2,
        channels: int | None = None,
        patch: int = 4,
        widths: Sequence[int] = (96, 160),
        blocks: int = 2,
        head_width: int = 32,
        attention: bool = True,
        num_classes: int | None = None,
        known: bool = False,
        hold: bool = False,
    ) -> None:
        super().__init__()
        if dims not in _CONVOLUTIONS:
            raise ValueError(f"dims was {dims}; allowed: 1, 2, 3")
        if not widths:
            raise ValueError("widths is empty; allowed: one number of channels a resolution")
        conv = _CONVOLUTIONS[dims]
        self.num_categories, self.num_states = num_categories, num_states
        self.dims, self.channels, self.patch = dims, channels, patch
        self.accepts = accepted(num_classes, known, hold)
        depth = channels or 1
        condition = 2 * widths[0]
        self.condition = ConditionEmbedding(condition, num_classes, hold)
        self.embed = embedding(num_states, head_width // 2)
        pixel = depth * (head_width // 2 + known)
        self.pixel_in = conv(pixel, head_width, 1)
        self.stem = conv(pixel * patch**dims, widths[0], 1)
        self.shrink, self.down, self.up = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        width = widths[0]
        for i, next_width in enumerate(widths):
            halve = conv(width, next_width, 3, stride=2, padding=1) if i else nn.Identity()
            self.shrink.append(halve)
            width = next_width
            self.down.append(Stage(conv, width, width, condition, blocks))
        self.bottom = Attention(width) if attention else nn.Identity()
        for skip in reversed(widths):
            self.up.append(Stage(conv, width + skip, skip, condition, blocks))
            width = skip
        self.unpatch = conv(width, head_width * patch**dims, 1)
        self.head = nn.Sequential(
            nn.SiLU(),
            conv(head_width, head_width, 3, padding=1),
            nn.SiLU(),
            conv(head_width, head_width, 3, padding=1),
            nn.SiLU(),
        )
        self.out = nn.Linear(head_width, depth * num_categories)  # categories last, in one piece

    def _pixels(self, x: Tensor, known: Tensor | None) -> Tensor:
        """States as channels at full resolution, (B, C, *R)."""
        space = x.shape[1:] if self.channels is None else x.shape[2:]
        fits = len(space) == self.dims and all(n % self.patch == 0 for n in space)
        if not fits or (self.channels is not None and x.shape[1] != self.channels):
            lead = "B" if self.channels is None else f"B, {self.channels}"
            raise ValueError(
                f"x has shape {tuple(x.shape)}; allowed: ({lead}, *R) with R of {self.dims} "
                f"dimensions, each a multiple of patch = {self.patch}"
            )
        features = self.embed(x)
        if "known" in self.accepts:
            told = torch.zeros_like(x) if known is None else ~known
            features = torch.cat([features, told.unsqueeze(-1).to(features)], -1)
        if self.channels is None:
            return features.movedim(-1, 1)
        return features.movedim(-1, 2).flatten(1, 2)

    def _to_patches(self, h: Tensor) -> Tensor:
        """(B, C, *R) to (B, C patch^dims, *R / patch)."""
        for axis in range(2, 2 + self.dims):
            h = h.unflatten(axis, (-1, self.patch)).movedim(axis + 1, 1).flatten(1, 2)
        return h

    def _from_patches(self, h: Tensor) -> Tensor:
        """(B, C patch^dims, *R / patch) to (B, C, *R)."""
        for axis in range(1 + self.dims, 1, -1):
            h = h.unflatten(1, (self.patch, -1)).movedim(1, axis + 1).flatten(axis, axis + 1)
        return h

    def forward(
        self,
        x: Tensor,
        b: Tensor,
        label: Tensor | None = None,
        known: Tensor | None = None,
        hold: Tensor | None = None,
    ) -> Tensor:
        """States (B, *S) at levels (B,) to logits (B, *S, K)."""
        pixels = self._pixels(x, known)
        condition = self.condition(b, label, hold)
        h = self.stem(self._to_patches(pixels))
        skips = []
        for shrink, stage in zip(self.shrink, self.down, strict=True):
            h = stage(shrink(h), condition)
            skips.append(h)
        h = self.bottom(h)
        for stage in self.up:
            skip = skips.pop()
            if h.shape[2:] != skip.shape[2:]:
                h = nn.functional.interpolate(h, size=skip.shape[2:], mode="nearest")
            h = stage(torch.cat([h, skip], 1), condition)
        h = self._from_patches(self.unpatch(h)) + self.pixel_in(pixels)
        logits = self.out(self.head(h).movedim(1, -1))
        if self.channels is None:
            return logits
        return logits.unflatten(-1, (self.channels, self.num_categories)).movedim(-2, 1)
