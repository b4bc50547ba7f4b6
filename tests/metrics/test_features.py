from __future__ import annotations

import pytest
import torch

from discrete_ca.metrics import PrincipalComponents, values_of_sites
from discrete_ca.metrics.features import feature_rows, same_width, thinned
from tests.helpers import SHAPES, seeded


@pytest.mark.parametrize("shape", SHAPES)
def test_values_of_sites_of_any_rank(shape):
    x = torch.randint(0, 5, (6, *shape), generator=seeded())
    found = values_of_sites(x)
    assert found.dtype == torch.float64 and found.shape == (6, x[0].numel())
    assert torch.equal(found.long().reshape(x.shape), x)


@pytest.mark.parametrize("shape", SHAPES)
def test_components_are_uncorrelated_with_falling_variances(shape):
    x = torch.randint(0, 9, (300, *shape), generator=seeded())
    found = PrincipalComponents(x, width=4)(x)
    assert found.shape == (300, min(4, x[0].numel()))
    covariance = found.T @ found / 299
    variances = covariance.diagonal()
    torch.testing.assert_close(covariance, variances.diag(), atol=1e-9, rtol=0)
    assert (variances.diff() <= 1e-9).all()


def test_components_keep_distances_where_they_are_all_kept():
    x = torch.randn(20, 6, generator=seeded(), dtype=torch.float64)
    y = torch.randn(9, 6, generator=seeded(1), dtype=torch.float64)
    components = PrincipalComponents(x, width=6)
    torch.testing.assert_close(torch.cdist(components(y), components(x)), torch.cdist(y, x))


def test_the_plane_of_data_on_a_plane_is_found():
    plane = torch.randn(2, 10, generator=seeded(), dtype=torch.float64)
    x = torch.randn(50, 2, generator=seeded(1), dtype=torch.float64) @ plane
    found = PrincipalComponents(x, width=2)(x)
    torch.testing.assert_close(torch.pdist(found), torch.pdist(x))


def test_fewer_states_than_components():
    x = torch.randint(0, 2, (3, 4, 4), generator=seeded())
    assert PrincipalComponents(x, width=64)(x).shape == (3, 2)


def test_components_of_other_features():
    x = torch.randint(0, 2, (12, 4, 4), generator=seeded())
    found = PrincipalComponents(x, 3, lambda part: part.flatten(1)[:, :5].float())
    assert found(x).shape == (12, 3)


@pytest.mark.parametrize("count", [1, 9, 10, 11, 20, 21, 1000])
def test_thinning_leaves_no_more_than_asked_for_and_no_gap(count):
    found = thinned(torch.arange(count), 10)
    assert min(count, 6) <= len(found) <= 10 and found[0] == 0
    assert len(found) < 2 or len(found.diff().unique()) == 1
    assert count - int(found[-1]) <= -(-count // 10)


def test_errors():
    with pytest.raises(ValueError, match="width was 0; allowed: a whole number >= 1"):
        PrincipalComponents(torch.zeros(3, 2), width=0)
    with pytest.raises(ValueError, match=r"x has shape \(1, 2\); allowed: \(N, F\), N >= 2"):
        PrincipalComponents(torch.zeros(1, 2))
    with pytest.raises(ValueError, match=r"y has shape \(3, 2\); allowed: \(N, F\), N >= 4"):
        feature_rows(torch.zeros(3, 2), name="y", least=4)
    with pytest.raises(ValueError, match="y holds NaN or infinite values"):
        feature_rows(torch.full((3, 2), torch.inf), name="y")
    with pytest.raises(ValueError, match="features are 3 wide, reference 2; allowed: equal"):
        same_width(torch.zeros(2, 3), torch.zeros(2, 2))
