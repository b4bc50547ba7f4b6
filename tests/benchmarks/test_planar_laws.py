"""The planar laws: where they lie, and their code of 32 bits."""

import pytest
import torch

from benchmarks.planar_laws import BITS, LAWS
from tests.helpers import seeded


def test_one_step_of_magnitude_flips_one_bit():
    law = LAWS["circles"]
    at = torch.arange(2 ** (BITS - 1)) + 0.5
    states = law.encode(torch.stack([at, -at], 1).double() / law.scale)
    assert states.shape == (2**15, 32) and states.unique(dim=0).shape == states.shape
    assert ((states[1:] != states[:-1]).sum(1) == 2).all()  # one a coordinate
    assert (states[:, 0] == 0).all() and (states[:, BITS] == 1).all()
    assert torch.equal(states[:, 1:BITS], states[:, BITS + 1 :])
    assert states[0].sum() == 1 and states[3, 14:16].tolist() == [1, 0]  # 3 is 10 in Gray code


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_points_come_back_and_fit(law):
    points = law.points(2000, seeded())
    assert float((law.decode(law.encode(points)) - points).abs().max()) * law.scale <= 1.01
    assert float(points.abs().max()) * law.scale < 2**15 - 1
    assert 4 < 2**15 / law.scale < 8  # the literature's laws lie within 2 to 6
    assert torch.equal(law.sample(5, seeded(3)), law.sample(5, seeded(3)))


def test_laws_lie_where_they_should():
    def points(name):
        return LAWS[name].points(20_000, seeded())

    x, y = points("checkerboard").T / 2
    assert bool(((x.floor() + y.floor()) % 2 == 0).all())
    radius = points("circles").norm(dim=1)
    assert (radius < 2.25).float().mean() == pytest.approx(0.5, abs=0.02)
    assert radius[radius > 2.25].mean() == pytest.approx(3, abs=0.02)
    assert points("8gaussians").norm(dim=1).mean() == pytest.approx(4 / 1.414, abs=0.05)
    spirals = points("2spirals")
    assert spirals.mean(0).abs().max() < 0.05 and spirals.norm(dim=1).max() < 4
    assert points("moons").mean(0).tolist() == pytest.approx([0.0, 0.3], abs=0.05)
    assert points("swissroll")[:, 0].max() == pytest.approx(3, abs=0.7)
