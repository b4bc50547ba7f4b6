r"""Expectations under noise that depends on a distance, straight from logits.

Where ``Q[z, x] = g(x - z) / N(z)`` with an even g, a column of Q is a window of one sequence,
weighted by 1 / N, and

    log Σ_z p(z) Q[z, x],   p(z) ∝ exp(logits_z)

is taken for all sites without a matrix of Q: the rows of logits are gone through in pieces that
stay in a processor's cache, as in `discrete_ca.logits`, and the gradient is written once.

Sums are of plain numbers, each row scaled by its largest weight. The few that come out so small
that they have lost precision (x far from everything that is likely) are taken again in logarithms,
so that the result is right to rounding everywhere. A band of near z alone would not be cheaper: p
is normalised over all of them, which takes most of the time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from discrete_ca.logits import log_sum_exp, pieces, wide


class Window(NamedTuple):
    """``Q[z, x] = g(x - z) / N(z)`` of each of B examples; a column of Q is a window of g."""

    log_g: Tensor
    """``log g(d)`` at d = -(K-1) .. K-1, shape (B, 2K - 1); -inf for never."""
    log_normaliser: Tensor
    """``log N(z)``, shape (B, K)."""

    def columns(self, example: Tensor, x: Tensor) -> Tensor:
        """``log Q[., x]`` of n states of the given examples, each (n,); result (n, K)."""
        found = _windows(self.log_g, example, x)
        return found.sub_(self.log_normaliser.index_select(0, example))


def examples(x: Tensor) -> Tensor:
    """The example of each site, in the order of ``x.reshape(-1)``.

    Example:
        >>> examples(torch.zeros(2, 3))
        tensor([0, 0, 0, 1, 1, 1])
    """
    return torch.arange(len(x), device=x.device).repeat_interleave(x.numel() // max(len(x), 1))


def _windows(g: Tensor, example: Tensor, x: Tensor) -> Tensor:
    """``g(z - x)`` over z, (n, K), of n states: runs of one long row, no index an entry."""
    num = (g.shape[1] + 1) // 2
    if not len(x):
        return g.new_empty(0, num)
    start = example * g.shape[1] + (num - 1) - x
    return g.reshape(-1).unfold(0, num, 1).index_select(0, start)


def log_window_sums(logits: Tensor, x: Tensor, window: Window) -> Tensor:
    """``log Σ_z p(z) Q[z, x]`` a site, with p(z) ∝ exp(logits).

    Args:
        logits: any floating dtype, shape (B, *S, K); -inf excludes a category.
        x: states 0 .. K-1, long, shape (B, *S).
        window: Q of each example.

    Returns:
        Log-probabilities (B, *S) in at least float32, differentiable in the logits; -inf where
        nothing that is possible leads to x, NaN where a row of logits has NaN, +inf or nothing but
        -inf.

    Example:
        >>> window = Window(torch.zeros(1, 3), torch.full((1, 2), 2.0).log())  # uniform noise
        >>> log_window_sums(torch.tensor([[0.0, 5.0]]), torch.tensor([1]), window).exp()
        tensor([0.5000])
    """
    found: Tensor = _LogWindowSums.apply(logits, x, *window)
    return found


def _weights(part: Tensor, dtype: torch.dtype) -> Tensor:
    """``exp(logits)``, the largest of each row 1."""
    part = part.to(dtype)
    return (part - part.amax(-1, keepdim=True)).exp_()


def _columns(window: Window, dtype: torch.dtype) -> Callable[[Tensor, Tensor], Tensor]:
    """A function like `Window.columns` that gives Q itself, in a dtype."""
    g, inverse = window.log_g.exp().to(dtype), (-window.log_normaliser).exp().to(dtype)
    return lambda example, x: _windows(g, example, x).mul_(inverse.index_select(0, example))


def _parts(logits: Tensor, x: Tensor, *others: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Pieces of rows (n, K), and the example, the state and what else there is of each row."""
    rows = logits.reshape(-1, logits.shape[-1])
    return pieces(
        rows, examples(x), x.reshape(-1), *(t.reshape(-1, *t.shape[x.ndim :]) for t in others)
    )


def _least(dtype: torch.dtype) -> float:
    """Sums below it may have lost terms that count."""
    return torch.finfo(dtype).tiny / torch.finfo(dtype).eps ** 2


class _LogWindowSums(torch.autograd.Function):
    @staticmethod
    def forward(logits: Tensor, x: Tensor, *tensors: Tensor) -> Tensor:
        window, dtype = Window(*tensors), wide(logits.dtype)
        q = _columns(window, dtype)
        found = [torch.empty(0, dtype=dtype, device=x.device)]
        for part, example, states in _parts(logits, x):
            weights = _weights(part, dtype)
            led = torch.linalg.vecdot(q(example, states), weights)
            log_sum = (led / weights.sum(-1)).log_()
            small = (led < _least(dtype)).nonzero()[:, 0]
            if len(small):
                log_p = part[small].double().log_softmax(-1)
                joint = log_p + window.columns(example[small], states[small])
                log_sum[small] = log_sum_exp(joint).to(dtype)
            found.append(log_sum)
        return torch.cat(found).reshape(x.shape)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        logits, x, *tensors = ctx.saved_tensors
        window, dtype, nothing = Window(*tensors), gradient.dtype, (None,) * (1 + len(tensors))
        if torch.is_grad_enabled():  # a gradient of the gradient is asked for
            rows = logits.reshape(-1, logits.shape[-1])
            columns = window.columns(examples(x), x.reshape(-1))
            slope = _slopes(rows, columns) * gradient.reshape(-1, 1)
            return (slope.to(logits.dtype).reshape(logits.shape), *nothing)
        q = _columns(window, dtype)
        out = torch.empty_like(logits, memory_format=torch.contiguous_format)
        for part, example, states, g, place in _parts(logits, x, gradient, out):
            weights = _weights(part, dtype)
            slope = q(example, states).mul_(weights)
            led = slope.sum(-1)
            slope.mul_((g / led)[:, None])
            slope.addcmul_(weights, (g / weights.sum(-1))[:, None], value=-1)
            small = (led < _least(dtype)).nonzero()[:, 0]
            if len(small):
                exact = _slopes(part[small], window.columns(example[small], states[small]))
                slope[small] = (exact * g[small, None]).to(dtype)
            place.copy_(slope)
        return (out, *nothing)


def _slopes(rows: Tensor, column: Tensor) -> Tensor:
    """The gradient of ``log Σ_z p(z) Q[z, x]`` in each row of logits, in float64; 0 for never."""
    log_p = rows.double().log_softmax(-1)
    joint = log_p + column
    never = (joint == -torch.inf).all(-1, keepdim=True)
    share = joint.masked_fill(never, 0.0).softmax(-1)
    return (share - log_p.exp()).masked_fill(never, 0.0)
