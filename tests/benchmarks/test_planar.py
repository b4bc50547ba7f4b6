"""The planar benchmark: its code and laws, its measure, its best denoiser, its table."""

import json

import pytest
import torch

from benchmarks import pages, planar
from benchmarks.planar_laws import BITS, LAWS
from discrete_ca.metrics import GaussianSimilarity, HammingSimilarity, mmd_squared
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


def test_the_measure_is_the_unbiased_one():
    x, y = (law.sample(60, seeded()) for law in (LAWS["moons"], LAWS["circles"]))
    reference = planar.Reference(y)
    want = mmd_squared(x, y, HammingSimilarity(0.1)) / 1e-4
    assert reference.mmd(x[None]) == pytest.approx(want, rel=1e-4)
    # chains that stand still say no more than their first states, and no less
    assert reference.mmd(x.expand(3, -1, -1)) == pytest.approx(want, rel=1e-4)
    two = torch.stack([x[:30], x[30:]])
    pairs = HammingSimilarity(0.1)(x, x)
    other = torch.arange(60)[:, None] % 30 != torch.arange(60) % 30
    assert planar.within(two) == pytest.approx(float(pairs[other].mean()), rel=1e-5)


def test_points_of_the_plane_are_compared_by_their_distance():
    law = LAWS["moons"]
    x, y = (law.decode(law.sample(60, seeded(i))) for i in range(2))
    want = mmd_squared(x, y, GaussianSimilarity(planar.BANDWIDTH)) / 1e-4
    assert planar.Reference(y, planar.nearness).mmd(x[None]) == pytest.approx(want, rel=1e-6)
    states = law.sample(6, seeded()).unflatten(0, (2, 3))
    assert torch.equal(law.decode(states)[1], law.decode(states[1]))


def test_the_best_denoiser_is_bayes_rule():
    law, level, draws = LAWS["2spirals"], 0.3, 4000
    best = planar.BestDenoiser([law], [level], kept=2, draws=draws)
    z = law.sample(draws, seeded(7))[:, best.sites]
    x = law.sample(6, seeded(1))
    out = best(x, torch.full((6,), level), torch.zeros(6, dtype=torch.long))
    own = planar.NOISE.log_likelihood(x, torch.full((6,), level))
    found = (out + own).softmax(-1)[..., 1]
    flips = level / 2
    for state, probs in zip(x, found, strict=True):
        same = (z == state[best.sites]).double()
        weight = ((1 - flips) * same + flips * (1 - same)).prod(1)
        want = (weight[:, None] * z).sum(0) / weight.sum()
        torch.testing.assert_close(probs[best.sites].double(), want, atol=1e-5, rtol=1e-4)
        others = probs[[5, 30]] - torch.where(state[[5, 30]] == 1, 1 - flips, flips)
        assert others.abs().max() < 1e-6  # what is not kept is noise


def test_a_table_of_all_methods(tmp_path):
    words = ["--quick", "--folder", str(tmp_path)]
    part = planar.main([*words, "--methods", planar.LIMIT])["raw"]
    found = planar.main([*words, "--resume"])
    assert found["raw"][: len(part)] == part
    methods = {row["method"] for row in found["rows"]}
    assert planar.REAL in methods and planar.LIMIT in methods and len(methods) == 1 + 2 * 3
    assert planar.LIMIT + planar.REFUSING in methods
    steps = {row["steps"] for row in found["rows"] if row["method"] == planar.LIMIT}
    assert steps == {0, 2, 6}
    annealed = [row for row in found["rows"] if row["steps"] == planar.ANNEALED]
    assert len(annealed) == 2 * 2 and all("states" not in row for row in annealed)
    assert all("plane" in row for row in found["rows"])
    for name in {row["method"] for row in found["raw"]} - {planar.REAL}:
        if name.endswith(planar.REFUSING):  # the same start, and other steps from there
            plain = [r for r in found["raw"] if r["method"] == name.removesuffix(planar.REFUSING)]
            refused = [row for row in found["raw"] if row["method"] == name]
            plain = [row for row in plain if row["steps"] != planar.ANNEALED]
            same = [a["states"] == b["states"] for a, b in zip(plain, refused, strict=True)]
            assert same == [row["steps"] == 0 for row in refused]
    written = json.loads((tmp_path / "quick/planar.json").read_text())
    assert written["rows"] == found["rows"] and written["settings"]["hold"] == 0.5
    assert (tmp_path / "quick/planar.png").stat().st_size > 5000
    text = "".join(pages.planar(found["rows"]))
    assert "### States at b = 0.1" in text and "| limit: denoising, 6 steps |" in text
