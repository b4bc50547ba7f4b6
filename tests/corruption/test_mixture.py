"""What every mixture of identity, sparse rows and one law has: residuals, costs, gradients."""

from __future__ import annotations

import pytest
import torch

from discrete_ca.corruption import TokenNoise, base, mixture, near_ordinal
from discrete_ca.corruption.mixture import Mixture
from discrete_ca.corruption.sparse import SparseRows
from discrete_ca.distributions import Categorical, CategoricalTransition
from tests.corruption.test_base import STEPS, assert_step_follows_coupling
from tests.helpers import FAMILIES, SHAPES, LargestStorage, f64, seeded

NON_LINEAR = ["tokens-3", "tokens-5"]


class Slow(Mixture):
    """A user's mixture: near tokens alone, at a level that is squared."""

    def __init__(self, near):
        super().__init__(near.shape[0], near.shape[1], SparseRows(near, near.shape[1], "near"))

    def weights(self, b):
        return 1 - b**2, b**2, torch.zeros_like(b)


def test_a_users_mixture():
    near = near_ordinal(3)
    family = Slow(near)
    expected = 0.75 * torch.eye(3).double() + 0.25 * near.to_dense()
    torch.testing.assert_close(family.matrix(0.5), expected)
    assert not family.forgets
    assert_step_follows_coupling(family, 0.7, 0.2, 0.6, repeats=4000, seed=15)


@pytest.mark.parametrize("rounds", [(0, 0), (0, 8), (1, 8), (64, 8)])
@pytest.mark.parametrize("name", NON_LINEAR)
def test_residuals_by_rejection_and_in_full(name, rounds, monkeypatch):
    """Chi-square at a false-alarm rate of 1e-6 a step."""
    monkeypatch.setattr(mixture, "_REJECTION_ROUNDS", rounds[0])
    monkeypatch.setattr(base, "_REJECTION_ROUNDS", rounds[1])
    for h, b_x, b_y in STEPS:
        if b_x != b_y:
            assert_step_follows_coupling(FAMILIES[name], h, b_x, b_y, repeats=2000, seed=2)


def test_every_example_of_a_batch_has_its_own_residual():
    family = FAMILIES["tokens-5"]
    z = torch.randint(0, 5, (3, 4, 4), generator=seeded(0))
    b_x, b_y = f64(0.9, 0.4, 0.7), f64(0.0, 0.4, 0.2)
    x = family.sample(z, b_x, seeded(1))
    y = family.step(x, z, f64(0.5, 1.0, 0.5), b_x, b_y, seeded(2))
    assert torch.equal(y[0], z[0]) and torch.equal(y[1], x[1])


@pytest.mark.parametrize(
    ("family", "revealed"),
    [
        (TokenNoise(3, mask=1.0), [True, True, True, False]),
        (TokenNoise(3, mask=0.5, uniform=0.5), None),
        (TokenNoise(3, mask=0.5, frequencies=f64(0.5, 0, 0.5)), [False, True, False, False]),
        (
            TokenNoise(3, mask=1.0, near=f64(0, 1, 0, 0, 1, 0, 0, 0, 1).reshape(3, 3)),
            [True, False, True, False],
        ),
        (TokenNoise(3, mask=1.0, near=near_ordinal(3)), None),
        (TokenNoise(3, mask=1.0, near=near_ordinal(3), alpha=0.0), [True, True, True, False]),
    ],
)
def test_a_state_reveals_where_nothing_else_leads_to_it(family, revealed):
    """By the matrices: the state has one category, itself, at every level."""
    x = torch.arange(family.num_states)
    found = family.reveals(x)
    assert (found if found is None else found.tolist()) == revealed
    by_matrix = torch.stack([family.matrix(b) for b in (0.3, 0.9, 1.0)]).amax(0)
    own = torch.zeros(family.num_states).double()
    own[: family.num_categories] = by_matrix.diagonal()
    alone = (by_matrix.sum(0) == own) & (x < family.num_categories)
    assert alone.tolist() == (revealed or [False] * family.num_states)


@pytest.mark.parametrize("alpha", [0.0, 0.5])
def test_a_transition_makes_no_copy_of_the_logits(alpha, monkeypatch):
    """Forward and backward at K = 20,000: the logits and one gradient of their size."""

    def refuse(self):
        raise AssertionError("the log-probabilities were written out")

    monkeypatch.setattr(Categorical, "log_probs", property(refuse))
    k, sites = 20_000, 32
    noise = TokenNoise(k, mask=0.5, uniform=0.5, near=near_ordinal(k, 8), alpha=alpha)
    logits = torch.randn(1, sites, k, generator=seeded(0)).requires_grad_()
    x = torch.randint(0, k + 1, (1, sites), generator=seeded(1))
    b = torch.tensor([0.5])
    with torch.no_grad(), LargestStorage() as seen:
        law = CategoricalTransition(x, Categorical(logits.view(sites, k)[None]), noise, b, b, b)
        law.log_prob(x)
        views = seen.bytes
    assert views == logits.numel() * 4  # a view of the logits, and nothing larger
    law = CategoricalTransition(x, Categorical(logits), noise, b, b, b)
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        loss = law.log_prob(x).sum()
    assert {t.data_ptr() for t in kept if t.numel() > k} == {logits.data_ptr()}
    loss.backward()
    assert bool(logits.grad.isfinite().all())


MIXTURES = ["tokens-3", "tokens-5", "tokens-linear", "matrix-sparse"]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", MIXTURES)
def test_single_precision_is_near_double(name, shape):
    family = FAMILIES[name]
    logits = 5 * torch.randn(3, *shape, family.num_categories, generator=seeded(7))
    x = torch.randint(0, family.num_states, (3, *shape), generator=seeded(8))
    b = torch.tensor([0.0, 0.3, 1.0])
    q = torch.stack([family.matrix(float(level)) for level in b])
    p = logits.double().softmax(-1).reshape(3, -1, family.num_categories)
    dense = (p @ q).log().reshape(*x.shape, -1).gather(-1, x.unsqueeze(-1)).squeeze(-1).float()
    close = {"rtol": 1e-5, "atol": 1e-5}
    for levels in (b, b.double()):
        found = family.log_push_forward_from(Categorical(logits), x, levels)
        torch.testing.assert_close(found, dense, **close)
        found = family.log_push_forward(logits.log_softmax(-1), x, levels)
        torch.testing.assert_close(found, dense, **close)


@pytest.mark.parametrize("name", MIXTURES)
def test_from_a_law_is_from_its_log_probabilities(name):
    family = FAMILIES[name]
    k = family.num_categories
    logits = torch.randn(3, 4, k, generator=seeded(3)).double().requires_grad_()
    x = torch.randint(0, family.num_states, (3, 4), generator=seeded(4))
    fixed = (torch.rand(3, 4, generator=seeded(5)) < 0.4, x)
    levels = f64(0.0, 0.3, 1.0)
    for law in (Categorical(logits), Categorical(logits, (fixed[0] & (x < k), x))):
        ours = family.log_push_forward_from(law, x, levels)
        theirs = family.log_push_forward(law.log_probs, x, levels)
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
        weights = torch.randn(3, 4, generator=seeded(6)).double()
        slopes = [
            torch.autograd.grad((t.masked_fill(t.isinf(), 0.0) * weights).sum(), logits)[0]
            for t in (ours, theirs)
        ]
        torch.testing.assert_close(*slopes, rtol=1e-11, atol=1e-12)


def test_a_subclass_that_pushes_forward_in_its_own_way_is_asked():
    class Own(TokenNoise):
        def log_push_forward(self, log_pz, x, level):
            return torch.full(x.shape, -7.0, dtype=log_pz.dtype)

    x, b = torch.zeros(1, 2).long(), f64(0.3)
    law = Categorical(torch.zeros(1, 2, 3).double())
    for noise in (Own(3, uniform=1.0), Own(3, uniform=1.0, near=near_ordinal(3))):
        found = CategoricalTransition(x, law, noise, f64(0.0), b, b).log_prob(x)
        torch.testing.assert_close(found, f64(-14.0))


def test_states_that_cannot_be_reached_have_no_gradient_of_nan():
    noise = TokenNoise(3, mask=1.0, near=near_ordinal(3))
    logits = torch.zeros(1, 2, 3, dtype=torch.float64, requires_grad=True)
    x = torch.tensor([[3, 1]])
    found = noise.log_push_forward_from(Categorical(logits), x, 0.0)
    assert found.tolist() == [[-torch.inf, pytest.approx(-1.0986122886681098)]]
    (slope,) = torch.autograd.grad(torch.logaddexp(f64(0.5).log(), found).sum(), logits)
    assert bool(slope.isfinite().all()) and slope[0, 0].tolist() == [0.0, 0.0, 0.0]
