from __future__ import annotations

import pytest
import torch

from discrete_ca.metrics import nearest_distance, share_of_copies, share_of_repeats

SHAPES = [(), (5,), (4, 4), (3, 8, 8)]


def states(num, shape, values, seed):
    return torch.randint(values, (num, *shape), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("values", [2, 5, 300])
def test_nearest_distance_by_brute_force(shape, values):
    x, data = states(11, shape, values, 0), states(23, shape, values, 1)
    differ = (x[:, None] != data[None]).reshape(11, 23, -1).sum(-1).amin(1)
    for chunk in (4, 2048):
        torch.testing.assert_close(nearest_distance(x, data, chunk=chunk), differ)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("values", [2, 300])
def test_copies_are_at_distance_zero(shape, values):
    data = states(20, shape, values, 1)
    x = torch.cat([data[3:9], states(14, shape, values, 2)])
    assert share_of_copies(x, data) == float((nearest_distance(x, data) == 0).double().mean())
    assert share_of_copies(data[:4], data) == 1.0


def test_values_that_differ_by_256_are_not_copies():
    assert share_of_copies(torch.tensor([[1]]), torch.tensor([[257]])) == 0.0


def test_a_flipped_site_is_no_copy():
    data = states(6, (4, 4), 2, 0)
    x = data.clone()
    x[:3, 0, 0] ^= 1
    assert share_of_copies(x[:3], data[:3]) == 0.0
    assert nearest_distance(x[:1], data[:1]).tolist() == [1]


@pytest.mark.parametrize("function", [share_of_copies, nearest_distance])
def test_errors(function):
    x = torch.zeros(2, 3, dtype=torch.long)
    with pytest.raises(TypeError, match=r"samples has dtype torch.float32; allowed: torch.int64"):
        function(x.float(), x)
    with pytest.raises(ValueError, match=r"data has shape \(0, 3\); allowed: \(N, \*S\)"):
        function(x, x[:0])
    with pytest.raises(ValueError, match=r"samples have sites \(3,\); allowed: .* \(2,\)"):
        function(x, x[:, :2])


def test_repeats_among_real_rows():
    rows = torch.tensor([[0, 300], [0, 300], [1, 1], [0, 44]])
    assert share_of_repeats(rows) == 0.5  # 300 and 44 are one in eight bits
