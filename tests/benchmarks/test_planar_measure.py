"""What states and points of chains are compared with data by."""

import pytest
import torch

from benchmarks import planar_measure
from benchmarks.planar_laws import LAWS
from discrete_ca.metrics import GaussianSimilarity, HammingSimilarity, mmd_squared
from tests.helpers import seeded


def test_the_measure_is_the_unbiased_one():
    x, y = (law.sample(60, seeded()) for law in (LAWS["moons"], LAWS["circles"]))
    reference = planar_measure.Reference(y)
    want = mmd_squared(x, y, HammingSimilarity(0.1)) / 1e-4
    assert reference.mmd(x[None]) == pytest.approx(want, rel=1e-4)
    # chains that stand still say no more than their first states, and no less
    assert reference.mmd(x.expand(3, -1, -1)) == pytest.approx(want, rel=1e-4)
    two = torch.stack([x[:30], x[30:]])
    pairs = HammingSimilarity(0.1)(x, x)
    other = torch.arange(60)[:, None] % 30 != torch.arange(60) % 30
    assert planar_measure.within(two) == pytest.approx(float(pairs[other].mean()), rel=1e-5)


def test_points_of_the_plane_are_compared_by_their_distance():
    law = LAWS["moons"]
    x, y = (law.decode(law.sample(60, seeded(i))) for i in range(2))
    want = mmd_squared(x, y, GaussianSimilarity(planar_measure.BANDWIDTH)) / 1e-4
    assert planar_measure.Reference(y, planar_measure.nearness).mmd(x[None]) == pytest.approx(
        want, rel=1e-6
    )
    states = law.sample(6, seeded()).unflatten(0, (2, 3))
    assert torch.equal(law.decode(states)[1], law.decode(states[1]))
