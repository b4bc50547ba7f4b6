"""Distribution objects against torch.distributions and against enumeration."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import stats

from discrete_ca.corruption import Uniform
from discrete_ca.diagnostics import exact
from discrete_ca.distributions import (
    Categorical,
    CategoricalTransition,
    Distribution,
    Normal,
    Transition,
    sum_sites,
)
from discrete_ca.logits import entropies
from tests.helpers import (
    FALSE_ALARM,
    FAMILIES,
    SHAPES,
    SMALL,
    assert_counts,
    code,
    counts_of,
    f64,
    seeded,
)

every_shape = pytest.mark.parametrize("shape", SHAPES)


@every_shape
def test_sum_sites(shape):
    values = torch.randn(3, *shape, generator=seeded(0)).double()
    expected = torch.stack([v.sum() for v in values])
    torch.testing.assert_close(sum_sites(values), expected, rtol=1e-12, atol=1e-12)


@every_shape
def test_categorical_is_that_of_torch(shape):
    log_probs = torch.randn(3, *shape, 4, generator=seeded(1)).double().log_softmax(-1)
    ours, theirs = Categorical(log_probs), torch.distributions.Categorical(logits=log_probs)
    y = torch.randint(0, 4, (3, *shape), generator=seeded(2))
    torch.testing.assert_close(ours.log_prob(y), sum_sites(theirs.log_prob(y)))
    torch.testing.assert_close(ours.entropy(), sum_sites(theirs.entropy()))
    assert torch.equal(ours.mode(), theirs.mode)
    assert ours.sample(seeded(3)).shape == y.shape
    assert torch.equal(ours.sample(seeded(3)), ours.sample(seeded(3)))


def test_categorical_draws_follow_its_law():
    """All joint states of two sites; chi-square at a false-alarm rate of 1e-6."""
    law = torch.rand(1, 2, 3, generator=seeded(4)).double().softmax(-1)
    drawn = Categorical(law.log().expand(30_000, 2, 3)).sample(seeded(5))
    assert_counts(counts_of(code(drawn, 3), 9), exact.product_laws(law))


def test_entropy_of_point_masses_is_0():
    probs = f64(0, 1, 0, 0.25, 0.25, 0.5).reshape(2, 3)
    torch.testing.assert_close(entropies(probs), f64(0, 1.5 * math.log(2)))
    point = Categorical(f64(0, -math.inf).reshape(1, 1, 2))
    assert point.entropy().tolist() == [0.0]


# -- transitions -----------------------------------------------------------------------------------


def transition(name, shape, b_x, b_y, known=None, seed=0):
    family, g = FAMILIES[name], seeded(seed)
    batch = len(b_x)
    x = torch.randint(0, family.num_states, (batch, *shape), generator=g)
    log_pz = torch.randn(*x.shape, family.num_categories, generator=g).double().log_softmax(-1)
    hold = torch.rand(batch, generator=g).double()
    return CategoricalTransition(x, Categorical(log_pz), family, hold, b_x, b_y, known)


LEVELS = [
    (f64(0.4, 0.7, 1.0), f64(0.4, 0.7, 1.0)),
    (f64(0.4, 0.7, 1.0), f64(0.1, 0.9, 0.5)),
    (f64(0.5, 0.0, 0.3), f64(0.5, 0.2, 0.0)),
]


@pytest.mark.parametrize("levels", LEVELS)
@pytest.mark.parametrize("name", FAMILIES)
def test_probs_are_the_mixture_of_couplings(name, levels):
    """p(y|x) = sum_z p(z|x) q(y|x, z), with the sum over z written out."""
    law = transition(name, (2,), *levels)
    coupling = law.corruption.coupling(law.x, law.hold, *levels)
    p = law.log_pz.exp()
    expected = sum(
        p[..., z, None] * coupling[..., z, :] for z in range(law.corruption.num_categories)
    )
    torch.testing.assert_close(law.probs(), expected, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(law.probs().sum(-1), torch.ones(3, 2).double())


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("levels", LEVELS)
@pytest.mark.parametrize("name", [*SMALL, "matrix-generator"])
def test_log_prob_entropy_and_mode_are_those_of_probs(name, levels, shape):
    law = transition(name, shape, *levels)
    probs = law.probs()
    y = torch.randint(0, law.corruption.num_states, law.x.shape, generator=seeded(6))
    expected = sum_sites(probs.gather(-1, y.unsqueeze(-1)).squeeze(-1).log())
    torch.testing.assert_close(law.log_prob(y), expected, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(law.entropy(), sum_sites(entropies(probs)))
    assert torch.equal(law.mode(), probs.argmax(-1))


@pytest.mark.parametrize("levels", LEVELS)
@pytest.mark.parametrize("name", SMALL)
def test_known_sites_stay_and_count_nothing(name, levels):
    family = FAMILIES[name]
    mask = torch.tensor([True, False, True]).expand(3, 3)
    values = torch.randint(0, family.num_categories, (3, 3), generator=seeded(7))
    free = transition(name, (3,), *levels)
    law = transition(name, (3,), *levels, known=(mask, values))
    y = torch.randint(0, family.num_states, (3, 3), generator=seeded(8))
    sites = free.probs().gather(-1, y.unsqueeze(-1)).squeeze(-1).log()
    torch.testing.assert_close(law.log_prob(y), sites[:, 0] + sites[:, 2])
    assert torch.equal(law.sample(seeded(9))[:, 1], values[:, 1])
    assert torch.equal(law.mode()[:, 1], values[:, 1])
    fixed = torch.nn.functional.one_hot(values, family.num_states).double()
    expected = torch.where(mask.unsqueeze(-1), free.probs(), fixed)
    torch.testing.assert_close(law.probs(), expected)
    torch.testing.assert_close(law.entropy(), entropies(free.probs())[:, [0, 2]].sum(-1))


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize(("b_x", "b_y"), [(0.5, 0.5), (0.7, 0.2), (0.2, 0.7)])
def test_draws_follow_probs(name, b_x, b_y):
    """All joint states of two sites; chi-square at a false-alarm rate of 1e-6."""
    one = transition(name, (2,), f64(b_x), f64(b_y), seed=1)
    n = 30_000

    def repeated(t):
        return t.expand(n, *t.shape[1:])

    many = CategoricalTransition(
        repeated(one.x),
        Categorical(repeated(one.log_pz)),
        one.corruption,
        one.hold.expand(n),
        one.b_x.expand(n),
        one.b_y.expand(n),
    )
    drawn = many.sample(seeded(10))
    v = one.corruption.num_states
    assert_counts(counts_of(code(drawn, v), v * v), exact.product_laws(one.probs()))
    assert torch.equal(drawn, many.sample(seeded(10)))


def test_the_dtype_is_that_of_the_network():
    x = torch.zeros(1, 2, dtype=torch.long)
    for dtype in (torch.float32, torch.float64):
        log_pz = torch.zeros(1, 2, 3, dtype=dtype).log_softmax(-1)
        b = torch.tensor([0.5])
        law = CategoricalTransition(x, Categorical(log_pz), Uniform(3), 0.5, b, b)
        assert law.log_prob(x).dtype == dtype
        assert law.probs().dtype == torch.float64
        expected = 2 * math.log(0.5 + 0.5 / 3)
        assert float(law.log_prob(x)) == pytest.approx(expected, rel=1e-6)


# -- Gaussians -------------------------------------------------------------------------------------


@every_shape
def test_normal_is_that_of_torch(shape):
    g = seeded(11)
    mean, y = (torch.randn(3, *shape, generator=g).double() for _ in range(2))
    variance = torch.rand(3, *shape, generator=g).double() + 0.1
    ours, theirs = Normal(mean, variance), torch.distributions.Normal(mean, variance.sqrt())
    torch.testing.assert_close(ours.log_prob(y), sum_sites(theirs.log_prob(y)))
    torch.testing.assert_close(ours.entropy(), sum_sites(theirs.entropy()))
    assert torch.equal(ours.mode(), mean)
    drawn = ours.sample(seeded(12))
    assert drawn.shape == mean.shape and drawn.dtype == mean.dtype
    assert torch.equal(drawn, ours.sample(seeded(12)))


def test_normal_draws_follow_its_law():
    """Kolmogorov-Smirnov at a false-alarm rate of 1e-6."""
    drawn = Normal(torch.full((20_000, 1), 3.0), torch.tensor(4.0)).sample(seeded(13))
    assert stats.kstest((drawn.numpy().ravel() - 3) / 2, "norm").pvalue > FALSE_ALARM


def test_known_sites_of_a_normal():
    mask = torch.tensor([[True, False, True]])
    values = torch.tensor([[9.0, 7.0, 9.0]])
    mean, variance = torch.tensor([[0.5, 1.0, -2.0]]), torch.tensor([[1.0, 4.0, 0.25]])
    law = Normal(mean, variance, known=(mask, values))
    y = torch.tensor([[0.0, 100.0, -1.0]])
    rest = Normal(mean[:, [0, 2]], variance[:, [0, 2]])
    torch.testing.assert_close(law.log_prob(y), rest.log_prob(y[:, [0, 2]]))
    torch.testing.assert_close(law.entropy(), rest.entropy())
    assert law.mode().tolist() == [[0.5, 7.0, -2.0]]
    assert law.sample(seeded(14))[0, 1] == 7.0


def test_a_normal_without_variance_is_its_mean():
    law = Normal(torch.ones(2, 3), torch.zeros(()))
    assert torch.equal(law.sample(), torch.ones(2, 3))


def test_draws_carry_no_gradient():
    mean = torch.zeros(1, 2, requires_grad=True)
    assert not Normal(mean, torch.ones(1, 2)).sample().requires_grad
    assert not Normal(mean, torch.ones(1, 2)).mode().requires_grad
    logits = torch.zeros(1, 2, 2, requires_grad=True)
    assert not Categorical(logits.log_softmax(-1)).sample().requires_grad


class Own(Transition):
    """A user's law with the two methods that every law has."""

    def sample(self, generator=None):
        return torch.zeros(1, 1)

    def log_prob(self, y):
        return torch.zeros(1)


def test_what_a_users_law_need_not_have():
    law = Own()
    assert isinstance(law, Distribution) and law.read_out is None
    with pytest.raises(NotImplementedError, match="Own has no mode"):
        law.mode()
    with pytest.raises(NotImplementedError, match="Own has no closed entropy"):
        law.entropy()


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("shape", [(), (4,)])
def test_a_step_that_redraws_no_site(name, shape):
    """Hold 1, or every site known: nothing is drawn, whatever the family."""
    family, b = FAMILIES[name], f64(0.4)
    x = torch.randint(0, family.num_categories, (1, *shape), generator=seeded(13))
    log_pz = torch.zeros(1, *shape, family.num_categories).double()
    law = CategoricalTransition(x, Categorical(log_pz), family, f64(1.0), b, b)
    assert torch.equal(law.sample(seeded(14)), x)
    known = (torch.zeros_like(x, dtype=torch.bool), x)
    law = CategoricalTransition(x, Categorical(log_pz), family, f64(0.0), b, b, known)
    assert torch.equal(law.sample(seeded(14)), x)


def test_what_is_drawn_without_gradient_first_has_its_gradient_later():
    logits = torch.randn(2, 3, 4, generator=seeded(15)).double().requires_grad_()
    law = Categorical(logits, fixed=(torch.zeros(2, 3).bool(), torch.zeros(2, 3).long()))
    with torch.no_grad():
        law.entropy()
        assert law.log_probs.requires_grad
    law.entropy().sum().backward()
    assert logits.grad.abs().sum() > 0


@pytest.mark.parametrize("name", ["uniform-2", "absorbing-2", "ordinal-5"])
def test_states_that_are_none_have_no_probability(name):
    if name not in FAMILIES:
        name = next(key for key in FAMILIES if key.startswith(name.split("-")[0]))
    law = transition(name, (3,), f64(0.4, 0.7, 1.0), f64(0.4, 0.7, 1.0))
    with pytest.raises(ValueError, match="y holds values in"):
        law.log_prob(law.x + 10)
    with pytest.raises(ValueError, match=r"y has shape \(3, 2\); allowed: \(3, 3\)"):
        law.log_prob(law.x[:, :2])


def test_a_subclass_that_pushes_forward_in_its_own_way_is_asked():
    class Own(Uniform):
        def log_push_forward(self, log_pz, x, level):
            return torch.full(x.shape, -7.0, dtype=log_pz.dtype)

    x, b = torch.zeros(1, 2).long(), f64(0.3)
    law = Categorical(torch.zeros(1, 2, 2).double())
    found = CategoricalTransition(x, law, Own(2), f64(0.0), b, b).log_prob(x)
    torch.testing.assert_close(found, f64(-14.0))
    assert Uniform(2).pointwise and not Own(2).pointwise
