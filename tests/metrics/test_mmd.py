from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from discrete_ca.metrics import (
    GaussianSimilarity,
    HammingSimilarity,
    PolynomialSimilarity,
    mmd,
    mmd_squared,
)
from tests.helpers import FALSE_ALARM, SHAPES, LargestStorage, f64, seeded

SIGMAS = 4.9  # a normal deviate is further out once in a million


def normal(n, width=3, seed=0, shift=0.0):
    return torch.randn(n, width, generator=seeded(seed), dtype=torch.float64) + shift


def bits(n, probs, generator):
    """States (n, D) of independent bits."""
    u = torch.rand(n, len(probs), generator=generator, dtype=torch.float64)
    return (u < torch.tensor(probs, dtype=torch.float64)).long()


def by_pairs(x, y, k):
    """MMD^2 by its definition, one pair at a time."""
    m, n = len(x), len(y)
    within = sum(k(x[i], x[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    other = sum(k(y[i], y[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    between = sum(k(x[i], y[j]) for i in range(m) for j in range(n)) / (m * n)
    return float(within + other - 2 * between)


PAIRS = {
    "gaussian": (
        GaussianSimilarity(1.5), lambda a, b: torch.exp(-(a - b).square().sum() / (2 * 1.5**2)),
    ),
    "polynomial": (PolynomialSimilarity(), lambda a, b: (a @ b / 3 + 1) ** 3),
    "linear": (PolynomialSimilarity(1, 2.0, 0.5), lambda a, b: 2 * a @ b + 0.5),
}  # fmt: skip


@pytest.mark.parametrize("piece", [4, 512])
@pytest.mark.parametrize("name", PAIRS)
def test_features_pair_by_pair(name, piece, monkeypatch):
    monkeypatch.setattr(mmd, "_PIECE", piece)
    similarity, pair = PAIRS[name]
    x, y = normal(9), normal(6, seed=1, shift=0.3)
    assert mmd_squared(x, y, similarity) == pytest.approx(by_pairs(x, y, pair), rel=1e-11)


@pytest.mark.parametrize("piece", [4, 512])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("values", [2, 5, 300])
def test_states_pair_by_pair(shape, values, piece, monkeypatch):
    monkeypatch.setattr(mmd, "_PIECE", piece)
    x, y = (torch.randint(0, values, (n, *shape), generator=seeded(n)) for n in (9, 6))
    wanted = by_pairs(x, y, lambda a, b: torch.exp(-0.1 * (a != b).sum().double()))
    assert mmd_squared(x, y, HammingSimilarity(0.1)) == pytest.approx(wanted, abs=1e-12)


def test_by_hand():
    # x = {0, 1}, y = {0, 0}, e = exp(-1): within x e, within y 1, between (1 + e) / 2
    x, y = torch.tensor([[0], [1]]), torch.tensor([[0], [0]])
    e = math.exp(-1)
    assert mmd_squared(x, y, HammingSimilarity(1.0)) == pytest.approx(e + 1 - (1 + e))
    # x = {0, 2}, y = {0, 0}, Gaussian, σ = 1, g = exp(-2): g + 1 - (1 + g)
    found = mmd_squared(f64(0, 2)[:, None], f64(0, 0)[:, None], GaussianSimilarity(1.0))
    assert found == pytest.approx(0.0, abs=1e-15)
    # x = {1, 3}, y = {0, 2}, x·y: 3 + 0 - 2 · (0 + 2 + 0 + 6) / 4
    product = PolynomialSimilarity(1, 1.0, 0.0)
    assert mmd_squared(f64(1, 3)[:, None], f64(0, 2)[:, None], product) == pytest.approx(-1.0)


def test_the_linear_one_is_the_distance_of_means():
    # |m_x - m_y|^2 less tr S / n of each, unbiased
    x, y = normal(20), normal(30, seed=1, shift=1.0)
    wanted = (x.mean(0) - y.mean(0)).square().sum() - x.var(0).sum() / 20 - y.var(0).sum() / 30
    found = mmd_squared(x, y, PolynomialSimilarity(1, 1.0, 0.0))
    assert found == pytest.approx(float(wanted), rel=1e-10)


def hamming_mmd(p, q, rate):
    """MMD^2 of laws of independent bits: E k is a product over bits."""

    def mean(a, b):
        return math.prod(
            (s * t + (1 - s) * (1 - t)) * (1 - math.exp(-rate)) + math.exp(-rate)
            for s, t in zip(a, b, strict=True)
        )

    return mean(p, p) + mean(q, q) - 2 * mean(p, q)


@pytest.mark.parametrize("q", [(0.2, 0.5, 0.9), (0.5, 0.5, 0.5)], ids=["null", "other"])
def test_its_mean_over_bits_is_that_of_the_laws(q):
    # 400 repeats; the mean is out by more than `SIGMAS` of its standard errors once in a million
    p, g = (0.2, 0.5, 0.9), seeded(3)
    found = f64(*(
        mmd_squared(bits(12, p, g), bits(8, q, g), HammingSimilarity(0.5)) for _ in range(400)
    ))  # fmt: skip
    wanted = hamming_mmd(p, q, 0.5)
    assert wanted == pytest.approx(0, abs=1e-15) if p == q else wanted > 0.05
    assert abs(found.mean() - wanted) < SIGMAS * found.std() / math.sqrt(400)


def test_its_mean_over_normal_draws_is_that_of_the_laws():
    # E k = σ / sqrt(σ^2 + 2) · exp(-δ^2 / (2 (σ^2 + 2))) for unit normals whose means are δ apart
    found = f64(*(
        mmd_squared(normal(10, 1, s), normal(14, 1, s + 1000, 0.8), GaussianSimilarity(1.0))
        for s in range(400)
    ))  # fmt: skip
    wanted = 2 * (1 - math.exp(-(0.8**2) / 6)) / math.sqrt(3)
    assert abs(found.mean() - wanted) < SIGMAS * found.std() / math.sqrt(400)


def test_one_law_stays_below_the_bound_and_another_does_not():
    # For 0 <= k <= 1, n of each and one law, P(MMD^2 > t) <= exp(-t^2 floor(n / 2) / 8): Gretton et
    # al. 2012, theorem 10. The bound is loose: the other law is far away.
    n, g = 2000, seeded()
    bound = math.sqrt(8 * math.log(1 / FALSE_ALARM) / (n // 2))
    similarity = HammingSimilarity(1.0)
    p, q = (0.3, 0.6, 0.5, 0.9), (0.9, 0.1, 0.9, 0.1)
    first, second, other = bits(n, p, g), bits(n, p, g), bits(n, q, g)
    assert mmd_squared(first, second, similarity) < bound < mmd_squared(first, other, similarity)


@given(st.integers(2, 12), st.integers(2, 12), st.integers(0, 2**31))
def test_contracts(m, n, seed):
    g = seeded(seed)
    x, y = (torch.randint(0, 3, (count, 4), generator=g) for count in (m, n))
    similarity = HammingSimilarity(0.7)
    found = mmd_squared(x, y, similarity)
    assert mmd_squared(y, x, similarity) == pytest.approx(found, abs=1e-12)
    order = torch.randperm(m, generator=g)
    assert mmd_squared(x[order], y, similarity) == pytest.approx(found, abs=1e-12)
    relabelled = torch.tensor([2, 0, 1])
    assert mmd_squared(relabelled[x], relabelled[y], similarity) == pytest.approx(found, abs=1e-12)
    assert mmd_squared(x, x, similarity) <= 1e-12  # the unbiased one: pairs i = j are left out
    assert -2 <= found <= 2


def test_any_extractor():
    x, y = (torch.randint(0, 2, (n, 4, 4), generator=seeded(n)) for n in (9, 7))
    ink = mmd_squared(x, y, GaussianSimilarity(2.0), lambda z: z.flatten(1).sum(1, True).float())
    again = mmd_squared(x.flatten(1).sum(1), y.flatten(1).sum(1), GaussianSimilarity(2.0))
    assert ink == pytest.approx(again, rel=1e-12)


def test_medians():
    x = f64(0, 1, 3)[:, None]  # distances 1, 2, 3
    assert GaussianSimilarity.median(x).bandwidth == 2.0
    states = torch.tensor([[0, 0, 0], [0, 0, 1], [1, 1, 1]])  # distances 1, 2, 3
    assert HammingSimilarity.median(states).rate == 0.5
    assert HammingSimilarity.median(torch.cat([states] * 9)).rate == 0.5  # equal rows do not count
    many = normal(3000, 1)
    assert GaussianSimilarity.median(many).bandwidth == pytest.approx(0.954, abs=0.1)  # √2 · 0.674


@pytest.mark.parametrize(
    "similarity", [GaussianSimilarity(1.0), HammingSimilarity(0.1)], ids=["gaussian", "hamming"]
)
def test_no_matrix_is_ever_whole(similarity):
    x = torch.randint(0, 2, (1500, 6), generator=seeded())
    with LargestStorage() as largest:
        mmd_squared(x, x, similarity)
    assert largest.bytes < 1500 * 1500 * 8 / 2


def test_errors():
    x = torch.zeros(3, 2)
    with pytest.raises(ValueError, match=r"x has shape \(1, 2\); allowed: \(N, \*S\), N >= 2"):
        mmd_squared(x[:1], x, HammingSimilarity())
    with pytest.raises(ValueError, match=r"y has shape \(\); allowed"):
        mmd_squared(x, torch.tensor(1), HammingSimilarity())
    with pytest.raises(ValueError, match="x is 2 wide, y 1; allowed: equal"):
        mmd_squared(x, x[:, :1], GaussianSimilarity(1.0))
    with pytest.raises(ValueError, match="y holds NaN or infinite values"):
        mmd_squared(x, x / 0, GaussianSimilarity(1.0))
    with pytest.raises(ValueError, match="all rows of reference are equal"):
        GaussianSimilarity.median(x)
    with pytest.raises(ValueError, match=r"rate was 0; allowed: finite and above 0"):
        HammingSimilarity(0)
    with pytest.raises(ValueError, match=r"bandwidth was nan"):
        GaussianSimilarity(math.nan)
    with pytest.raises(ValueError, match=r"offset was -1; allowed: finite and >= 0"):
        PolynomialSimilarity(offset=-1)
    with pytest.raises(ValueError, match=r"degree was 0"):
        PolynomialSimilarity(degree=0)
