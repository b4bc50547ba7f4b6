"""Features: numbers that stand for a state, and what turns states into them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from discrete_ca import checks

Extractor = Callable[[Tensor], Tensor]
"""Anything that turns states (N, *S) into features (N, F)."""


def extract(extractor: Extractor, x: Tensor, chunk: int = 1024) -> Tensor:
    """Features of all states, computed in chunks and without gradients.

    Args:
        extractor: from states (n, *S) to features (n, F).
        x: states, shape (N, *S).
        chunk: states at once.

    Returns:
        Features, shape (N, F).

    Raises:
        ValueError: where the extractor gives anything but one row of features a state.

    Example:
        >>> extract(lambda x: x.flatten(1).float(), torch.zeros(5, 2, 3), chunk=2).shape
        torch.Size([5, 6])
    """
    with torch.no_grad():
        features = torch.cat([extractor(part) for part in torch.split(x, chunk)])
    if features.ndim != 2 or len(features) != len(x):
        raise ValueError(
            f"extractor gave features of shape {tuple(features.shape)}; allowed: ({len(x)}, F)"
        )
    return features


def feature_rows(
    x: Tensor, extractor: Extractor | None = None, name: str = "features", least: int = 2
) -> Tensor:
    """Features in float64 on the CPU, checked.

    Args:
        x: features (N, F); or, with an extractor, states (N, *S).
        extractor: from states to features; None for features as they are.
        name: the argument's name, for errors.
        least: fewest rows.

    Returns:
        Shape (N, F).

    Raises:
        ValueError: for another shape, too few rows, or values that are not finite.

    Example:
        >>> feature_rows(torch.tensor([[0, 1], [1, 1]]), values_of_sites).dtype
        torch.float64
    """
    found = x if extractor is None else extract(extractor, x)
    if found.ndim != 2 or len(found) < least or found.shape[1] == 0:
        raise ValueError(
            f"{name} has shape {tuple(found.shape)}; allowed: (N, F), N >= {least} and F >= 1"
        )
    rows = found.detach().to("cpu", torch.float64)
    if not rows.isfinite().all():
        raise ValueError(f"{name} holds NaN or infinite values; allowed: finite ones")
    return rows


def same_width(features: Tensor, reference: Tensor) -> None:
    """Refuse two sets of features (N, F) and (M, F') with F unlike F'.

    Example:
        >>> same_width(torch.zeros(2, 3), torch.zeros(4, 3))
    """
    if features.shape[1] != reference.shape[1]:
        raise ValueError(
            f"features are {features.shape[1]} wide, reference {reference.shape[1]}; allowed: equal"
        )


def thinned(x: Tensor, most: int) -> Tensor:
    """Every k-th row, with the least k that leaves at most so many.

    Example:
        >>> thinned(torch.arange(7), most=3)
        tensor([0, 3, 6])
    """
    return x[:: max(1, -(-len(x) // most))]


def values_of_sites(x: Tensor) -> Tensor:
    """The simplest extractor: the values themselves, such as pixels, (N, *S) to (N, D) in float64.

    Example:
        >>> values_of_sites(torch.ones(2, 3, 4, dtype=torch.long)).shape
        torch.Size([2, 12])
    """
    return x.reshape(len(x), -1).double()


class PrincipalComponents:
    """An extractor: the first principal components of other features, fitted on reference data.

    Args:
        x: reference states, shape (N, *S), N >= 2.
        width: components kept; fewer where the features or the states are fewer.
        extractor: of the features that are projected.

    Raises:
        ValueError: for a width below 1, or features that are not (N, F) and finite.

    Example:
        >>> x = torch.tensor([[0, 0], [2, 2], [4, 4]])
        >>> PrincipalComponents(x, width=1)(x).abs().round(decimals=3)
        tensor([[2.8280],
                [0.0000],
                [2.8280]], dtype=torch.float64)
    """

    def __init__(self, x: Tensor, width: int = 64, extractor: Extractor = values_of_sites) -> None:
        checks.positive(width, "width")
        rows = feature_rows(x, extractor, "x")
        self.extractor = extractor
        self.mean = rows.mean(0)
        centred = rows - self.mean
        width = min(width, rows.shape[1], len(rows) - 1)
        vectors = torch.linalg.eigh(centred.T @ centred).eigenvectors  # by rising eigenvalue
        self.basis = vectors[:, -width:].flip(1)

    def __call__(self, x: Tensor) -> Tensor:
        """States (N, *S) to their components, float64 on the CPU, shape (N, width)."""
        rows = self.extractor(x).to("cpu", torch.float64)
        return (rows - self.mean) @ self.basis
