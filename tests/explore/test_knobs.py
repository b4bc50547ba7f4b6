"""Knobs from a wish: measured, near, paid once."""

import pytest
import torch

from discrete_ca import CategoricalNoiseKernel, nn
from discrete_ca.corruption import Uniform
from discrete_ca.explore.knobs import LOWEST_LEVEL, Tuner, strangeness, trade_off
from discrete_ca.explore.studio import Studio
from discrete_ca.explore.tree import Node, Recipe
from tests.explore.helpers import Table, smooth_kernel
from tests.helpers import Counting, Posterior, random_law, seeded


def studio_of(kernel=None, shape=(40,), values=None):
    return Studio(kernel or smooth_kernel(hold=0.8), shape, values)


def node_of(studio, locked=0.0, design=None):
    if design is None:
        design = torch.randint(0, studio.num_categories, studio.shape, generator=seeded(1))
    return Node(1, design, torch.rand(studio.shape, generator=seeded(2)) < locked, Recipe(0, (), 0))


@pytest.mark.parametrize("share", [0.05, 0.1, 0.2, 0.3])
@pytest.mark.parametrize("locked", [0.0, 0.5])
def test_the_share_that_was_wished_for(share, locked):
    studio = studio_of()
    tuner = Tuner(studio, node_of(studio, locked), steps=3)
    found = tuner.for_change(share)
    assert abs(found.changed - share) <= 0.03
    assert found.steps == 3 and (found.hold == 0.8 or found.level in (LOWEST_LEVEL, 1.0))
    assert tuner.changed(found.level, found.hold) == found.changed


def test_other_draws_change_as_much():
    """The measurement is of the knobs, not of its own random numbers."""
    studio = studio_of(shape=(200,))
    node = node_of(studio)
    found = Tuner(studio, node, steps=3, seed=0).for_change(0.2)
    again = Tuner(studio, node, steps=3, n=64, seed=1).changed(found.level, found.hold)
    assert abs(again - found.changed) < 0.03


def test_costs_are_counted_and_paid_once():
    studio = studio_of()
    net = studio.kernel.net = Counting(studio.kernel.net)
    tuner = Tuner(studio, node_of(studio), steps=4, n=8)
    found = tuner.for_change(0.2)
    assert found.nfe == net.examples == len(tuner.measured) * 8 * 5
    net.examples = 0
    assert tuner.for_change(0.2).nfe == net.examples == 0
    assert tuner.for_change(0.21).nfe == net.examples <= found.nfe


def test_where_the_level_does_not_suffice_the_hold_is_turned():
    """A kernel that wanders even at the lowest level, and one that hardly moves at the highest."""
    shape = (40,)
    loose = CategoricalNoiseKernel(Counting(smooth_kernel().net), Uniform(2), hold=0.0)
    node = node_of(studio_of(loose))
    calm = Tuner(studio_of(loose), node, steps=20).for_change(0.02)
    assert calm.level == LOWEST_LEVEL and calm.hold > 0.0 and abs(calm.changed - 0.02) < 0.02

    class Copies(torch.nn.Module):
        def forward(self, x, b):
            return 3.0 * torch.nn.functional.one_hot(node.design.expand_as(x), 2).float()

    stiff = CategoricalNoiseKernel(Copies(), Uniform(2), hold=0.9)
    found = Tuner(studio_of(stiff), node, steps=2).for_change(0.3)
    assert found.changed == 0.0 and found.level in (LOWEST_LEVEL, 1.0)  # the nearest there is
    assert stiff.hold == 0.9 and shape == studio_of(stiff).shape


def test_kernels_without_a_hold():
    walk = torch.full((4, 4), 0.05) + 0.8 * torch.eye(4)
    studio = Studio(Table(walk.double(), 2, (2,)), (2,), 2)
    found = Tuner(studio, node_of(studio), steps=2).for_change(0.2)
    assert found.hold is None and 0 < found.changed < 1


def test_refusals():
    studio = studio_of()
    with pytest.raises(ValueError, match="every cell locked"):
        Tuner(studio, node_of(studio, locked=1.1))
    tuner = Tuner(studio, node_of(studio), steps=1)
    for share in (0, 1, -0.1, float("nan")):
        with pytest.raises(ValueError, match=r"share was .*; allowed: \(0, 1\), such as 1/5"):
            tuner.for_change(share)
    with pytest.raises(ValueError, match="hold was 2"):
        tuner.for_change(0.2, hold=2)
    with pytest.raises(ValueError, match="steps was 0"):
        Tuner(studio, node_of(studio), steps=0)
    assert tuner.measured == {}


def test_strange_designs_are_found_strange():
    law = random_law(2, (6,), seed=3, sharpness=3.0)
    noise = Uniform(2)
    studio = Studio(CategoricalNoiseKernel(Posterior(law, noise, (6,)), noise), (6,))
    from discrete_ca.diagnostics import exact

    order = law.argsort()
    space = exact.states(2, (6,))
    common, rare = (space[places].repeat(50, 1) for places in (order[-3:], order[:3]))
    assert strangeness(studio, common) < strangeness(studio, rare)
    assert strangeness(studio, common) == strangeness(studio, common)
    with pytest.raises(ValueError, match="Table has no read-out; pass fidelity"):
        strangeness(Studio(Table(torch.eye(4).double(), 2, (2,)), (2,), 2), space[:2, :2])


def test_the_curve_of_the_kernel_at_hand():
    studio = studio_of()
    points = trade_off(studio, node_of(studio), [0.1, 0.5, 0.9], hold=0.3, steps=8, n=4)
    assert [p.level for p in points] == [0.1, 0.5, 0.9] and all(p.hold == 0.3 for p in points)
    assert points[0].changed < points[2].changed and studio.kernel.hold == 0.8
    own = trade_off(studio, node_of(studio), [0.5], steps=8, n=4, fidelity=lambda z: float(len(z)))
    assert own[0].fidelity == 4.0 and own[0].hold == 0.8


def test_a_guided_step_costs_two_evaluations():
    net = nn.MLP(2, 2, shape=(6,), width=8, num_classes=3)
    studio = Studio(CategoricalNoiseKernel(net, Uniform(2)), (6,))
    plain, guided = (
        Tuner(studio, node_of(studio), steps=2, n=4, label=1, guidance=g).for_change(0.2, rounds=1)
        for g in (0.0, 1.0)
    )
    assert plain.nfe % (4 * 3) == 0 and guided.nfe % (2 * 4 * 3) == 0 and guided.nfe > 0


def test_a_tuner_measures_metropolis_steps_too():
    studio = studio_of()
    plain, adjusted = (
        Tuner(studio, node_of(studio), steps=8, metropolis=on) for on in (False, True)
    )
    assert plain.changed(0.5, 0.0) != adjusted.changed(0.5, 0.0) and plain.nfe == adjusted.nfe
    with pytest.raises(ValueError, match="metropolis was True at level 0"):
        adjusted.changed(0.0, 0.0)
