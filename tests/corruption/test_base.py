"""The coupling of levels against enumeration, and the dense defaults of a user's own noise."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from discrete_ca import draws
from discrete_ca.corruption import (
    Absorbing,
    Corruption,
    Matrix,
    Ordinal,
    TokenNoise,
    Uniform,
    base,
    near_ordinal,
)
from tests.helpers import (
    FAMILIES,
    LINEAR,
    SHAPES,
    SMALL,
    Dense,
    LargestStorage,
    assert_counts,
    counts_of,
    f64,
    family_names,
    fractions,
    seeded,
)

every_family = pytest.mark.parametrize("name", FAMILIES)
every_shape = pytest.mark.parametrize("shape", SHAPES)


def random_steps(count=1000, seed=0):
    """(h, b_x, b_y), each (count,) in float64: a fifth at 0 or 1, a fifth of pairs equal."""
    g = seeded(seed)
    values = torch.rand(3, count, dtype=torch.float64, generator=g)
    ends = torch.rand(3, count, generator=g)
    values = torch.where(ends < 0.1, 0.0, torch.where(ends < 0.2, 1.0, values))
    h, b_x, b_y = values
    return h, b_x, torch.where(torch.rand(count, generator=g) < 0.2, b_x, b_y)


def matrices_at(family, b):
    return torch.stack([family.matrix(float(level)).double() for level in b])


def marginal_error(family, h, b_x, b_y):
    """max |Q_{b_x} q(y|x,z) - Q_{b_y}| over all z, through `coupling`."""
    states = torch.arange(family.num_states).expand(len(b_x), -1)
    law = family.coupling(states, h, b_x, b_y)  # (N, x, z, y)
    torch.testing.assert_close(law.sum(-1), torch.ones(law.shape[:-1]).double(), rtol=0, atol=1e-12)
    assert float(law.min()) >= 0
    after = torch.einsum("nzx,nxzy->nzy", matrices_at(family, b_x), law)
    return float((after - matrices_at(family, b_y)).abs().max())


# -- the marginal after one step -------------------------------------------------------------------


@every_family
def test_a_step_keeps_the_marginal_in_double(name):
    assert marginal_error(FAMILIES[name], *random_steps()) < 1e-12


@every_family
def test_a_step_keeps_the_marginal_at_levels_of_single_precision(name):
    h, b_x, b_y = (t.float() for t in random_steps(seed=1))
    assert marginal_error(FAMILIES[name], h, b_x, b_y) < 1e-12


@pytest.mark.parametrize("name", LINEAR)
def test_a_step_keeps_the_marginal_in_single_precision(name):
    """h' 1(y = x) + (1 - h') Q_{b'} with h', b' and all arithmetic in float32."""
    family = FAMILIES[name]
    h, b_x, b_y = (t.float() for t in random_steps(seed=2))
    held, level = family.couple(h, b_x, b_y)
    assert held.dtype == level.dtype == torch.float32
    old, residual = matrices_at(family, b_x).float(), matrices_at(family, level).float()
    held = held[:, None, None]
    after = held * old + (1 - held) * residual
    assert float((after - matrices_at(family, b_y)).abs().max()) < 1e-6


@every_family
def test_a_step_is_reversible_given_z_at_equal_levels(name):
    """Q_b[z, x] q(y | x, z) is symmetric in x and y."""
    family = FAMILIES[name]
    h, b, _ = random_steps(200, seed=3)
    states = torch.arange(family.num_states).expand(len(b), -1)
    law = family.coupling(states, h, b, b)
    flow = matrices_at(family, b).unsqueeze(-1) * law.transpose(1, 2)  # (N, z, x, y)
    torch.testing.assert_close(flow, flow.transpose(-1, -2), rtol=0, atol=1e-14)


@every_family
def test_equal_levels_are_hold_or_refresh(name):
    family = FAMILIES[name]
    h, b, _ = random_steps(50, seed=4)
    states = torch.arange(family.num_states).expand(len(b), -1)
    held = h[:, None, None, None]
    same = torch.eye(family.num_states).double()[None, :, None, :]
    expected = held * same + (1 - held) * matrices_at(family, b).unsqueeze(1)
    torch.testing.assert_close(family.coupling(states, h, b, b), expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("name", [n for n in FAMILIES if n not in LINEAR])
def test_a_mixed_batch_of_equal_and_unequal_levels(name):
    """An example at equal levels is the same beside one that moves."""
    family = FAMILIES[name]
    x = torch.arange(family.num_states).expand(2, -1)
    both = family.coupling(x, 0.6, f64(0.4, 0.4), f64(0.4, 0.1))
    alone = family.coupling(x[:1], 0.6, f64(0.4), f64(0.4))
    torch.testing.assert_close(both[:1], alone, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", [n for n in FAMILIES if n not in LINEAR])
def test_the_hold_by_value_is_the_largest_there_is(name):
    """At h = 1, P(y = x) given z is the overlap of the two levels' laws, sum min(Q, Q')."""
    family = FAMILIES[name]
    x = torch.arange(family.num_states)[None]
    for b_x, b_y in [(0.5, 0.3), (0.2, 0.9), (0.3, 0.29)]:
        old, new = family.matrix(b_x).double(), family.matrix(b_y).double()
        law = family.coupling(x, 1.0, f64(b_x), f64(b_y))[0]  # (x, z, y)
        stays = (old * torch.diagonal(law, dim1=0, dim2=2)).sum(-1)
        torch.testing.assert_close(stays, torch.minimum(old, new).sum(-1), rtol=0, atol=1e-12)


# -- h' and b' -------------------------------------------------------------------------------------


@given(
    h=st.floats(0, 1, width=32),
    b_x=st.floats(0, 1, width=32),
    b_y=st.floats(0, 1, width=32),
    single=st.booleans(),
)
def test_couple_stays_within_its_bounds(h, b_x, b_y, single):
    dtype = torch.float32 if single else torch.float64
    pair = (torch.tensor([b], dtype=dtype) for b in (b_x, b_y))
    held, level = (float(t) for t in Uniform(3).couple(h, *pair))
    assert 0 <= held <= h
    assert 0 <= level <= 1
    if b_x == b_y:
        assert (held, level) == (h, b_y)
    tolerance = 2**-22 if single else 1e-15
    assert held * b_x + (1 - held) * level == pytest.approx(b_y, rel=0, abs=tolerance)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_couple_is_exactly_0_or_1_where_the_ratio_binds(dtype):
    h, b_x, b_y = (t.to(dtype) for t in random_steps(5000, seed=5))
    held, level = Uniform(2).couple(h, b_x, b_y)
    assert not bool(held.isnan().any() or level.isnan().any())
    down, up = b_y < b_x, b_y > b_x
    binds_down, binds_up = down & (h * b_x > b_y), up & (h * (1 - b_x) > 1 - b_y)
    assert min(int(binds_down.sum()), int(binds_up.sum())) > 500
    assert bool((level[binds_down] == 0).all())
    assert bool((level[binds_up] == 1).all())
    close = {"rtol": 1e-6 if dtype == torch.float32 else 1e-14, "atol": 0.0}
    torch.testing.assert_close(held[binds_down], (b_y / b_x)[binds_down], **close)
    torch.testing.assert_close(held[binds_up], ((1 - b_y) / (1 - b_x))[binds_up], **close)
    free = ~(binds_down | binds_up | (h * b_x == b_y) | (h * (1 - b_x) == 1 - b_y))
    assert bool((held[free & (down | up)] == h[free & (down | up)]).all())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_couple_stays_inside_where_the_ratio_nearly_binds(dtype):
    """One rounding below the ratio, the plain formula leaves [0, 1] on the way up."""
    b_x, b_y = torch.rand(2, 20_000, dtype=dtype, generator=seeded(6)) ** 3
    ratio = torch.where(b_y < b_x, b_y / b_x, (1 - b_y) / (1 - b_x))
    h = torch.nextafter(ratio, torch.zeros_like(ratio))
    plain = (b_y - h * b_x) / (1 - h)
    assert bool((plain > 1).any())
    held, level = Uniform(2).couple(h, b_x, b_y)
    assert bool(((level >= 0) & (level <= 1)).all())
    assert bool((held <= h).all())


def test_a_step_that_always_holds_names_its_own_level():
    """Two levels that differ by less than a rounding of 1 - b: h' = 1, and b' is b_y."""
    held, level = Uniform(2).couple(1.0, f64(1e-18), f64(2e-18))
    assert (held.item(), level.item()) == (1.0, 2e-18)


def test_couple_at_the_corners():
    corners = torch.cartesian_prod(*[f64(0, 1)] * 3)  # (h, b_x, b_y)
    held, level = Uniform(2).couple(*corners.unbind(-1))
    assert held.tolist() == [0, 0, 0, 0, 1, 0, 0, 1]
    assert level.tolist() == [0, 1, 0, 1, 0, 1, 0, 1]


def test_couple_of_a_family_that_is_not_linear_passes_through():
    b_x, b_y = f64(0.3, 0.2), f64(0.9, 0.2)
    held, level = Ordinal(4).couple(0.7, b_x, b_y)
    assert held.tolist() == [0.7, 0.7]
    assert torch.equal(level, b_y)


def test_couple_takes_one_hold_an_example():
    held, level = Uniform(2).couple(f64(0.2, 0.8), f64(0.5, 0.5), f64(0.5, 0.25))
    assert held.tolist() == [0.2, 0.5]
    assert level.tolist() == [0.5, 0.0]


# -- sampling --------------------------------------------------------------------------------------

STEPS = [
    (0.5, 0.4, 0.4),
    (0.7, 0.6, 0.2),
    (0.3, 0.6, 0.5),
    (0.7, 0.2, 0.6),
    (0.95, 0.3, 0.28),
    (1.0, 0.5, 0.4),
    (1.0, 0.4, 0.5),
    (0.0, 0.5, 0.3),
    (0.6, 0.0, 0.5),
    (0.6, 1.0, 0.5),
    (0.6, 0.5, 1.0),
]


def assert_step_follows_coupling(family, h, b_x, b_y, repeats, seed, dtype=torch.float64):
    """Chi-square of `step` against `coupling`, every pair (x, z) at once."""
    v, k = family.num_states, family.num_categories
    x = torch.arange(v).repeat_interleave(k).repeat(repeats)[None]
    z = torch.arange(k).repeat(v).repeat(repeats)[None]
    b_x, b_y = torch.tensor([b_x], dtype=dtype), torch.tensor([b_y], dtype=dtype)
    y = family.step(x, z, h, b_x, b_y, seeded(seed))
    counts = counts_of((x * k + z) * v + y, v * k * v).reshape(v * k, v)
    law = family.coupling(torch.arange(v)[None], h, b_x, b_y)[0].reshape(v * k, v)
    assert_counts(counts, law)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("name", [*SMALL, "matrix-square", "matrix-generator"])
def test_step_follows_the_coupling(name, step):
    """One chi-square test a case at a false-alarm rate of 1e-6, seeds fixed."""
    assert_step_follows_coupling(FAMILIES[name], *step, repeats=4000, seed=0)


@pytest.mark.parametrize("step", STEPS)
def test_step_follows_the_coupling_from_impossible_states(step):
    """A user's masks, coupled by value: from a state that no level gives z, x is held with h."""
    assert_step_follows_coupling(Dense(Absorbing(2)), *step, repeats=4000, seed=5)


@pytest.mark.parametrize("name", SMALL)
def test_step_follows_the_coupling_at_levels_of_single_precision(name):
    assert_step_follows_coupling(FAMILIES[name], 0.8, 0.7, 0.1, 4000, 1, torch.float32)


@pytest.mark.parametrize("rounds", [0, 1])
@pytest.mark.parametrize("name", ["ordinal-3", "matrix-callable", "matrix-generator"])
def test_residuals_drawn_in_full(name, rounds, monkeypatch):
    """Without rounds of rejection every residual comes from the law written out."""
    monkeypatch.setattr(base, "_REJECTION_ROUNDS", rounds)
    for h, b_x, b_y in STEPS:
        if b_x != b_y:
            assert_step_follows_coupling(FAMILIES[name], h, b_x, b_y, repeats=2000, seed=2)


@pytest.mark.parametrize("rounds", [0, 8])
@pytest.mark.parametrize("name", ["ordinal-3", "matrix-callable"])
def test_every_example_of_a_batch_is_stepped_at_its_own_levels(name, rounds, monkeypatch):
    """Three examples with other holds and levels each; chi-square at 1e-6."""
    monkeypatch.setattr(base, "_REJECTION_ROUNDS", rounds)
    family, repeats = FAMILIES[name], 3000
    k, v = family.num_categories, family.num_states
    hold, b_x, b_y = f64(0.9, 0.3, 0.6), f64(0.6, 0.2, 0.5), f64(0.3, 0.7, 0.45)
    x = torch.arange(v).repeat_interleave(k).repeat(repeats).expand(3, -1)
    z = torch.arange(k).repeat(v * repeats).expand(3, -1)
    y = family.step(x, z, hold, b_x, b_y, seeded(6))
    rows = (torch.arange(3)[:, None] * v + x) * k + z
    law = family.coupling(torch.arange(v).expand(3, -1), hold, b_x, b_y)
    assert_counts(counts_of(rows * v + y, 3 * v * k * v).reshape(-1, v), law.reshape(-1, v))


@pytest.mark.parametrize("family", [Ordinal(3), Dense(Ordinal(3))])
def test_the_last_round_of_rejection_may_take_everything(family, monkeypatch):
    """At hold 0 nothing is refused, so that nothing is left to draw in full."""
    monkeypatch.setattr(base, "_REJECTION_ROUNDS", 1)
    assert_step_follows_coupling(family, 0.0, 0.5, 0.3, repeats=2000, seed=4)


def test_near_levels_at_hold_1_reach_the_residual_in_full(monkeypatch):
    """Where rejection hardly ever accepts, the law is still right: the leftover path runs."""
    rows = []
    original = draws.weighted

    def spy(weights, generator=None):
        rows.append(weights.shape[0])
        return original(weights, generator)

    family = Ordinal(3)
    monkeypatch.setattr(draws, "weighted", spy)
    assert_step_follows_coupling(family, 1.0, 0.5, 0.45, repeats=200_000, seed=3)
    assert len(rows) == 1 and rows[0] > 1000  # Ordinal samples without `weighted`


@every_shape
@pytest.mark.parametrize("name", ["uniform-2", "absorbing-4", "ordinal-16", "matrix-callable"])
def test_levels_and_holds_belong_to_their_examples(name, shape):
    """Examples at b_y = 0 come back clean, those with hold 1 at equal levels unmoved."""
    family = FAMILIES[name]
    z = torch.randint(0, family.num_categories, (4, *shape), generator=seeded(0))
    b_x, b_y = f64(0.9, 0.9, 0.0, 0.5), f64(0.0, 0.9, 0.0, 0.1)
    x = family.sample(z, b_x, seeded(1))
    y = family.step(x, z, f64(0.5, 1.0, 0.3, 0.5), b_x, b_y, seeded(2))
    assert y.shape == x.shape and y.dtype == torch.long
    assert torch.equal(y[0], z[0])
    assert torch.equal(y[1], x[1])
    assert torch.equal(y[2], z[2])


@given(
    name=family_names,
    shape=st.sampled_from(SHAPES[:3]),
    hold=st.tuples(fractions, fractions),
    levels=st.lists(fractions, min_size=4, max_size=4),
    seed=st.integers(0, 1000),
)
def test_a_step_reaches_only_possible_states(name, shape, hold, levels, seed):
    """Whatever happens, y is a state that level b_y gives z; the same seed gives the same bytes."""
    family = FAMILIES[name]
    z = torch.randint(0, family.num_categories, (2, *shape), generator=seeded(seed))
    b_x, b_y = torch.tensor(levels).reshape(2, 2)
    x = family.sample(z, b_x, seeded(seed))
    y = family.step(x, z, torch.tensor(hold), b_x, b_y, seeded(seed + 1))
    again = family.step(x, z, torch.tensor(hold), b_x, b_y, seeded(seed + 1))
    assert y.shape == z.shape and y.dtype == torch.long
    assert torch.equal(y, again)
    for level, states in [(b_x, x), (b_y, y)]:
        assert bool((family.log_prob(z, states, level) > -math.inf).all())
    for i in range(2):
        if b_y[i] == 0:
            assert torch.equal(y[i], z[i])
        if b_x[i] == b_y[i] and hold[i] == 1:
            assert torch.equal(y[i], x[i])


# -- closed forms and dense defaults ---------------------------------------------------------------

LEVELS = f64(0.0, 1e-4, 0.3, 0.7, 1.0)


@every_shape
@every_family
def test_closed_forms_equal_the_dense_defaults(name, shape):
    family = FAMILIES[name]
    dense = Dense(family)
    g = seeded(7)
    x = torch.randint(0, family.num_states, (5, *shape), generator=g)
    z = torch.randint(0, family.num_categories, (5, *shape), generator=g)
    log_pz = torch.randn(*x.shape, family.num_categories, generator=g).double().log_softmax(-1)
    close = {"rtol": 1e-12, "atol": 1e-12}
    for method, inputs in [
        ("log_prob", (z, x)),
        ("log_likelihood", (x,)),
        ("log_push_forward", (log_pz, x)),
    ]:
        pair = [getattr(of, method)(*inputs, LEVELS) for of in (family, dense)]
        pair = [t.masked_fill(t < -700, -torch.inf) for t in pair]  # less than a matrix can hold
        torch.testing.assert_close(*pair, **close)
    one = family.log_push_forward(log_pz, x, 0.25)  # a number is a level of single precision
    torch.testing.assert_close(one, dense.log_push_forward(log_pz, x, 0.25), rtol=0, atol=1e-6)
    assert family.forgets == dense.forgets


@every_family
def test_dense_defaults_equal_the_matrices(name):
    """The defaults themselves, against indexing the matrix by hand."""
    family = FAMILIES[name]
    dense = Dense(family)
    k, v = family.num_categories, family.num_states
    z, x = torch.arange(k).repeat_interleave(v), torch.arange(v).repeat(k)
    log_pz = torch.randn(k, generator=seeded(8)).double().log_softmax(-1)
    for level in (0.0, 0.2, 1.0):
        q = family.matrix(level).double()
        q = q / q.sum(-1, keepdim=True)
        at = torch.full((k * v,), level).double()
        torch.testing.assert_close(dense.log_prob(z, x, at).exp().reshape(k, v), q)
        torch.testing.assert_close(dense.log_likelihood(x, at).exp(), q.T[x])
        pushed = dense.log_push_forward(log_pz.expand(k * v, k), x, at).exp()
        torch.testing.assert_close(pushed[:v], log_pz.exp() @ q)


@every_family
def test_push_forward_keeps_the_dtype_of_the_network(name):
    family = FAMILIES[name]
    x = torch.zeros(2, 3, dtype=torch.long)
    log_pz = torch.full((2, 3, family.num_categories), -1.0)
    for level in (0.5, f64(0.5, 0.25)):
        assert family.log_push_forward(log_pz, x, level).dtype == torch.float32


@pytest.mark.parametrize("dense", [False, True])
@every_family
def test_sample_follows_the_matrix(name, dense):
    """One chi-square test a case at a false-alarm rate of 1e-6; four levels in one batch."""
    family = FAMILIES[name]
    family = Dense(family) if dense else family
    k, v, levels, repeats = family.num_categories, family.num_states, f64(0.0, 0.15, 0.6, 1.0), 4000
    z = torch.arange(k).repeat(repeats).expand(4, -1)
    x = family.sample(z, levels, seeded(9))
    rows = torch.arange(4)[:, None] * k + z
    counts = counts_of(rows * v + x, 4 * k * v).reshape(4 * k, v)
    laws = matrices_at(family, levels).reshape(4 * k, v)
    assert_counts(counts, laws / laws.sum(-1, keepdim=True))


@every_family
def test_level_0_is_the_identity_and_level_1_what_forgets_says(name):
    family = FAMILIES[name]
    k, v = family.num_categories, family.num_states
    torch.testing.assert_close(family.matrix(0.0).double(), torch.eye(k, v).double())
    q = family.matrix(1.0).double()
    rows_equal = bool((q - q[0]).abs().max() < 1e-9)
    assert family.forgets == rows_equal
    z = torch.arange(k).repeat(50)[None]
    assert torch.equal(family.sample(z, 0.0), z)
    if not name.startswith("matrix"):
        assert family.forgets


def test_a_state_that_cannot_be_redrawn_has_a_gradient_of_0():
    """log sum_z p(z) Q_b[z, x] = -inf for a mask at b = 0: where it is held, no NaN comes back."""
    dense = Dense(Absorbing(2), linear=True)
    logits = torch.zeros(1, 2, 2, dtype=torch.float64, requires_grad=True)
    x = torch.tensor([[2, 1]])
    found = dense.log_push_forward(logits.log_softmax(-1), x, f64(0.0))
    assert found.tolist() == [[-math.inf, pytest.approx(math.log(0.5))]]
    held = torch.logaddexp(f64(0.5).log(), found)
    (gradient,) = torch.autograd.grad(held.sum(), logits)
    assert gradient[0, 0].tolist() == [0.0, 0.0]
    assert gradient[0, 1].tolist() == pytest.approx([-0.25, 0.25])


@every_shape
@pytest.mark.parametrize("name", ["uniform-5", "absorbing-2", "ordinal-3", "matrix-callable"])
def test_initial_draws_the_law_at_level_1(name, shape):
    family = FAMILIES[name]
    count = 12_000 // max(1, math.prod(shape))
    x = family.initial(count, shape, seeded(10))
    assert x.shape == (count, *shape) and x.dtype == torch.long
    q = family.matrix(1.0)[0].double()
    assert_counts(counts_of(x, family.num_states), q)


def test_initial_refuses_noise_that_remembers():
    with pytest.raises(ValueError, match="Matrix does not forget z at level 1"):
        FAMILIES["matrix-square"].initial(2, (3,))


@pytest.mark.parametrize("name", SMALL)
def test_reveals_only_what_the_state_tells(name):
    family = FAMILIES[name]
    x = torch.arange(family.num_states)[None]
    revealed = family.reveals(x)
    if name.startswith("absorbing"):
        assert revealed.tolist() == [[True] * family.num_categories + [False]]
    else:
        assert revealed is None


# -- what structured families cost -----------------------------------------------------------------


def tokens_4096(alpha=0.5):
    frequencies = torch.rand(4096, generator=seeded(20)).double()
    near = near_ordinal(4096, 4)
    return TokenNoise(4096, 0.25, 0.25, frequencies / frequencies.sum(), near, alpha)


@pytest.mark.parametrize(
    "family",
    [
        Uniform(4096),
        Absorbing(4096),
        Ordinal(4096),
        tokens_4096(),
        tokens_4096(alpha=0.0),
        Matrix(near_ordinal(4096, 4)),
    ],
    ids=lambda family: type(family).__name__,
)
def test_structured_families_build_no_matrix(family, monkeypatch):
    """At K = 4096 no operation returns more than a few tensors of shape (B, *S, K)."""

    def refuse(self, level):
        raise AssertionError("a structured family built its matrix")

    monkeypatch.setattr(type(family), "matrix", refuse)
    b, sites, k = 2, 3, family.num_categories
    z = torch.randint(0, k, (b, sites), generator=seeded(11))
    b_x, b_y = f64(0.5, 0.2), f64(0.4, 0.7)
    log_pz = torch.randn(b, sites, k, generator=seeded(12)).double().log_softmax(-1)
    with LargestStorage() as seen:
        forgets = family.forgets
        x = family.sample(z, b_x)
        family.log_prob(z, x, b_x)
        family.log_likelihood(x, b_x)
        family.log_push_forward(log_pz, x, b_x)
        y = family.step(x, z, 0.5, b_x, b_y)
        family.step(y, z, 0.5, b_y, b_y)
        if forgets:
            family.initial(b, (sites,))
    assert forgets or isinstance(family, Matrix)
    dense = k * k * 8
    assert seen.bytes <= 4 * b * sites * k * 8 < dense / 100


def test_a_rejected_residual_in_full_needs_only_its_own_sites():
    """The leftover path of a large family: (sites left, V), not (K, V)."""
    family = Ordinal(4096)
    z = torch.full((1, 8), 2000)
    with LargestStorage() as seen:
        family.step(z, z, 1.0, f64(0.5), f64(0.499))
    assert seen.bytes <= 8 * 8 * 4096 * 8


# -- a user's own noise ----------------------------------------------------------------------------


class Given(Corruption):
    """Whatever matrix it is given, at every level."""

    def __init__(self, q):
        super().__init__(q.shape[-2], q.shape[-1])
        self.q = q

    def matrix(self, level):
        return self.q


def test_a_user_family_is_coupled_like_any_other():
    near = Dense(FAMILIES["matrix-callable"])
    assert not near.linear
    assert marginal_error(near, *random_steps(300, seed=12)) < 1e-12
    linear = Dense(FAMILIES["matrix-wide"], linear=True)
    assert marginal_error(linear, *random_steps(300, seed=13)) < 1e-12
    assert_step_follows_coupling(linear, 0.7, 0.2, 0.6, repeats=4000, seed=14)
    assert_step_follows_coupling(near, 0.7, 0.2, 0.6, repeats=4000, seed=15)


@pytest.mark.parametrize(
    ("q", "message"),
    [
        ([[0.5, 0.5], [0.2, 0.7]], r"Given.matrix\(0.5\) row 1 sums to 0.9; allowed: 1"),
        ([[1.5, -0.5], [0.0, 1.0]], r"has negative entries; the smallest is -0.5"),
        ([[math.nan, 1.0], [0.0, 1.0]], "has entries that are not finite"),
        ([[math.inf, 1.0], [0.0, 1.0]], "has entries that are not finite"),
    ],
)
def test_matrices_that_are_not_row_stochastic_are_refused(q, message):
    with pytest.raises(ValueError, match=message):
        Given(torch.tensor(q)).sample(torch.zeros(1, 2, dtype=torch.long), 0.5)


def test_a_matrix_of_the_wrong_shape_is_refused():
    family = Given(torch.eye(3))
    family.q = torch.eye(2)
    with pytest.raises(ValueError, match=r"matrix\(0.25\) has shape \(2, 2\); allowed: \(3, 3\)"):
        family.checked_matrix(0.25)


def test_rounded_rows_are_normalised():
    q = torch.tensor([[1 / 3, 2 / 3], [0.1, 0.9]]).float()
    found = Given(q).checked_matrix(0.5)
    assert found.dtype == torch.float64
    torch.testing.assert_close(found.sum(-1), f64(1, 1), rtol=0, atol=1e-15)


def test_sizes_are_checked_and_printed():
    assert repr(Absorbing(3)) == "Absorbing(num_categories=3, num_states=4)"
    with pytest.raises(ValueError, match="num_categories was 0; allowed: a whole number >= 1"):
        Uniform(0)
    with pytest.raises(ValueError, match="num_states was 2; allowed: a whole number >= 3"):
        Given(torch.ones(3, 2) / 2)


@pytest.mark.parametrize(
    ("z", "level", "error", "message"),
    [
        (torch.tensor([[0, 3]]), 0.5, ValueError, r"z holds values in \[0, 3\]; allowed: 0 .. 2"),
        (torch.tensor([[0, -1]]), 0.5, ValueError, r"z holds values in \[-1, 0\]"),
        (torch.tensor([[0.0]]), 0.5, TypeError, "z has dtype torch.float32; allowed: torch.int64"),
        (torch.tensor([[0]]), 1.5, ValueError, r"level was 1.5; allowed: \[0, 1\]"),
        (torch.tensor([[0]]), torch.tensor([0.1, 0.2]), ValueError, r"level has shape \(2,\)"),
    ],
)
def test_sample_checks_its_arguments(z, level, error, message):
    with pytest.raises(error, match=message):
        Ordinal(3).sample(z, level)


@every_family
def test_whether_states_rule_out_categories_is_what_the_matrix_says(name):
    family = FAMILIES[name]
    expected = bool((family.matrix(0.5) == 0).any())
    assert family.rules_out == Dense(family).rules_out == expected


def test_of_noise_that_forgets_to_masks_every_token_tells_itself():
    assert TokenNoise(3, mask=1.0).rules_out and not TokenNoise(3, mask=0.5, uniform=0.5).rules_out
    full = torch.full((3, 3), 1 / 3).double()
    assert not Matrix(full.to_sparse()).rules_out
    full[0] = f64(0.5, 0.5, 0.0)
    assert Matrix(full.to_sparse()).rules_out


def test_a_constructor_that_forgets_its_base_is_refused_by_name():
    class Forgetful(Corruption):
        def __init__(self, num_categories):
            self.num_categories = num_categories

        def matrix(self, level):
            return torch.eye(self.num_categories)

    with pytest.raises(TypeError, match=r"Forgetful.__init__ did not call super\(\).__init__"):
        Forgetful(3)
