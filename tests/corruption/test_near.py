"""Matrices of near tokens by hand and by brute force."""

from __future__ import annotations

import math

import pytest
import torch

from discrete_ca.corruption import (
    near,
    near_from_confusion,
    near_from_embedding,
    near_keyboard,
    near_ordinal,
)
from discrete_ca.corruption.sparse import SparseRows
from tests.helpers import f64, seeded


@pytest.mark.parametrize(("k", "radius"), [(1, 1), (2, 1), (7, 2), (4, 9)])
def test_neighbours_on_a_line(k, radius):
    every = torch.arange(k)
    distance = (every[:, None] - every).abs()
    expected = ((distance > 0) & (distance <= radius)).double()
    if k == 1:
        expected = torch.ones(1, 1).double()
    expected = expected / expected.sum(-1, keepdim=True)
    found = near_ordinal(k, radius)
    torch.testing.assert_close(found.to_dense(), expected)
    assert found.is_sparse and found._nnz() == int((expected > 0).sum())


@pytest.mark.parametrize("held", [1, 30, 1 << 22])
@pytest.mark.parametrize("temperature", [0.1, math.inf])
def test_nearest_embeddings_by_brute_force(held, temperature, monkeypatch):
    monkeypatch.setattr(near, "_SIMILARITIES", held)
    weight = torch.randn(20, 5, generator=seeded(0)).double()
    found = near_from_embedding(weight, 4, temperature).to_dense()
    unit = weight / weight.norm(dim=-1, keepdim=True)
    cosine = (unit @ unit.T).fill_diagonal_(-math.inf)
    for z in range(20):
        chosen = cosine[z].argsort(descending=True)[:4]
        expected = torch.zeros(20).double()
        expected[chosen] = (cosine[z, chosen] / temperature).softmax(0)
        torch.testing.assert_close(found[z], expected)
    SparseRows(found, 20, "near")


def test_embeddings_of_a_network_and_of_half_precision():
    weight = torch.nn.Embedding(10, 4).weight
    assert not near_from_embedding(weight, 3).requires_grad
    half = near_from_embedding(weight.bfloat16(), 3)
    assert half.dtype == torch.float64 and half._nnz() == 30


def test_confusions():
    table = f64(90, 6, 2, 3, 80, 0, 0, 0, 70).reshape(3, 3)
    expected = f64(0, 0.75, 0.25, 1, 0, 0, 0, 0, 1).reshape(3, 3)
    for given in (table, table.long(), table.to_sparse()):
        torch.testing.assert_close(near_from_confusion(given).to_dense(), expected)


def test_keys():
    characters = ["a", "s", "q", "w", "z", "A", "S", "p", "1", "!", "@", "2", " ", "word"]
    found = near_keyboard(characters).to_dense()
    led = {
        c: {characters[j] for j in row.nonzero()[:, 0].tolist()}
        for c, row in zip(characters, found, strict=True)
    }
    assert led["a"] == {"q", "w", "s", "z"}
    assert led["A"] == {"S"} and led["S"] == {"A"}
    assert led["1"] == {"2", "q"} and led["!"] == {"@"}
    assert led["p"] == {"p"} and led[" "] == {" "} and led["word"] == {"word"}
    torch.testing.assert_close(found.sum(-1), torch.ones(14).double())
    assert torch.equal(found > 0, (found > 0).T)
    assert near_keyboard(" ").to_dense().tolist() == [[1.0]]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: near_ordinal(0), "num_categories was 0; allowed: a whole number >= 1"),
        (lambda: near_ordinal(3, 0), "radius was 0; allowed: a whole number >= 1"),
        (lambda: near_from_embedding(torch.ones(3), 1), r"weight has shape \(3,\)"),
        (lambda: near_from_embedding(torch.full((3, 2), math.nan), 1), "allowed: .* all finite"),
        (lambda: near_from_embedding(torch.ones(3, 2), 3), r"k was 3; allowed: 1 .. 2"),
        (lambda: near_from_embedding(torch.ones(3, 2), 0), r"k was 0; allowed: 1 .. 2"),
        (lambda: near_from_embedding(torch.ones(3, 2), 1, 0.0), "temperature was 0.0"),
        (lambda: near_from_confusion(torch.ones(2, 3)), r"table has shape \(2, 3\)"),
        (lambda: near_from_confusion(-torch.ones(2, 2)), "table has entries that are not finite"),
        (lambda: near_from_confusion(torch.full((2, 2), math.inf)), "not finite or negative"),
    ],
)
def test_what_cannot_be_made_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
