r"""Maximum mean discrepancy between two sets, unbiased.

With a positive definite similarity k (the literature's kernel; here that word means a Markov
kernel) and x_1 .. x_m, y_1 .. y_n (Gretton et al. 2012, JMLR 13, equation 3):

.. math::
    \text{MMD}^2_u = \frac{1}{m(m-1)} \sum_{i \ne j} k(x_i, x_j)
        + \frac{1}{n(n-1)} \sum_{i \ne j} k(y_i, y_j) - \frac{2}{mn} \sum_{i,j} k(x_i, y_j).

Its mean is 0 where both sets have one law, whatever their sizes, so it can fall below 0. It is
computed in pieces: no m × n matrix is ever whole. Sums are in float64.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor

from discrete_ca import checks
from discrete_ca.metrics.distances import hamming, squared_euclidean
from discrete_ca.metrics.features import Extractor, extract, thinned

# Pieces whose similarities stay in the processor's cache, and rows that a median is taken over.
_PIECE, _MEDIAN = 512, 1000


class Similarity(ABC):
    """A positive definite function of two states or rows of features."""

    @abstractmethod
    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """Similarities of all rows (n, F) with all rows (m, F), float64, shape (n, m)."""


class GaussianSimilarity(Similarity):
    """``exp(-|x - y|^2 / 2σ^2)``.

    Args:
        bandwidth: σ, above 0, in the features' own unit.

    Example:
        >>> k = GaussianSimilarity(bandwidth=1.0)
        >>> round(float(k(torch.tensor([[0.0]]), torch.tensor([[2.0]]))), 4)  # exp(-2)
        0.1353
    """

    def __init__(self, bandwidth: float) -> None:
        self.bandwidth = _above_zero(bandwidth, "bandwidth")

    @classmethod
    def median(cls, reference: Tensor) -> GaussianSimilarity:
        """With the median heuristic: σ is the median distance between unequal reference rows.

        Of more than 1,000 rows every k-th is used. Take it from real data alone, so that samples
        and floor are measured alike.

        Args:
            reference: rows, shape (N, F), N >= 2.

        Raises:
            ValueError: for other shapes, or where all rows are equal.

        Example:
            >>> GaussianSimilarity.median(torch.tensor([[0.0], [3.0]])).bandwidth
            3.0
        """
        return cls(math.sqrt(_median(squared_euclidean, reference)))

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """Similarities of all rows (n, F) with all rows (m, F), float64, shape (n, m)."""
        return squared_euclidean(x, y).mul_(-0.5 / self.bandwidth**2).exp_()


class PolynomialSimilarity(Similarity):
    """(a x·y + c)^d; by default (x·y / F + 1)^3, that of the kernel Inception distance.

    On an Inception network's features MMD^2 with it is the KID (Bińkowski et al. 2018,
    arXiv 1801.01401). It compares moments up to d.

    Args:
        degree: d, a whole number >= 1.
        scale: a, above 0; None for 1 / F.
        offset: c, at least 0.

    Example:
        >>> PolynomialSimilarity()(torch.tensor([[2.0, 2.0]]), torch.tensor([[1.0, 0.0]]))
        tensor([[8.]], dtype=torch.float64)
    """

    def __init__(self, degree: int = 3, scale: float | None = None, offset: float = 1.0) -> None:
        self.degree = checks.positive(degree, "degree")
        self.scale = None if scale is None else _above_zero(scale, "scale")
        if not 0 <= offset < math.inf:
            raise ValueError(f"offset was {offset}; allowed: finite and >= 0")
        self.offset = offset

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """Similarities of all rows (n, F) with all rows (m, F), float64, shape (n, m)."""
        scale = 1 / x.shape[1] if self.scale is None else self.scale
        return (x.double() @ y.double().T).mul_(scale).add_(self.offset).pow_(self.degree)


class HammingSimilarity(Similarity):
    """exp(-γ d_H(x, y)) of states, d_H being the number of sites at which they differ.

    It is a product over sites of 1 or e^-γ, and so positive definite. Discrete energy-based models
    are compared with it, at γ = 0.1, on plane laws written in 32 Gray-coded bits (Dai et al. 2020,
    arXiv 2011.05363; Zhang et al. 2022, arXiv 2202.01361).

    Args:
        rate: γ, above 0.

    Example:
        >>> k = HammingSimilarity(rate=0.1)
        >>> round(float(k(torch.tensor([[0, 1, 1]]), torch.tensor([[1, 0, 1]]))), 4)  # exp(-0.2)
        0.8187
    """

    def __init__(self, rate: float = 0.1) -> None:
        self.rate = _above_zero(rate, "rate")

    @classmethod
    def median(cls, reference: Tensor) -> HammingSimilarity:
        """With γ = 1 / the median distance between unequal reference states, for many sites.

        Of more than 1,000 states every k-th is used.

        Args:
            reference: states, shape (N, *S), N >= 2.

        Raises:
            ValueError: for other shapes, or where all states are equal.

        Example:
            >>> HammingSimilarity.median(torch.tensor([[0, 0, 1, 1], [1, 1, 1, 1]])).rate
            0.5
        """
        return cls(1 / _median(hamming, reference))

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """Similarities of all rows (n, D) with all rows (m, D), float64, shape (n, m)."""
        return hamming(x, y).double().mul_(-self.rate).exp_()


def mmd_squared(
    x: Tensor,
    y: Tensor,
    similarity: Similarity,
    extractor: Extractor | None = None,
) -> float:
    """The unbiased MMD^2 between two sets of states or features.

    Args:
        x: of the samples: features (M, F), or states (M, *S), M >= 2.
        y: of the data: features (N, F), or states (N, *S), N >= 2.
        similarity: k, such as `HammingSimilarity()` for states.
        extractor: from states to features; None to compare what is given.

    Raises:
        ValueError: for shapes that do not fit, fewer than two of either, or non-finite values.

    Example:
        >>> x, y = torch.tensor([[0], [0]]), torch.tensor([[1], [1]])
        >>> round(mmd_squared(x, y, HammingSimilarity(0.1)), 4)  # 2 - 2 exp(-0.1)
        0.1903
    """
    rows, others = (_rows(part, extractor, name) for part, name in ((x, "x"), (y, "y")))
    if rows.shape[1] != others.shape[1]:
        raise ValueError(f"x is {rows.shape[1]} wide, y {others.shape[1]}; allowed: equal")
    cross = math.fsum(
        float(similarity(a, b).sum()) for a in rows.split(_PIECE) for b in others.split(_PIECE)
    )
    between = cross / (len(rows) * len(others))
    return _mean_within(rows, similarity) + _mean_within(others, similarity) - 2 * between


def _mean_within(rows: Tensor, similarity: Similarity) -> float:
    """Mean similarity of pairs i ≠ j."""
    pieces = rows.split(_PIECE)
    sums = []
    for i, piece in enumerate(pieces):
        own = similarity(piece, piece)
        sums.append(float(own.sum() - own.diagonal().sum()))
        sums += [2 * float(similarity(piece, other).sum()) for other in pieces[i + 1 :]]
    return math.fsum(sums) / (len(rows) * (len(rows) - 1))


def _rows(x: Tensor, extractor: Extractor | None, name: str) -> Tensor:
    """States or features as (N, F): whole numbers as they are, others in float64."""
    found = x if extractor is None else extract(extractor, x)
    if found.ndim == 0 or len(found) < 2:
        raise ValueError(f"{name} has shape {tuple(found.shape)}; allowed: (N, *S), N >= 2")
    rows = found.detach().reshape(len(found), -1)
    if rows.is_floating_point():
        rows = rows.double()
        if not rows.isfinite().all():
            raise ValueError(f"{name} holds NaN or infinite values; allowed: finite ones")
    return rows


def _median(distance: Callable[[Tensor, Tensor], Tensor], reference: Tensor) -> float:
    rows = _rows(reference, None, "reference")
    rows = thinned(rows, _MEDIAN)
    index = torch.triu_indices(len(rows), len(rows), offset=1)
    found = distance(rows, rows)[index[0], index[1]]
    found = found[found > 0]
    if not len(found):
        raise ValueError(
            "all rows of reference are equal; allowed: a bandwidth or rate of your own"
        )
    return float(found.median())


def _above_zero(value: float, name: str) -> float:
    if not 0 < value < math.inf:
        raise ValueError(f"{name} was {value}; allowed: finite and above 0")
    return float(value)
