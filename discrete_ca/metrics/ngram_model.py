r"""A model of n-grams, fitted on text that the kernel has not seen: an independent reader.

It is an interpolated Witten–Bell model (Witten and Bell 1991, IEEE Transactions on Information
Theory 37(4), method C; interpolated as in Chen and Goodman 1998, TR-10-98). With c(h) the times
that a history h was followed by a token, and t(h) the number of different tokens that followed,

.. math::
    p(w | h) = \frac{c(h w) + t(h) \, p(w | h')}{c(h) + t(h)}, \qquad
    p(w | h) = p(w | h') \text{ where } c(h) = 0,

h' being h without its first token, and at the end, below the empty history, 1/K. It sums to one
over the next token for every history and has nothing to tune.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from discrete_ca import checks
from discrete_ca.metrics.ngrams import check_sequences, packed


class CrossEntropy(NamedTuple):
    """What a model makes of text, per token."""

    nats: float
    """-mean ln p."""
    bits: float
    """-mean log2 p."""


class _Table(NamedTuple):
    """Counts of n-grams and of their histories, all by sorted code."""

    codes: Tensor
    counts: Tensor
    histories: Tensor
    totals: Tensor
    kinds: Tensor


class NGramModel:
    """Interpolated Witten–Bell model of order n over K categories; uniform until it is fitted.

    Near the start of a row, or after an absent site, the history is what there is.

    Args:
        order: n, at least 1: a token is predicted from n - 1 before it.
        num_categories: K, with K^n at most 2^63 - 1.

    Raises:
        ValueError: for an order below 1, or n and K too large.

    Example:
        >>> model = NGramModel(order=2, num_categories=2)
        >>> model.cross_entropy(torch.tensor([[0, 1, 1]])).bits  # nothing seen: 1 bit a token
        1.0
        >>> model.fit(torch.tensor([[0, 1, 0, 1]])).cross_entropy(torch.tensor([[0, 1]])).bits < 1
        True
    """

    def __init__(self, order: int, num_categories: int) -> None:
        self.order = checks.positive(order, "order")
        self.num_categories = checks.positive(num_categories, "num_categories")
        packed(torch.zeros(0, 0, dtype=torch.long), order, num_categories)  # refused if too large
        self._tables: list[_Table] = []

    def fit(self, tokens: Tensor, present: Tensor | None = None) -> NGramModel:
        """Count the n-grams of held-out sequences; what was fitted before is forgotten.

        Args:
            tokens: categories, long, shape (N, T).
            present: True where there is a token, shape (N, T); None for everywhere.

        Returns:
            The model itself.

        Raises:
            TypeError: for tokens that do not hold int64.
            ValueError: for other shapes or categories out of range.
        """
        check_sequences(tokens, self.num_categories, present)
        self._tables = [
            self._count(tokens.cpu(), order, present) for order in range(1, self.order + 1)
        ]
        return self

    def log_probs(self, tokens: Tensor, present: Tensor | None = None) -> Tensor:
        """Log-probabilities ln p of each token given those before it.

        Args:
            tokens: categories, long, shape (N, T).
            present: True where there is a token, shape (N, T); None for everywhere.

        Returns:
            Log-probabilities, float64 on the CPU, shape (N, T); 0 where there is no token.

        Raises:
            TypeError: for tokens that do not hold int64.
            ValueError: for other shapes or categories out of range.

        Example:
            >>> NGramModel(2, 4).log_probs(torch.tensor([[0, 3]])).exp()
            tensor([[0.2500, 0.2500]], dtype=torch.float64)
        """
        check_sequences(tokens, self.num_categories, present)
        tokens = tokens.cpu()
        p = torch.full(tokens.shape, 1 / self.num_categories, dtype=torch.float64)
        for order, table in enumerate(self._tables, start=1):
            codes, whole = packed(tokens, order, self.num_categories, present)
            if not codes.numel() or not len(table.codes):
                continue
            place, known = _find(table.histories, codes // self.num_categories)
            known &= whole
            total, kinds = table.totals[place], table.kinds[place]
            place, seen = _find(table.codes, codes)
            count = torch.where(seen, table.counts[place], 0)
            lower = p[:, order - 1 :]
            p[:, order - 1 :] = torch.where(known, (count + kinds * lower) / (total + kinds), lower)
        return p.log() if present is None else p.log().masked_fill(~present.cpu(), 0.0)

    def next_log_probs(self, history: Tensor) -> Tensor:
        """Log-probabilities ln p of every token after each history.

        Args:
            history: categories, long, shape (B, T); T may be 0.

        Returns:
            Log-probabilities, float64 on the CPU, shape (B, K); their exponentials sum to 1.

        Raises:
            TypeError: for a history that does not hold int64.
            ValueError: for other shapes or categories out of range.

        Example:
            >>> model = NGramModel(2, 3).fit(torch.tensor([[0, 1, 2, 0, 1]]))
            >>> model.next_log_probs(torch.tensor([[0]])).exp().argmax()
            tensor(1)
        """
        check_sequences(history, self.num_categories, None, "history")
        batch, K = len(history), self.num_categories
        seen = history.cpu()[:, max(history.shape[1] - self.order + 1, 0) :]
        following = torch.arange(K).repeat(batch)[:, None]
        rows = torch.cat([seen.repeat_interleave(K, 0), following], 1)
        return self.log_probs(rows)[:, -1].reshape(batch, K)

    def cross_entropy(self, tokens: Tensor, present: Tensor | None = None) -> CrossEntropy:
        """Mean of -ln p (and of -log2 p) over the tokens.

        Far below that of real text is no better than far above it: dull samples are easy to
        predict.

        Args:
            tokens: categories, long, shape (N, T).
            present: True where there is a token, shape (N, T); None for everywhere.

        Raises:
            TypeError: for tokens that do not hold int64.
            ValueError: for other shapes, categories out of range, or no tokens.
        """
        log_probs = self.log_probs(tokens, present)
        count = log_probs.numel() if present is None else int(present.sum())
        if not count:
            raise ValueError("tokens hold none that is present; allowed: at least one")
        nats = -float(log_probs.sum()) / count
        return CrossEntropy(nats, nats / math.log(2))

    def _count(self, tokens: Tensor, order: int, present: Tensor | None) -> _Table:
        grams, whole = packed(tokens, order, self.num_categories, present)
        codes, counts = torch.unique(grams[whole], return_counts=True)
        histories, group, kinds = torch.unique_consecutive(
            codes // self.num_categories, return_inverse=True, return_counts=True
        )
        totals = torch.zeros_like(histories).index_add_(0, group, counts)
        return _Table(codes, counts, histories, totals, kinds)


def _find(known: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """Where each wanted code is among those known (sorted, at least one), and whether it is."""
    place = torch.searchsorted(known, wanted).clamp_(max=len(known) - 1)
    return place, known[place] == wanted
