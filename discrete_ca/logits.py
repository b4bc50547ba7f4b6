"""Log-probabilities of single categories, straight from logits and without a copy of them.

``log_softmax`` and a gather keep a second tensor of the logits' size, and their gradient makes a
third. Here the rows are gone through in pieces that stay in a processor's cache, and the gradient,
``1(k = index) - softmax(logits)_k``, is written once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

PIECE = 1 << 17
"""Entries of logits that are worked on at once."""


def wide(dtype: torch.dtype) -> torch.dtype:
    """The dtype that log-probabilities of logits of `dtype` have: at least float32.

    Example:
        >>> wide(torch.bfloat16)
        torch.float32
    """
    return torch.promote_types(dtype, torch.float32)


def pieces(rows: Tensor, *others: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Rows (N, K), and other tensors of N rows, cut into pieces of at most `PIECE` entries.

    Example:
        >>> [part.shape[0] for part, in pieces(torch.zeros(5, PIECE // 2))]
        [2, 2, 1]
    """
    size = max(1, PIECE // rows.shape[-1])
    return zip(*(t.split(size) for t in (rows, *others)), strict=True)


def log_prob_at(logits: Tensor, index: Tensor) -> Tensor:
    """``log softmax(logits)[index]``, differentiable (once) in the logits.

    Args:
        logits: any floating dtype, shape (..., K); -inf excludes a category.
        index: one category a row, long, shape (...).

    Returns:
        Log-probabilities (...) in at least float32; NaN where a row of logits has NaN, +inf or
        nothing but -inf.

    Example:
        >>> log_prob_at(torch.tensor([[0.0, 0.0]]), torch.tensor([1])).exp()
        tensor([0.5000])
    """
    found: Tensor = _LogProbAt.apply(logits, index)
    return found


class _LogProbAt(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, index: Tensor) -> Tensor:
        rows = logits.reshape(-1, logits.shape[-1])
        at = index.reshape(-1, 1)
        dtype = wide(logits.dtype)
        found = [part.log_softmax(-1, dtype=dtype).gather(-1, i) for part, i in pieces(rows, at)]
        ctx.save_for_backward(logits, index)
        return torch.cat(found).reshape(index.shape)

    @staticmethod
    @torch.autograd.function.once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        logits, index = ctx.saved_tensors
        rows = logits.reshape(-1, logits.shape[-1])
        at, scale = index.reshape(-1, 1), gradient.reshape(-1, 1)
        out = torch.empty_like(rows)
        for part, i, g, place in pieces(rows, at, scale, out):
            slope = part.softmax(-1, dtype=g.dtype).mul_(-g)
            place.copy_(slope.scatter_add_(-1, i, g))
        return out.reshape(logits.shape), None
