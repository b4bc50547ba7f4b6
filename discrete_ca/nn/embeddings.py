"""Embeddings of the noise level, of class labels and of real-valued states."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class LevelEmbedding(nn.Module):
    """A noise level b in [0, 1] as a vector: sines and cosines of b and log b, then a small MLP.

    Args:
        width: size of the result.
        num_frequencies: pairs of sines and cosines.

    Example:
        >>> LevelEmbedding(8)(torch.tensor([0.0, 1.0])).shape
        torch.Size([2, 8])
    """

    frequencies: Tensor

    def __init__(self, width: int, num_frequencies: int = 6) -> None:
        super().__init__()
        frequencies = math.pi * 2.0 ** torch.arange(num_frequencies)
        self.register_buffer("frequencies", frequencies, persistent=False)
        self.layers = nn.Sequential(
            nn.Linear(2 * num_frequencies + 2, width), nn.SiLU(), nn.Linear(width, width)
        )

    def forward(self, b: Tensor) -> Tensor:
        """Levels (B,) to vectors (B, width)."""
        b = b.to(self.frequencies)
        angles = b[:, None] * self.frequencies
        small = (b + 0.01).log()  # small levels differ by their ratio
        parts = [angles.sin(), angles.cos(), b[:, None], small[:, None] / 4]
        out: Tensor = self.layers(torch.cat(parts, -1))
        return out


class NumberEmbedding(nn.Module):
    """A real-valued state as a vector: a linear map of one number.

    Args:
        width: size of the result.

    Raises:
        TypeError: (when called) for states that are not floating point.

    Example:
        >>> NumberEmbedding(8)(torch.zeros(2, 3)).shape
        torch.Size([2, 3, 8])
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layer = nn.Linear(1, width)

    def forward(self, x: Tensor) -> Tensor:
        """States (B, *S) to vectors (B, *S, width)."""
        if not x.is_floating_point():
            raise TypeError(f"x has dtype {x.dtype}; allowed: floating point (num_states is None)")
        out: Tensor = self.layer(x.to(self.layer.weight.dtype).unsqueeze(-1))
        return out


def embedding(num_states: int | None, width: int) -> nn.Module:
    """States (B, *S) to vectors (B, *S, width): a row of a table each, or a map of real numbers.

    Args:
        num_states: V; None for real-valued states.
        width: size of the result.

    Example:
        >>> embedding(5, 8), embedding(None, 8).layer
        (Embedding(5, 8), Linear(in_features=1, out_features=8, bias=True))
    """
    return NumberEmbedding(width) if num_states is None else nn.Embedding(num_states, width)


class ConditionEmbedding(nn.Module):
    """Level and, for networks that are told, label and hold, as one vector (B, width).

    Args:
        width: size of the result.
        num_classes: labels are 0 .. num_classes - 1; None for a network without labels.
        hold: whether the network is told the hold.

    Example:
        >>> ConditionEmbedding(8, num_classes=10)(torch.tensor([0.5]), torch.tensor([3])).shape
        torch.Size([1, 8])
    """

    def __init__(self, width: int, num_classes: int | None = None, hold: bool = False) -> None:
        super().__init__()
        self.level = LevelEmbedding(width)
        self.hold = LevelEmbedding(width) if hold else None  # of 1 - h: slow holds differ by ratios
        self.num_classes = num_classes
        # One more row stands for "no label".
        self.label = None if num_classes is None else nn.Embedding(num_classes + 1, width)

    def forward(self, b: Tensor, label: Tensor | None = None, hold: Tensor | None = None) -> Tensor:
        """Levels (B,), labels (B,), -1 for none, and holds (B,) to vectors (B, width).

        Raises:
            ValueError: for labels of the wrong shape or out of range, and for no holds where they
                are taken.
        """
        out: Tensor = self.level(b)
        if self.hold is not None:
            if hold is None:
                raise ValueError("hold was None; allowed: (B,), since this network is told it")
            out = out + self.hold(1 - hold)
        if self.label is None or self.num_classes is None:
            return out
        if label is None:
            label = torch.full(b.shape, self.num_classes, device=b.device)
        elif label.shape != b.shape:
            raise ValueError(f"label has shape {tuple(label.shape)}; allowed: {tuple(b.shape)}")
        elif bool((outside := (label < -1) | (label >= self.num_classes)).any()):
            raise ValueError(
                f"label was {int(label[outside][0])}; allowed: 0 .. {self.num_classes - 1}, or -1 "
                "for none"
            )
        return out + self.label(label % (self.num_classes + 1))


def accepted(num_classes: int | None, known: bool, hold: bool = False) -> frozenset[str]:
    """Which optional inputs a network of this package takes, for `NetworkKernel`.

    Example:
        >>> sorted(accepted(10, True))
        ['known', 'label']
    """
    names = [("label", num_classes is not None), ("known", known), ("hold", hold)]
    return frozenset(name for name, taken in names if taken)
