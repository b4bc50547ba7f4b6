r"""n-grams of sequences of categories: how their law differs from that of real sequences.

An n-gram of categories 0 .. K - 1 is packed into one whole number,

.. math:: g(w_1 \dots w_n) = \sum_i w_i K^{n - i} < K^n \le 2^{63} - 1,

so that counting is sorting: nothing of size K^n is built. n-grams do not reach across rows, nor
across sites that are absent.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from discrete_ca import checks
from discrete_ca.metrics.divergences import jensen_shannon, kullback_leibler, law, total_variation

_LARGEST = 2**63 - 1


@dataclass(frozen=True)
class NGramDivergences:
    """How far two laws of n-grams are apart.

    Attributes:
        total_variation: in [0, 1], without smoothing.
        jensen_shannon: in nats, in [0, ln 2], without smoothing.
        kullback_leibler: KL(samples ‖ reference) in nats, with α added to the count of every n-gram
            that either has.

    Example:
        >>> NGramDivergences(0.5, 0.2, 0.4).as_dict()["total_variation"]
        0.5
    """

    total_variation: float
    jensen_shannon: float
    kullback_leibler: float

    def as_dict(self) -> dict[str, float]:
        """The divergences by name, to print or to write as JSON."""
        return asdict(self)


def ngram_codes(
    tokens: Tensor, order: int, num_categories: int, present: Tensor | None = None
) -> Tensor:
    """The packed n-grams of all rows, one after another.

    Args:
        tokens: categories, long, shape (N, T).
        order: n, at least 1.
        num_categories: K.
        present: True where there is a token, shape (N, T); None for everywhere.

    Returns:
        Codes, long, shape (M,), in the order of the rows; empty where T < n.

    Raises:
        TypeError: for tokens that do not hold int64.
        ValueError: for other shapes, categories out of range, or K^n above 2^63 - 1.

    Example:
        >>> ngram_codes(torch.tensor([[1, 0, 2]]), order=2, num_categories=3)  # 1·3 + 0, 0·3 + 2
        tensor([3, 2])
    """
    check_sequences(tokens, num_categories, present)
    codes, whole = packed(tokens, order, num_categories, present)
    return codes[whole]


def ngram_divergences(
    tokens: Tensor,
    reference: Tensor,
    order: int,
    num_categories: int,
    *,
    smoothing: float = 0.5,
    present: Tensor | None = None,
    reference_present: Tensor | None = None,
) -> NGramDivergences:
    """Divergences between the n-gram laws of samples and of real sequences.

    Args:
        tokens: of the samples, long, shape (N, T).
        reference: real ones, long, shape (M, T').
        order: n.
        num_categories: K.
        smoothing: α of the Kullback–Leibler divergence, the others having none; 0 for none, and
            then it is infinite where samples hold an n-gram that the reference has not.
        present: True where the samples have a token; None for everywhere.
        reference_present: the same of the reference.

    Raises:
        TypeError: for tokens that do not hold int64.
        ValueError: for other shapes, categories out of range, rows too short, or K^n too large.

    Example:
        >>> x, y = torch.tensor([[0, 1, 0]]), torch.tensor([[0, 1, 1]])
        >>> ngram_divergences(x, y, order=2, num_categories=2).total_variation
        0.5
    """
    first = _some(ngram_codes(tokens, order, num_categories, present), order, "tokens")
    second = ngram_codes(reference, order, num_categories, reference_present)
    _some(second, order, "reference")
    seen, index = torch.unique(torch.cat([first, second.to(first.device)]), return_inverse=True)
    counts = [
        torch.bincount(part, minlength=len(seen)) for part in index.split([len(first), len(second)])
    ]
    p, q = (law(part) for part in counts)
    smooth = (law(part, smoothing) for part in counts)
    return NGramDivergences(total_variation(p, q), jensen_shannon(p, q), kullback_leibler(*smooth))


def share_seen(
    tokens: Tensor,
    training: Tensor,
    order: int,
    num_categories: int,
    *,
    present: Tensor | None = None,
    training_present: Tensor | None = None,
) -> float:
    """Share of the n-grams of samples, counted as often as they occur, that the training text has.

    Near 1 for small n; for large n near 1 means copying. Compare with that of held-out text.

    Args:
        tokens: of the samples, long, shape (N, T).
        training: long, shape (M, T').
        order: n.
        num_categories: K.
        present: True where the samples have a token; None for everywhere.
        training_present: the same of the training text.

    Raises:
        TypeError: for tokens that do not hold int64.
        ValueError: for other shapes, categories out of range, rows too short, or K^n too large.

    Example:
        >>> share_seen(torch.tensor([[0, 1, 1, 0, 1]]), torch.tensor([[0, 1, 1]]), 2, 2)
        0.75
    """
    codes = _some(ngram_codes(tokens, order, num_categories, present), order, "tokens")
    known = ngram_codes(training, order, num_categories, training_present).unique()
    return float(torch.isin(codes, known.to(codes.device)).double().mean())


def packed(
    tokens: Tensor, order: int, num_categories: int, present: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Codes of the n-grams that start at each site, and whether all their sites are present.

    Args:
        tokens: categories that were checked, shape (N, T).
        order: n.
        num_categories: K.
        present: True where there is a token; None for everywhere.

    Returns:
        Codes, long, and their validity, bool, both of shape (N, max(T - n + 1, 0)).

    Raises:
        ValueError: for n below 1 or K^n above 2^63 - 1.

    Example:
        >>> packed(torch.tensor([[1, 0, 2]]), 2, 3, torch.tensor([[True, True, False]]))
        (tensor([[3, 2]]), tensor([[ True, False]]))
    """
    checks.positive(order, "order")
    if num_categories**order > _LARGEST:
        raise ValueError(
            f"order was {order} with num_categories = {num_categories}; allowed: "
            "num_categories^order at most 2^63 - 1, so that an n-gram fits into one number"
        )
    count = max(tokens.shape[1] - order + 1, 0)
    codes = torch.zeros(len(tokens), count, dtype=torch.long, device=tokens.device)
    whole = torch.ones_like(codes, dtype=torch.bool)
    for i in range(order):
        codes.mul_(num_categories).add_(tokens[:, i : i + count])
        if present is not None:
            whole &= present[:, i : i + count].to(whole.device)
    return codes, whole


def check_sequences(
    tokens: Tensor, num_categories: int, present: Tensor | None, name: str = "tokens"
) -> None:
    """Refuse anything but categories (N, T), long, with a mask of that shape or none.

    Example:
        >>> check_sequences(torch.tensor([[0, 1]]), 2, None)
    """
    checks.positive(num_categories, "num_categories")
    if tokens.ndim != 2:
        raise ValueError(f"{name} have shape {tuple(tokens.shape)}; allowed: (N, T)")
    checks.states(tokens, num_categories, name)
    if present is not None and (present.shape != tokens.shape or present.dtype != torch.bool):
        raise ValueError(
            f"present has shape {tuple(present.shape)} and dtype {present.dtype}; allowed: "
            f"{tuple(tokens.shape)} and torch.bool"
        )


def _some(codes: Tensor, order: int, name: str) -> Tensor:
    if not len(codes):
        raise ValueError(f"{name} hold no {order}-gram; allowed: rows of at least {order} tokens")
    return codes
