from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import torch

from discrete_ca.metrics import extract, frechet_distance, gaussian_distance, gaussian_fit


def normal(*shape, seed=0):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def covariance(width, rank, seed):
    x = normal(width, rank, seed=seed)
    return x @ x.T / rank


@pytest.mark.parametrize("rank", [8, 3])
def test_equal_covariances_leave_the_means(rank):
    S = covariance(8, rank, 0)
    m = normal(8, seed=1)
    distance = gaussian_distance(m, S, torch.zeros(8, dtype=torch.float64), S)
    assert distance == pytest.approx(float(m.square().sum()), abs=1e-6)


def test_diagonal_covariances():
    a, b = normal(6, seed=0).square(), normal(6, seed=1).square()
    zero = torch.zeros(6, dtype=torch.float64)
    distance = gaussian_distance(zero, a.diag(), zero, b.diag())
    assert distance == pytest.approx(float((a.sqrt() - b.sqrt()).square().sum()), abs=1e-10)


@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_the_matrix_square_root(seed):
    S, T = covariance(10, 20, seed), covariance(10, 20, seed + 10)
    m, n = normal(10, seed=seed + 20), normal(10, seed=seed + 30)
    root = np.real(scipy.linalg.sqrtm((S @ T).numpy()))
    expected = (m - n).square().sum() + S.trace() + T.trace() - 2 * np.trace(root)
    assert gaussian_distance(m, S, n, T) == pytest.approx(float(expected), rel=1e-9)
    assert gaussian_distance(n, T, m, S) == pytest.approx(float(expected), rel=1e-9)


def test_fit_is_that_of_numpy():
    x = normal(50, 4)
    mean, S = gaussian_fit(x)
    np.testing.assert_allclose(mean, x.numpy().mean(0))
    np.testing.assert_allclose(S, np.cov(x.numpy(), rowvar=False))


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_features_of_any_precision(dtype):
    x = normal(300, 5).to(dtype)
    assert frechet_distance(x, x) == pytest.approx(0.0, abs=1e-9)
    assert frechet_distance(2 * x.double(), x.double()) == pytest.approx(
        float(gaussian_fit(x)[1].trace() + gaussian_fit(x)[0].square().sum()), rel=1e-6
    )


def test_fewer_rows_than_features_is_finite():
    assert 0 < frechet_distance(normal(3, 20), normal(4, 20, seed=1)) < 1000


@pytest.mark.parametrize("shape", [(), (5,), (4, 4), (3, 8, 8)])
def test_any_extractor_and_rank_of_sites(shape):
    x = torch.ones(7, *shape, dtype=torch.long)
    features = extract(lambda part: part.reshape(len(part), -1).double(), x, chunk=3)
    assert features.shape == (7, x[0].numel())


def test_errors():
    with pytest.raises(ValueError, match=r"features has shape \(1, 3\); allowed: \(N, F\)"):
        frechet_distance(torch.zeros(1, 3), torch.zeros(4, 3))
    with pytest.raises(ValueError, match=r"reference has shape \(4,\)"):
        frechet_distance(torch.zeros(4, 3), torch.zeros(4))
    with pytest.raises(ValueError, match="reference holds NaN or infinite"):
        frechet_distance(torch.zeros(4, 3), torch.full((4, 3), torch.nan))
    with pytest.raises(ValueError, match="features are 3 wide, reference 2"):
        frechet_distance(torch.zeros(4, 3), torch.zeros(4, 2))
    with pytest.raises(ValueError, match=r"other_mean has shape \(3,\); allowed: \(2,\)"):
        gaussian_distance(torch.zeros(2), torch.eye(2), torch.zeros(3), torch.eye(3))
    with pytest.raises(ValueError, match="extractor gave features of shape"):
        extract(lambda x: x[:, None, None], torch.zeros(4))
