"""Expectations under ordinal noise, straight from logits, against sums in float64 logarithms."""

from __future__ import annotations

import math

import pytest
import torch

from discrete_ca import CategoricalNoiseKernel, logits
from discrete_ca.corruption import Ordinal
from discrete_ca.corruption.windows import log_window_sums
from discrete_ca.distributions import Categorical
from discrete_ca.errors import NonFiniteError
from tests.helpers import SHAPES, Fixed, LargestStorage, f64, seeded

LEVELS = f64(0.02, 0.5, 1.0)


def window(k, b=LEVELS):
    return Ordinal(k)._window(b)


def reference(values, x, b=LEVELS):
    """``log Σ_z p(z) Q[z, x]`` by float64 logarithms over the whole."""
    k = values.shape[-1]
    every = torch.arange(k).expand(*x.shape, k)
    log_q = torch.stack(
        [Ordinal(k).log_prob(every[..., z], x, b) for z in range(k)], -1
    )  # one z after another: another way than windows
    return (values.double().log_softmax(-1) + log_q).logsumexp(-1)


def draw(shape, k, spread=3.0, seed=0):
    values = spread * torch.randn(3, *shape, k, generator=seeded(seed), dtype=torch.float64)
    return values, torch.randint(0, k, (3, *shape), generator=seeded(seed + 1))


@pytest.mark.parametrize("piece", [1, 7, 1 << 17])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("k", [1, 2, 5, 32])
def test_values_and_gradients_are_those_of_the_sum(k, shape, piece, monkeypatch):
    monkeypatch.setattr(logits, "PIECE", piece * k)
    values, x = draw(shape, k)
    values.requires_grad_()
    weights = torch.randn(x.shape, generator=seeded(2), dtype=torch.float64)
    ours, theirs = log_window_sums(values, x, window(k)), reference(values, x)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    (found,) = torch.autograd.grad((ours * weights).sum(), values)
    (wanted,) = torch.autograd.grad((theirs * weights).sum(), values)
    torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("spread", [1.0, 30.0, 300.0])
def test_single_precision_at_256_levels_however_far_x_lies(spread):
    """Nearly all sums of the last two cases are too small for plain numbers."""
    values, x = draw((64,), 256, spread)
    values = values.float().requires_grad_()
    ours = log_window_sums(values, x, window(256))
    assert ours.dtype == torch.float32
    wide = values.detach().double().requires_grad_()
    theirs = reference(wide, x)
    torch.testing.assert_close(ours.double(), theirs, rtol=2e-6, atol=2e-6)
    (found,) = torch.autograd.grad(ours.sum(), values)
    (wanted,) = torch.autograd.grad(theirs.sum(), wide)
    torch.testing.assert_close(found.double(), wanted, rtol=2e-4, atol=2e-5)


def test_sums_far_below_plain_numbers_are_taken_in_logarithms():
    values = torch.full((1, 256), -math.inf)
    values[0, 0] = 0.0
    found = log_window_sums(values, torch.tensor([255]), window(256, f64(0.02)))
    expected = Ordinal(256).log_prob(torch.tensor([0]), torch.tensor([255]), 0.02)
    assert float(found) < -20_000
    torch.testing.assert_close(found.double(), expected, rtol=1e-6, atol=0)


def test_what_never_happens_is_minus_infinity_without_a_gradient():
    values = f64(0.0, -math.inf, 1.0).expand(2, 3).clone().requires_grad_()
    found = log_window_sums(values, torch.tensor([1, 0]), window(3, f64(0.0, 0.0)))
    assert found[0] == -math.inf
    assert float(found[1].detach()) == pytest.approx(-math.log(1 + math.e))
    (slope,) = torch.autograd.grad(found.sum(), values)
    assert torch.equal(slope[0], torch.zeros(3).double())
    assert bool(slope.isfinite().all())


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_rows_that_are_no_law_give_nan(bad):
    values = torch.zeros(2, 3)
    values[1, 2] = bad
    found = log_window_sums(values, torch.tensor([0, 0]), window(3, f64(0.3, 0.3)))
    assert math.isfinite(found[0]) and math.isnan(found[1])
    kernel = CategoricalNoiseKernel(Fixed(values[1]), Ordinal(3))
    x = torch.tensor([[0]])
    with pytest.raises(NonFiniteError, match="Fixed returned logits that are not finite"):
        kernel.transition(x, 0.3).log_prob(x)


def test_half_precision_is_worked_on_in_single():
    values, x = draw((5,), 16)
    values = values.bfloat16().requires_grad_()
    found = log_window_sums(values, x, window(16))
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), reference(values.detach(), x), rtol=1e-5, atol=1e-5)
    found.sum().backward()
    assert values.grad.dtype == torch.bfloat16


def test_gradients_of_gradients(monkeypatch):
    monkeypatch.setattr(logits, "PIECE", 5)  # more than one piece
    values, x = draw((2,), 5)
    values.requires_grad_()

    def penalty(of):
        (slope,) = torch.autograd.grad(of(values.tanh(), x).sum(), values, create_graph=True)
        return torch.autograd.grad((slope**2).sum(), values)[0]

    found = penalty(lambda v, x: log_window_sums(v, x, window(5)))
    torch.testing.assert_close(found, penalty(reference))


def test_categories_last_in_memory_or_not():
    values, x = draw((4,), 6)
    moved = values.movedim(1, -1).contiguous().movedim(-1, 1).requires_grad_()
    ours = log_window_sums(moved, x, window(6))
    torch.testing.assert_close(ours, reference(values, x))
    (slope,) = torch.autograd.grad(ours.sum(), moved)
    assert slope.shape == moved.shape


def test_known_sites_are_point_masses():
    values, x = draw((4,), 9)
    mask = torch.tensor([True, False, False, True]).expand(3, 4)
    clean = torch.randint(0, 9, (3, 4), generator=seeded(9))
    law = Categorical(values, (mask, clean))
    found = Ordinal(9).log_push_forward_from(law, x, LEVELS)
    torch.testing.assert_close(found, Ordinal(9).log_push_forward(law.log_probs, x, LEVELS))


def test_a_batch_of_nothing():
    found = log_window_sums(
        torch.zeros(0, 3, 4), torch.zeros(0, 3).long(), window(4, torch.zeros(0).double())
    )
    assert found.shape == (0, 3)


@pytest.mark.parametrize("with_gradient", [False, True])
def test_nothing_of_the_logits_size_is_made_but_their_gradient(with_gradient, monkeypatch):
    monkeypatch.setattr(logits, "PIECE", 256 * 8)
    values, x = draw((50,), 256)
    values = values.float().requires_grad_(with_gradient)
    whole = values.numel() * 4
    law = CategoricalNoiseKernel(Fixed(values[0, 0]), Ordinal(256)).transition(x, LEVELS)
    law.read_out.logits = values
    with LargestStorage(values) as forward:
        found = law.log_prob(x)
    assert forward.bytes < whole / 8
    if with_gradient:
        with LargestStorage(values) as backward:
            found.sum().backward()
        assert backward.bytes <= whole
