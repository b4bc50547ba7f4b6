r"""Fréchet distance between the Gaussian fits of two sets of features.

Between N(m_1, S_1) and N(m_2, S_2) the squared 2-Wasserstein distance (Dowson and Landau 1982) is

    d^2 = |m_1 - m_2|^2 + tr S_1 + tr S_2 - 2 tr (S_1^{1/2} S_2 S_1^{1/2})^{1/2}.

With features of an Inception network this is the FID (Heusel et al. 2017, arXiv 1706.08500); here
the features are whatever the caller extracts. All of it is symmetric, so eigenvalues suffice; it
runs in float64 on the CPU. A finite set overstates d^2 by about a constant over its size: compare
only numbers of equal N.
"""

from __future__ import annotations

import torch
from torch import Tensor

from discrete_ca.metrics.features import Extractor, feature_rows, same_width


def gaussian_fit(features: Tensor, name: str = "features") -> tuple[Tensor, Tensor]:
    """Mean and (unbiased) covariance of features, float64 on the CPU.

    Args:
        features: shape (N, F) with N >= 2.
        name: the argument's name, for errors.

    Returns:
        The mean (F,) and the covariance (F, F).

    Raises:
        ValueError: for another shape, fewer than two rows, or values that are not finite.

    Example:
        >>> mean, covariance = gaussian_fit(torch.tensor([[0.0], [2.0]]))
        >>> mean.item(), covariance.item()
        (1.0, 2.0)
    """
    rows = feature_rows(features, name=name)
    mean = rows.mean(0)
    centred = rows - mean
    return mean, centred.T @ centred / (len(rows) - 1)


def gaussian_distance(
    mean: Tensor, covariance: Tensor, other_mean: Tensor, other_covariance: Tensor
) -> float:
    """Squared Fréchet distance d^2 between two Gaussians, at least 0.

    Args:
        mean: m_1, shape (F,), float64.
        covariance: S_1, shape (F, F), symmetric, possibly singular.
        other_mean: m_2, shape (F,).
        other_covariance: S_2, shape (F, F).

    Raises:
        ValueError: for shapes that do not fit one another.

    Example:
        >>> eye = torch.eye(2, dtype=torch.float64)
        >>> round(gaussian_distance(torch.zeros(2), eye, torch.tensor([3.0, 4.0]), 4 * eye), 9)
        27.0
    """
    width = mean.shape[0]
    for name, part, shape in (
        ("covariance", covariance, (width, width)),
        ("other_mean", other_mean, (width,)),
        ("other_covariance", other_covariance, (width, width)),
    ):
        if part.shape != shape:
            raise ValueError(f"{name} has shape {tuple(part.shape)}; allowed: {shape}")
    values, vectors = torch.linalg.eigh(covariance)
    root = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    cross = torch.linalg.eigvalsh(root @ other_covariance @ root).clamp(min=0).sqrt().sum()
    squared = (mean - other_mean).square().sum() + covariance.trace() + other_covariance.trace()
    return max(0.0, float(squared - 2 * cross))


def frechet_distance(
    features: Tensor, reference: Tensor, extractor: Extractor | None = None
) -> float:
    """Squared Fréchet distance between Gaussian fits of two sets of features.

    Args:
        features: of the samples, shape (N, F); or, with an extractor, the samples, (N, *S).
        reference: of the data, shape (M, F); or the data, (M, *S).
        extractor: from states to features; None for features as they are.

    Raises:
        ValueError: for other shapes, different F, fewer than two rows, or non-finite values.

    Example:
        >>> x = torch.randn(100, 3, generator=torch.Generator().manual_seed(0))
        >>> round(frechet_distance(x + 2.0, x), 4)
        12.0
        >>> round(frechet_distance(x, x, lambda part: part[:, :2]), 4)
        0.0
    """
    rows = feature_rows(features, extractor, "features")
    others = feature_rows(reference, extractor, "reference")
    same_width(rows, others)
    return gaussian_distance(*gaussian_fit(rows), *gaussian_fit(others))
