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

PIECE, LARGE_PIECE = 1 << 17, 1 << 26
"""Entries of logits that are worked on at once, on a processor and on a device of its own."""


def wide(dtype: torch.dtype) -> torch.dtype:
    """The dtype that log-probabilities of logits of `dtype` have: at least float32.

    Example:
        >>> wide(torch.bfloat16)
        torch.float32
    """
    return torch.promote_types(dtype, torch.float32)


def entropies(probs: Tensor) -> Tensor:
    """Entropy in nats of each row: (..., V) to (...); 0 log 0 = 0, with a finite gradient.

    Example:
        >>> entropies(torch.tensor([0.5, 0.5, 0.0]))
        tensor(0.6931)
    """
    return -(probs * probs.masked_fill(probs == 0, 1.0).log()).sum(-1)  # xlogy's slope is -inf


def pieces(rows: Tensor, *others: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Rows (N, K), and other tensors of N rows, cut into pieces of some number of entries.

    Example:
        >>> [part.shape[0] for part, in pieces(torch.zeros(5, PIECE // 2))]
        [2, 2, 1]
    """
    entries = PIECE if rows.device.type == "cpu" else LARGE_PIECE
    size = max(1, entries // rows.shape[-1])
    return zip(*(t.split(size) for t in (rows, *others)), strict=True)


def log_sum_exp(values: Tensor) -> Tensor:
    """``log sum exp`` over the last axis; a sum of nothing but -inf is -inf with gradient 0.

    Example:
        >>> log_sum_exp(torch.tensor([[0.0, 0.0], [-torch.inf, -torch.inf]])).exp()
        tensor([2., 0.])
    """
    found = values.logsumexp(-1)
    never = found == -torch.inf
    if bool(never.any()):  # torch's gradient of a sum of nothing is NaN
        found = values.masked_fill(never.unsqueeze(-1), 0.0).logsumexp(-1)
        found = found.masked_fill(never, -torch.inf)
    return found


def log_prob_at(logits: Tensor, index: Tensor) -> Tensor:
    """``log softmax(logits)[index]``, differentiable in the logits.

    Args:
        logits: any floating dtype, shape (..., K); -inf excludes a category.
        index: one category a row, long, shape (...).

    Returns:
        Log-probabilities (...) in at least float32; NaN where a row of logits has NaN, +inf or
        nothing but -inf.

    Raises:
        ValueError: for an index of another shape.

    Example:
        >>> log_prob_at(torch.tensor([[0.0, 0.0]]), torch.tensor([1])).exp()
        tensor([0.5000])
    """
    if index.shape != logits.shape[:-1]:
        allowed = tuple(logits.shape[:-1])
        raise ValueError(f"index has shape {tuple(index.shape)}; allowed: {allowed}")
    found: Tensor = _LogProbAt.apply(logits, index)
    return found


class _LogProbAt(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(logits: Tensor, index: Tensor) -> Tensor:
        rows = logits.reshape(-1, logits.shape[-1])
        at = index.reshape(-1, 1)
        dtype = wide(logits.dtype)
        found = [part.log_softmax(-1, dtype=dtype).gather(-1, i) for part, i in pieces(rows, at)]
        return torch.cat(found).reshape(index.shape)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        logits, index = ctx.saved_tensors
        if torch.is_grad_enabled():  # a gradient of the gradient is asked for
            probs = logits.softmax(-1, dtype=gradient.dtype)
            slope = torch.zeros_like(probs).scatter(-1, index.unsqueeze(-1), 1.0) - probs
            return (slope * gradient.unsqueeze(-1)).to(logits.dtype), None
        rows = logits.reshape(-1, logits.shape[-1])
        at, scale = index.reshape(-1, 1), gradient.reshape(-1, 1)
        out = torch.empty_like(rows)
        for part, i, g, place in pieces(rows, at, scale, out):
            slope = part.softmax(-1, dtype=g.dtype).mul_(-g)
            place.copy_(slope.scatter_add_(-1, i, g))
        return out.reshape(logits.shape), None
