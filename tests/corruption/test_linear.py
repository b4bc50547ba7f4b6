"""Uniform and absorbing noise against their definition, ``Q_b = (1 - b) I + b R``."""

from __future__ import annotations

import math

import pytest
import torch

from discrete_ca import draws
from discrete_ca.corruption import Absorbing, Matrix, Uniform
from tests.helpers import SHAPES, f64, seeded

LEVELS = (0.0, 0.1, 0.5, 1.0)


@pytest.mark.parametrize("k", [1, 2, 5])
@pytest.mark.parametrize("level", LEVELS)
def test_uniform_redraws_from_all_categories(k, level):
    limit = torch.full((k, k), 1 / k, dtype=torch.float64)
    expected = (1 - level) * torch.eye(k).double() + level * limit
    torch.testing.assert_close(Uniform(k).matrix(level), expected, rtol=0, atol=1e-15)
    torch.testing.assert_close(Matrix(limit).matrix(level), expected, rtol=0, atol=1e-15)


@pytest.mark.parametrize("k", [1, 2, 5])
@pytest.mark.parametrize("level", LEVELS)
def test_absorbing_masks(k, level):
    limit = torch.zeros(k, k + 1).double()
    limit[:, k] = 1
    expected = (1 - level) * torch.eye(k, k + 1).double() + level * limit
    torch.testing.assert_close(Absorbing(k).matrix(level), expected, rtol=0, atol=1e-15)
    assert Absorbing(k).mask_state == k == Absorbing(k).num_states - 1


@pytest.mark.parametrize("family", [Uniform(3), Absorbing(3)])
def test_they_are_linear_and_forget(family):
    assert family.linear and family.forgets
    q = family.matrix(1.0)
    assert torch.equal(q, q[:1].expand_as(q))


@pytest.mark.parametrize("shape", SHAPES)
def test_closed_forms_by_hand(shape):
    """One category per term: the formulas of the docstrings, written out at every site."""
    k, b = 3, f64(0.2, 0.75)
    x = torch.randint(0, k + 1, (2, *shape), generator=seeded(0))
    log_pz = torch.randn(*x.shape, k, generator=seeded(1)).double().log_softmax(-1)
    level = b.reshape(2, *(1,) * len(shape))
    p = log_pz.exp()
    seen = torch.where(x < k, x, 0)
    at_x = p.gather(-1, seen.unsqueeze(-1)).squeeze(-1)
    masked = torch.where(x == k, level, (1 - level) * at_x)
    torch.testing.assert_close(Absorbing(k).log_push_forward(log_pz, x, b).exp(), masked)
    uniform = (1 - level) * at_x + level / k
    torch.testing.assert_close(Uniform(k).log_push_forward(log_pz, seen, b).exp(), uniform)


def test_point_masses_and_extreme_levels_are_not_nan():
    """-inf meets -inf: a point mass elsewhere, at levels where nothing is redrawn or all is."""
    log_pz = torch.tensor([[0.0, -math.inf]] * 4).double().unsqueeze(1)
    x, b = torch.tensor([[0], [1], [0], [1]]), f64(0, 0, 1, 1)
    found = Uniform(2).log_push_forward(log_pz, x, b).exp()[:, 0]
    assert found.tolist() == [1.0, 0.0, 0.5, 0.5]
    masked = torch.tensor([[0], [1], [0], [2]])
    found = Absorbing(2).log_push_forward(log_pz, masked, b).exp()[:, 0]
    assert found.tolist() == [1.0, 0.0, 0.0, 1.0]


@pytest.mark.parametrize("k", [2, 3, 7])
def test_uniform_draws_stay_in_range_at_the_last_uniform(k, monkeypatch):
    """u = 1 - 2^-53 gives the last category and 0 the first; a redraw needs u < b."""
    for u, expected in [(1 - 2.0**-53, k - 1), (0.0, 0)]:
        calls = iter([0.0, u])
        monkeypatch.setattr(
            draws,
            "uniform",
            lambda shape, *_, calls=calls: torch.zeros(shape).double() + next(calls),
        )
        assert Uniform(k).sample(torch.tensor([[1]]), 0.5).item() == expected
    monkeypatch.setattr(
        draws, "uniform", lambda shape, *_: torch.full(shape, 0.5, dtype=torch.float64)
    )
    assert Uniform(k).sample(torch.tensor([[1]]), 0.5).item() == 1
    assert Absorbing(k).sample(torch.tensor([[1]]), 0.5).item() == 1
    assert Absorbing(k).sample(torch.tensor([[1]]), 0.75).item() == k


@pytest.mark.parametrize("family", [Uniform(4), Absorbing(4)])
def test_draws_are_reproducible_from_a_seed(family):
    z = torch.randint(0, 4, (3, 50), generator=seeded(0))
    first, again = (family.sample(z, 0.7, seeded(5)) for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, family.sample(z, 0.7, seeded(6)))
