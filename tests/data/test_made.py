"""Data that are made: coloured shapes, points about moons."""

import pytest
import torch

from discrete_ca.data import load, load_continuous, made
from discrete_ca.errors import DataError


def test_all_shapes_differ_and_lie_within_the_picture():
    every = made.every_shape()
    assert len(every.unique(dim=0)) == 96
    edges = torch.cat([every[..., 0, :], every[..., -1, :], every[..., 0], every[..., -1]], -1)
    painted = (every != made.PAPER[:, None, None]).any(1).flatten(1).sum(1)
    assert set(painted.tolist()) == {9, 21}  # squares and discs
    square = painted == 9
    assert bool((edges[square] == made.PAPER[:, None]).all())


@pytest.mark.parametrize(("split", "n"), [("train", 4096), ("test", 1024)])
def test_shapes_are_loaded_by_their_name(split, n):
    data = load("shapes", split)
    assert (len(data), data.shape, data.num_categories) == (n, (3, 8, 8), 256)
    assert data.label_names == ("disc", "square")
    painted = (data.states != made.PAPER[:, None, None]).any(1).flatten(1).sum(1)
    assert torch.equal(data.labels, (painted == 9).long())
    assert torch.equal(load("shapes", split).states, data.states)
    share = (data.states[:, None] == made.every_shape()[None].long()).flatten(2).all(2)
    counts = share.sum(0)
    assert int(counts.sum()) == n and int(counts.min()) > 0.2 * n / 96


def test_moons_are_points_of_real_numbers():
    data = load_continuous("moons")
    assert data.shape == (2,) and len(data) == 8192 and data.num_classes == 2
    turned = data.states * (1 - 2 * data.labels)[:, None]  # one is the other, turned by half
    centre = torch.tensor([-1.0, -0.5])
    away = (turned - centre).norm(dim=1)
    assert float((away - 2).abs().max()) < 0.16 * 2**0.5 + 1e-4  # the jitter: 0.16 along each axis
    assert float(turned[:, 1].min()) > -0.7
    assert 0.45 < float(data.labels.double().mean()) < 0.55


@pytest.mark.parametrize(
    "read", [lambda s: load("shapes", s), lambda s: load_continuous("moons", s)]
)
def test_unknown_splits_are_refused(read):
    with pytest.raises(DataError, match="unknown split 'tset'; did you mean 'test'"):
        read("tset")


def test_real_numbers_are_no_categories():
    with pytest.raises(DataError, match="moons holds real numbers; allowed: with load_contin"):
        load("moons")
