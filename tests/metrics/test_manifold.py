from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from discrete_ca.metrics import ManifoldMetrics, manifold, manifold_metrics
from tests.helpers import SHAPES, LargestStorage, f64, seeded


def normal(n, width=3, seed=0):
    return torch.randn(n, width, generator=seeded(seed), dtype=torch.float64)


def by_hand(y, x, k):
    """The definitions, with whole matrices of distances."""

    def radii(rows):
        return torch.cdist(rows, rows).sort(1).values[:, k]

    distance = torch.cdist(x, y)
    in_data, in_samples = distance <= radii(x)[:, None], distance <= radii(y)
    return ManifoldMetrics(
        precision=float(in_data.any(0).double().mean()),
        recall=float(in_samples.any(1).double().mean()),
        density=int(in_data.sum()) / (k * len(y)),
        coverage=float(in_data.any(1).double().mean()),
    )


def test_on_a_line():
    # Data 0, 1, 3, 7: distances to the nearest neighbour 1, 1, 2, 4, so balls [-1, 1], [0, 2],
    # [1, 5], [3, 11]. Samples 2, 4, 20: nearest 2, 2, 16, so balls [0, 4], [2, 6], [4, 36].
    # 2 lies in two of the data's balls, 4 in two, 20 in none. 0, 1, 3 lie in [0, 4], 7 in [4, 36].
    # The ball of 0 holds no sample.
    found = manifold_metrics(f64(2, 4, 20)[:, None], f64(0, 1, 3, 7)[:, None], k=1)
    assert found == ManifoldMetrics(precision=2 / 3, recall=1.0, density=4 / 3, coverage=3 / 4)


def test_good_samples_of_one_mode_and_scattered_ones():
    data = torch.cat([normal(60), normal(60, seed=1) + 50])
    one_mode = manifold_metrics(normal(120, seed=2), data)
    assert one_mode.precision > 0.8 and one_mode.recall < 0.6
    scattered = manifold_metrics(normal(120, seed=3) * 40 + 25, data)
    assert scattered.precision < 0.2 and scattered.recall > 0.8


@pytest.mark.parametrize("piece", [5, 512])
@pytest.mark.parametrize("k", [1, 3, 5])
def test_against_whole_matrices(k, piece, monkeypatch):
    monkeypatch.setattr(manifold, "_PIECE", piece)
    y, x = normal(17) + 0.5, normal(23, seed=1)
    assert manifold_metrics(y, x, k) == by_hand(y, x, k)


@given(st.integers(0, 2**31), st.integers(1, 3))
def test_contracts(seed, k):
    g = seeded(seed)
    y, x = (torch.randint(0, 4, (n, 3), generator=g).double() for n in (8, 11))  # with equal rows
    found = manifold_metrics(y, x, k)
    for share in (found.precision, found.recall, found.coverage):
        assert 0 <= share <= 1
    assert found.density >= 0
    other = manifold_metrics(x, y, k)
    assert (other.precision, other.recall) == (found.recall, found.precision)
    assert (
        manifold_metrics(y[torch.randperm(8, generator=g)], x[torch.randperm(11, generator=g)], k)
        == found
    )
    assert found == by_hand(y, x, k)
    same = manifold_metrics(x, x, k)
    assert (same.precision, same.recall, same.coverage) == (1.0, 1.0, 1.0)
    assert same.density >= (k + 1) / k


def test_shift_turn_and_scale_change_nothing():
    y, x = normal(40) + 0.3, normal(50, seed=1)
    found = manifold_metrics(y, x)
    turn = torch.linalg.qr(normal(3, seed=2)).Q
    assert manifold_metrics(y @ turn * 7 + 1e4, x @ turn * 7 + 1e4) == found


def test_copies_of_data_lie_on_balls_of_no_radius():
    x = (normal(20, 7) / 3).repeat_interleave(4, 0) + 1e3  # each row four times: NND_3 is 0
    found = manifold_metrics(x[::4].repeat(2, 1)[:30], x)
    assert found.precision == 1.0


@pytest.mark.parametrize("shape", SHAPES)
def test_any_extractor_and_rank_of_sites(shape):
    x, y = (torch.randint(0, 5, (n, *shape), generator=seeded(n)) for n in (9, 7))
    flat = [part.reshape(len(part), -1).double() for part in (y, x)]
    found = manifold_metrics(y, x, extractor=lambda part: part.reshape(len(part), -1).float())
    assert found == manifold_metrics(*flat)


def test_no_matrix_is_ever_whole():
    x = normal(1500)
    with LargestStorage() as largest:
        manifold_metrics(x, x)
    assert largest.bytes < 1500 * 1500 * 8 / 2


def test_errors():
    with pytest.raises(ValueError, match=r"features has shape \(3, 2\); allowed: .* N >= 4"):
        manifold_metrics(torch.zeros(3, 2), torch.zeros(9, 2))
    with pytest.raises(ValueError, match=r"reference has shape \(2, 2\); allowed: .* N >= 3"):
        manifold_metrics(torch.zeros(3, 2), torch.zeros(2, 2), k=2)
    with pytest.raises(ValueError, match="features are 2 wide, reference 1"):
        manifold_metrics(torch.zeros(5, 2), torch.zeros(5, 1))
    with pytest.raises(ValueError, match="k was 0; allowed: a whole number >= 1"):
        manifold_metrics(torch.zeros(5, 2), torch.zeros(5, 2), k=0)
