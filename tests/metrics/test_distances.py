from __future__ import annotations

import pytest
import torch

from discrete_ca.metrics.distances import hamming, squared_euclidean
from tests.helpers import seeded


@pytest.mark.parametrize("values", [2, 5, 17, 300])
@pytest.mark.parametrize("low", [0, 250])
def test_hamming_by_comparing_sites(values, low):
    x, y = (torch.randint(low, low + values, (n, 9), generator=seeded(n)) for n in (7, 5))
    wanted = (x[:, None] != y).sum(-1).float()
    assert torch.equal(hamming(x, y), wanted)
    assert torch.equal(hamming(x, y, x.unique()), wanted)


def test_few_values_far_apart():
    x, y = torch.tensor([[0, 50_000, 0]]), torch.tensor([[0, 50_000, 1], [50_000, 0, 0]])
    assert hamming(x, y).tolist() == [[1.0, 2.0]]
    assert hamming(x, y, x.unique()).tolist() == [[1.0, 2.0]]


def test_values_that_only_the_others_have():
    assert hamming(torch.tensor([[1, 1]]), torch.tensor([[0, 7]])).tolist() == [[2.0]]


def test_squared_distances_of_whole_numbers_are_exact():
    x, y = (torch.randint(0, 256, (n, 64), generator=seeded(n)) for n in (6, 4))
    wanted = (x[:, None] - y).square().sum(-1).double()
    assert torch.equal(squared_euclidean(x, y), wanted)
    assert torch.equal(squared_euclidean(x, x).diagonal(), torch.zeros(6).double())


def test_squared_distances_agree_with_cdist():
    x, y = (torch.randn(n, 8, generator=seeded(n), dtype=torch.float64) for n in (6, 4))
    torch.testing.assert_close(squared_euclidean(x, y), torch.cdist(x, y).square())
    assert squared_euclidean(x.float(), y.float()).dtype == torch.float64
