"""Log-probabilities from logits: values and gradients against log_softmax."""

import math

import pytest
import torch

from discrete_ca import logits
from discrete_ca.logits import log_prob_at, log_sum_exp
from tests.helpers import SHAPES, seeded


def reference(values, index):
    return values.log_softmax(-1).gather(-1, index.unsqueeze(-1)).squeeze(-1)


@pytest.mark.parametrize("piece", [1, 7, 1 << 17])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("k", [1, 2, 5])
def test_values_and_gradients_are_those_of_log_softmax(k, shape, piece, monkeypatch):
    monkeypatch.setattr(logits, "PIECE", piece)
    values = (5 * torch.randn(3, *shape, k, generator=seeded(0))).double().requires_grad_()
    index = torch.randint(0, k, (3, *shape), generator=seeded(1))
    weights = torch.randn(3, *shape, generator=seeded(2)).double()
    ours, theirs = log_prob_at(values, index), reference(values, index)
    torch.testing.assert_close(ours, theirs, rtol=1e-13, atol=1e-13)
    (found,) = torch.autograd.grad((ours * weights).sum(), values)
    (wanted,) = torch.autograd.grad((theirs * weights).sum(), values)
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-13)


def test_categories_last_in_memory_or_not():
    values = torch.randn(2, 4, 3, generator=seeded(3)).double().requires_grad_()
    index = torch.randint(0, 4, (2, 3), generator=seeded(4))
    moved = values.movedim(1, -1)
    torch.testing.assert_close(log_prob_at(moved, index), reference(moved, index))
    (found,) = torch.autograd.grad(log_prob_at(moved, index).sum(), values)
    (wanted,) = torch.autograd.grad(reference(moved, index).sum(), values)
    torch.testing.assert_close(found, wanted)


def test_excluded_categories():
    values = torch.tensor([[0.0, -math.inf, 1.0]]).double().requires_grad_()
    for k in range(3):
        index = torch.tensor([k])
        assert torch.equal(log_prob_at(values, index), reference(values, index))
    (slope,) = torch.autograd.grad(log_prob_at(values, torch.tensor([0])).sum(), values)
    assert torch.isfinite(slope).all()
    assert slope[0, 1] == 0


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_worked_on_in_single(dtype):
    values = torch.randn(4, 5, generator=seeded(5)).to(dtype).requires_grad_()
    index = torch.tensor([0, 1, 2, 3])
    found = log_prob_at(values, index)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, reference(values.float(), index))
    found.sum().backward()
    assert values.grad.dtype == dtype


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_rows_that_are_no_law_give_nan(bad):
    values = torch.zeros(2, 3)
    values[1, 2] = bad
    found = log_prob_at(values, torch.tensor([0, 0]))
    assert math.isfinite(found[0]) and math.isnan(found[1])
    assert math.isnan(log_prob_at(torch.full((1, 2), -math.inf), torch.tensor([0])))


@pytest.mark.parametrize("num", [2, 300])
def test_memory_of_a_gradient_is_one_copy_of_the_logits(num):
    """What is kept between the passes is the logits themselves."""
    values = torch.randn(50, num, generator=seeded(6)).requires_grad_()
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        log_prob_at(values, torch.zeros(50, dtype=torch.long))
    large = {t.data_ptr() for t in kept if t.numel() == values.numel()}
    assert large == {values.data_ptr()}


def test_gradients_of_gradients_are_those_of_log_softmax():
    values = torch.randn(3, 4, generator=seeded(7)).double().requires_grad_()
    index = torch.tensor([0, 3, 1])

    def penalty(of):
        (slope,) = torch.autograd.grad(of(values.tanh(), index).sum(), values, create_graph=True)
        return torch.autograd.grad((slope**2).sum(), values)[0]

    torch.testing.assert_close(penalty(log_prob_at), penalty(reference))


def test_functional_transforms():
    values, index = torch.randn(3, 4, generator=seeded(8)).double(), torch.tensor([0, 3, 1])
    found = torch.func.grad(lambda v: log_prob_at(v, index).sum())(values)
    torch.testing.assert_close(found, torch.func.grad(lambda v: reference(v, index).sum())(values))
    rows = torch.func.vmap(log_prob_at)(values, index)
    torch.testing.assert_close(rows, reference(values, index))


def test_an_index_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"index has shape \(3,\); allowed: \(2, 3\)"):
        log_prob_at(torch.zeros(2, 3, 4), torch.zeros(3, dtype=torch.long))


def test_a_sum_of_nothing_has_a_gradient_of_0():
    values = torch.tensor([[0.0, 1.0], [-math.inf, 2.0], [-math.inf, -math.inf]]).double()
    values.requires_grad_()
    found = log_sum_exp(values)
    torch.testing.assert_close(found, values.exp().sum(-1).log())
    (slope,) = torch.autograd.grad(torch.logaddexp(found, torch.zeros(3).double()).sum(), values)
    share = values[:2].exp() / (1 + values[:2].exp().sum(-1, keepdim=True))
    torch.testing.assert_close(slope[:2], share)
    assert slope[2].tolist() == [0.0, 0.0]
