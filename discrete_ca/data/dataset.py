"""A data set of discrete states, held in memory in as few bytes as its categories need."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from discrete_ca.data.tokenizers import Tokenizer
from discrete_ca.errors import DataError


class DiscreteData:
    """N clean examples of states 0 .. K - 1 on sites of shape S, with labels where there are any.

    States are stored as uint8 up to 256 categories and widened to long when they are read, so
    ``data[index]`` costs the batch and ``data.states`` the whole.

    Args:
        states: integers or booleans, shape (N, *S), N at least 1.
        num_categories: K; None for the largest value + 1, and at least 2.
        labels: integer labels, shape (N,), or None.
        name: what the data are called in reports.
        present: which sites are data and not padding, boolean, (N, *S), or None for all.
        tokenizer: what made categories of text, or None.

    Attributes:
        num_categories: K.
        labels: long, shape (N,), or None.
        name: as given.
        present: boolean, shape (N, *S), or None.
        tokenizer: as given.

    Raises:
        DataError: for other dtypes, values out of range, no examples, labels or `present` that do
            not fit, or a tokenizer of another number of categories.

    Example:
        >>> data = DiscreteData(torch.tensor([[0, 2], [1, 1]]), labels=torch.tensor([5, 6]))
        >>> data
        DiscreteData('data', N=2, shape=(2,), num_categories=3, labels=True)
        >>> data[torch.tensor([1])]
        tensor([[1, 1]])
    """

    labels: Tensor | None
    present: Tensor | None

    def __init__(
        self,
        states: Tensor,
        num_categories: int | None = None,
        labels: Tensor | None = None,
        name: str = "data",
        present: Tensor | None = None,
        tokenizer: Tokenizer | None = None,
    ) -> None:
        states, highest = _whole(torch.as_tensor(states), "states")
        if num_categories is None:
            num_categories = max(2, highest + 1)
        whole = not isinstance(num_categories, bool) and num_categories == int(num_categories)
        if not whole or num_categories < 2:
            raise DataError(f"num_categories was {num_categories}; allowed: a whole number >= 2")
        if highest >= num_categories:
            raise DataError(
                f"states hold the value {highest}; allowed: 0 .. {num_categories - 1}, "
                f"num_categories being {num_categories}"
            )
        if labels is not None:
            labels = _whole(torch.as_tensor(labels), "labels")[0].long()
            if labels.shape != states.shape[:1]:
                raise DataError(
                    f"labels have shape {tuple(labels.shape)}; allowed: {tuple(states.shape[:1])}"
                )
        if present is not None:
            present = _present(torch.as_tensor(present), states)
        if tokenizer is not None and tokenizer.size != num_categories:
            raise DataError(
                f"tokenizer has {tokenizer.size} categories; allowed: {num_categories}, "
                "as the data have"
            )
        self.num_categories = int(num_categories)
        self.labels = labels
        self.name = name
        self.present = present
        self.tokenizer = tokenizer
        self._states = states.to(narrowest(num_categories))

    @property
    def states(self) -> Tensor:
        """All states, long, shape (N, *S)."""
        return self._states.long()

    @property
    def shape(self) -> tuple[int, ...]:
        """S, the shape of one example."""
        return tuple(self._states.shape[1:])

    @property
    def num_classes(self) -> int | None:
        """The largest label + 1, or None without labels."""
        return None if self.labels is None else int(self.labels.max()) + 1

    def __len__(self) -> int:
        return int(self._states.shape[0])

    def __getitem__(self, index: Any) -> Tensor:
        return self._states[index].long()

    def __repr__(self) -> str:
        return (
            f"DiscreteData({self.name!r}, N={len(self)}, shape={self.shape}, "
            f"num_categories={self.num_categories}, labels={self.labels is not None})"
        )

    def split_off(
        self, n: int, generator: torch.Generator | None = None
    ) -> tuple[DiscreteData, DiscreteData]:
        """Set `n` random examples aside, for validation.

        Args:
            n: how many, 1 .. N - 1.
            generator: source of randomness.

        Returns:
            The rest (N - n examples) and the n examples, each in the order they had.

        Raises:
            DataError: where either part would be empty.

        Example:
            >>> data = DiscreteData(torch.arange(10).reshape(10, 1))
            >>> rest, held_out = data.split_off(3, torch.Generator().manual_seed(0))
            >>> len(rest), len(held_out), held_out.num_categories
            (7, 3, 10)
        """
        if not 0 < n < len(self):
            raise DataError(f"n was {n}; allowed: 1 .. {len(self) - 1}, of {len(self)} examples")
        device = generator.device if generator is not None else None
        order = torch.randperm(len(self), generator=generator, device=device).cpu()
        return self._part(order[n:].sort().values), self._part(order[:n].sort().values)

    def _part(self, index: Tensor) -> DiscreteData:
        labels = None if self.labels is None else self.labels[index]
        present = None if self.present is None else self.present[index]
        return DiscreteData(
            self._states[index], self.num_categories, labels, self.name, present, self.tokenizer
        )


def _whole(values: Tensor, name: str) -> tuple[Tensor, int]:
    """Values (N, ...) that are checked to be integers >= 0, and the largest of them."""
    if values.is_floating_point() or values.is_complex():
        raise DataError(
            f"{name} have dtype {values.dtype}; allowed: integers or booleans "
            "(see quantize and binarize for grey levels and other numbers)"
        )
    if values.ndim == 0 or values.numel() == 0:
        raise DataError(f"{name} have shape {tuple(values.shape)}; allowed: at least one example")
    if values.dtype in (torch.bool, torch.uint16, torch.uint32, torch.uint64):
        values = values.to(torch.uint8 if values.dtype == torch.bool else torch.long)
    low, high = (int(v) for v in values.aminmax())
    if low < 0:
        raise DataError(f"{name} hold the value {low}; allowed: 0 and above")
    return values, high


def _present(present: Tensor, states: Tensor) -> Tensor:
    if present.dtype != torch.bool:
        raise DataError(f"present has dtype {present.dtype}; allowed: torch.bool (True = data)")
    if present.shape != states.shape:
        raise DataError(f"present has shape {tuple(present.shape)}; allowed: {tuple(states.shape)}")
    nothing = ~present.reshape(len(present), -1).any(1)
    if bool(nothing.any()):
        raise DataError(
            f"present is False at every site of example {int(nothing.long().argmax())}; "
            "allowed: at least one site an example"
        )
    return present


def narrowest(num_categories: int) -> torch.dtype:
    """The smallest dtype that holds 0 .. K - 1.

    Example:
        >>> narrowest(256), narrowest(50_257)
        (torch.uint8, torch.int32)
    """
    for dtype in (torch.uint8, torch.int16, torch.int32):
        if num_categories - 1 <= torch.iinfo(dtype).max:
            return dtype
    return torch.long
