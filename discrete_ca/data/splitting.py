"""Examples set aside for validation, the same for a seed wherever and whatever the data are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Self

import torch
from torch import Tensor

from discrete_ca.errors import DataError
from discrete_ca.orders import Order


class Splittable(ABC):
    """A data set that can be parted; a subclass says its length and how."""

    @abstractmethod
    def __len__(self) -> int:
        """N."""

    @abstractmethod
    def _part(self, index: Tensor) -> Self:
        """The examples at an index, or where a mask is True."""

    def _parted(self, held_out: Tensor) -> tuple[Self, Self]:
        """The examples that are not in a sorted index, and those that are."""
        kept = torch.ones(len(self), dtype=torch.bool)
        kept[held_out] = False
        return self._part(kept), self._part(held_out)

    def split(self, held_out: float, seed: int = 0) -> tuple[Self, Self]:
        """Set examples aside for validation: the same ones for a seed, wherever the data live.

        Args:
            held_out: a share in (0, 1), or a number of examples, 1 .. N - 1.
            seed: seeds the choice.

        Returns:
            The rest and the examples set aside, each in the order they had.

        Raises:
            DataError: where either part would be empty.

        Example:
            >>> from discrete_ca.data import DiscreteData
            >>> data = DiscreteData(torch.arange(10).reshape(10, 1))
            >>> train, held_out = data.split(0.2)
            >>> len(train), len(held_out)
            (8, 2)
        """
        n = held_out
        if isinstance(held_out, float):
            n = round(held_out * len(self)) if 0 < held_out < 1 else 0
        if not 0 < n < len(self):
            raise DataError(
                f"held_out was {held_out}; allowed: a share in (0, 1) or 1 .. {len(self) - 1}, "
                f"that leaves none of two parts of {len(self)} examples empty"
            )
        chosen = Order(len(self), seed, "split")(torch.arange(int(n)))
        return self._parted(chosen.sort().values)

    def split_off(self, n: int, generator: torch.Generator | None = None) -> tuple[Self, Self]:
        """Set `n` random examples aside, for validation; see `split` for a choice by a seed.

        Args:
            n: how many, 1 .. N - 1.
            generator: source of randomness.

        Returns:
            The rest (N - n examples) and the n examples, each in the order they had.

        Raises:
            DataError: where either part would be empty.

        Example:
            >>> from discrete_ca.data import DiscreteData
            >>> data = DiscreteData(torch.arange(10).reshape(10, 1))
            >>> rest, held_out = data.split_off(3, torch.Generator().manual_seed(0))
            >>> len(rest), len(held_out), held_out.num_categories
            (7, 3, 10)
        """
        if not 0 < n < len(self):
            raise DataError(f"n was {n}; allowed: 1 .. {len(self) - 1}, of {len(self)} examples")
        device = generator.device if generator is not None else None
        order = torch.randperm(len(self), generator=generator, device=device).cpu()
        return self._parted(order[:n].sort().values)
