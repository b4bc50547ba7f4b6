r"""Divergences between laws on finite sets, and laws from counts.

.. math::
    \text{TV} = \tfrac12 \sum_i |p_i - q_i|, \quad
    \text{KL}(p \| q) = \sum_i p_i \ln \frac{p_i}{q_i}, \quad
    \text{JS} = \tfrac12 \text{KL}(p \| m) + \tfrac12 \text{KL}(q \| m), \; m = \tfrac12 (p + q).

KL and JS are in nats; JS is at most ln 2 (Lin 1991, IEEE Transactions on Information Theory 37(1)).
Laws from finite counts are further apart than what they were drawn from: compare a divergence with
the same one between two sets of real data of the same sizes.
"""

from __future__ import annotations

from torch import Tensor


def law(counts: Tensor, smoothing: float = 0.0) -> Tensor:
    """Relative frequencies (c + α) / Σ (c + α), in float64.

    Args:
        counts: non-negative, any shape, not all 0 unless smoothed.
        smoothing: α, added to every count.

    Raises:
        ValueError: for a negative α or counts that sum to 0.

    Example:
        >>> import torch
        >>> law(torch.tensor([1, 3])).tolist(), law(torch.tensor([0, 2]), smoothing=1.0).tolist()
        ([0.25, 0.75], [0.25, 0.75])
    """
    if not smoothing >= 0:
        raise ValueError(f"smoothing was {smoothing}; allowed: >= 0")
    weights = counts.double() + smoothing
    total = weights.sum()
    if not bool(total > 0):
        raise ValueError(f"counts sum to {float(total)}; allowed: more than 0")
    return weights / total


def total_variation(p: Tensor, q: Tensor) -> float:
    """Total variation distance, ``sum |p - q| / 2``, in [0, 1].

    Raises:
        ValueError: for laws of different lengths.

    Example:
        >>> import torch
        >>> total_variation(torch.tensor([1.0, 0.0]), torch.tensor([0.5, 0.5]))
        0.5
    """
    p, q = _two(p, q)
    return float((p - q).abs().sum() / 2)


def kullback_leibler(p: Tensor, q: Tensor) -> float:
    """KL(p ‖ q) in nats; infinite where p has what q has not.

    Raises:
        ValueError: for laws of different lengths.

    Example:
        >>> import torch
        >>> kullback_leibler(torch.tensor([1.0, 0.0]), torch.tensor([0.5, 0.5]))  # ln 2
        0.6931471805599453
    """
    p, q = _two(p, q)
    inside = p > 0
    p, q = p[inside], q[inside]
    return max(0.0, float((p * (p.log() - q.log())).sum()))


def jensen_shannon(p: Tensor, q: Tensor) -> float:
    """Jensen–Shannon divergence in nats, in [0, ln 2].

    Raises:
        ValueError: for laws of different lengths.

    Example:
        >>> import torch
        >>> jensen_shannon(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]))  # ln 2
        0.6931471805599453
    """
    p, q = _two(p, q)
    middle = (p + q) / 2
    return (kullback_leibler(p, middle) + kullback_leibler(q, middle)) / 2


def _two(p: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
    if p.shape != q.shape:
        raise ValueError(f"p has shape {tuple(p.shape)} and q {tuple(q.shape)}; allowed: equal")
    return p.double(), q.double()
