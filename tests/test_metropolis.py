"""Metropolis steps by enumeration: exact in balance where they must be, and what they cost."""

from __future__ import annotations

import pytest
import torch

import discrete_ca as dca
from discrete_ca import metropolis
from discrete_ca.conditions import Conditions
from discrete_ca.corruption import Absorbing, Matrix, Ordinal, Uniform
from discrete_ca.diagnostics import exact
from discrete_ca.walker import Tally, Walker
from tests.helpers import (
    InformedPosterior,
    Posterior,
    assert_counts,
    code,
    counts_of,
    f64,
    random_law,
    seeded,
    stochastic,
)

NOISES = {
    "uniform": Uniform(3),
    "ordinal": Ordinal(3),
    "matrix": Matrix(0.5 * stochastic(3, 4, 1) + 0.5 * torch.full((3, 4), 0.25).double()),
    "callable": Matrix(lambda b: torch.eye(3).double() * (1 - b) + b * stochastic(3, 3, 2)),
}


def exact_kernel(law, noise, shape, hold=0.5):
    return dca.CategoricalNoiseKernel(Posterior(law, noise, shape), noise, hold)


def chain(kernel, law, shape, level):
    """Of plain and of Metropolis steps: stationary TV, balance, gap."""
    target = exact.noisy_law(law, kernel.corruption, shape, level)
    found = []
    for P in (
        exact.transition_matrix(kernel, shape, level),
        exact.metropolis_matrix(kernel, shape, level),
    ):
        torch.testing.assert_close(P.sum(1), torch.ones(len(P)).double(), rtol=0, atol=1e-12)
        assert float(P.min()) >= -1e-15
        pi = exact.stationary_distribution(P)
        residual = exact.detailed_balance_residual(P, target)
        found.append((exact.total_variation(pi, target), residual, exact.spectral_gap(P, pi)))
    return found


# -- what the chain converges to -------------------------------------------------------------------


@pytest.mark.parametrize("hold", [0.0, 0.5])
@pytest.mark.parametrize("level", [0.1, 0.6, 1.0])
@pytest.mark.parametrize("name", NOISES)
def test_two_sites_are_in_exact_balance(name, level, hold):
    """Two sites interact in pairs alone, where half of both read-outs is the whole ratio."""
    law = random_law(3, (2,), 0, sharpness=3.0)
    kernel = exact_kernel(law, NOISES[name], (2,), hold)
    plain, adjusted = chain(kernel, law, (2,), level)
    assert adjusted[1] < 1e-12
    if level < 1.0 and hold == 0.0:
        assert plain[1] > 1e-6, "the denoiser's own chain is in balance too: this shows nothing"


@pytest.mark.parametrize("hold", [0.0, 0.5, 0.8])
def test_on_peaked_laws_it_is_many_times_closer_and_mixes_nearly_as_fast(hold):
    """Three laws of five sites at b = 0.3; theory, section 7: contrastive adjustment gives 2 x."""
    for seed in range(3):
        law = random_law(2, (5,), seed)
        plain, adjusted = chain(exact_kernel(law, Uniform(2), (5,), hold), law, (5,), 0.3)
        assert adjusted[0] < plain[0] / 5
        assert adjusted[2] > 0.65 * plain[2]


def test_independent_sites_are_never_refused():
    law = torch.full((8,), 1 / 8, dtype=torch.float64)
    kernel = exact_kernel(law, Uniform(2), (3,), 0.3)
    P, M = (f(kernel, (3,), 0.4) for f in (exact.transition_matrix, exact.metropolis_matrix))
    torch.testing.assert_close(P, M, rtol=0, atol=1e-12)
    x = exact.states(2, (3,)).repeat(20, 1)

    def at(x):
        return kernel.transition(x, f64(0.4)[0])

    assert metropolis.step(at(x), at, seeded(0)).accepted.all()


# -- the steps -------------------------------------------------------------------------------------


@pytest.mark.parametrize("head", [False, True])
def test_steps_are_drawn_from_the_matrix(head):
    noise, shape = Ordinal(3), (3,)
    law = random_law(3, shape, 4, sharpness=2.5)
    kernel = exact_kernel(law, noise, shape, 0.2)
    if head:
        torch.manual_seed(0)
        kernel.adjustment = dca.nn.AdjustmentMLP(3, shape).double()
        for parameter in kernel.adjustment.parameters():
            parameter.data.normal_(0, 0.4, generator=seeded(2))
    M = exact.metropolis_matrix(kernel, shape, 0.4)
    assert float((M - exact.transition_matrix(kernel, shape, 0.4)).abs().max()) > 0.02
    x = exact.states(3, shape)
    many = x.repeat_interleave(4000, 0)
    [y] = dca.run(kernel, many, f64(0.4)[0], 1, metropolis=True, generator=seeded(1))
    counts = torch.stack([counts_of(part, 27) for part in code(y, 3).chunk(27)])
    assert_counts(counts, M)


def test_long_runs_stay_at_the_law():
    """After 60 steps from anywhere; the plain chain is 0.06 away. False alarm: 1e-6."""
    law, shape = random_law(2, (4,), 7, sharpness=2.5), (4,)
    kernel = exact_kernel(law, Uniform(2), shape, 0.0)
    M = exact.metropolis_matrix(kernel, shape, 0.3)
    x = torch.zeros(20000, 4, dtype=torch.long)
    *_, last = dca.run(kernel, x, f64(0.3)[0], 60, metropolis=True, generator=seeded(3))
    expected = torch.linalg.matrix_power(M, 60)[0]
    assert_counts(counts_of(code(last, 2), 16), expected)


def test_known_sites_stay_and_the_rest_follows():
    """Given one known site, two are left: the law given it, in exact balance."""
    law, shape, noise = random_law(2, (3,), 3, sharpness=2.0), (3,), Uniform(2)
    net = InformedPosterior(law, noise, shape)
    kernel = dca.CategoricalNoiseKernel(net, noise, 0.0)
    n, level = 40000, f64(0.5)[0]
    mask = torch.tensor([False, True, True]).expand(n, 3)
    values = torch.tensor([1, 0, 0]).expand(n, 3)
    x = torch.where(mask, torch.randint(2, (n, 3), generator=seeded(0)), values)
    *_, last = dca.run(
        kernel, x, level, 40, known=(mask, values), metropolis=True, generator=seeded(1)
    )
    assert (last[:, 0] == 1).all()
    rest = law.reshape(2, 4)[1] / law.reshape(2, 4)[1].sum()
    expected = exact.noisy_law(rest, noise, (2,), 0.5)
    assert_counts(counts_of(code(last[:, 1:], 2), 4), expected)


class Labelled(torch.nn.Module):
    """The exact posteriors of two laws, and of their mixture where there is no label."""

    def __init__(self, noise, shape):
        super().__init__()
        laws = [random_law(2, shape, seed, sharpness=2.5) for seed in (0, 1)]
        self.nets = [Posterior(p, noise, shape) for p in (*laws, torch.stack(laws).mean(0))]

    def forward(self, x, b, label=None):
        every = torch.stack([net(x, b) for net in self.nets])
        which = torch.full((len(x),), -1) if label is None else label
        return every[which, torch.arange(len(x))]


@pytest.mark.parametrize("guidance", [0.0, 1.5])
@pytest.mark.parametrize("hold", [None, 0.0, 0.7])
def test_steps_with_labels_guidance_and_a_hold_are_drawn_from_their_matrix(guidance, hold):
    shape = (3,)
    kernel = dca.CategoricalNoiseKernel(Labelled(Uniform(2), shape), Uniform(2), 0.3)
    kernel = kernel.guided(guidance)
    for label in (0, 1):
        M = exact.metropolis_matrix(kernel, shape, 0.4, label=label, hold=hold)
        many = exact.states(2, shape).repeat_interleave(4000, 0)
        [y] = dca.run(
            kernel, many, f64(0.4)[0], 1, label=label, hold=hold, metropolis=True,
            generator=seeded(1),
        )  # fmt: skip
        assert_counts(torch.stack([counts_of(p, 8) for p in code(y, 2).chunk(8)]), M)
        other = exact.metropolis_matrix(kernel, shape, 0.4, label=1 - label, hold=hold)
        assert float((M - other).abs().max()) > 0.05
        if hold is not None:
            own = exact.metropolis_matrix(kernel, shape, 0.4, label=label)
            assert float((M - own).abs().max()) > 0.05


def test_a_labelled_chain_is_in_balance_with_the_law_of_its_label():
    """Two sites interact in pairs alone: exactly, as without labels."""
    kernel = dca.CategoricalNoiseKernel(Labelled(Uniform(2), (2,)), Uniform(2), 0.2)
    for label in (0, 1, -1):
        M = exact.metropolis_matrix(kernel, (2,), 0.4, label=label)
        target = exact.noisy_law(kernel.net.nets[label].law, kernel.corruption, (2,), 0.4)
        assert exact.detailed_balance_residual(M, target) < 1e-12


def test_each_example_steps_at_its_own_level_and_hold():
    shape, levels, holds = (3,), f64(0.2, 0.5, 0.9), f64(0.0, 0.4, 0.8)
    kernel = exact_kernel(random_law(2, shape, 3, sharpness=2.5), Uniform(2), shape)
    x = exact.states(2, shape)[5].expand(20_000, 3)
    [y] = dca.run(
        kernel, x.repeat(3, 1), levels.repeat_interleave(20_000), 1,
        hold=holds.repeat_interleave(20_000), metropolis=True, generator=seeded(2),
    )  # fmt: skip
    expected = torch.stack(
        [
            exact.metropolis_matrix(kernel, shape, float(b), hold=float(h))[5]
            for b, h in zip(levels, holds, strict=True)
        ]
    )
    assert_counts(torch.stack([counts_of(p, 8) for p in code(y, 2).chunk(3)]), expected)


def test_the_matrix_given_known_sites():
    """Rows of states with other values there are those of the state with the known ones."""
    law, shape, noise = random_law(2, (3,), 3, sharpness=2.0), (3,), Uniform(2)
    kernel = dca.CategoricalNoiseKernel(InformedPosterior(law, noise, shape), noise, 0.0)
    known = (torch.tensor([False, True, True]), torch.tensor([1, 0, 0]))
    M = exact.metropolis_matrix(kernel, shape, 0.5, known=known)
    torch.testing.assert_close(M.sum(1), torch.ones(8).double(), rtol=0, atol=1e-12)
    assert not M[:, :4].any() and torch.equal(M[:4], M[4:])
    rest = law.reshape(2, 4)[1] / law.reshape(2, 4)[1].sum()
    target = exact.noisy_law(rest, noise, (2,), 0.5)
    assert exact.detailed_balance_residual(M[4:, 4:], target) < 1e-12
    x = exact.states(2, shape).repeat_interleave(4000, 0)
    [y] = dca.run(kernel, x, f64(0.5)[0], 1, known=known, metropolis=True, generator=seeded(4))
    assert_counts(torch.stack([counts_of(p, 8) for p in code(y, 2).chunk(8)]), M)


@pytest.mark.parametrize("hold", [None, 0.1])
def test_annealed_runs_follow_their_law(hold):
    """Moves from where a Metropolis step ended too are at the hold that was given."""
    shape = (3,)
    kernel = exact_kernel(random_law(2, shape, 5, sharpness=2.5), Uniform(2), shape, 0.9)
    levels = [1.0, 0.75, 0.5, 0.375]
    given = {"draw": True, "hold": hold, "metropolis": True}
    _, law = exact.annealed_law(kernel, shape, levels, 1, **given)
    z = dca.sample(
        kernel,
        50_000,
        shape,
        levels=levels,
        correctors=1,
        chunk=50_000,
        generator=seeded(7),
        **given,
    )
    assert_counts(counts_of(code(z, 2), 8), law)


# -- what it costs ---------------------------------------------------------------------------------


class Counted(torch.nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net, self.calls = net, 0

    def forward(self, x, b):
        self.calls += 1
        return self.net(x, b)


def counted(hold=0.5):
    net = Counted(Posterior(random_law(2, (4,), 0), Uniform(2), (4,)))
    return dca.CategoricalNoiseKernel(net, Uniform(2), hold)


@pytest.mark.parametrize("correctors", [0, 1, 3])
def test_annealed_runs_cost_as_many_evaluations_as_plain_ones(correctors):
    costs = []
    for adjusted in (False, True):
        kernel = counted()
        z, info = dca.sample(
            kernel, 6, (4,), moves=5, correctors=correctors, metropolis=adjusted,
            return_info=True, generator=seeded(0),
        )  # fmt: skip
        assert kernel.net.calls == info.nfe == 5 * (1 + correctors) + 1
        assert (info.acceptance is None) == (not adjusted or correctors == 0)
        costs.append(info.nfe)
        assert z.shape == (6, 4)


def test_variants_and_inpainting_cost_as_many_too():
    z, mask = torch.zeros(4, dtype=torch.long), torch.tensor([True, True, False, True])
    for chain, more in ((dca.variants, {"steps": 7}), (dca.inpaint, {"mask": mask, "moves": 4})):
        kernel = counted()
        found, info = chain(
            kernel, z, n=3, metropolis=True, return_info=True, generator=seeded(0), **more
        )
        assert kernel.net.calls == info.nfe == (8 if chain is dca.variants else 9)
        assert 0 < info.acceptance <= 1 and found.shape == (3, 4)


def test_a_move_from_a_law_is_the_move_from_its_state():
    kernel = counted()
    x = exact.states(2, (4,))
    b_x, b_y = f64(0.6)[0], f64(0.2)[0]
    for hold in (None, torch.full((16,), 0.05).double()):
        moved = kernel.move(kernel.transition(x, b_x, hold=hold), b_y, hold)
        expected = kernel.transition(x, b_x, b_y, hold=hold)
        torch.testing.assert_close(moved.probs(), expected.probs(), rtol=0, atol=1e-15)
    assert float((moved.probs() - kernel.transition(x, b_x, b_y).probs()).abs().max()) > 0.1


def test_a_walker_moves_at_the_hold_that_was_given():
    """From a law that a Metropolis step left as from a plain state: the same draws."""
    kernel, x = counted(), exact.states(2, (4,)).repeat(40, 1)
    given = Conditions.of(x, hold=0.05)
    walker = Walker(kernel, x, 0.6, given, seeded(0), Tally())
    walker.step()
    before, state = walker.x, walker.generator.get_state()
    walker.move(0.2)
    assert kernel.net.calls == 2  # at both ends of the step, none for the move
    generator = torch.Generator()
    generator.set_state(state)
    plain = kernel.transition(before, 0.6, 0.2, hold=0.05).sample(generator)
    assert torch.equal(walker.x, plain)
    generator.set_state(state)
    assert not torch.equal(walker.x, kernel.transition(before, 0.6, 0.2).sample(generator))


# -- refusals --------------------------------------------------------------------------------------


def test_noise_that_rules_categories_out_is_refused():
    torch.manual_seed(0)
    noise, level = Absorbing(2), 0.3
    net = dca.nn.MLP(2, noise.num_states, shape=(6,), width=8)
    kernel = dca.CategoricalNoiseKernel(net, noise, 0.0)
    x = torch.zeros(64, 6, dtype=torch.long)
    with pytest.raises(ValueError, match="rules out categories by a state"):
        list(dca.run(kernel, x, level, 20, metropolis=True, generator=seeded(0)))


def test_level_0_is_refused_before_anything_runs():
    kernel = counted()
    with pytest.raises(ValueError, match="metropolis was True at level 0"):
        dca.sample(kernel, 2, (4,), levels=[1.0, 0.5, 0.0], metropolis=True)
    with pytest.raises(ValueError, match="metropolis was True at level 0"):
        dca.variants(kernel, torch.zeros(4, dtype=torch.long), level=0.0, metropolis=True)
    assert kernel.net.calls == 0
    dca.sample(kernel, 2, (4,), levels=[1.0, 0.5, 0.0], correctors=0, metropolis=True)


def test_kernels_without_a_read_out_are_refused():
    kernel = dca.GaussianNoiseKernel(dca.nn.MLP(2, None, shape=(2,)), hold=0.5)
    with pytest.raises(ValueError, match="metropolis was True with a GaussianNoiseKernel"):
        next(dca.run(kernel, torch.zeros(1, 2), 0.3, metropolis=True))


def test_laws_between_levels_are_refused():
    kernel = counted()
    x = torch.zeros(1, 4, dtype=torch.long)
    law = kernel.transition(x, 0.5, 0.3)
    with pytest.raises(ValueError, match="between two levels"):
        metropolis.step(law, lambda y: kernel.transition(y, 0.3), seeded(0))


def test_an_empty_tally_has_no_acceptance():
    assert Tally().acceptance is None and Tally(4, 1).acceptance == 0.25
