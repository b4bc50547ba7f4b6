"""Sums over what leads to a state: both backends against dense sums, values and gradients."""

from __future__ import annotations

import importlib.util
import math

import pytest
import torch

from discrete_ca.corruption import segments
from discrete_ca.corruption.segments import ScatterSegments, TorchSegments, log_sums
from discrete_ca.corruption.sparse import SparseRows
from tests.helpers import SHAPES, LargestStorage, f64, seeded, stochastic

INSTALLED = importlib.util.find_spec("torch_scatter") is not None
BACKENDS = [
    TorchSegments,
    pytest.param(
        ScatterSegments,
        marks=pytest.mark.skipif(not INSTALLED, reason="torch_scatter is not installed"),
    ),
]


@pytest.fixture(params=BACKENDS)
def backend(request, monkeypatch):
    chosen = request.param()
    monkeypatch.setattr(segments, "best_segments", lambda device_type: chosen)
    return chosen


def uneven(k=6, v=7, seed=0):
    """S, K x V: a hub that every category leads to, states that none leads to, random others."""
    s = stochastic(k, v, seed, zeros=0.6)
    s[:, 2] = 0.0
    s[:, v - 1] = 0.0
    s = s / s.sum(-1, keepdim=True)
    return s, SparseRows(s, v, "near")


def dense_log_sums(logits, x, s, normalised):
    log_p = logits.log_softmax(-1) if normalised else logits
    k = log_p.shape[-1]
    at_x = log_p.gather(-1, x.clamp(max=k - 1).unsqueeze(-1)).squeeze(-1)
    led = (log_p.unsqueeze(-1) + s.log().to(log_p)).movedim(-2, -1)  # (..., V, K)
    led = led.gather(-2, x[..., None, None].expand(*x.shape, 1, k)).squeeze(-2)
    never = (led == -math.inf).all(-1)
    led = led.masked_fill(never.unsqueeze(-1), 0.0).logsumexp(-1).masked_fill(never, -math.inf)
    return at_x.masked_fill(x >= k, -math.inf), led


# -- segments --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_log_sum_exp_of_segments(backend, dtype):
    """Long, empty and impossible segments, and values of very different sizes."""
    counts = [3, 0, 1, 500, 0, 2, 0]
    values = (50 * torch.randn(sum(counts), generator=seeded(0))).to(dtype)
    values[-2:] = -math.inf
    values[1] = -math.inf
    site = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    starts = torch.tensor([0, *counts]).cumsum(0)
    found = segments.segment_log_sum_exp(values.clone(), starts, site)
    parts = values.double().split(counts)
    expected = torch.stack([p.logsumexp(0) if len(p) else f64(-math.inf)[0] for p in parts])
    torch.testing.assert_close(found, expected.to(dtype))
    assert found[[1, 4, 5, 6]].tolist() == [-math.inf] * 4


def test_nan_stays_nan(backend):
    values, starts = torch.tensor([0.0, math.nan, 1.0]), torch.tensor([0, 2, 3])
    found = segments.segment_log_sum_exp(values, starts, torch.tensor([0, 0, 1]))
    assert math.isnan(found[0]) and found[1] == 1


@pytest.mark.skipif(not INSTALLED, reason="torch_scatter is not installed")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_both_backends_give_the_same_numbers(dtype):
    counts = torch.randint(0, 40, (300,), generator=seeded(1))
    starts = torch.cat([torch.zeros(1, dtype=torch.long), counts.cumsum(0)])
    values = torch.rand(int(starts[-1]), dtype=dtype, generator=seeded(2))
    ours, theirs = TorchSegments(), ScatterSegments()
    some = counts > 0
    close = {"rtol": 4 * torch.finfo(dtype).eps, "atol": 0.0}
    torch.testing.assert_close(ours.total(values, starts), theirs.total(values, starts), **close)
    highest = ours.highest(values, starts)[some]
    assert torch.equal(highest, theirs.highest(values, starts)[some])


def test_torch_scatter_is_used_where_it_is_installed(monkeypatch):
    choose = segments.best_segments.__wrapped__
    assert isinstance(choose("cpu"), ScatterSegments if INSTALLED else TorchSegments)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert isinstance(choose("cpu"), TorchSegments)


@pytest.mark.skipif(not INSTALLED, reason="torch_scatter is not installed")
def test_a_build_for_the_processor_is_not_used_elsewhere(monkeypatch):
    monkeypatch.setattr(torch.ops.torch_scatter, "cuda_version", lambda: -1, raising=False)
    assert isinstance(segments.best_segments.__wrapped__("cuda"), TorchSegments)
    assert isinstance(segments.best_segments.__wrapped__("cpu"), ScatterSegments)


def test_a_build_for_another_torch_is_said_and_not_used(monkeypatch):
    def broken(name):
        raise OSError("undefined symbol")

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(importlib, "import_module", broken)
    with pytest.warns(UserWarning, match="cannot be loaded, torch is used: undefined symbol"):
        assert isinstance(segments.best_segments.__wrapped__("cpu"), TorchSegments)


# -- log p(x) and log sum_z p(z) S[z, x] -----------------------------------------------------------


@pytest.mark.parametrize("pairs", [1, 7, 1 << 17])
@pytest.mark.parametrize("normalised", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_values_and_gradients_are_the_dense_ones(backend, shape, normalised, pairs, monkeypatch):
    if pairs == 1 and shape == SHAPES[-1]:
        pairs = 100
    monkeypatch.setattr(segments, "PAIRS", pairs)
    s, near = uneven()
    logits = (3 * torch.randn(3, *shape, 6, generator=seeded(0))).double().requires_grad_()
    x = torch.randint(0, 7, (3, *shape), generator=seeded(1))
    weights = torch.randn(2, 3, *shape, generator=seeded(2)).double()
    ours = log_sums(logits, x, near, normalised)
    theirs = dense_log_sums(logits, x, s, normalised)
    for found, expected in zip(ours, theirs, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)

    def slope(pair):
        loss = sum(
            (t * w).masked_fill(t == -math.inf, 0.0).sum()
            for t, w in zip(pair, weights, strict=True)
        )
        return torch.autograd.grad(loss, logits)[0]

    torch.testing.assert_close(slope(ours), slope(theirs), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("normalised", [False, True])
def test_gradcheck(backend, normalised):
    _, near = uneven()
    x = torch.tensor([[0, 1, 2], [5, 6, 3]])
    logits = torch.randn(2, 3, 6, generator=seeded(3)).double().requires_grad_()

    def probabilities(values):  # exp, so that what is impossible is 0 and not -inf
        return torch.stack(log_sums(values, x, near, normalised)).exp()

    assert torch.autograd.gradcheck(probabilities, logits)
    assert torch.autograd.gradgradcheck(probabilities, logits)


def test_what_is_impossible_has_a_gradient_of_0(backend):
    """Excluded categories, states that nothing leads to, or nothing that is possible."""
    _, near = uneven()
    z = int((near.dense()[:, 0] > 0).nonzero()[0])
    logits = torch.full((3, 6), -math.inf).double()
    logits[0, [0, 1]] = 0.0
    logits[1] = 0.0
    logits[2, (z + 1) % 6] = 0.0
    logits.requires_grad_()
    x = torch.tensor([1, 2, 2])
    for normalised in (True, False):
        own, led = log_sums(logits, x, near, normalised)
        assert not bool(own.isnan().any() or led.isnan().any())
        assert led[1:].tolist() == [-math.inf] * 2 and own[2] == -math.inf
        (slope,) = torch.autograd.grad(torch.logaddexp(led, f64(0.0)).sum(), logits)
        assert bool(slope.isfinite().all())
        assert slope[1:].abs().max() == 0


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_rows_that_are_no_law_give_nan(backend, bad):
    _, near = uneven()
    logits = torch.zeros(3, 6)
    logits[1, 4] = bad
    logits[2] = -math.inf
    for x in (torch.tensor([0, 0, 0]), torch.tensor([6, 6, 6])):
        for found in log_sums(logits, x, near):
            assert not math.isnan(found[0])
            assert bool(found[1:].isnan().all())


def test_large_logits_lose_nothing(backend):
    """In single precision, a constant of 4096 a row changes nothing."""
    s, near = uneven()
    logits = torch.randn(4, 6, generator=seeded(4)).double().mul(256).round() / 256
    x = torch.tensor([0, 1, 3, 5])
    found = log_sums((logits + 4096).float(), x, near)
    for ours, theirs in zip(found, dense_log_sums(logits, x, s, True), strict=True):
        torch.testing.assert_close(ours, theirs.float(), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_single_and_half_precision(backend, dtype):
    s, near = uneven()
    logits = torch.randn(4, 5, 6, generator=seeded(5)).to(dtype).requires_grad_()
    x = torch.randint(0, 7, (4, 5), generator=seeded(6))
    found = log_sums(logits, x, near)
    for ours, theirs in zip(found, dense_log_sums(logits.double(), x, s, True), strict=True):
        assert ours.dtype == torch.float32
        torch.testing.assert_close(ours, theirs.float(), rtol=1e-5, atol=1e-5)
    (found[1].exp().sum()).backward()
    assert logits.grad.dtype == dtype and bool(logits.grad.isfinite().all())


def test_categories_last_in_memory_or_not(backend):
    s, near = uneven()
    values = torch.randn(2, 6, 3, generator=seeded(7)).double().requires_grad_()
    x = torch.randint(0, 6, (2, 3), generator=seeded(8))
    moved = values.movedim(1, -1)
    ours, theirs = log_sums(moved, x, near)[0], dense_log_sums(moved, x, s, True)[0]
    torch.testing.assert_close(ours, theirs)
    slopes = [torch.autograd.grad(t.sum(), values)[0] for t in (ours, theirs)]
    torch.testing.assert_close(*slopes)


def test_functional_gradients(backend):
    s, near = uneven()
    values, x = torch.randn(3, 6, generator=seeded(9)).double(), torch.tensor([0, 3, 5])
    found = torch.func.grad(lambda v: log_sums(v, x, near)[0].sum())(values)
    expected = torch.func.grad(lambda v: dense_log_sums(v, x, s, True)[0].sum())(values)
    torch.testing.assert_close(found, expected)


def test_memory_is_that_of_a_piece(backend, monkeypatch):
    """A hub with 64 x 2048 pairs, 1000 at a time; between the passes only the logits are kept."""
    monkeypatch.setattr(segments, "PAIRS", 1000)
    k, sites = 2048, 64
    hub = torch.zeros(k, k).double()
    hub[:, 0] = 1.0
    near = SparseRows(hub.to_sparse(), k, "near")
    logits = torch.randn(sites, k, generator=seeded(10)).requires_grad_()
    x = torch.zeros(sites, dtype=torch.long)
    kept = []
    with LargestStorage() as seen, torch.no_grad():
        log_sums(logits, x, near, normalised=False)
    assert seen.bytes <= logits.numel() * 4 < sites * k * 8  # nothing has an index a pair
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        _, led = log_sums(logits, x, near)
    assert {t.data_ptr() for t in kept if t.numel() > sites} == {logits.data_ptr()}
    torch.testing.assert_close(led, torch.zeros(sites), rtol=0, atol=1e-5)
    (slope,) = torch.autograd.grad(led.sum(), logits)
    assert slope.abs().max() < 1e-6


def test_no_sites_and_no_pairs(backend):
    _, near = uneven()
    own, led = log_sums(torch.zeros(0, 6), torch.zeros(0, dtype=torch.long), near)
    assert own.shape == led.shape == (0,)
    own, led = log_sums(torch.zeros(1, 6), torch.tensor([6]), near)
    assert own.item() == led.item() == -math.inf
