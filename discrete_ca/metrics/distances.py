"""Distances between all rows of two sets: what similarities, neighbourhoods and copies share."""

from __future__ import annotations

import torch
from torch import Tensor

# With more values than this, comparing site by site beats one matrix product a value.
_FEW = 16


def hamming(x: Tensor, y: Tensor, values: Tensor | None = None) -> Tensor:
    """Number of sites at which each row of x differs from each row of y.

    For few values: the number of sites less the matches, one product of indicators a value.

    Args:
        x: states, whole numbers, shape (n, D).
        y: states, shape (m, D).
        values: those that x holds, where they are known; None for all between its extremes.

    Returns:
        Distances, float32 (they are whole numbers, and exact), shape (n, m).

    Example:
        >>> hamming(torch.tensor([[0, 1, 1]]), torch.tensor([[0, 1, 1], [1, 0, 1]]))
        tensor([[0., 2.]])
    """
    if values is None:
        low, high = (int(v) for v in x.aminmax()) if x.numel() else (0, -1)
        values = torch.arange(low, min(high, low + _FEW) + 1, device=x.device)
    if len(values) > _FEW:
        return torch.cdist(x.float(), y.float(), p=0.0)
    matches = torch.zeros(len(x), len(y), device=x.device)
    for value in values:
        matches.addmm_((x == value).float(), (y == value).float().T)
    return x.shape[1] - matches


def squared_euclidean(x: Tensor, y: Tensor) -> Tensor:
    """Squared Euclidean distances between rows, float64, at least 0.

    They come from |x|^2 + |y|^2 - 2 x·y, exact for whole numbers and otherwise right to rounding of
    the largest norm: centre features that lie far from the origin.

    Args:
        x: rows, shape (n, F).
        y: rows, shape (m, F).

    Returns:
        Shape (n, m).

    Example:
        >>> squared_euclidean(torch.tensor([[0.0, 0.0]]), torch.tensor([[3.0, 4.0], [0.0, 1.0]]))
        tensor([[25.,  1.]], dtype=torch.float64)
    """
    x, y = x.double(), y.double()
    norms = x.square().sum(1)[:, None] + y.square().sum(1)
    return norms.addmm_(x, y.T, alpha=-2).clamp_(min=0)
