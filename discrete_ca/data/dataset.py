"""A data set of discrete states, held in memory in as few bytes as its categories need."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from discrete_ca.data.sources import as_tensor
from discrete_ca.data.splitting import Splittable
from discrete_ca.data.tokenizers import Tokenizer
from discrete_ca.errors import DataError


class DiscreteData(Splittable):
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
        label_names: what each label is called, where that is known.

    Attributes:
        num_categories: K.
        labels: long, shape (N,), or None.
        name: as given.
        present: boolean, shape (N, *S), or None.
        tokenizer: as given.
        label_names: a tuple, or None.

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
    present: Any  # a tensor, or what an index reads from disk as one

    def __init__(
        self,
        states: Tensor,
        num_categories: int | None = None,
        labels: Tensor | None = None,
        name: str = "data",
        present: Tensor | None = None,
        tokenizer: Tokenizer | None = None,
        label_names: Sequence[str] | None = None,
    ) -> None:
        states, highest = whole(_tensor(states, "states"), "states")
        self._describe(highest, len(states), num_categories, labels, name, tokenizer, label_names)
        self.present = None if present is None else _present(torch.as_tensor(present), states)
        self.labels = None if self.labels is None else self.labels.long()
        self._states = states.to(narrowest(self.num_categories))

    def _describe(
        self,
        highest: int,
        count: int,
        num_categories: int | None,
        labels: Tensor | None,
        name: str,
        tokenizer: Tokenizer | None,
        label_names: Sequence[str] | None,
    ) -> None:
        """Check and set what is known of N examples whose largest state is `highest`."""
        self.num_categories = categories(num_categories, highest)
        if labels is not None:
            labels, last = whole(_tensor(labels, "labels"), "labels")
            if labels.shape != (count,):
                raise DataError(f"labels have shape {tuple(labels.shape)}; allowed: ({count},)")
            if label_names is not None and last >= len(label_names):
                raise DataError(
                    f"labels hold the value {last}; allowed: 0 .. one below the "
                    f"{len(label_names)} of label_names"
                )
        if tokenizer is not None and tokenizer.size != self.num_categories:
            raise DataError(
                f"tokenizer has {tokenizer.size} categories; allowed: {self.num_categories}, "
                "as the data have"
            )
        self.labels, self.name, self.tokenizer = labels, name, tokenizer
        self.label_names = None if label_names is None else tuple(map(str, label_names))

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
        """How many labels have names, else the largest label + 1; None without labels."""
        if self.labels is None:
            return None
        return len(self.label_names) if self.label_names else int(self.labels.max()) + 1

    def __len__(self) -> int:
        return int(self._states.shape[0])

    def __getitem__(self, index: Any) -> Tensor:
        return self._states[index].long()

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.name!r}, N={len(self)}, shape={self.shape}, "
            f"num_categories={self.num_categories}, labels={self.labels is not None})"
        )

    def _part(self, index: Tensor) -> Self:
        part = copy.copy(self)
        part.labels = None if self.labels is None else self.labels[index]
        part.present = None if self.present is None else self.present[index]
        part._states = self._states[index]
        return part


def _tensor(values: Any, name: str) -> Tensor:
    return values if isinstance(values, Tensor) else as_tensor(np.asarray(values), name)


def categories(num_categories: int | None, highest: int) -> int:
    """K as given, checked against the largest state; the largest state + 1 where it is None.

    Raises:
        DataError: for a K that is no whole number of at least 2, or too small.

    Example:
        >>> categories(None, 4), categories(16, 4), categories(None, 0)
        (5, 16, 2)
    """
    if num_categories is None:
        return max(2, highest + 1)
    whole = not isinstance(num_categories, bool) and num_categories == int(num_categories)
    if not whole or num_categories < 2:
        raise DataError(f"num_categories was {num_categories}; allowed: a whole number >= 2")
    if highest >= num_categories:
        raise DataError(
            f"states hold the value {highest}; allowed: 0 .. {num_categories - 1}, "
            f"num_categories being {num_categories}"
        )
    return int(num_categories)


def whole(values: Tensor, name: str) -> tuple[Tensor, int]:
    """Values (N, ...) that are checked to be integers >= 0, and the largest of them.

    Raises:
        DataError: for other dtypes, negative values, and no values.
    """
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
