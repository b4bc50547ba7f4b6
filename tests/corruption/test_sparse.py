"""Sparse row-stochastic matrices: entries, draws, in-neighbours, and what is refused."""

from __future__ import annotations

import math

import pytest
import torch

from discrete_ca.corruption.sparse import SparseRows
from tests.helpers import SHAPES, assert_counts, counts_of, f64, seeded, stochastic


def random_rows(k=6, v=8, seed=0):
    s = stochastic(k, v, seed, zeros=0.6)
    return s, SparseRows(s.to_sparse(), v, "near")


@pytest.mark.parametrize("layout", [torch.sparse_coo, torch.sparse_csr, torch.sparse_csc, None])
@pytest.mark.filterwarnings("ignore:Sparse C:UserWarning")  # torch calls them a beta
def test_any_layout_is_the_same_matrix(layout):
    s = stochastic(6, 8, 0, zeros=0.6)
    near = SparseRows(s if layout is None else s.to_sparse(layout=layout), 8, "near")
    torch.testing.assert_close(near.dense(), s, rtol=1e-15, atol=0)
    assert len(near.value) == int((s > 0).sum())


def test_entries_that_are_given_twice_are_summed():
    index = torch.tensor([[0, 0, 0, 1], [1, 0, 1, 1]])
    s = torch.sparse_coo_tensor(index, f64(0.25, 0.5, 0.25, 1), (2, 2), check_invariants=True)
    assert SparseRows(s, 2, "near").dense().tolist() == [[0.5, 0.5], [0.0, 1.0]]


@pytest.mark.parametrize("shape", SHAPES)
def test_single_entries(shape):
    s, near = random_rows()
    z = torch.randint(0, 6, shape, generator=seeded(1))
    x = torch.randint(0, 8, shape, generator=seeded(2))
    torch.testing.assert_close(near.at(z, x), s[z, x], rtol=1e-15, atol=0)


def test_more_states_than_columns():
    near = SparseRows(torch.eye(3), 5, "near")
    assert near.dense().tolist() == torch.eye(3, 5).tolist()
    assert near.at(torch.tensor([2, 0]), torch.tensor([4, 3])).tolist() == [0.0, 0.0]
    assert near.in_degree(torch.arange(5)).tolist() == [1, 1, 1, 0, 0]


def test_pairs_are_the_columns_in_turn():
    s, near = random_rows()
    x = torch.tensor([3, 0, 3, 7, 1])
    site, z, log_value, starts = near.pairs(x)
    assert starts.tolist() == [0, *(s[:, x] > 0).sum(0).cumsum(0).tolist()]
    found = torch.zeros(5, 6).double().index_put((site, z), log_value.exp())
    torch.testing.assert_close(found, s.T[x], rtol=1e-14, atol=0)
    assert len(site) == int(starts[-1])
    assert bool((site.diff() >= 0).all())


def test_draws_follow_the_rows():
    """One row of many entries, some of few: chi-square at a false-alarm rate of 1e-6."""
    s = stochastic(5, 40, 3, zeros=0.9)
    s[2] = torch.rand(40, generator=seeded(4)).double()
    s[4] = 0.0
    s[4, 17] = 1.0
    s = s / s.sum(-1, keepdim=True)
    z = torch.arange(5).repeat(20_000)
    u = torch.rand(len(z), dtype=torch.float64, generator=seeded(5))
    x = SparseRows(s, 40, "near").draw(z, u)
    assert_counts(counts_of(z * 40 + x, 200).reshape(5, 40), s)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 8, 9])
def test_draws_are_the_inverse_cdf(size):
    """Rows of every length at the ends of their steps: never an entry of 0."""
    s = torch.zeros(3, 10).double()
    s[1, :size] = torch.rand(size, generator=seeded(6)).double() + 0.1
    s[0, 9] = s[2, 0] = 1.0
    s = s / s.sum(-1, keepdim=True)
    near = SparseRows(s, 10, "near")
    steps = s[1, :size].cumsum(0)
    middles = steps - s[1, :size] / 2
    assert near.draw(torch.ones(size, dtype=torch.long), middles).tolist() == list(range(size))
    last = f64(1 - 2**-53).expand(3)
    assert near.draw(torch.arange(3), last).tolist() == [9, size - 1, 0]
    assert near.draw(torch.arange(3), torch.zeros(3).double()).tolist() == [9, 0, 0]


def test_small_entries_of_late_rows_are_drawn():
    """A probability of 1e-15 after 5000 rows: one cumulative sum of all would have lost it."""
    s = f64(1, 0).repeat(5000, 1)
    s[4999] = f64(1e-15, 1 - 1e-15)
    near = SparseRows(s.to_sparse(), 5000, "near")
    assert near.draw(torch.tensor([4999, 4999]), f64(4e-16, 3e-15)).tolist() == [0, 1]


def test_equal_rows():
    assert SparseRows(f64(0.25, 0.75).expand(3, 2), 2, "near").rows_equal
    assert not SparseRows(torch.eye(2), 2, "near").rows_equal
    assert not SparseRows(f64(0.5, 0.5, 1, 0).reshape(2, 2), 2, "near").rows_equal
    assert not SparseRows(f64(0.5, 0.5, 0.4, 0.6).reshape(2, 2), 2, "near").rows_equal
    uneven = torch.zeros(3, 3).double()
    uneven[0, 0] = 1.0
    uneven[1] = 1 / 3
    uneven[2, :2] = 0.5  # 6 entries in 3 rows
    assert not SparseRows(uneven, 3, "near").rows_equal


def test_probabilities_stay_double_and_are_not_saved():
    s, near = random_rows()
    net = torch.nn.Sequential(near, torch.nn.Linear(2, 2)).to(torch.bfloat16)
    assert net[1].weight.dtype == torch.bfloat16
    assert near.value.dtype == near.reach.dtype == near.in_log.dtype == torch.float64
    torch.testing.assert_close(near.dense(), s, rtol=1e-15, atol=0)
    assert not near.state_dict()
    moved = near.to("meta")
    assert {t.device.type for t in moved.buffers()} == {"meta"}


@pytest.mark.parametrize(
    ("matrix", "error", "message"),
    [
        ([[1.0]], TypeError, "near was of list; allowed: a floating tensor"),
        (torch.eye(2).long(), TypeError, "near was of torch.int64; allowed: a floating tensor"),
        (torch.ones(2), ValueError, r"near has shape \(2,\); allowed: \(K, V\)"),
        (f64(0.5, 0.5, 0, 0).reshape(2, 2), ValueError, "near row 1 is empty; allowed: rows that"),
        (f64(0.5, 0.5, 0.2, 0.7).reshape(2, 2), ValueError, "near row 1 sums to 0.9; allowed: 1"),
        (f64(1.5, -0.5, 0, 1).reshape(2, 2), ValueError, "negative entries; the smallest is -0.5"),
        (f64(math.nan, 1, 0, 1).reshape(2, 2), ValueError, "near has entries that are not finite"),
        (f64(math.inf, 1, 0, 1).reshape(2, 2), ValueError, "near has entries that are not finite"),
    ],
)
@pytest.mark.parametrize("sparse", [False, True])
def test_what_is_not_row_stochastic_is_refused(matrix, error, message, sparse):
    if sparse and isinstance(matrix, torch.Tensor):
        matrix = matrix.to_sparse()
    with pytest.raises(error, match=message):
        SparseRows(matrix, 2, "near")
