"""The categorical noise kernel by enumeration: its law, its gradient, its options, its refusals."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

import discrete_ca as dca
from discrete_ca import CategoricalNoiseKernel
from discrete_ca.conditions import Conditions
from discrete_ca.corruption import Absorbing, Ordinal, Uniform
from discrete_ca.diagnostics import exact
from discrete_ca.errors import NonFiniteError
from discrete_ca.nn import MLP
from tests.helpers import (
    FAMILIES,
    SHAPES,
    SMALL,
    Fixed,
    InformedPosterior,
    LargestStorage,
    Smooth,
    Told,
    assert_counts,
    code,
    counts_of,
    f64,
    random_law,
    seeded,
)

MOVES = [(0.4, None), (1.0, None), (0.7, 0.2), (0.2, 0.7), (0.0, 0.5), (0.5, 0.0), (1.0, 0.9)]
every_move = pytest.mark.parametrize(("b_x", "b_y"), MOVES)


def kernel_of(name, net=Smooth, hold=0.6, **options):
    family = FAMILIES[name]
    net = net(family.num_categories, family.num_states)
    return CategoricalNoiseKernel(net, family, hold, **options)


def levels(b_x, b_y):
    return (f64(b_x)[0], None if b_y is None else f64(b_y)[0])


def pairwise_probs(kernel, shape, b_x, b_y, **conditions):
    """exp log_prob(y | x) for every pair of states."""
    x = exact.states(kernel.corruption.num_states, shape)
    n = len(x)
    law = kernel.transition(x.repeat_interleave(n, 0), b_x, b_y, **conditions)
    return law.log_prob(x.repeat(n, *(1,) * len(shape))).exp().reshape(n, n)


# -- the law ---------------------------------------------------------------------------------------


@every_move
@pytest.mark.parametrize("name", SMALL)
def test_evidence_is_added_to_what_the_network_says(name, b_x, b_y):
    """The transition of a network that says both is that of one that says the context alone."""
    family, shape = FAMILIES[name], (2,)
    net = Smooth(family.num_categories, family.num_states)

    class Both(nn.Module):
        def forward(self, x, b):
            evidence = family.log_likelihood(x, b)
            nothing = evidence.isneginf().all(-1, keepdim=True)
            return net(x, b) + torch.where(nothing, 0.0, evidence)

    b_x, b_y = levels(b_x, b_y)
    x = exact.states(family.num_states, shape)
    found = CategoricalNoiseKernel(net, family, 0.6, add_evidence=True).transition(x, b_x, b_y)
    expected = CategoricalNoiseKernel(Both(), family, 0.6).transition(x, b_x, b_y)
    torch.testing.assert_close(found.probs(), expected.probs(), rtol=1e-12, atol=1e-300)


def test_with_evidence_a_network_that_says_nothing_is_right_about_independent_sites():
    """Even sites that know nothing of each other: the posterior is the evidence alone."""
    family = Uniform(3)
    law = torch.full((27,), 1 / 27, dtype=torch.float64)
    kernel = CategoricalNoiseKernel(Fixed(torch.zeros(3)), family, 0.5, add_evidence=True)
    P = exact.transition_matrix(kernel, (3,), 0.3)
    assert exact.detailed_balance_residual(P, exact.noisy_law(law, family, (3,), 0.3)) < 1e-9


def test_evidence_is_saved(tmp_path):
    net = MLP(3, 3, shape=(2,), width=8)
    kernel = CategoricalNoiseKernel(net, Ordinal(3), add_evidence=True)
    kernel.save_pretrained(tmp_path)
    loaded = dca.load_kernel(tmp_path)
    x = torch.tensor([[0, 2]])
    assert loaded.add_evidence
    assert torch.equal(loaded.transition(x, 0.3).probs(), kernel.transition(x, 0.3).probs())


@every_move
@pytest.mark.parametrize("carry_over", [False, True])
@pytest.mark.parametrize("name", [*SMALL, "matrix-generator"])
def test_log_prob_is_a_law_and_that_of_probs(name, carry_over, b_x, b_y):
    kernel = kernel_of(name, carry_over=carry_over)
    pair = levels(b_x, b_y)
    found = pairwise_probs(kernel, (2,), *pair)
    torch.testing.assert_close(found.sum(-1), torch.ones(len(found)).double())
    x = exact.states(kernel.corruption.num_states, (2,))
    dense = exact.product_laws(kernel.transition(x, *pair).probs())
    torch.testing.assert_close(found, dense, rtol=1e-10, atol=1e-14)


@every_move
@pytest.mark.parametrize("name", ["uniform-2", "absorbing-2", "matrix-wide"])
def test_the_equation_of_hold_or_refresh(name, b_x, b_y):
    """prod_i [h' 1(y_i = x_i) + (1 - h') sum_z p(z_i|x) Q_{b'}[z, y_i]], by plain loops."""
    kernel = kernel_of(name, carry_over=False)
    family, b_y = kernel.corruption, b_x if b_y is None else b_y
    held = min(kernel.hold, b_y / b_x if b_x else 1.0)
    if b_y > b_x:
        held = min(kernel.hold, (1 - b_y) / (1 - b_x))
    q = family.matrix((b_y - held * b_x) / (1 - held))
    x = torch.tensor([[0, 1, 1]])
    p = kernel.net(x, f64(b_x)).softmax(-1)[0].detach()
    if b_x == 0:  # the state is the category
        p = nn.functional.one_hot(x[0], family.num_categories).double()
    probs = kernel.transition(x, *levels(b_x, b_y)).probs()[0].detach()
    for i in range(3):
        for y in range(family.num_states):
            fresh = sum(float(p[i, z] * q[z, y]) for z in range(family.num_categories))
            expected = held * (y == int(x[0, i])) + (1 - held) * fresh
            assert float(probs[i, y]) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("b_x", "b_y"), [(0.4, None), (0.7, 0.2), (0.2, 0.7)])
@pytest.mark.parametrize("carry_over", [False, True])
@pytest.mark.parametrize("name", SMALL)
def test_draws_follow_the_law(name, carry_over, b_x, b_y):
    """All joint states of two sites, from two starts; chi-square at 1e-6."""
    kernel = kernel_of(name, carry_over=carry_over)
    n, v = 20_000, kernel.corruption.num_states
    starts = torch.tensor([[0, 1], [v - 1, 0]])
    drawn = kernel.transition(starts.repeat_interleave(n, 0), *levels(b_x, b_y)).sample(seeded(0))
    counts = torch.stack([counts_of(code(part, v), v * v) for part in drawn.split(n)])
    law = exact.product_laws(kernel.transition(starts, *levels(b_x, b_y)).probs())
    assert_counts(counts, law.detach())


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", SMALL)
def test_sites_of_any_rank(name, shape):
    """A law over sites of any rank is that over the same sites in a row."""
    kernel = kernel_of(name)
    x = torch.randint(0, kernel.corruption.num_states, (2, *shape), generator=seeded(1))
    y = torch.randint(0, kernel.corruption.num_states, (2, *shape), generator=seeded(2))
    law, flat = (kernel.transition(s, 0.4) for s in (x, x.reshape(2, -1)))
    torch.testing.assert_close(law.log_prob(y), flat.log_prob(y.reshape(2, -1)))
    assert law.sample(seeded(3)).shape == x.shape
    assert torch.equal(law.sample(seeded(3)).reshape(2, -1), flat.sample(seeded(3)))
    assert law.probs().shape == (*x.shape, kernel.corruption.num_states)
    assert law.read_out.log_probs.shape == (*x.shape, kernel.corruption.num_categories)


@pytest.mark.parametrize("name", SMALL)
def test_every_example_has_its_own_level(name):
    kernel = kernel_of(name)
    x = torch.randint(0, kernel.corruption.num_states, (4, 3), generator=seeded(4))
    y = torch.randint(0, kernel.corruption.num_states, (4, 3), generator=seeded(5))
    b_x, b_y = f64(0.2, 0.9, 0.5, 1.0), f64(0.2, 0.1, 0.9, 1.0)
    together = kernel.transition(x, b_x, b_y).log_prob(y)
    for i in range(4):
        alone = kernel.transition(x[i : i + 1], b_x[i], b_y[i]).log_prob(y[i : i + 1])
        torch.testing.assert_close(together[i : i + 1], alone)


@pytest.mark.parametrize("name", SMALL)
def test_the_read_out_is_the_network(name):
    kernel = kernel_of(name, carry_over=False)
    x = torch.randint(0, kernel.corruption.num_states, (3, 4), generator=seeded(6))
    expected = kernel.net(x, f64(0.3, 0.3, 0.3)).log_softmax(-1)
    read_out = kernel.transition(x, f64(0.3)[0], f64(0.1)[0]).read_out
    torch.testing.assert_close(read_out.log_probs, expected)


def test_corrupt_and_initial_are_those_of_the_noise():
    kernel = kernel_of("absorbing-2")
    z = torch.randint(0, 2, (3, 4), generator=seeded(7))
    expected = kernel.corruption.sample(z, 0.5, seeded(8))
    assert torch.equal(kernel.corrupt(z, 0.5, seeded(8)), expected)
    assert torch.equal(kernel.initial(3, (4,)), torch.full((3, 4), 2))


def test_half_precision_logits_are_normalised_in_single():
    logits = torch.randn(3, generator=seeded(9)).bfloat16()
    kernel = CategoricalNoiseKernel(Fixed(logits), Uniform(3))
    found = kernel.transition(torch.zeros(2, 4).long(), 0.5).read_out.log_probs
    assert found.dtype == torch.float32
    torch.testing.assert_close(found[0, 0], logits.float().log_softmax(-1))


# -- carry-over ------------------------------------------------------------------------------------


def test_carry_over_keeps_what_is_not_masked():
    kernel = kernel_of("absorbing-4", carry_over=True)
    x = torch.randint(0, 5, (2000, 3), generator=seeded(10))
    law = kernel.transition(x, 0.5)
    y, seen = law.sample(seeded(11)), x != 4
    assert bool(((y == x) | (y == 4))[seen].all())
    assert bool((y != x)[seen].any()) and bool((y != x)[~seen].any())
    assert torch.equal(law.read_out.mode()[seen], x[seen])
    probs = law.read_out.log_probs.exp()
    assert torch.equal(probs[seen], nn.functional.one_hot(x[seen], 4).double())
    free = kernel_of("absorbing-4", carry_over=False).transition(x, 0.5)
    torch.testing.assert_close(law.read_out.log_probs[~seen], free.read_out.log_probs[~seen])
    changed = free.sample(seeded(12))
    assert bool(((changed != x) & (changed != 4))[seen].any())


@pytest.mark.parametrize("name", ["uniform-5", "ordinal-3", "matrix-wide"])
def test_carry_over_means_nothing_where_no_state_tells(name):
    x = torch.randint(0, 3, (5, 2), generator=seeded(13))
    pair = (kernel_of(name, carry_over=c).transition(x, 0.3).probs() for c in (True, False))
    assert torch.equal(*pair)


# -- adjustment ------------------------------------------------------------------------------------


class Shift(nn.Module):
    """Adds fixed logits, and keeps what it was given."""

    def __init__(self, shift):
        super().__init__()
        self.shift, self.given = nn.Parameter(shift), []

    def forward(self, log_pz, evidence, b):
        self.given.append((log_pz, evidence, b))
        return log_pz + self.shift


@pytest.mark.parametrize("name", SMALL)
def test_adjustment_is_for_equal_levels_only(name):
    plain = kernel_of(name)
    family = plain.corruption
    head = Shift(torch.randn(family.num_categories, generator=seeded(14)).double())
    adjusted = CategoricalNoiseKernel(plain.net, family, plain.hold, adjustment=head)
    x = torch.randint(0, family.num_states, (4, 3), generator=seeded(15))
    b, lower = f64(0.1, 0.4, 0.7, 1.0), f64(0.05, 0.1, 0.7, 0.9)
    equal, moved = adjusted.transition(x, b), adjusted.transition(x, b, lower)
    assert not head.given  # nobody has asked for a step yet
    assert equal.log_pz is equal.log_pz and len(head.given) == 1
    torch.testing.assert_close(moved.probs(), plain.transition(x, b, lower).probs())
    for law in (equal, moved):
        torch.testing.assert_close(
            law.read_out.log_probs, plain.transition(x, b).read_out.log_probs
        )
    logits = plain.transition(x, b).read_out.log_probs + head.shift
    sure = family.reveals(x)
    if sure is not None:
        logits = torch.where(sure.unsqueeze(-1), equal.read_out.log_probs, logits)
    torch.testing.assert_close(equal.log_pz, logits.log_softmax(-1))
    assert not torch.allclose(equal.probs(), plain.transition(x, b).probs())
    log_pz, evidence, given_b = head.given[0]
    assert log_pz is equal.read_out.log_probs and torch.equal(given_b, b)
    q = torch.stack([family.matrix(float(level)).double() for level in b])
    rows = torch.arange(4)[:, None]
    expected = q.transpose(1, 2)[rows, x]
    expected[(expected == 0).all(-1)] = 1.0  # states that cannot be: no evidence
    torch.testing.assert_close(evidence.exp(), expected, rtol=1e-12, atol=1e-15)


def test_an_adjustment_changes_no_known_site():
    head = Shift(f64(0, 50))
    kernel = CategoricalNoiseKernel(Smooth(2, 2), Uniform(2), 0.0, adjustment=head)
    mask = torch.tensor([True, False])
    law = kernel.transition(torch.zeros(1, 2).long(), 0.5, known=(mask, torch.zeros(2).long()))
    assert law.log_pz[0, 1].tolist() == [0.0, -math.inf]
    assert law.log_pz[0, 0].exp().tolist() == pytest.approx([0, 1])


# -- known sites -----------------------------------------------------------------------------------


@pytest.mark.parametrize("told", [False, True])
@pytest.mark.parametrize(("b_x", "b_y"), [(0.4, None), (0.7, 0.2)])
@pytest.mark.parametrize("name", SMALL)
def test_known_sites_are_put_into_the_state_and_stay(name, b_x, b_y, told):
    kernel = kernel_of(name, net=Told if told else Smooth)
    family, pair = kernel.corruption, levels(b_x, b_y)
    mask, values = torch.tensor([True, False]), torch.tensor([0, 1])
    x = exact.states(family.num_states, (2,))
    law = kernel.transition(x, *pair, known=(mask, values))
    clean = torch.where(mask, x, values)
    assert torch.equal(law.x, clean)
    assert bool((law.sample(seeded(16))[:, 1] == 1).all())
    assert bool((law.mode()[:, 1] == 1).all())
    assert bool((law.read_out.sample(seeded(17))[:, 1] == 1).all())
    assert law.read_out.log_probs[:, 1].exp().tolist() == [
        [float(z == 1) for z in range(family.num_categories)]
    ] * len(x)
    # What is generated sees the known value, and the mask where the network is told.
    told_logits = kernel.net(clean, f64(b_x).expand(len(x)), **({"known": mask} if told else {}))
    expected = told_logits.log_softmax(-1)[:, 0]
    sure = family.reveals(clean)
    if sure is not None:
        point = (clean[:, :1] == torch.arange(family.num_categories)).double().log()
        expected = torch.where(sure[:, :1], point, expected)
    torch.testing.assert_close(law.read_out.log_probs[:, 0], expected)
    # log_prob is that of the generated site alone.
    y = torch.randint(0, family.num_states, x.shape, generator=seeded(18))
    at_y = law.probs()[:, 0].gather(-1, y[:, :1]).squeeze(-1).log()
    torch.testing.assert_close(law.log_prob(y), at_y)
    noise = y.clone()
    noise[:, 1] = 0
    assert torch.equal(law.log_prob(noise), law.log_prob(y))


def test_each_example_may_know_other_sites():
    kernel = kernel_of("absorbing-2")
    mask = torch.tensor([[True, False, True], [False, True, True]])
    values = torch.tensor([[0, 1, 0], [1, 0, 0]])
    y = kernel.transition(torch.full((2, 3), 2), 0.9, known=(mask, values)).sample(seeded(19))
    assert torch.equal(y[~mask], values[~mask])


def test_a_told_network_gets_nothing_where_nothing_is_known():
    kernel = kernel_of("uniform-2", net=Told)
    x = torch.zeros(2, 3).long()
    expected = Smooth.forward(kernel.net, x, f64(0.5, 0.5)).log_softmax(-1)
    torch.testing.assert_close(kernel.transition(x, f64(0.5)[0]).read_out.log_probs, expected)
    assert kernel.told_known and kernel.told_label
    plain = kernel_of("uniform-2")
    assert not plain.told_known and not plain.told_label


def test_labels_reach_a_network_that_declares_them():
    kernel = kernel_of("uniform-5", net=Told)
    x, label = torch.zeros(2, 3).long(), torch.tensor([1, 3])
    expected = kernel.net(x, f64(0.5, 0.5), label=label).log_softmax(-1)
    found = kernel.transition(x, f64(0.5)[0], label=label).read_out.log_probs
    torch.testing.assert_close(found, expected)
    assert not torch.allclose(found, kernel.transition(x, f64(0.5)[0]).read_out.log_probs)


# -- the paper's absorbing kernel ------------------------------------------------------------------


def scramble_then_hold(z_law, x, w, b_x, b_y):
    """The paper's step of one site, from its description: (V,) given p(z|x) and the state x.

    First the site is scrambled, that is masked, with the probability m that makes the marginal
    right; a site that is not scrambled then keeps x with probability w, or takes the denoised z.
    Masks reach y by scrambling or by being held: m + (1 - m) w b_x = b_y.
    """
    k = len(z_law)
    m = (b_y - w * b_x) / (1 - w * b_x)
    law = torch.zeros(k + 1, dtype=torch.float64)
    law[k] += m
    law[x] += (1 - m) * w
    law[:k] += (1 - m) * (1 - w) * z_law
    return law


@pytest.mark.parametrize("w", [0.0, 0.5, 0.95])
@pytest.mark.parametrize(
    ("b_x", "b_y"),
    [(b, b) for b in (0.05, 0.1, 0.5, 0.9, 0.99, 1.0)] + [(0.5, 0.48), (0.5, 0.9), (0.2, 1.0)],
)
def test_with_lag_is_the_papers_kernel(w, b_x, b_y):
    """All 9 states of two sites: at equal levels, and between levels wherever b_y >= w b_x."""
    net = Smooth(2, 3)
    kernel = CategoricalNoiseKernel.with_lag(net, Absorbing(2), lag=w)
    assert not kernel.carry_over and kernel.lag == w
    x = exact.states(3, (2,))
    p = net(x, f64(b_x).expand(9)).softmax(-1)
    sites = torch.stack(
        [
            torch.stack([scramble_then_hold(p[n, i], int(x[n, i]), w, b_x, b_y) for i in range(2)])
            for n in range(9)
        ]
    )
    same = b_x == b_y
    P = exact.transition_matrix(kernel, (2,), b_x, None if same else b_y)
    torch.testing.assert_close(P, exact.product_laws(sites), rtol=0, atol=1e-14)


@pytest.mark.parametrize("b", [0.1, 0.5, 0.9, 0.99])
def test_the_hold_of_a_lag(b):
    """h = w (1 - b) / (1 - w b); w = 0.95 is h = 0.945, 0.905, 0.655, 0.16 at these levels."""
    kernel = CategoricalNoiseKernel.with_lag(Smooth(2, 3), Absorbing(2))
    found = float(kernel.holds(f64(b), f64(b)))
    assert found == pytest.approx(0.95 * (1 - b) / (1 - 0.95 * b), rel=1e-12)
    table = {0.1: 0.945, 0.5: 0.905, 0.9: 0.655, 0.99: 0.16}
    assert found == pytest.approx(table[b], abs=6e-4)
    plain = CategoricalNoiseKernel(kernel.net, kernel.corruption, hold=found, carry_over=False)
    pair = (exact.transition_matrix(kernel_, (2,), b) for kernel_ in (kernel, plain))
    torch.testing.assert_close(*pair, rtol=0, atol=1e-14)


def test_a_lag_where_the_papers_kernel_clamps_keeps_the_marginal():
    """b_y < w b_x: the paper's P(mask) is w b_x = 0.475, here it is b_y = 0.3."""
    kernel = CategoricalNoiseKernel.with_lag(Fixed(f64(0, 0)), Absorbing(2), lag=0.95)
    masked = exact.noisy_law(f64(0.5, 0.5), Absorbing(2), (1,), 0.5)
    after = masked @ exact.transition_matrix(kernel, (1,), 0.5, 0.3)
    assert float(after[2]) == pytest.approx(0.3, abs=1e-12)


def test_a_lag_is_what_stands_for_the_hold():
    """For what asks a kernel for one number, such as the weight of the denoising term."""
    kernel = CategoricalNoiseKernel.with_lag(Smooth(2, 3), Absorbing(2), lag=0.95)
    assert kernel.hold == 0.95
    weight = dca.ContrastiveAdjustment(denoising_weight=0.3)._weights(kernel, Conditions())
    assert weight == pytest.approx(0.3 * 0.1)
    assert float(kernel.holds(f64(1e-9), f64(1e-9))) == pytest.approx(0.95)  # at small levels


def test_holds_of_extreme_lags():
    kernel = CategoricalNoiseKernel.with_lag(Smooth(2, 3), Absorbing(2), lag=1.0)
    found = kernel.holds(f64(1, 0.5, 0.5, 0.5), f64(1, 0.5, 0.2, 0.75))
    assert found.tolist() == [1.0, 1.0, 1.0, 0.5]
    constant = kernel_of("absorbing-2").holds(f64(0.3, 0.9), f64(0.1, 0.9))
    assert constant.tolist() == [0.6, 0.6]


# -- gradients -------------------------------------------------------------------------------------


class Given(nn.Module):
    """Logits (B, *S, K) given from outside."""

    def forward(self, x, b):
        return self.logits


def log_prob_of(kernel, x, y, b_x, b_y, known=None):
    def function(logits):
        kernel.net.logits = logits
        return kernel.transition(x, b_x, b_y, known=known).log_prob(y)

    return function


@pytest.mark.parametrize("hold", [0.0, 0.7])
@pytest.mark.parametrize(("b_x", "b_y"), [(0.4, None), (0.7, 0.2), (0.2, 0.7), (1.0, None)])
@pytest.mark.parametrize("name", [*SMALL, "matrix-generator"])
def test_gradients_of_log_prob(name, b_x, b_y, hold):
    """torch.autograd.gradcheck in float64, from starts that can lead to y."""
    family = FAMILIES[name]
    kernel = CategoricalNoiseKernel(Given(), family, hold)
    z = torch.randint(0, family.num_categories, (3, 4), generator=seeded(20))
    pair = levels(b_x, b_y)
    x = family.sample(z, pair[0], seeded(21))
    logits = torch.randn(3, 4, family.num_categories, generator=seeded(22)).double()
    kernel.net.logits = logits
    y = kernel.transition(x, *pair).sample(seeded(23))
    assert torch.autograd.gradcheck(
        log_prob_of(kernel, x, y, *pair), logits.requires_grad_(), check_undefined_grad=False
    )


@pytest.mark.parametrize("carry_over", [False, True])
@pytest.mark.parametrize("hold", [0.0, 0.5])
@pytest.mark.parametrize("name", SMALL)
def test_gradients_are_finite_beside_known_and_revealed_sites(name, hold, carry_over):
    """-inf in the read-out must not make NaN in the gradient, whether or not a site changed."""
    family = FAMILIES[name]
    kernel = CategoricalNoiseKernel(Given(), family, hold, carry_over)
    z = torch.randint(0, family.num_categories, (8, 6), generator=seeded(24))
    x = family.sample(z, 0.5, seeded(25))
    mask = torch.rand(8, 6, generator=seeded(26)) < 0.5
    logits = torch.randn(8, 6, family.num_categories, generator=seeded(27)).double()
    logits.requires_grad_()
    kernel.net.logits = logits
    y = kernel.transition(x, 0.5, known=(mask, z)).sample(seeded(28))
    loss = log_prob_of(kernel, x, y, f64(0.5)[0], None, (mask, z))(logits).sum()
    (gradient,) = torch.autograd.grad(loss, logits)
    assert bool(loss.isfinite()) and bool(gradient.isfinite().all())
    assert bool((gradient[~mask] == 0).all())
    assert bool((gradient != 0).any())


@pytest.mark.parametrize("name", SMALL)
def test_the_mean_score_is_0(name):
    """sum_y p(y|x) ∇ log p(y|x) = 0: what makes the second term of CA a control variate."""
    kernel = kernel_of(name)
    y = exact.states(kernel.corruption.num_states, (2,))
    x = torch.tensor([[0, kernel.corruption.num_states - 1]]).expand(len(y), -1)
    log_prob = kernel.transition(x, f64(0.4)[0]).log_prob(y)
    possible = log_prob > -math.inf
    loss = (log_prob.detach().exp() * log_prob)[possible].sum()
    for gradient in torch.autograd.grad(loss, list(kernel.parameters())):
        assert float(gradient.abs().max()) < 1e-14


# -- what it costs ---------------------------------------------------------------------------------


@pytest.mark.parametrize("family", [Uniform(4096), Absorbing(4096), Ordinal(4096)])
def test_a_step_at_4096_categories_builds_no_matrix(family, monkeypatch):
    def refuse(self, level):
        raise AssertionError("a structured family built its matrix")

    monkeypatch.setattr(type(family), "matrix", refuse)
    kernel = CategoricalNoiseKernel(Fixed(torch.zeros(4096)), family, 0.5)
    x = family.initial(2, (3,), seeded(29))
    with LargestStorage() as seen:
        for target in (None, 0.3, 0.6):
            law = kernel.transition(x, 0.5, target)
            y = law.sample(seeded(30))
            if target is None or family.linear:
                law.log_prob(y)
    assert seen.bytes <= 4 * x.numel() * 4096 * 8


# -- an informed network ---------------------------------------------------------------------------


def test_a_told_network_sees_the_clean_values():
    """With the exact posterior given clean known sites, the read-out is p(z_i | x, known)."""
    law = random_law(2, (3,))
    kernel = CategoricalNoiseKernel(InformedPosterior(law, Uniform(2), (3,)), Uniform(2))
    mask, values = torch.tensor([True, True, False]), torch.tensor([0, 0, 1])
    x = torch.tensor([[1, 0, 0]])
    found = kernel.transition(x, f64(1.0)[0], known=(mask, values)).read_out.log_probs.exp()[0]
    z = exact.states(2, (3,))
    given = law * (z[:, 2] == 1)  # at level 1 the noisy sites say nothing
    given = given / given.sum()
    for i in range(2):
        torch.testing.assert_close(found[i, 1], (given * (z[:, i] == 1)).sum())


# -- refusals --------------------------------------------------------------------------------------


USES = {
    "sample": lambda law, y: law.sample(),
    "log_prob": lambda law, y: law.log_prob(y),
    "read-out": lambda law, y: law.read_out.log_probs,
    "draw": lambda law, y: law.read_out.sample(),
    "mode": lambda law, y: law.read_out.mode(),
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("k", [2, 3])
def test_logits_that_are_not_finite_are_refused(k, place, bad, use):
    logits = torch.zeros(k)
    logits[place] = bad
    kernel = CategoricalNoiseKernel(Fixed(logits), Uniform(k), hold=0.0)
    y = torch.zeros(2, 4).long()
    with pytest.raises(NonFiniteError, match="Fixed returned logits that are not finite"):
        USES[use](kernel.transition(y, 0.5), y)


@pytest.mark.parametrize("use", USES)
def test_one_nan_among_many_sites_is_found(use):
    logits = torch.zeros(2, 4, 3)
    logits[1, 2, 2] = math.nan
    kernel = CategoricalNoiseKernel(Given(), Uniform(3), hold=0.0)
    kernel.net.logits = logits
    y = torch.zeros(2, 4).long()
    with pytest.raises(NonFiniteError):
        USES[use](kernel.transition(y, 0.5), y)


def test_logits_of_minus_infinity_exclude():
    kernel = CategoricalNoiseKernel(Fixed(f64(0, -math.inf, 0)), Uniform(3))
    found = kernel.transition(torch.zeros(1, 2).long(), 0.5).read_out.log_probs.exp()
    assert found[0, 0].tolist() == pytest.approx([0.5, 0, 0.5])


def test_an_adjustment_that_is_not_finite_is_refused():
    kernel = kernel_of("uniform-2", adjustment=Shift(f64(math.nan, 0)))
    with pytest.raises(NonFiniteError, match="Shift returned logits that are not finite"):
        kernel.transition(torch.zeros(1, 2).long(), 0.5).log_prob(torch.zeros(1, 2).long())


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"x": torch.zeros(2, 3)}, TypeError, "x has dtype torch.float32; allowed: torch.int64"),
        ({"x": torch.full((2, 3), 3)}, ValueError, r"x holds values in \[3, 3\]; allowed: 0 .. 2"),
        ({"x": torch.full((2, 3), -1)}, ValueError, r"x holds values in \[-1, -1\]"),
        ({"x": torch.tensor(0)}, ValueError, r"x has shape \(\); allowed: \(B, \*S\)"),
        ({"level": 1.5}, ValueError, r"level was 1.5; allowed: \[0, 1\]"),
        ({"level": -0.5}, ValueError, r"level was -0.5; allowed: \[0, 1\]"),
        ({"level": math.nan}, ValueError, "level was nan"),
        ({"level": f64(0.1, 0.2, 0.3)}, ValueError, r"level has shape \(3,\); allowed: \(\) or"),
        ({"target_level": 2.0}, ValueError, r"target_level was 2.0; allowed: \[0, 1\]"),
        ({"target_level": f64(0.1)}, ValueError, r"target_level has shape \(1,\)"),
        ({"label": torch.zeros(2).long()}, ValueError, "Smooth.forward declares no `label`"),
        ({"mask": torch.ones(3)}, TypeError, "known mask has dtype torch.float32"),
        ({"mask": torch.ones(4).bool()}, ValueError, r"known mask has shape \(4,\); allowed"),
        ({"mask": torch.ones(1, 3).bool()}, ValueError, r"known mask has shape \(1, 3\)"),
        ({"values": torch.zeros(2).long()}, ValueError, r"known values has shape \(2,\)"),
        (
            {"values": torch.full((3,), 2), "mask": torch.zeros(3).bool()},
            ValueError,
            r"known values holds values in \[2, 2\]",
        ),
        ({"values": torch.zeros(3)}, TypeError, "known values has dtype torch.float32"),
    ],
)
def test_arguments_of_a_transition_are_checked(change, error, message):
    kernel = kernel_of("absorbing-2")  # K = 2, V = 3
    given = {"x": torch.zeros(2, 3).long(), "level": 0.5, **change}
    mask = given.pop("mask", torch.ones(3).bool())
    given["known"] = (mask, given.pop("values", torch.zeros(3).long()))
    with pytest.raises(error, match=message):
        kernel.transition(**given)


@pytest.mark.parametrize("categories", [1, 3])
def test_logits_of_the_wrong_shape_are_refused(categories):
    kernel = CategoricalNoiseKernel(Fixed(torch.zeros(categories)), Uniform(2))
    message = rf"Fixed returned shape \(2, 3, {categories}\); allowed: \(2, 3, 2\)"
    with pytest.raises(ValueError, match=message):
        kernel.transition(torch.zeros(2, 3).long(), 0.5)


@pytest.mark.parametrize("hold", [-0.1, 1.1, math.nan])
def test_holds_outside_are_refused(hold):
    with pytest.raises(ValueError, match=rf"hold was {hold}; allowed: \[0, 1\]"):
        CategoricalNoiseKernel(Smooth(2, 2), Uniform(2), hold)
    with pytest.raises(ValueError, match=rf"lag was {hold}; allowed: \[0, 1\]"):
        CategoricalNoiseKernel(Smooth(2, 3), Absorbing(2), lag=hold)


def test_a_lag_belongs_to_absorbing_noise():
    with pytest.raises(ValueError, match="lag was given with Uniform; allowed: Absorbing"):
        CategoricalNoiseKernel(Smooth(2, 2), Uniform(2), lag=0.9)


@pytest.mark.parametrize("hold", [0.0, 1.0])
def test_extreme_holds(hold):
    """At h = 1 nothing moves; at h = 0 the next state forgets x given z."""
    kernel = kernel_of("uniform-5", hold=hold)
    x = torch.randint(0, 5, (50, 4), generator=seeded(31))
    law = kernel.transition(x, 0.4)
    assert torch.equal(law.sample(), x) == (hold == 1)
    if hold == 1:
        assert bool((law.log_prob(x) == 0).all())
        other = (x + 1) % 5
        assert bool((law.log_prob(other) == -math.inf).all())
    else:
        p = law.read_out.log_probs.exp()
        torch.testing.assert_close(law.probs(), 0.6 * p + 0.4 / 5)


def test_the_head_is_called_only_for_steps_that_use_it():
    head = Shift(torch.zeros(2).double())
    net = MLP(2, 2, shape=(3,), width=8)
    kernel = CategoricalNoiseKernel(net, Uniform(2), 0.5, adjustment=head)
    z = torch.zeros(4, 3).long()
    dca.Denoising()(kernel, z)
    dca.chains.read_out(kernel, z, 0.3)
    assert not head.given
    dca.ContrastiveAdjustment(denoising_weight=1.0, denoising_fraction=1.0)(kernel, z)
    assert len(head.given) == 2  # once for y, once for the loss; none for the denoising term


def test_a_network_for_another_noise_is_refused():
    with pytest.raises(ValueError, match="net has num_states = 2; allowed: 3, as Absorbing has"):
        CategoricalNoiseKernel(MLP(2, 2, shape=(3,)), Absorbing(2))
    with pytest.raises(ValueError, match="net has num_categories = 3; allowed: 2, as Uniform has"):
        CategoricalNoiseKernel(MLP(3, 2, shape=(3,)), Uniform(2))


def test_a_network_that_is_not_finite_is_found_where_no_site_is_drawn():
    kernel = CategoricalNoiseKernel(Fixed(torch.full((3,), math.nan)), Uniform(3), hold=0.99)
    x = torch.zeros(1, 100).long()
    with pytest.raises(NonFiniteError):
        for seed in range(20):
            kernel.transition(x, 0.5).sample(torch.Generator().manual_seed(seed))


def test_a_head_at_known_sites_of_level_1_under_absorbing_noise():
    """A clean value at level 1 is impossible evidence: no number for a head to work on."""
    net, head = MLP(2, 3, shape=(3,), width=8), dca.nn.AdjustmentMLP(2, shape=(3,), width=8)
    torch.nn.init.normal_(head.layers[-1].weight)
    kernel = CategoricalNoiseKernel(net, dca.corruption.Absorbing(2), 0.5, adjustment=head)
    x, known = torch.full((1, 3), 2), torch.tensor([True, True, False])
    law = kernel.transition(x, 1.0, known=(known, torch.tensor([0, 0, 1])))
    assert torch.isfinite(law.log_pz[0, :2]).all()
    assert law.sample()[0, 2] == 1


# -- level 0 ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_at_level_0_a_design_is_what_it_is(name):
    """Whatever the network and its head say; other levels of the batch are the network's."""
    kernel = kernel_of(name)
    k = kernel.corruption.num_categories
    z = torch.randint(0, k, (6,), generator=seeded())
    found = dca.variants(kernel, z, n=3, level=0.0, steps=2, generator=seeded())
    assert torch.equal(found, z.expand(3, -1))
    x = z.expand(2, -1)
    both = kernel.transition(x, torch.tensor([0.0, 0.5]).double())
    alone = kernel.transition(x[1:], torch.tensor([0.5]).double())
    assert both.read_out.log_prob(x)[0] == both.log_prob(x)[0] == 0
    torch.testing.assert_close(both.log_prob(x)[1:], alone.log_prob(x[1:]))


def test_noise_that_changes_things_at_level_0_has_the_networks_read_out():
    class Restless(dca.corruption.Corruption):
        def matrix(self, level):
            return torch.full((2, 2), 0.5)

    kernel = CategoricalNoiseKernel(Smooth(2, 2), Restless(2), hold=0.5)
    x = torch.zeros(1, 3, dtype=torch.long)
    assert kernel.transition(x, 0.0).read_out.log_prob(x) < 0


def test_a_head_of_another_number_of_categories_is_refused():
    net, noise = MLP(3, 3, shape=(4,), width=8), dca.corruption.Uniform(3)
    with pytest.raises(ValueError, match="adjustment has num_categories = 4; allowed: 3, as Unif"):
        dca.CategoricalNoiseKernel(net, noise, adjustment=dca.nn.AdjustmentHead(4, dims=1))
