r"""Precision and recall of samples, from balls around their features.

The manifold of a set Φ is the union of balls around its rows, each with the distance to the row's
k-th nearest neighbour in Φ as radius, NND_k (Kynkäänniemi et al. 2019, arXiv 1904.06991, equations
1 and 2). Precision is the share of samples on the manifold of the data, recall the share of data
on the manifold of the samples. Density and coverage (Naeem et al. 2020, arXiv 2002.09797) bear
outliers of the data better:

.. math::
    \text{density} = \frac{1}{kM} \sum_{j=1}^{M} \sum_{i=1}^{N}
        1[ |y_j - x_i| \le \text{NND}_k(x_i) ], \quad
    \text{coverage} = \frac{1}{N} \sum_{i=1}^{N} 1[ \exists j: |y_j - x_i| \le \text{NND}_k(x_i) ]

for samples y and data x. All four depend on M, N and k: compare only numbers of equal ones.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from discrete_ca import checks
from discrete_ca.metrics.distances import squared_euclidean
from discrete_ca.metrics.features import Extractor, feature_rows, same_width

_PIECE = 512
_ROUNDING = 1e-12  # of the largest squared norm: distances nearer than this count as equal


@dataclass(frozen=True)
class ManifoldMetrics:
    """How samples lie on the manifold of the data, and the data on that of the samples.

    Attributes:
        precision: share of samples on the data's manifold; how good they are.
        recall: share of data on the samples' manifold; how varied the samples are.
        density: how many of the data's balls a sample lies in, over k; about 1 for real data, and
            it may be more.
        coverage: share of the data's balls that hold a sample.

    Example:
        >>> ManifoldMetrics(0.5, 0.25, 1.0, 0.75).as_dict()["recall"]
        0.25
    """

    precision: float
    recall: float
    density: float
    coverage: float

    def as_dict(self) -> dict[str, float]:
        """The metrics by name, to print or to write as JSON."""
        return asdict(self)


def manifold_metrics(
    features: Tensor, reference: Tensor, k: int = 3, extractor: Extractor | None = None
) -> ManifoldMetrics:
    """Precision, recall, density and coverage, in pieces.

    Args:
        features: of the samples, shape (M, F); or, with an extractor, the samples, (M, *S); M > k.
        reference: of the data, shape (N, F); or the data, (N, *S); N > k.
        k: which nearest neighbour makes the radius; the papers use 3 (and 5 for density and
            coverage).
        extractor: from states to features; None for features as they are.

    Raises:
        ValueError: for other shapes, different F, too few rows, or non-finite values.

    Example:
        >>> data = torch.tensor([[0.0], [1.0], [2.0]])
        >>> manifold_metrics(torch.tensor([[0.5], [9.0]]), data, k=1)
        ManifoldMetrics(precision=0.5, recall=1.0, density=1.0, coverage=0.6666666666666666)
    """
    checks.positive(k, "k")
    y = feature_rows(features, extractor, "features", k + 1)
    x = feature_rows(reference, extractor, "reference", k + 1)
    same_width(y, x)
    middle = x.mean(0)  # differences do not change, and rounding is smaller
    x, y = x - middle, y - middle
    slack = _ROUNDING * float(max(part.square().sum(1).amax() for part in (x, y)))
    reach, reach_of_samples = _squared_radii(x, k) + slack, _squared_radii(y, k) + slack
    inside = torch.zeros(len(y), dtype=torch.bool)
    balls = covered = recalled = 0
    for part, radius in zip(x.split(_PIECE), reach.split(_PIECE), strict=True):
        distance = squared_euclidean(part, y)
        holds = distance <= radius[:, None]
        inside |= holds.any(0)
        balls += int(holds.sum())
        covered += int(holds.any(1).sum())
        recalled += int((distance <= reach_of_samples).any(1).sum())
    return ManifoldMetrics(
        precision=float(inside.double().mean()),
        recall=recalled / len(x),
        density=balls / (k * len(y)),
        coverage=covered / len(x),
    )


def _squared_radii(rows: Tensor, k: int) -> Tensor:
    """Squared distance of each row (N, F) to its k-th nearest neighbour, itself left out, (N,)."""
    found = [
        squared_euclidean(part, rows).topk(k + 1, largest=False).values.amax(1)
        for part in rows.split(_PIECE)
    ]
    return torch.cat(found)
