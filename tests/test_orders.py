"""Orders without a list: bijections, keyed and well mixed."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from discrete_ca import draws
from discrete_ca.orders import LISTED, Order, permute, round_keys

FALSE_ALARM = 1e-6  # of each test below that draws


def keys(*key):
    return round_keys(draws.keyed("test of orders", *key))


@settings(max_examples=150, deadline=None)
@given(length=st.integers(1, 5000), seed=st.integers(0, 2**32))
def test_a_computed_order_is_a_bijection(length, seed):
    found = permute(np.arange(length), length, keys(seed))
    assert found.dtype == np.int64 and np.array_equal(np.sort(found), np.arange(length))


@pytest.mark.parametrize("length", [LISTED + 1, 1234577])
def test_a_large_order_is_a_bijection_and_needs_no_list(length):
    order = Order(length, 3, "order", 0)
    assert order._listed is None
    found = order(torch.arange(length))
    assert torch.equal(found.sort().values, torch.arange(length))
    places = torch.tensor([length - 1, 5, 77])
    assert torch.equal(order(places), found[places])  # alone as in company


def test_the_largest_lengths_stay_within_range():
    order = Order(10**17 + 3, "far")
    found = order(torch.tensor([0, 1, 10**17 + 2]))
    assert found.unique().numel() == 3 and 0 <= int(found.min()) <= int(found.max()) < 10**17 + 3


def test_orders_depend_on_each_part_of_their_key_alone():
    for length in (1000, LISTED + 1000):
        one, two = (Order(length, 3, "order", 7)(torch.arange(500)) for _ in range(2))
        assert torch.equal(one, two)
        for key in [(4, "order", 7), (3, "order", 8), (3, "other", 7)]:
            assert not torch.equal(one, Order(length, *key)(torch.arange(500)))


@pytest.mark.parametrize("length", [12, 31])
def test_two_places_land_evenly_over_the_keys(length):
    """Over 10,000 keys, the pair (image of 0, image of the last) is uniform on distinct pairs.

    At 5 it is not: eight rounds mix halves of 2 and 3 too little. Orders so short are lists.
    """
    ends = np.array([0, length - 1])
    pairs = np.array([permute(ends, length, keys(length, i)) for i in range(10_000)])
    counts = np.bincount(pairs[:, 0] * length + pairs[:, 1], minlength=length**2)
    counts = counts.reshape(length, length)
    assert not counts.diagonal().any()
    assert stats.chisquare(counts[~np.eye(length, dtype=bool)]).pvalue > FALSE_ALARM


@pytest.mark.parametrize("length", [LISTED + 1, 10**7 + 19, 2**40])
def test_neighbours_scatter(length):
    """Images of a run of places, and the steps between them, spread evenly."""
    found = permute(np.arange(7_000, 107_000), length, keys(length))
    for values in (found, np.diff(found) % length, (found[2::2] - found[:-2:2]) % length):
        cells = np.bincount((values.astype(np.float64) * 200 / length).astype(int), minlength=200)
        assert stats.chisquare(cells).pvalue > FALSE_ALARM
    low = np.bincount(found % 97, minlength=97)
    assert stats.chisquare(low).pvalue > FALSE_ALARM
    assert abs(stats.kendalltau(np.arange(20_000), found[:20_000]).pvalue) > FALSE_ALARM


def test_epochs_are_unlike_each_other():
    """Two orders agree at about one place, as two random ones do: Poisson(1) above 12 is 6e-11."""
    length = LISTED + 5
    one, two = (Order(length, 0, "order", i)(torch.arange(length)) for i in range(2))
    assert int((one == two).sum()) <= 12
