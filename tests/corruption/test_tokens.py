"""Token noise against its equation, its limits, and what it refuses."""

from __future__ import annotations

import math

import pytest
import torch

import discrete_ca as dca
from discrete_ca.corruption import Absorbing, TokenNoise, Uniform, near_ordinal, tokens
from discrete_ca.data import DiscreteData
from discrete_ca.errors import DataError, NonFiniteError
from tests.helpers import SHAPES, Smooth, f64, hubs, seeded

LEVELS = (0.0, 1e-3, 0.3, 0.8, 1.0)
PI = f64(0.5, 0.3, 0.15, 0.05)


@pytest.mark.parametrize("alpha", [0.0, 0.4, 0.999])
@pytest.mark.parametrize(
    ("mask", "uniform"), [(0.0, 0.0), (0.5, 0.0), (0.25, 0.25), (0.0, 1.0), (1.0, 0.0)]
)
def test_the_equation(mask, uniform, alpha):
    near = hubs(4)
    family = TokenNoise(4, mask, uniform, PI, near, alpha)
    states = 5 if mask else 4
    assert family.num_states == states and family.mask_state == (4 if mask else None)
    assert family.linear == (alpha == 0) and family.forgets
    law = torch.zeros(states).double()
    law[:4] = (1 - mask - uniform) * PI + uniform / 4
    law[4:] = mask
    s = torch.zeros(4, states).double()
    s[:, :4] = near.to_dense()
    for b in LEVELS:
        eye = torch.eye(4, states).double()
        expected = (1 - b) * eye + b * (1 - b) * alpha * s + b * (1 - (1 - b) * alpha) * law
        torch.testing.assert_close(family.matrix(b), expected, rtol=0, atol=1e-15)
        torch.testing.assert_close(family.matrix(b).sum(-1), torch.ones(4).double())


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("family", "other"),
    [(TokenNoise(4, uniform=1.0), Uniform(4)), (TokenNoise(4, mask=1.0), Absorbing(4))],
)
def test_uniform_and_absorbing_noise_are_special_cases(family, other, shape):
    z = torch.randint(0, 4, (3, *shape), generator=seeded(0))
    x = torch.randint(0, other.num_states, (3, *shape), generator=seeded(1))
    log_pz = torch.randn(*x.shape, 4, generator=seeded(2)).double().log_softmax(-1)
    b = f64(0.1, 0.5, 1.0)
    for method, inputs in [
        ("log_prob", (z, x)),
        ("log_likelihood", (x,)),
        ("log_push_forward", (log_pz, x)),
    ]:
        found, expected = (getattr(f, method)(*inputs, b) for f in (family, other))
        torch.testing.assert_close(found, expected)
    found, expected = family.reveals(x), other.reveals(x)
    assert (found is None and expected is None) or torch.equal(found, expected)


def test_alpha_is_a_half_where_near_tokens_are_given():
    assert TokenNoise(3, uniform=1.0, near=near_ordinal(3)).alpha == 0.5
    assert TokenNoise(3, uniform=1.0).alpha == 0.0


def test_a_mask_with_carry_over():
    """A mask tells nothing, and no other state is certain: the read-out is the network's."""
    net = Smooth(3, 4)
    x = torch.tensor([[0, 1, 2, 3]])
    noise = TokenNoise(3, mask=0.5, frequencies=f64(0.6, 0.3, 0.1), near=near_ordinal(3))
    kernels = [dca.CategoricalNoiseKernel(net, noise, 0.5, carry_over=c) for c in (True, False)]
    first, second = (k.transition(x, 0.4) for k in kernels)
    torch.testing.assert_close(first.probs(), second.probs())
    pure = dca.CategoricalNoiseKernel(net, TokenNoise(3, mask=1.0), 0.5)
    absorbing = dca.CategoricalNoiseKernel(net, Absorbing(3), 0.5)
    y = torch.tensor([[0, 1, 2, 0]])
    found, expected = (k.transition(x, 0.4).log_prob(y) for k in (pure, absorbing))
    torch.testing.assert_close(found, expected)


def test_logits_that_are_not_finite_are_refused():
    noise = TokenNoise(3, mask=0.5, uniform=0.5, near=near_ordinal(3))
    law = dca.distributions.Categorical(torch.full((1, 2, 3), math.nan), source="Net")
    for x in (torch.tensor([[0, 1]]), torch.tensor([[3, 3]])):
        with pytest.raises(NonFiniteError, match="Net returned logits that are not finite"):
            noise.log_push_forward_from(law, x, 0.5)


def test_a_chain_runs_and_trains():
    """From the law at level 1 down, and one step of training with a finite gradient."""
    data = torch.randint(0, 5, (64, 6), generator=seeded(3))
    noise = TokenNoise.from_data(data, 5, near=near_ordinal(5))
    kernel = dca.CategoricalNoiseKernel(dca.nn.MLP(5, 6, shape=(6,), width=16), noise, 0.5)
    loss = dca.ContrastiveAdjustment()(kernel, data, generator=seeded(4)).mean()
    loss.backward()
    slopes = [p.grad for p in kernel.parameters() if p.grad is not None]
    assert slopes and all(bool(g.isfinite().all()) for g in slopes)
    x = dca.sample(kernel, 8, (6,), moves=6, correctors=1, generator=seeded(5))
    assert x.shape == (8, 6) and int(x.max()) < 5


# -- frequencies of data ---------------------------------------------------------------------------


@pytest.mark.parametrize("at_once", [1, 7, 1 << 22])
@pytest.mark.parametrize("shape", SHAPES)
def test_frequencies_are_counted(shape, at_once, monkeypatch):
    monkeypatch.setattr(tokens, "_SITES", at_once)
    states = torch.randint(0, 5, (9, *shape), generator=seeded(6)) ** 2 // 4
    counts = torch.stack([(states == z).sum() for z in range(6)])
    for data in (states, states.to(torch.uint8), DiscreteData(states, 6)):
        assert torch.equal(tokens.token_counts(data, 6), counts)
        family = TokenNoise.from_data(data, 6, mask=0.25, floor=0.0)
        torch.testing.assert_close(family.fresh[:6], 0.75 * counts.double() / counts.sum())
        assert float(family.fresh[6]) == 0.25
    assert TokenNoise.from_data(DiscreteData(states, 6)).num_categories == 6


def test_what_is_not_seen_counts_as_seen_so_often():
    data = torch.tensor([[0, 0, 0, 1]])
    family = TokenNoise.from_data(data, 4, mask=0.0, floor=0.5)
    assert family.fresh.tolist() == [0.6, 0.2, 0.1, 0.1]


def test_data_with_tokens_that_are_never_drawn_are_refused():
    frequencies = f64(0.5, 0.0, 0.5)
    data = torch.tensor([[0, 1, 1]])
    with pytest.raises(DataError, match="data hold token 1 2 times, of which frequencies say 0"):
        TokenNoise(3, frequencies=frequencies).check_data(data)
    TokenNoise(3, uniform=0.1, frequencies=frequencies).check_data(data)
    TokenNoise(3, mask=1.0).check_data(data)
    TokenNoise(3, frequencies=frequencies).check_data(torch.tensor([[0, 2]]))
    TokenNoise.from_data(data, 3).check_data(torch.tensor([[0, 1, 2]]))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (torch.tensor([[0, 3]]), r"data hold values in \[0, 3\]; allowed: 0 .. 2"),
        (torch.tensor([[-1, 2]]), r"data hold values in \[-1, 2\]; allowed: 0 .. 2"),
        (torch.tensor([[0.5]]), "data have dtype torch.float32; allowed: integers"),
        (torch.zeros(0, 3).long(), "data hold no tokens; allowed: at least one"),
        (torch.zeros(3, 0).long(), "data hold no tokens; allowed: at least one"),
    ],
)
def test_data_that_cannot_be_counted_are_refused(data, message):
    with pytest.raises(DataError, match=message):
        TokenNoise.from_data(data, 3)


@pytest.mark.parametrize("floor", [-1.0, math.nan, math.inf])
def test_the_floor_is_checked(floor):
    with pytest.raises(ValueError, match=f"floor was {floor}; allowed: a number >= 0"):
        TokenNoise.from_data(torch.tensor([[0]]), 3, floor=floor)
    with pytest.raises(ValueError, match="num_categories was None; allowed: K"):
        TokenNoise.from_data(torch.tensor([[0]]))


# -- what is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, r"mask \+ uniform was 0 without frequencies; allowed: 1"),
        ({"mask": 0.5, "uniform": 0.2}, r"mask \+ uniform was 0.7 without frequencies; allowed: 1"),
        ({"mask": 0.9, "uniform": 0.2}, r"mask \+ uniform was 1.1 without frequencies; allowed: 1"),
        (
            {"mask": 0.9, "uniform": 0.2, "frequencies": PI},
            r"mask \+ uniform was 1.1; allowed: at most 1, the rest being that of frequencies",
        ),
        ({"mask": -0.1, "frequencies": PI}, r"mask was -0.1; allowed: \[0, 1\]"),
        ({"mask": math.nan, "frequencies": PI}, r"mask was nan; allowed: \[0, 1\]"),
        ({"uniform": 1.5}, r"uniform was 1.5; allowed: \[0, 1\]"),
        ({"frequencies": PI[:3]}, r"frequencies have shape \(3,\); allowed: \(4,\)"),
        ({"frequencies": PI[None]}, r"frequencies have shape \(1, 4\); allowed: \(4,\)"),
        ({"frequencies": 2 * PI}, "frequencies sum to 2; allowed: 1"),
        ({"frequencies": f64(1.5, -0.5, 0, 0)}, "frequencies hold -0.5; allowed: finite numbers"),
        ({"frequencies": f64(math.nan, 1, 0, 0)}, "frequencies hold .*; allowed: finite numbers"),
        ({"uniform": 1.0, "alpha": 0.5}, "alpha was 0.5 without near; allowed: 0"),
        ({"uniform": 1.0, "near": near_ordinal(3)}, r"near has shape \(3, 3\); allowed: \(4, 4\)"),
        ({"uniform": 1.0, "near": torch.zeros(4, 4)}, "near row 0 is empty"),
        ({"uniform": 1.0, "near": 2 * torch.eye(4)}, "near row 0 sums to 2; allowed: 1"),
        ({"uniform": 1.0, "near": -torch.eye(4)}, "near has negative entries; the smallest is -1"),
        *[
            (
                {"uniform": 1.0, "near": torch.eye(4), "alpha": alpha},
                rf"alpha was {alpha}; allowed: \[0, 1\)",
            )
            for alpha in (1.0, -0.1, 1.5, math.nan)
        ],
    ],
)
def test_bad_arguments_are_refused_by_name(arguments, message):
    with pytest.raises(ValueError, match=message):
        TokenNoise(4, **arguments)


def test_types_and_sizes_are_refused_by_name():
    with pytest.raises(TypeError, match="frequencies have dtype torch.int64"):
        TokenNoise(2, frequencies=torch.tensor([1, 0]))
    with pytest.raises(TypeError, match="near was of torch.int64; allowed: a floating tensor"):
        TokenNoise(2, uniform=1.0, near=torch.eye(2).long())
    with pytest.raises(ValueError, match="num_categories was 0; allowed: a whole number >= 1"):
        TokenNoise(0, uniform=1.0)


def test_single_precision_frequencies_are_normalised():
    frequencies = torch.rand(50_000, generator=seeded(7)).softmax(0)
    family = TokenNoise(50_000, mask=0.3, uniform=0.1, frequencies=frequencies)
    assert abs(float(family.fresh.sum()) - 1) < 1e-14
    assert TokenNoise(4, mask=0.1, uniform=0.2, frequencies=PI).bfloat16().fresh.dtype == PI.dtype
