"""Matrices of near tokens, as `TokenNoise` takes them: sparse, K x K, rows summing to 1.

A token leads to its neighbours and not to itself; one without neighbours leads to itself.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from discrete_ca import checks
from discrete_ca.logits import wide

_SIMILARITIES = 1 << 22  # that are held at once

_KEYS = ("`1234567890-=", "qwertyuiop[]\\", "asdfghjkl;'", "zxcvbnm,./")
_SHIFTED = ("~!@#$%^&*()_+", "QWERTYUIOP{}|", 'ASDFGHJKL:"', "ZXCVBNM<>?")
_LEFT = (0.0, 1.5, 1.75, 2.25)  # where each row of keys begins, in keys


def _sparse(row: Tensor, column: Tensor, weight: Tensor, size: int) -> Tensor:
    """Weights as a sparse matrix of rows that sum to 1; rows without any lead to themselves."""
    weight = weight.double()
    sums = weight.new_zeros(size).index_add(0, row, weight)
    alone = (sums == 0).nonzero()[:, 0]
    index = torch.stack([torch.cat([row, alone]), torch.cat([column, alone])])
    values = torch.cat([weight / sums[row], weight.new_ones(len(alone))])
    made = torch.sparse_coo_tensor(index, values, (size, size), check_invariants=True)
    return made.coalesce()


def near_ordinal(num_categories: int, radius: int = 1) -> Tensor:
    """Neighbours on a line, such as pitches or grey levels: all within `radius`, alike.

    Example:
        >>> near_ordinal(3).to_dense()
        tensor([[0.0000, 1.0000, 0.0000],
                [0.5000, 0.0000, 0.5000],
                [0.0000, 1.0000, 0.0000]], dtype=torch.float64)
    """
    k = checks.positive(num_categories, "num_categories")
    radius = min(checks.positive(radius, "radius"), k)
    steps = torch.cat([torch.arange(-radius, 0), torch.arange(1, radius + 1)])
    row = torch.arange(k).repeat_interleave(len(steps))
    column = row + steps.repeat(k)
    inside = (column >= 0) & (column < k)
    return _sparse(row[inside], column[inside], torch.ones(int(inside.sum())), k)


@torch.no_grad()
def near_from_embedding(weight: Tensor, k: int, temperature: float = 0.1) -> Tensor:
    """The k nearest tokens by the cosine of their embeddings, weights ∝ exp(cosine / temperature).

    Similarities are made for some tokens at a time: nothing of shape (K, K) is built.

    Args:
        weight: embeddings, shape (K, width), such as ``nn.Embedding(...).weight``.
        k: how many neighbours a token has, 1 .. K - 1.
        temperature: how much nearer tokens are preferred; infinity for all alike.

    Raises:
        ValueError: for a weight of another shape or with values that are not finite, a k out of
            range, or a temperature that is not above 0.

    Example:
        >>> weight = torch.tensor([[1.0, 0.0], [0.9, 0.1], [-1.0, 0.0]])
        >>> near_from_embedding(weight, 1).to_dense()
        tensor([[0., 1., 0.],
                [1., 0., 0.],
                [0., 1., 0.]], dtype=torch.float64)
    """
    if weight.ndim != 2 or not bool(weight.isfinite().all()):
        raise ValueError(f"weight has shape {tuple(weight.shape)}; allowed: (K, width), all finite")
    size = len(weight)
    if not 1 <= k < size:
        raise ValueError(f"k was {k}; allowed: 1 .. {size - 1}")
    if not temperature > 0:
        raise ValueError(f"temperature was {temperature}; allowed: a number > 0")
    unit = torch.nn.functional.normalize(weight.to(wide(weight.dtype)))
    columns, weights = [], []
    for part in torch.arange(size, device=unit.device).split(max(1, _SIMILARITIES // size)):
        cosine = unit[part] @ unit.T
        cosine[torch.arange(len(part)), part] = -torch.inf
        top = cosine.topk(k)
        columns.append(top.indices)
        weights.append((top.values.double() / temperature).softmax(-1))
    row = torch.arange(size, device=unit.device).repeat_interleave(k)
    return _sparse(row, torch.cat(columns).reshape(-1), torch.cat(weights).reshape(-1), size)


def near_from_confusion(table: Tensor) -> Tensor:
    """What each category is mistaken for, from a table of counts or rates without its diagonal.

    Args:
        table: non-negative, shape (K, K), sparse or dense.

    Raises:
        ValueError: for another shape, or entries that are not finite or negative.

    Example:
        >>> near_from_confusion(torch.tensor([[90, 6, 2], [3, 80, 0], [0, 0, 70]])).to_dense()
        tensor([[0.0000, 0.7500, 0.2500],
                [1.0000, 0.0000, 0.0000],
                [0.0000, 0.0000, 1.0000]], dtype=torch.float64)
    """
    if table.ndim != 2 or table.shape[0] != table.shape[1]:
        raise ValueError(f"table has shape {tuple(table.shape)}; allowed: (K, K)")
    coo = table.to_sparse_coo().coalesce()
    (row, column), count = coo.indices(), coo.values().double()
    if not bool(count.isfinite().all()) or bool((count < 0).any()):
        raise ValueError("table has entries that are not finite or negative; allowed: >= 0")
    other = (row != column) & (count > 0)
    return _sparse(row[other], column[other], count[other], len(table))


def near_keyboard(characters: Sequence[str]) -> Tensor:
    """Neighbouring keys on a US keyboard, with or without shift as the character has it.

    Args:
        characters: the K characters of the vocabulary, in the order of their categories; those
            that are no keys (a space, a word) have no neighbours.

    Example:
        >>> near = near_keyboard("asw ")
        >>> near.to_dense()[0]
        tensor([0.0000, 0.5000, 0.5000, 0.0000], dtype=torch.float64)
    """
    places = {
        key: (layer, float(y), left + x)
        for layer, rows in enumerate((_KEYS, _SHIFTED))
        for y, (keys, left) in enumerate(zip(rows, _LEFT, strict=True))
        for x, key in enumerate(keys)
    }
    known = [(i, *places[c]) for i, c in enumerate(characters) if c in places]
    pairs = [
        (i, j)
        for i, layer, y, x in known
        for j, other, v, u in known
        if i != j and layer == other and (y - v) ** 2 + (x - u) ** 2 < 1.6
    ]
    row, column = torch.tensor(pairs, dtype=torch.long).reshape(-1, 2).unbind(-1)
    return _sparse(row, column, torch.ones(len(row)), len(characters))
