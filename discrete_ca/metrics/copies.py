"""Memorization: samples that are rows of the data, and how far the others are from any.

The distance is Hamming's, the number of sites at which two states differ. Compare samples with the
data trained on, and held-out data with it too: a model that generalizes is about as far away.
"""

from __future__ import annotations

from collections import Counter

import torch
from torch import Tensor

from discrete_ca.metrics.distances import hamming


def share_of_copies(samples: Tensor, data: Tensor) -> float:
    """Share of samples that equal some row of the data at every site.

    Args:
        samples: states, long, shape (N, *S).
        data: states, long, shape (M, *S).

    Raises:
        TypeError: for tensors that do not hold int64.
        ValueError: for shapes that do not fit, or nothing to compare.

    Example:
        >>> data = torch.tensor([[0, 1, 1], [1, 0, 1]])
        >>> share_of_copies(torch.tensor([[1, 0, 1], [1, 1, 1]]), data)
        0.5
    """
    wanted, rows = _rows(samples, data)
    largest = max(int(part.max()) if part.numel() else 0 for part in (wanted, rows))
    kind = torch.uint8 if largest < 256 else torch.long
    keys = [row.tobytes() for row in wanted.to("cpu", kind).numpy()]
    known = set(keys).intersection(row.tobytes() for row in rows.to("cpu", kind).numpy())
    return sum(key in known for key in keys) / len(keys)


def share_of_repeats(data: Tensor) -> float:
    """Share of rows that another row of the same data equals: what copies among real data are.

    Args:
        data: states, long, shape (M, *S).

    Example:
        >>> share_of_repeats(torch.tensor([[0, 1], [0, 1], [1, 1], [1, 0]]))
        0.5
    """
    _, rows = _rows(data, data)
    kind = torch.uint8 if int(rows.max()) < 256 else torch.long
    counts = Counter(row.tobytes() for row in rows.to("cpu", kind).numpy())
    return sum(count for count in counts.values() if count > 1) / len(rows)


def nearest_distance(samples: Tensor, data: Tensor, chunk: int = 2048) -> Tensor:
    """Number of sites at which each sample differs from the nearest row of the data.

    Args:
        samples: states, long, shape (N, *S).
        data: states, long, shape (M, *S).
        chunk: rows of either at once.

    Returns:
        Distances, long, shape (N,); 0 for a copy.

    Raises:
        TypeError: for tensors that do not hold int64.
        ValueError: for shapes that do not fit, or nothing to compare.

    Example:
        >>> data = torch.tensor([[0, 1, 1], [1, 0, 1]])
        >>> nearest_distance(torch.tensor([[1, 0, 1], [1, 1, 1], [0, 0, 0]]), data)
        tensor([0, 1, 2])
    """
    rows, others = _rows(samples, data)
    values = torch.unique(rows)
    return torch.cat(
        [
            torch.stack(
                [hamming(part, other, values).amin(1) for other in torch.split(others, chunk)]
            )
            .amin(0)
            .long()
            for part in torch.split(rows, chunk)
        ]
    )


def _rows(samples: Tensor, data: Tensor) -> tuple[Tensor, Tensor]:
    """Both sets as (N, D) and (M, D) on the samples' device, or an error."""
    for name, part in (("samples", samples), ("data", data)):
        if part.dtype != torch.long:
            raise TypeError(f"{name} has dtype {part.dtype}; allowed: torch.int64 (long)")
        if part.ndim == 0 or len(part) == 0:
            raise ValueError(f"{name} has shape {tuple(part.shape)}; allowed: (N, *S) with N >= 1")
    if samples.shape[1:] != data.shape[1:]:
        raise ValueError(
            f"samples have sites {tuple(samples.shape[1:])}; allowed: those of the data, "
            f"{tuple(data.shape[1:])}"
        )
    return samples.reshape(len(samples), -1), data.to(samples.device).reshape(len(data), -1)
