"""Enumeration against brute force: every sum here is written out another way."""

from __future__ import annotations

import math
from itertools import pairwise, product

import numpy as np
import pytest
import torch
from torch import nn

from discrete_ca import AutoregressiveKernel, CategoricalNoiseKernel, TransitionKernel, chains
from discrete_ca.corruption import Absorbing, Ordinal, Uniform
from discrete_ca.diagnostics import exact
from discrete_ca.distributions import Categorical, sum_sites
from discrete_ca.errors import SpaceTooLargeError
from discrete_ca.nn import MLP, AutoregressiveTransformer
from tests.helpers import (
    FAMILIES,
    SMALL,
    Posterior,
    Smooth,
    Told,
    assert_counts,
    code,
    counts_of,
    f64,
    random_law,
    seeded,
    stochastic,
)


def kernel_of(name, hold=0.5, net=Smooth, **options):
    family = FAMILIES[name]
    net = net(family.num_categories, family.num_states)
    return CategoricalNoiseKernel(net, family, hold, **options)


def reversible_chain(size, seed):
    """A random walk on a weighted graph, and its law: in detailed balance by construction."""
    weights = torch.rand(size, size, dtype=torch.float64, generator=seeded(seed)) ** 4
    weights = weights + weights.T
    return weights / weights.sum(1, keepdim=True), weights.sum(1) / weights.sum()


# -- states and laws -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "shape"), [(2, ()), (3, (2,)), (2, (2, 2)), (5, (1,)), (1, (4,))]
)
def test_states_are_in_the_order_of_digits(values, shape):
    found = exact.states(values, shape)
    expected = list(product(range(values), repeat=math.prod(shape)))
    assert found.shape == (len(expected), *shape) and found.dtype == torch.long
    assert found.reshape(len(expected), -1).tolist() == [list(s) for s in expected]
    assert exact.num_states(values, shape) == len(expected)


@pytest.mark.parametrize(("values", "shape"), [(2, (13,)), (17, (3,)), (4097, ()), (2, (28, 28))])
def test_large_spaces_are_refused(values, shape):
    sites = math.prod(shape)
    message = rf"{values} values on {sites} sites are {values}\^{sites} states; .* at most 4096"
    with pytest.raises(SpaceTooLargeError, match=message):
        exact.states(values, shape)


@pytest.mark.parametrize(("values", "shape"), [(2, (12,)), (16, (3,)), (8, (2, 2)), (4096, ())])
def test_spaces_up_to_the_limit_are_taken(values, shape):
    assert exact.num_states(values, shape) == exact.MAX_STATES


@pytest.mark.parametrize("shape", [(), (3,), (2, 2)])
def test_product_laws(shape):
    probs = torch.rand(2, *shape, 3, generator=seeded(0)).double().softmax(-1)
    states = exact.states(3, shape)
    expected = torch.stack(
        [
            Categorical(probs[i].log().expand(len(states), *shape, 3)).log_prob(states)
            for i in range(2)
        ]
    )
    torch.testing.assert_close(exact.product_laws(probs), expected.exp())


@pytest.mark.parametrize("shape", [(), (3,), (1, 2)])
@pytest.mark.parametrize("name", FAMILIES)
def test_noisy_laws(name, shape):
    """p_b(x) = sum_z p(z) prod_i Q_b[z_i, x_i], state by state."""
    family, sites = FAMILIES[name], math.prod(shape)
    if family.num_states > 5 and sites > 2:
        shape, sites = (2,), 2
    law = random_law(family.num_categories, shape)
    z = exact.states(family.num_categories, shape).reshape(len(law), sites)
    x = exact.states(family.num_states, shape).reshape(-1, sites)
    for level in (0.0, 0.3, 1.0):
        q = family.matrix(level).double()
        expected = (law * q[z, x[:, None]].prod(-1)).sum(-1)
        torch.testing.assert_close(exact.noisy_law(law, family, shape, level), expected)


@pytest.mark.parametrize(
    ("law", "message"),
    [
        (torch.ones(3) / 3, "p_data has 3 entries; allowed: 4"),
        (f64(0.5, 0.6, 0, 0), "p_data is no law: smallest 0, sum 1.1"),
        (f64(1.5, -0.5, 0, 0), "p_data is no law: smallest -0.5, sum 1"),
    ],
)
def test_what_is_no_law_is_refused(law, message):
    with pytest.raises(ValueError, match=message):
        exact.noisy_law(law, Uniform(2), (2,), 0.5)


def test_noisy_laws_of_large_spaces_are_refused():
    with pytest.raises(SpaceTooLargeError):
        exact.noisy_law(torch.ones(2**8) / 2**8, Absorbing(2), (8,), 0.5)


# -- matrices --------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(), (2,), (1, 2)])
@pytest.mark.parametrize("target", [None, 0.1, 0.9])
@pytest.mark.parametrize("name", SMALL)
def test_transition_matrices_by_log_prob(name, target, shape):
    """P[x, y] = p(y|x): a Python loop over pairs, one log_prob each."""
    kernel = kernel_of(name)
    P = exact.transition_matrix(kernel, shape, 0.4, target)
    states = exact.states(kernel.corruption.num_states, shape)
    level = f64(0.4)[0]
    target = None if target is None else f64(target)[0]
    assert P.shape == (len(states), len(states)) and P.dtype == torch.float64
    for i, x in enumerate(states):
        for j, y in enumerate(states):
            found = kernel.transition(x[None], level, target).log_prob(y[None]).exp()
            assert P[i, j].item() == pytest.approx(found.item(), abs=1e-13)


class OwnKernel(TransitionKernel):
    """A user's kernel that is no noise kernel: the second site looks at what the first became."""

    num_states = 3

    def __init__(self):
        super().__init__()
        g = seeded(3)
        self.first = nn.Parameter(torch.randn(3, 3, generator=g).double())
        self.second = nn.Parameter(torch.randn(3, 3, 3, generator=g).double())

    def transition(self, x, level, target_level=None, label=None, known=None):
        return OwnLaw(self, x, level, target_level, label)


class OwnLaw(Categorical):
    def __init__(self, kernel, x, level, target_level, label):
        self.kernel, self.x, self.level = kernel, x, level
        self.shift = 0.0 if target_level is None else target_level
        self.label = torch.zeros(len(x)) if label is None else label

    def log_prob(self, y):
        assert len(self.label) == len(self.x)
        first = (self.level * self.kernel.first[self.x[:, 0]]).log_softmax(-1)
        logits = self.kernel.second[self.x[:, 1], y[:, 0]] * (1 + self.shift + self.label[:, None])
        second = logits.log_softmax(-1)
        pick = [law.gather(-1, y[:, i : i + 1]) for i, law in enumerate((first, second))]
        return sum_sites(torch.cat(pick, -1))


@pytest.mark.parametrize("at_once", [1, 20, 1 << 18])
def test_transition_matrices_of_a_users_kernel(at_once, monkeypatch):
    monkeypatch.setattr(exact, "_PAIRS_AT_ONCE", at_once)
    kernel, labels = OwnKernel(), torch.arange(9)
    for target, label in [(None, None), (0.5, None), (None, labels)]:
        P = exact.transition_matrix(kernel, (2,), 0.7, target, label)
        torch.testing.assert_close(P.sum(1), torch.ones(9).double())
        states = exact.states(3, (2,))
        b_y = None if target is None else f64(target)[0]
        for i, j in product(range(9), repeat=2):
            one = None if label is None else label[i : i + 1]
            law = kernel.transition(states[i : i + 1], f64(0.7)[0], b_y, one)
            expected = law.log_prob(states[j : j + 1]).exp()
            assert P[i, j].item() == pytest.approx(expected.item(), abs=1e-14)


def test_a_users_kernel_must_say_its_values():
    kernel = OwnKernel()
    kernel.num_states = None
    with pytest.raises(ValueError, match="OwnKernel has no attribute num_states; allowed: V"):
        exact.transition_matrix(kernel, (2,), 0.5)


def test_a_single_precision_network_is_enumerated_in_double():
    torch.manual_seed(0)
    kernel = CategoricalNoiseKernel(MLP(2, 2, shape=(3,), width=8), Uniform(2), 0.5)
    P = exact.transition_matrix(kernel, (3,), 0.3)
    assert P.dtype == torch.float64
    torch.testing.assert_close(P.sum(1), torch.ones(8).double(), rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["uniform-2", "absorbing-2"])
def test_labels_and_known_sites_of_matrices(name):
    kernel = kernel_of(name, net=Told)
    states = exact.states(kernel.corruption.num_states, (2,))
    labels = torch.arange(len(states))
    mask, values = torch.tensor([False, True]), torch.tensor([1, 0])
    law = kernel.transition(states, f64(0.4)[0], label=labels, known=(mask, values))
    P = exact.transition_matrix(kernel, (2,), 0.4, label=labels, known=(mask, values))
    torch.testing.assert_close(P, exact.product_laws(law.probs()))
    assert bool((P[:, states[:, 0] != 1] == 0).all())
    R = exact.read_out_matrix(kernel, (2,), 0.4, draw=True, label=labels, known=(mask, values))
    torch.testing.assert_close(R, exact.product_laws(law.read_out.log_probs.exp()))
    z = exact.states(2, (2,))
    assert bool((R[:, z[:, 0] != 1] == 0).all())


class ByPairs(TransitionKernel):
    """A noise kernel of which nothing is known but `transition`, scored pair by pair."""

    def __init__(self, kernel):
        super().__init__()
        self.kernel, self.num_states = kernel, kernel.corruption.num_states

    def transition(self, x, level, target_level=None, label=None, known=None, hold=None):
        return self.kernel.transition(x, level, target_level, label, known, hold)


@pytest.mark.parametrize("label", [None, 2, torch.tensor(2), torch.arange(9) % 3])
@pytest.mark.parametrize("known", [False, True])
def test_any_kernel_has_the_matrix_of_its_class(label, known):
    """Rows that sum to 1 with known sites too: states with other values there are not led to."""
    kernel = kernel_of("absorbing-2", net=Told, carry_over=False)
    pair = (torch.tensor([True, False]), torch.tensor([0, 1])) if known else None
    for target, hold in ((None, None), (None, 0.0), (0.1, None), (None, 0.8)):
        given = {"label": label, "known": pair, "hold": hold}
        P = exact.transition_matrix(ByPairs(kernel), (2,), 0.4, target, **given)
        torch.testing.assert_close(P.sum(1), torch.ones(9).double(), rtol=0, atol=1e-12)
        expected = exact.transition_matrix(kernel, (2,), 0.4, target, **given)
        torch.testing.assert_close(P, expected, rtol=0, atol=1e-12)
        own = exact.transition_matrix(kernel, (2,), 0.4, target, label, pair)
        assert torch.equal(own, expected) is (hold is None)


def test_autoregressive_matrices_with_known_sites_are_stochastic():
    torch.manual_seed(0)
    net = AutoregressiveTransformer(2, (2,), width=16, depth=1, heads=2, known=True).double()
    torch.nn.init.normal_(net.out.weight)
    kernel = AutoregressiveKernel(net, Uniform(2), 0.3)
    known = (torch.tensor([False, True]), torch.tensor([1, 0]))
    P = exact.transition_matrix(kernel, (2,), 0.4, known=known)
    torch.testing.assert_close(P.sum(1), torch.ones(4).double(), rtol=0, atol=1e-12)
    assert bool((P[:, :2] == 0).all()) and bool((P[:, 2:] > 0).all())
    torch.testing.assert_close(P[:2], P[2:])  # the known value is put in


class OneLinear(nn.Module):
    """A user's network, single precision, that takes the level as it comes."""

    def __init__(self):
        super().__init__()
        self.level, self.out = nn.Linear(1, 4), nn.Linear(2, 2)

    def forward(self, x, b):
        seen = self.level(b[:, None])[:, None, :2]
        return self.out(nn.functional.one_hot(x, 2).float() + seen)


def test_networks_get_levels_in_their_own_precision():
    torch.manual_seed(0)
    kernel = CategoricalNoiseKernel(OneLinear(), Uniform(2), 0.5)
    x = exact.states(2, (3,))
    P = exact.transition_matrix(kernel, (3,), 0.3)
    expected = exact.product_laws(kernel.transition(x, 0.3).probs())  # as chains give it
    torch.testing.assert_close(P, expected.detach(), rtol=0, atol=1e-15)
    M = exact.metropolis_matrix(kernel, (3,), 0.3)
    R = exact.read_out_matrix(kernel, (3,), 0.3, draw=True)
    _, law = exact.annealed_law(kernel, (3,), [1.0, 0.3], 1, draw=True)
    for rows in (P, M, R, law[None]):
        assert rows.dtype == torch.float64
        torch.testing.assert_close(rows.sum(1), torch.ones(len(rows)).double(), atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", SMALL)
def test_read_out_matrices(name):
    kernel = kernel_of(name)
    x = exact.states(kernel.corruption.num_states, (2,))
    z = exact.states(kernel.corruption.num_categories, (2,))
    read_out = kernel.transition(x, f64(0.4)[0]).read_out
    R = exact.read_out_matrix(kernel, (2,), 0.4, draw=True)
    expected = torch.stack(
        [read_out.log_probs[:, range(2), clean].sum(-1).exp().detach() for clean in z], -1
    )
    torch.testing.assert_close(R, expected)
    modes = exact.read_out_matrix(kernel, (2,), 0.4)
    assert torch.equal(z[modes.argmax(-1)], read_out.mode())
    assert torch.equal(modes.sum(-1), torch.ones(len(x)).double())


# -- what a chain converges to ---------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_stationary_distributions(seed):
    P = stochastic(20, 20, seed, zeros=0.3)
    pi = exact.stationary_distribution(P)
    torch.testing.assert_close(pi @ P, pi, rtol=0, atol=1e-14)
    law = torch.ones(20).double() / 20
    for _ in range(2000):
        law = law @ P
    torch.testing.assert_close(pi, law, rtol=0, atol=1e-12)
    assert float(pi.min()) >= 0 and float(pi.sum()) == pytest.approx(1, abs=1e-15)


def test_a_stationary_distribution_with_transient_states():
    P = torch.tensor([[0.5, 0.5, 0.0], [0.0, 0.25, 0.75], [0.0, 0.75, 0.25]])
    torch.testing.assert_close(exact.stationary_distribution(P), f64(0, 0.5, 0.5))


@pytest.mark.parametrize(
    ("P", "message"),
    [
        (torch.ones(2, 3) / 3, r"P has shape \(2, 3\); allowed: a square matrix"),
        (torch.ones(4) / 4, r"P has shape \(4,\); allowed: a square matrix"),
        (torch.ones(2, 2), "P has rows that do not sum to 1"),
    ],
)
def test_what_is_no_chain_is_refused(P, message):
    with pytest.raises(ValueError, match=message):
        exact.stationary_distribution(P)


def test_total_variation():
    p, q = random_law(2, (4,), 0), random_law(2, (4,), 1)
    best = max(
        abs(float((p - q)[torch.tensor(event).bool()].sum()))
        for event in product([0, 1], repeat=8)
        for event in [[*event, *[0] * 8], [*[0] * 8, *event]]
    )  # half of the events, for a lower bound
    found = exact.total_variation(p, q)
    assert best <= found == pytest.approx(float((p - q).clamp_min(0).sum()), abs=1e-15)
    assert exact.total_variation(p, p) == 0
    assert exact.total_variation(f64(1, 0), f64(0, 1)) == 1
    with pytest.raises(ValueError, match=r"p has shape \(2,\) and q \(3,\); allowed: equal"):
        exact.total_variation(f64(1, 0), f64(1, 0, 0))


def test_detailed_balance_residual():
    P, pi = reversible_chain(12, 0)
    assert exact.detailed_balance_residual(P, pi) < 1e-15
    P = stochastic(6, 6, 1)
    pi = exact.stationary_distribution(P)
    pairs = product(range(6), repeat=2)
    expected = sum(abs(float(pi[i] * P[i, j] - pi[j] * P[j, i])) for i, j in pairs) / 2
    assert exact.detailed_balance_residual(P, pi) == pytest.approx(expected, rel=1e-12)
    circle = torch.eye(3).roll(1, 1)
    assert exact.detailed_balance_residual(circle, torch.ones(3) / 3) == pytest.approx(1.0)


@pytest.mark.parametrize("seed", range(4))
def test_spectral_gaps_of_reversible_chains(seed):
    P, pi = reversible_chain(15, seed)
    second = np.sort(np.abs(np.linalg.eigvals(P.numpy())))[-2]
    assert exact.spectral_gap(P, pi) == pytest.approx(1 - second, abs=1e-10)


def test_the_gap_is_the_absolute_one():
    """Chains that alternate forget slowly, or never, though their second eigenvalue is low."""
    half = f64(0.5, 0.5)
    for stays, gap in ((0.0, 0.0), (0.1, 0.2), (0.5, 1.0), (0.9, 0.2)):
        P = stays * torch.eye(2).double() + (1 - stays) * torch.eye(2).double().flip(0)
        assert exact.spectral_gap(P, half) == pytest.approx(gap, abs=1e-12)
        worst = [(torch.linalg.matrix_power(P, t)[0] - half).abs().sum() for t in (3, 4)]
        if gap < 1:  # the distance falls by 1 - gap a step
            assert float(worst[1]) == pytest.approx(float(worst[0]) * (1 - gap), abs=1e-12)
    circle = torch.eye(4).double().roll(1, 1)
    walk = (circle + circle.T) / 2  # from even to odd and back, for ever
    assert exact.spectral_gap(walk, torch.ones(4) / 4) == pytest.approx(0.0, abs=1e-12)
    assert exact.mixing_time(walk, torch.ones(4) / 4, most=64) == 64


@pytest.mark.parametrize("tiny", [1e-4, 1e-9])
def test_rare_states_have_a_part_in_the_gap(tiny):
    """A state that is hard to reach and to leave: the slowest mode is its own."""
    rows = [[1.0, 1.0, 0.01 * tiny], [1.0, 1.0, 0.0], [0.01 * tiny, 0.0, 0.99 * tiny]]
    weights = torch.tensor(rows, dtype=torch.float64)
    P, pi = weights / weights.sum(1, keepdim=True), weights.sum(1) / weights.sum()
    assert exact.spectral_gap(P, pi) == pytest.approx(0.01, rel=0.01)


def test_spectral_gap_of_a_chain_that_is_not_reversible():
    """The gap of (P + P*) / 2, with P*[x, y] = pi(y) P[y, x] / pi(x)."""
    P = stochastic(8, 8, 2)
    pi = exact.stationary_distribution(P)
    reverse = pi[None, :] * P.T / pi[:, None]
    second = np.sort(np.abs(np.linalg.eigvals(((P + reverse) / 2).numpy())))[-2]
    assert exact.spectral_gap(P, pi) == pytest.approx(1 - second, abs=1e-10)


def test_spectral_gap_of_two_states():
    P = f64(0.7, 0.3, 0.1, 0.9).reshape(2, 2)  # λ₂ = 1 - 0.3 - 0.1
    assert exact.spectral_gap(P, f64(0.25, 0.75)) == pytest.approx(0.4, abs=1e-12)


@pytest.mark.parametrize("distance", [0.25, 0.01])
@pytest.mark.parametrize("lazy", [0.0, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("seed", [0, 1])
def test_mixing_times_by_stepping(seed, lazy, distance):
    P = lazy * torch.eye(10).double() + (1 - lazy) * stochastic(10, 10, seed, zeros=0.6)
    pi = exact.stationary_distribution(P)
    steps, power = 1, P
    while float((power - pi).abs().sum(1).max() / 2) > distance:
        steps, power = steps + 1, power @ P
    assert exact.mixing_time(P, pi, distance) == steps
    for most in (1, 2, 5, 16):
        found = exact.mixing_time(P, pi, distance, most)
        assert found == steps if steps < most else found >= most


def test_mixing_times_that_are_too_long():
    identity, pi = torch.eye(3), torch.ones(3) / 3
    assert exact.mixing_time(identity, pi, most=1000) == 1000
    for distance in (0.0, 1.0, -1.0):
        with pytest.raises(ValueError, match=rf"distance was {distance}; allowed: \(0, 1\)"):
            exact.mixing_time(identity, pi, distance)


# -- kernels with exact read-outs ------------------------------------------------------------------


def stationary_error(law, family, shape, level, hold):
    net = Posterior(law, family, shape)
    kernel = CategoricalNoiseKernel(net, family, hold)
    target = exact.noisy_law(law, family, shape, level)
    P = exact.transition_matrix(kernel, shape, level)
    stays = exact.total_variation(target @ P, target)
    return exact.total_variation(exact.stationary_distribution(P), target), stays, P, target


@pytest.mark.parametrize("hold", [0.0, 0.5, 0.95])
@pytest.mark.parametrize("level", [0.05, 0.5, 0.95])
@pytest.mark.parametrize("name", ["uniform-2", "ordinal-3", "matrix-callable", "matrix-generator"])
def test_independent_laws_are_exactly_stationary(name, level, hold):
    family = FAMILIES[name]
    sites = torch.stack([random_law(family.num_categories, (), s) for s in range(3)])
    law = exact.product_laws(sites[None])[0]
    error, stays, P, pi = stationary_error(law, family, (3,), level, hold)
    assert error < 1e-12 and stays < 1e-12
    assert exact.detailed_balance_residual(P, pi) < 1e-12


@pytest.mark.parametrize("level", [0.3, 0.8])
def test_independent_laws_are_stationary_under_absorbing_noise(level):
    """With carry-over not every state is reached from every other: one step is what is asked."""
    law = exact.product_laws(torch.stack([random_law(2, (), s) for s in range(3)])[None])[0]
    _, stays, _, _ = stationary_error(law, Absorbing(2), (3,), level, 0.5)
    assert stays < 1e-12


@pytest.mark.parametrize("target", [0.1, 0.45, 0.55, 0.9, 1.0])
@pytest.mark.parametrize("name", ["uniform-2", "absorbing-2", "ordinal-3", "matrix-callable"])
def test_moves_of_independent_laws_are_exact(name, target):
    family = FAMILIES[name]
    sites = torch.stack([random_law(family.num_categories, (), s) for s in range(2)])
    law = exact.product_laws(sites[None])[0]
    kernel = CategoricalNoiseKernel(Posterior(law, family, (2,)), family, 0.7)
    P = exact.transition_matrix(kernel, (2,), 0.5, target)
    found = exact.noisy_law(law, family, (2,), 0.5) @ P
    assert exact.total_variation(found, exact.noisy_law(law, family, (2,), target)) < 1e-12


@pytest.mark.parametrize("name", ["uniform-2", "ordinal-3", "matrix-callable"])
def test_any_law_is_stationary_at_slow_holds(name):
    """The error of the exact marginals vanishes with 1 - h, about linearly."""
    family = FAMILIES[name]
    law = random_law(family.num_categories, (3,), seed=4)
    holds = [0.5, 0.9, 0.99, 0.999, 0.9999]
    errors = [stationary_error(law, family, (3,), 0.3, h)[0] for h in holds]
    assert errors[0] > 1e-3  # one site's marginals are not enough at fast holds
    for slow, slower in pairwise(errors[1:]):  # each is ten times nearer to h = 1
        assert slower < slow / 8
    assert errors[-1] < 1e-4


# -- annealed runs ---------------------------------------------------------------------------------


@pytest.mark.parametrize("draw", [False, True])
@pytest.mark.parametrize("correctors", [0, 2])
@pytest.mark.parametrize("name", ["uniform-2", "absorbing-2", "ordinal-3", "matrix-callable"])
def test_annealed_laws(name, correctors, draw):
    """Against products of matrices made pair by pair, from the law at level 1 written out."""
    kernel = kernel_of(name)
    family, levels = kernel.corruption, [1.0, 0.6, 0.2]
    states = exact.states(family.num_states, (2,))
    n = len(states)

    def matrix(b_x, b_y):
        law = kernel.transition(states.repeat_interleave(n, 0), f64(b_x)[0], b_y)
        return law.log_prob(states.repeat(n, 1)).exp().reshape(n, n).detach()

    law = family.matrix(1.0)[0].double()[states].prod(-1)
    for b_x, b_y in pairwise(levels):
        law = law @ matrix(b_x, f64(b_y)[0])
        for _ in range(correctors):
            law = law @ matrix(b_y, None)
    state, read_out = exact.annealed_law(kernel, (2,), levels, correctors, draw=draw)
    torch.testing.assert_close(state, law)
    R = exact.read_out_matrix(kernel, (2,), 0.2, draw=draw)
    torch.testing.assert_close(read_out, law @ R)
    assert float(read_out.sum()) == pytest.approx(1)


@pytest.mark.parametrize("draw", [False, True])
@pytest.mark.parametrize("carry_over", [False, True])
@pytest.mark.parametrize("family", [Uniform(2), Absorbing(2), Ordinal(3)])
def test_annealed_laws_by_sampling(family, carry_over, draw):
    """50,000 runs at D = 3; chi-square at a false-alarm rate of 1e-6."""
    law = random_law(family.num_categories, (3,), seed=5)
    net = Smooth(family.num_categories, family.num_states)
    kernel = CategoricalNoiseKernel(net, family, 0.6, carry_over)
    levels = [1.0, 0.75, 0.375, 0.125]
    how = {"draw": True} if draw else {}  # the mode is what both take unless asked
    _, read_out = exact.annealed_law(kernel, (3,), levels, 1, **how)
    z = chains.sample(
        kernel,
        50_000,
        (3,),
        levels=levels,
        correctors=1,
        **how,
        chunk=50_000,
        generator=seeded(6),
    )
    counts = counts_of(code(z, family.num_categories), len(law))
    assert_counts(counts, read_out)


def test_annealed_laws_given_known_sites():
    kernel = kernel_of("uniform-2", net=Told)
    known = (torch.tensor([True, False, True]), torch.tensor([0, 1, 0]))
    state, read_out = exact.annealed_law(kernel, (3,), [1.0, 0.5, 0.1], 1, known=known)
    given = exact.states(2, (3,))[:, 1] == 1
    for law in (state, read_out):
        assert float(law[given].sum()) == pytest.approx(1)
        assert float(law[~given].sum()) == 0


def test_annealed_laws_under_conditions():
    kernel = kernel_of("uniform-2", net=Told)
    known = (torch.tensor([True, False]), torch.tensor([0, 1]))
    given = {"label": 2, "known": known, "hold": 0.2}
    state, read_out = exact.annealed_law(kernel, (2,), [1.0, 0.5, 0.2], 1, **given)
    law = torch.full((4,), 0.25).double()
    for b_x, b_y in ((1.0, 0.5), (0.5, 0.2)):
        law = law @ exact.transition_matrix(kernel, (2,), b_x, b_y, **given)
        law = law @ exact.transition_matrix(kernel, (2,), b_y, **given)
    torch.testing.assert_close(state, law)
    torch.testing.assert_close(read_out, law @ exact.read_out_matrix(kernel, (2,), 0.2, **given))
    for name in given:  # each is heeded
        less, _ = exact.annealed_law(kernel, (2,), [1.0, 0.5, 0.2], 1, **{**given, name: None})
        assert float((less - state).abs().max()) > 1e-4


def test_annealed_laws_with_metropolis_steps():
    kernel = kernel_of("uniform-2")
    state, _ = exact.annealed_law(kernel, (2,), [1.0, 0.4], 2, metropolis=True)
    law = torch.full((4,), 0.25).double() @ exact.transition_matrix(kernel, (2,), 1.0, 0.4)
    step = exact.metropolis_matrix(kernel, (2,), 0.4)
    torch.testing.assert_close(state, law @ step @ step)
    plain, _ = exact.annealed_law(kernel, (2,), [1.0, 0.4], 2)
    assert float((state - plain).abs().max()) > 1e-4


def test_a_chain_with_more_than_one_stationary_law_is_refused():
    block = torch.tensor([[0.5, 0.5], [0.2, 0.8]], dtype=torch.float64)
    two = torch.block_diag(block, block.flip(0).flip(1))
    for P in (two, torch.eye(4), two.roll((1, 1), (0, 1))):
        with pytest.raises(ValueError, match="P has more than one stationary law"):
            exact.stationary_distribution(P)
    leaving = two.clone()
    leaving[0] = torch.tensor([0.0, 0.5, 0.5, 0.0])  # states 0 and 1 lead to 2 and 3, not back
    torch.testing.assert_close(
        exact.stationary_distribution(leaving)[2:], exact.stationary_distribution(two[2:, 2:])
    )


def test_the_gap_is_that_of_the_states_the_chain_lives_on():
    P = torch.tensor([[0.1, 0.9, 0, 0], [0, 0.1, 0.9, 0], [0, 0, 0.2, 0.8], [0, 0, 0.8, 0.2]])
    pi = torch.tensor([0.0, 0.0, 0.5, 0.5])
    assert exact.spectral_gap(P, pi) == pytest.approx(0.4, abs=1e-6)  # λ = -0.6


def test_kernels_of_other_classes_are_refused_by_name():
    net = AutoregressiveTransformer(2, (2,), width=16, depth=1, heads=2)
    kernel = AutoregressiveKernel(net, Uniform(2))
    for of in (
        lambda: exact.read_out_matrix(kernel, (2,), 0.3),
        lambda: exact.metropolis_matrix(kernel, (2,), 0.3),
        lambda: exact.annealed_law(kernel, (2,), [1.0, 0.3]),
    ):
        with pytest.raises(ValueError, match="kernel was a AutoregressiveKernel; allowed: a Cat"):
            of()


def test_what_does_not_fit_is_refused_by_name():
    kernel = kernel_of("uniform-2", net=Told)
    with pytest.raises(TypeError, match="level was '0.3'; allowed: a number"):
        exact.transition_matrix(kernel, (2,), "0.3")
    with pytest.raises(ValueError, match="levels was .*; allowed: at least two numbers in"):
        exact.annealed_law(kernel, (2,), [1.0, 1.5])
    with pytest.raises(ValueError, match="label holds several labels; allowed: one"):
        exact.metropolis_matrix(kernel, (2,), 0.3, label=torch.arange(4))
    with pytest.raises(TypeError, match="label has dtype torch.float32; allowed: whole numbers"):
        exact.transition_matrix(kernel, (2,), 0.3, label=torch.ones(4))
    with pytest.raises(TypeError, match=r"known was a Tensor; allowed: a pair \(mask, values\)"):
        exact.transition_matrix(kernel, (2,), 0.3, known=torch.tensor([True, False]))


def test_an_annealed_law_needs_a_known_start():
    kernel = CategoricalNoiseKernel(MLP(2, 2, shape=(2,), width=8), Uniform(2))
    with pytest.raises(ValueError, match="levels starts at 0.5"):
        exact.annealed_law(kernel, (2,), [0.5, 0.1])
