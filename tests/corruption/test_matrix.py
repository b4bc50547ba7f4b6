"""Users' own matrices: the three ways to give them, and what is refused."""

from __future__ import annotations

import copy
import math

import pytest
import torch

import discrete_ca as dca
from discrete_ca.corruption import Matrix, SparseMatrix
from tests.helpers import FAMILIES, SHAPES, f64, near_tokens, rates, seeded, stochastic


def test_a_limit_makes_a_linear_family():
    limit = stochastic(3, 5, 0)
    family = Matrix(limit)
    assert family.linear and (family.num_categories, family.num_states) == (3, 5)
    for b in (0.0, 0.3, 1.0):
        expected = (1 - b) * torch.eye(3, 5).double() + b * limit
        torch.testing.assert_close(family.matrix(b), expected, rtol=0, atol=1e-15)


def test_a_function_of_the_level():
    family = Matrix(near_tokens)
    assert not family.linear and (family.num_categories, family.num_states) == (3, 4)
    assert torch.equal(family.matrix(0.3), near_tokens(0.3))
    assert family.forgets


def test_a_generator_of_two_states_in_closed_form():
    """Rates α and β: Q_b[0, 1] = α / (α + β) (1 - exp(-(α + β) T b))."""
    up, down, time = 0.7, 0.2, 3.0
    family = Matrix(generator=f64(-up, up, down, -down).reshape(2, 2), time=time)
    assert not family.linear
    for b in (0.0, 0.4, 1.0):
        moved = 1 - math.exp(-(up + down) * time * b)
        a, c = up / (up + down) * moved, down / (up + down) * moved
        torch.testing.assert_close(family.matrix(b), f64(1 - a, a, c, 1 - c).reshape(2, 2))


def test_levels_of_a_generator_compose():
    family = Matrix(generator=rates(6, seed=1), time=2.0)
    found = family.matrix(0.25) @ family.matrix(0.5)
    torch.testing.assert_close(found, family.matrix(0.75), rtol=1e-12, atol=1e-14)


def test_forgetting_of_a_generator_depends_on_its_time():
    assert not Matrix(generator=rates(4), time=1.0).forgets
    assert Matrix(generator=rates(4), time=100.0).forgets
    assert not FAMILIES["matrix-square"].forgets
    assert Matrix(f64(0.2, 0.8).expand(2, 2)).forgets


@pytest.mark.parametrize("size", [2, 16, 64])
def test_generators_with_far_states_have_no_negative_entries(size):
    """A walk of neighbours: entries far from the diagonal are tiny, and are never below 0."""
    g = torch.diag(torch.ones(size - 1), 1).double()
    g = g + g.T
    family = Matrix(generator=g - torch.diag(g.sum(-1)), time=50.0)
    for b in (1e-6, 1e-3, 0.1, 0.5, 1.0):
        assert float(family.checked_matrix(b).min()) >= 0


def test_the_default_time_is_8():
    g = rates(3)
    expected = torch.linalg.matrix_exp(8 * 0.5 * g)
    torch.testing.assert_close(Matrix(generator=g).matrix(0.5), expected)


def test_matrices_move_with_the_module():
    family = Matrix(stochastic(3, 3, 2)).float()
    assert family.limit.dtype == torch.float32
    z = torch.randint(0, 3, (2, 4), generator=seeded(0))
    assert family.sample(z, 0.5).shape == z.shape
    assert set(Matrix(generator=rates(3)).state_dict()) == {"rates"}
    assert set(Matrix(near_tokens).state_dict()) == set()


def test_states_that_cannot_be_reached_are_impossible():
    family = Matrix(f64(1, 0, 0, 0, 1, 0).reshape(2, 3))
    x = torch.tensor([[0, 2]])
    found = family.log_likelihood(x, f64(0.5)).exp()
    assert found.tolist() == [[[1.0, 0.0], [0.0, 0.0]]]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_sparse_limit_is_the_same_noise(shape):
    limit = stochastic(4, 6, 7, zeros=0.5)
    sparse, dense = Matrix(limit.to_sparse()), Matrix(limit)
    assert isinstance(sparse, SparseMatrix) and sparse.linear and not sparse.forgets
    assert (sparse.num_categories, sparse.num_states) == (4, 6)
    for b in (0.0, 0.3, 1.0):
        torch.testing.assert_close(sparse.matrix(b), dense.matrix(b))
    z = torch.randint(0, 4, (2, *shape), generator=seeded(1))
    x = torch.randint(0, 6, (2, *shape), generator=seeded(2))
    log_pz = torch.randn(*x.shape, 4, generator=seeded(3)).double().log_softmax(-1)
    levels = f64(0.2, 0.9)
    for method, inputs in [
        ("log_prob", (z, x)),
        ("log_likelihood", (x,)),
        ("log_push_forward", (log_pz, x)),
    ]:
        found, expected = (getattr(m, method)(*inputs, levels) for m in (sparse, dense))
        torch.testing.assert_close(found, expected)


def test_a_sparse_limit_may_forget_and_may_reveal():
    assert Matrix(f64(0.2, 0.8).expand(2, 2).to_sparse()).forgets
    limit = f64(0, 0.5, 0.5, 0, 1, 0).reshape(2, 3).to_sparse()
    family = Matrix(limit)
    assert family.reveals(torch.tensor([[0, 1, 2]])).tolist() == [[True, False, False]]


def test_a_sparse_limit_survives_copies_and_casts():
    family = copy.deepcopy(Matrix(stochastic(3, 3, 2).to_sparse())).bfloat16()
    torch.testing.assert_close(family.matrix(1.0), stochastic(3, 3, 2))
    assert set(family.state_dict()) == set()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (torch.zeros(2, 2).to_sparse(), "source row 0 is empty"),
        ((2 * torch.eye(2)).to_sparse(), "source row 0 sums to 2; allowed: 1"),
        (torch.ones(2).to_sparse(), r"source has shape \(2,\); allowed: \(K, V\)"),
        (torch.eye(3)[:, :2].to_sparse(), "source row 2 is empty"),
        (f64(1, 1, 1).reshape(3, 1).to_sparse(), "num_states was 1; allowed: a whole number >= 3"),
    ],
)
def test_sparse_limits_that_are_none_are_refused(source, message):
    with pytest.raises(ValueError, match=message):
        Matrix(source)


def not_square(level):
    return torch.ones(3)


def starts_noisy(level):
    return torch.full((2, 2), 0.5)


def not_stochastic_later(level):
    return (1 + level) * torch.eye(2)


def changes_shape(level):
    return torch.eye(2, 2 if level == 0 else 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "Matrix takes exactly one of source and generator"),
        (
            {"source": torch.eye(2), "generator": torch.zeros(2, 2)},
            "Matrix takes exactly one of source and generator",
        ),
        ({"generator": torch.zeros(2, 2), "time": 0.0}, "time was 0.0; allowed: a number > 0"),
        ({"source": torch.eye(2), "time": math.nan}, "time was nan; allowed: a number > 0"),
        ({"source": torch.ones(2)}, r"matrix has shape \(2,\); allowed: \(K, V\)"),
        ({"source": not_square}, r"matrix has shape \(3,\); allowed: \(K, V\)"),
        ({"source": torch.ones(2, 2)}, r"Matrix.matrix\(0.5\) row 0 sums to 1.5; allowed: 1"),
        ({"source": f64(1.5, -0.5, 0, 1).reshape(2, 2)}, "has negative entries"),
        ({"source": torch.eye(3)[:, :2]}, "num_states was 2; allowed: a whole number >= 3"),
        ({"source": starts_noisy}, r"matrix\(0\) is not the identity"),
        ({"source": not_stochastic_later}, r"matrix\(0.5\) row 0 sums to 1.5"),
        ({"source": changes_shape}, r"matrix\(0.5\) has shape \(2, 3\); allowed: \(2, 2\)"),
        ({"generator": torch.zeros(2, 2).to_sparse()}, "generator is a sparse tensor"),
        ({"generator": torch.eye(2)}, r"generator of shape \(2, 2\) is not a rate matrix"),
        ({"generator": torch.zeros(2, 3)}, r"generator of shape \(2, 3\) is not a rate matrix"),
        (
            {"generator": f64(1, -1, 1, -1).reshape(2, 2)},
            "non-negative off the diagonal, rows summing to 0",
        ),
    ],
)
def test_what_is_no_corruption_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Matrix(**arguments)


def test_arrays_and_rows_are_matrices_too(tmp_path):
    R = torch.tensor([[0.0, 1.0], [0.5, 0.5]], dtype=torch.float64)
    for given in (R.numpy(), R.tolist()):
        noise = Matrix(given)
        assert torch.equal(noise.matrix(1.0), R) and noise.linear
        kernel = dca.CategoricalNoiseKernel(dca.nn.MLP(2, 2, shape=(3,), width=8), noise)
        kernel.save_pretrained(tmp_path)
        assert torch.equal(dca.load_kernel(tmp_path).corruption.matrix(1.0), R)
    G = [[-1.0, 1.0], [1.0, -1.0]]
    assert torch.equal(
        Matrix(generator=G).matrix(0.5), Matrix(generator=torch.tensor(G)).matrix(0.5)
    )
