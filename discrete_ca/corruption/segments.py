r"""Log-probabilities of what leads to a state: ``log sum_z p(z) S[z, x]``, straight from logits.

The states of a batch have lists of in-neighbours of any length, which stand one after another: the
*pairs* (site, in-neighbour). Their sums are over segments of one long row. What is done costs one
pass over the logits for their normaliser and is linear in the number of pairs, however uneven;
nothing of the logits' size is kept but the logits, and the gradient is written once, as in
`discrete_ca.logits`.

Sums over segments are those of torch, or of `torch_scatter` where it is installed (the extra
``scatter``): equal to rounding.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from discrete_ca.logits import pieces, wide

if TYPE_CHECKING:
    from discrete_ca.corruption.sparse import SparseRows

PAIRS, MANY_PAIRS = 1 << 17, 1 << 22
"""Pairs that are worked on at once, on a processor and on a device of its own."""


class Segments(ABC):
    """Reductions of a long row (P,) by segments: the i-th is ``starts[i] .. starts[i + 1] - 1``."""

    @abstractmethod
    def highest(self, values: Tensor, starts: Tensor) -> Tensor:
        """The largest value of each segment; any number where it is empty or nothing but -inf."""

    @abstractmethod
    def total(self, values: Tensor, starts: Tensor) -> Tensor:
        """The sum of each segment; 0 where it is empty."""


class TorchSegments(Segments):
    """Segments by torch alone."""

    def highest(self, values: Tensor, starts: Tensor) -> Tensor:
        """See `Segments.highest`."""
        return torch.segment_reduce(values, "max", offsets=starts, initial=-torch.inf)

    def total(self, values: Tensor, starts: Tensor) -> Tensor:
        """See `Segments.total`."""
        return torch.segment_reduce(values, "sum", offsets=starts, initial=0)


class ScatterSegments(Segments):
    """Segments by `torch_scatter`.

    Raises:
        ImportError: where it is not installed.
    """

    def __init__(self) -> None:
        self.reduce = importlib.import_module("torch_scatter").segment_csr

    def highest(self, values: Tensor, starts: Tensor) -> Tensor:
        """See `Segments.highest`."""
        found: Tensor = self.reduce(values, starts, reduce="max")
        return found

    def total(self, values: Tensor, starts: Tensor) -> Tensor:
        """See `Segments.total`."""
        found: Tensor = self.reduce(values, starts, reduce="sum")
        return found


@functools.cache
def best_segments(device_type: str) -> Segments:
    """`ScatterSegments` where `torch_scatter` is installed for such devices, else `TorchSegments`.

    Example:
        >>> isinstance(best_segments("cpu"), Segments)
        True
    """
    if importlib.util.find_spec("torch_scatter") is None:
        return TorchSegments()
    try:
        found = ScatterSegments()
    except (ImportError, OSError) as error:  # built for another torch
        warnings.warn(f"torch_scatter cannot be loaded, torch is used: {error}", stacklevel=2)
        return TorchSegments()
    if device_type != "cpu" and torch.ops.torch_scatter.cuda_version() < 0:
        return TorchSegments()  # it was built for the processor alone
    return found


@torch.no_grad()
def segment_log_sum_exp(values: Tensor, starts: Tensor, site: Tensor) -> Tensor:
    """``log sum exp`` of each segment, (N,); -inf where it is empty or nothing but -inf.

    It has no gradient of its own.

    Args:
        values: shape (P,).
        starts: where segments start, and P: long, shape (N + 1,).
        site: the segment of each value, long, shape (P,).

    Example:
        >>> starts, site = torch.tensor([0, 2, 2]), torch.tensor([0, 0])
        >>> segment_log_sum_exp(torch.tensor([0.0, 0.0]), starts, site).exp()
        tensor([2., 0.])
    """
    segments = best_segments(values.device.type)
    finite = torch.finfo(values.dtype)  # -inf less -inf would be NaN
    shift = segments.highest(values, starts).clamp_(finite.min, finite.max)
    total = segments.total((values - shift.index_select(0, site)).exp_(), starts)
    return total.log_().add_(shift)


def log_sums(
    logits: Tensor, x: Tensor, near: SparseRows, normalised: bool = True
) -> tuple[Tensor, Tensor]:
    """``log p(x)`` and ``log sum_z p(z) S[z, x]`` a site, with p(z) ∝ exp(logits).

    Args:
        logits: any floating dtype, shape (B, *S, K); -inf excludes a category.
        x: states, long, shape (B, *S).
        near: S, K x V.
        normalised: whether p is normalised; False takes ``p(z) = exp(logits)`` as it is.

    Returns:
        Two tensors (B, *S) in at least float32, differentiable in the logits: -inf where x is no
        category or nothing leads to it. With `normalised`, both are NaN where a row of logits has
        NaN, +inf or nothing but -inf.

    Example:
        >>> from discrete_ca.corruption import near_ordinal
        >>> from discrete_ca.corruption.sparse import SparseRows
        >>> near = SparseRows(near_ordinal(3), 3, "near")
        >>> own, led = log_sums(torch.zeros(1, 3), torch.tensor([1]), near)
        >>> own.exp(), led.exp()
        (tensor([0.3333]), tensor([0.6667]))
    """
    own, led, _, _ = _LogSums.apply(logits, x, near, normalised)
    return own, led


def runs(x: Tensor, near: SparseRows) -> Iterator[slice]:
    """Runs of sites (N,), each with a bounded number of pairs or a single site.

    Example:
        >>> from discrete_ca.corruption import near_ordinal
        >>> from discrete_ca.corruption.sparse import SparseRows
        >>> list(runs(torch.tensor([0, 1, 2]), SparseRows(near_ordinal(3), 3, "near")))
        [slice(0, 3, None)]
    """
    most = PAIRS if x.device.type == "cpu" else MANY_PAIRS
    ends = near.in_degree(x).cumsum(0)
    total = int(ends[-1]) if len(ends) else 0
    marks = torch.arange(most, max(total, most), most, device=x.device)
    cuts = torch.searchsorted(ends, marks, right=True).unique().tolist()
    for low, high in zip([0, *cuts], [*cuts, len(x)], strict=True):
        if high > low:
            yield slice(low, high)


class _LogSums(torch.autograd.Function):
    @staticmethod
    def forward(
        logits: Tensor, x: Tensor, near: SparseRows, normalised: bool
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        k, dtype = logits.shape[-1], wide(logits.dtype)
        rows, states = logits.reshape(-1, k), x.reshape(-1)
        highest = torch.zeros(len(rows), dtype=dtype, device=rows.device)
        log_total = torch.zeros_like(highest)
        if normalised:
            for part, top, total in pieces(rows, highest, log_total):
                shifted = part.to(dtype)
                top.copy_(shifted.amax(-1))
                total.copy_((shifted - top[:, None]).exp_().sum(-1).log_())
        own = rows.gather(-1, states.clamp(max=k - 1)[:, None])[:, 0].to(dtype)
        own = (own - highest - log_total).masked_fill_(states >= k, -torch.inf)
        led = torch.empty_like(own)
        for run in runs(states, near):
            site, _, values, starts = _pairs(rows, states, near, highest, run)
            led[run] = segment_log_sum_exp(values, starts, site)
        led -= log_total
        bad = ~log_total.isfinite()
        own, led = (t.masked_fill(bad, torch.nan).reshape(x.shape) for t in (own, led))
        return own, led, highest, log_total

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        logits, x, ctx.near, ctx.normalised = inputs
        _, led, highest, log_total = output
        ctx.mark_non_differentiable(highest, log_total)
        ctx.save_for_backward(logits, x, led, highest, log_total)

    @staticmethod
    def backward(
        ctx: Any, g_own: Tensor, g_led: Tensor, *unused: Tensor
    ) -> tuple[Tensor, None, None, None]:
        logits, x, led, highest, log_total = ctx.saved_tensors
        near, k = ctx.near, logits.shape[-1]
        rows, states, led = logits.reshape(-1, k), x.reshape(-1), led.reshape(-1)
        at_x, never = states.clamp(max=k - 1)[:, None], led == -torch.inf
        g_own = g_own.reshape(-1).masked_fill(states >= k, 0.0)
        g_led, led = g_led.reshape(-1).masked_fill(never, 0.0), led.masked_fill(never, 0.0)
        whole = g_own + g_led
        if torch.is_grad_enabled():  # a gradient of the gradient is asked for
            log_p = rows.to(led.dtype)
            log_p = log_p.log_softmax(-1) if ctx.normalised else log_p
            site, z, log_value, _ = near.pairs(states)
            share = (log_p[site, z] + log_value.to(led.dtype) - led[site]).exp()
            slope = torch.zeros_like(log_p).scatter_add(-1, at_x, g_own[:, None])
            slope = slope.index_put((site, z), share * g_led[site], accumulate=True)
            if ctx.normalised:
                slope = slope - whole[:, None] * log_p.exp()
            return slope.to(logits.dtype).reshape(logits.shape), None, None, None
        if ctx.normalised:
            out = torch.empty_like(rows, memory_format=torch.contiguous_format)
            for part, g, place in pieces(rows, whole, out):
                place.copy_(part.softmax(-1, dtype=g.dtype).mul_(-g[:, None]))
        else:
            out = torch.zeros_like(rows, memory_format=torch.contiguous_format)
        out.scatter_add_(-1, at_x, g_own[:, None].to(out.dtype))
        entries, raw = out.reshape(-1), led + log_total
        for run in runs(states, near):
            site, at, values, _ = _pairs(rows, states, near, highest, run)
            share = (values - raw[run].index_select(0, site)).exp_()
            share *= g_led[run].index_select(0, site)
            entries.index_add_(0, at, share.to(out.dtype))
        return out.reshape(logits.shape), None, None, None


def _pairs(
    rows: Tensor, states: Tensor, near: SparseRows, highest: Tensor, run: slice
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The pairs of some sites: site, place in the rows, ``log p(z) S[z, x] + const``, starts."""
    site, z, log_value, starts = near.pairs(states[run])
    place = (site + run.start) * rows.shape[-1] + z
    values = rows.reshape(-1).index_select(0, place).to(highest.dtype)
    values -= highest[run].index_select(0, site)
    return site, place, values.add_(log_value), starts
