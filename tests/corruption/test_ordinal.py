"""Ordinal noise against the Gaussian of its docstring and against uniform noise."""

from __future__ import annotations

import math

import pytest
import torch

from discrete_ca import draws
from discrete_ca.corruption import Ordinal, Uniform
from tests.helpers import SHAPES, f64, seeded


@pytest.mark.parametrize("k", [3, 8, 64])
@pytest.mark.parametrize("scale", [0.1, 0.5, 3.0])
@pytest.mark.parametrize("level", [0.05, 0.4, 0.9])
def test_rows_are_cut_gaussians(k, scale, level):
    """Q_b[z, x] ∝ exp(-(x - z)² / 2 s²), s = m / sqrt(2 log(2/b - 1)), m = 1 + scale (K-2) b."""
    deviation = (1 + scale * (k - 2) * level) / math.sqrt(2 * math.log(2 / level - 1))
    every = torch.arange(k).double()
    q = torch.exp(-((every[:, None] - every) ** 2) / (2 * deviation**2))
    expected = q / q.sum(-1, keepdim=True)
    torch.testing.assert_close(Ordinal(k, scale).matrix(level), expected, rtol=1e-9, atol=1e-300)


@pytest.mark.parametrize("level", [0.0, 1e-9, 0.01, 0.3, 0.9, 1.0])
def test_two_categories_are_uniform_noise(level):
    torch.testing.assert_close(
        Ordinal(2, 3.0).matrix(level), Uniform(2).matrix(level), rtol=1e-14, atol=1e-16
    )
    x = torch.tensor([[0, 1]])
    log_pz = f64(0.3, 0.7).log().expand(1, 2, 2)
    pair = (family.log_push_forward(log_pz, x, f64(level)) for family in (Ordinal(2), Uniform(2)))
    torch.testing.assert_close(*pair, rtol=1e-12, atol=1e-14)


def test_one_category_never_changes():
    for level in (0.0, 0.5, 1.0):
        family = Ordinal(1, scale=2.0)  # 1 + scale (K - 2) b crosses 0
        assert family.matrix(level).tolist() == [[1.0]]
        assert family.sample(torch.zeros(2, 3, dtype=torch.long), level).sum() == 0


@pytest.mark.parametrize("k", [3, 256])
def test_it_spreads_with_the_level_from_nothing_to_uniform(k):
    every = torch.arange(k).double()
    spread = [
        float((Ordinal(k).matrix(b)[k // 2] * (every - k // 2).abs()).sum())
        for b in (0.0, 1e-6, 0.02, 0.1, 0.5, 0.9, 1.0)
    ]
    assert spread[0] == 0
    assert spread == sorted(spread)
    torch.testing.assert_close(Ordinal(k).matrix(1.0), torch.full((k, k), 1 / k).double())
    assert Ordinal(k).forgets


@pytest.mark.parametrize("k", [2, 3, 17])
def test_normalisers_of_windows_are_those_of_rows(k):
    b = f64(0.0, 1e-3, 0.3, 1.0)
    rows = torch.arange(k).repeat_interleave(k).expand(4, -1)
    columns = torch.arange(k).repeat(k).expand(4, -1)
    found = Ordinal(k).log_prob(rows, columns, b).exp().reshape(4, k, k)
    expected = torch.stack([Ordinal(k).matrix(float(level)) for level in b])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-14)
    evidence = Ordinal(k).log_likelihood(torch.arange(k).expand(4, -1), b).exp()
    torch.testing.assert_close(evidence, expected.transpose(1, 2), rtol=0, atol=1e-14)


@pytest.mark.parametrize("k", [2, 5, 40])
def test_the_inverse_cdf_by_a_grid_of_uniforms(k, monkeypatch):
    """n evenly spaced uniforms give every state its probability to within 1 / n."""
    n, b = 5000, f64(0.0, 1e-3, 0.2, 0.8, 1.0)
    grid = ((torch.arange(n) + 0.5) / n).double()
    monkeypatch.setattr(draws, "uniform", lambda shape, *_: grid.repeat(5, k).reshape(shape))
    z = torch.arange(k).repeat_interleave(n).expand(5, -1)
    x = Ordinal(k).sample(z, b)
    rows = torch.arange(5)[:, None] * k + z
    share = torch.bincount((rows * k + x).flatten(), minlength=5 * k * k).reshape(5, k, k) / n
    laws = torch.stack([Ordinal(k).matrix(float(level)) for level in b])
    assert float((share - laws).abs().max()) <= 1.0001 / n


@pytest.mark.parametrize("u", [0.0, 1 - 2.0**-53])
@pytest.mark.parametrize("k", [2, 16, 256])
def test_the_ends_of_the_inverse_cdf_are_possible_states(k, u, monkeypatch):
    monkeypatch.setattr(
        draws, "uniform", lambda shape, *_: torch.full(shape, u, dtype=torch.float64)
    )
    z = torch.arange(k)[None]
    for level in (0.0, 1e-6, 0.1, 0.7, 1.0):
        x = Ordinal(k).sample(z, level)
        assert bool((Ordinal(k).log_prob(z, x, level) > -math.inf).all())
        if level == 0:
            assert torch.equal(x, z)
        if level == 1:
            assert bool((x == (0 if u == 0 else k - 1)).all())


@pytest.mark.parametrize("shape", SHAPES)
def test_evidence_has_the_dtype_of_the_level_and_any_rank(shape):
    x = torch.randint(0, 7, (3, *shape), generator=seeded(0))
    for dtype in (torch.float32, torch.float64):
        b = torch.tensor([0.1, 0.5, 1.0], dtype=dtype)
        found = Ordinal(7).log_likelihood(x, b)
        assert found.shape == (*x.shape, 7) and found.dtype == dtype
        at_x = Ordinal(7).log_prob(torch.full_like(x, 3), x, b).to(dtype)
        torch.testing.assert_close(found[..., 3], at_x)


@pytest.mark.parametrize("scale", [0.0, -1.0, math.nan])
def test_scale_is_checked(scale):
    with pytest.raises(ValueError, match=f"scale was {scale}; allowed: a number > 0"):
        Ordinal(4, scale)
