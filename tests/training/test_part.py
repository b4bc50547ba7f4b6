"""One step of a part: the limit on gradient norms, noise by its key."""

import math

import pytest
import torch

import discrete_ca as dca
from discrete_ca.training import TrainConfig
from discrete_ca.training.batches import Batch
from discrete_ca.training.part import NormLimit, Part
from discrete_ca.training.processes import Processes

Z = torch.randint(0, 2, (16, 3), generator=torch.Generator().manual_seed(0))


def make_part(**settings):
    torch.manual_seed(0)
    kernel = dca.CategoricalNoiseKernel(
        dca.nn.MLP(2, 2, shape=(3,), width=16), dca.corruption.Uniform(2), hold=0.5
    )
    config = TrainConfig(steps=100, progress=False, **settings)
    return Part(kernel, list(kernel.parameters()), config, Processes(kernel))


def test_usual_gradients_are_left_alone_and_accidents_cut():
    generator = torch.Generator().manual_seed(0)
    norms = torch.randn(2000, generator=generator).mul(0.5).exp().tolist()  # up to 6 times the mean
    limit = NormLimit(10.0)
    assert all(limit.scale(norm) == 1.0 for norm in norms)
    usual = math.exp(limit.log_mean)
    assert limit.scale(1e6) == pytest.approx(10 * usual / 1e6)
    assert math.exp(limit.log_mean) < 1.1 * usual  # one accident does not lift the limit
    for _ in range(500):
        limit.scale(30.0)  # a new usual is learned
    assert limit.scale(30.0) == 1.0


def test_nothing_is_cut_before_the_usual_is_known():
    limit = NormLimit(2.0)
    assert [limit.scale(10.0**i) for i in range(10)] == [1.0] * 10
    assert NormLimit(2.0).scale(0.0) == 1.0


def test_a_cut_gradient_keeps_its_direction():
    part = make_part(clip=3.0)
    part.limit.steps, part.limit.log_mean = 100, math.log(1e-3)
    part.gradient(dca.Denoising(), [Batch(Z)], step=0)
    before = [p.grad.clone() for p in part.parameters if p.grad is not None]
    norm, taken = part.descend(0.0)
    after = [p.grad for p in part.parameters if p.grad is not None]
    assert taken and norm > 3e-3
    for b, a in zip(before, after, strict=True):
        torch.testing.assert_close(a, b * (3e-3 / norm))


def test_the_noise_of_a_step_is_keyed_by_its_step_and_place():
    part = make_part()
    objective = dca.ContrastiveAdjustment()
    losses = [float(part.gradient(objective, [Batch(Z)], step)) for step in (0, 0, 1)]
    assert losses[0] == losses[1] != losses[2]
    halves = [Batch(Z[:8]), Batch(Z[:8])]
    both = float(part.gradient(objective, halves, 0))
    part.processes.rank = 1  # the second of two processes with a part each
    part.processes.count = 2
    second = float(part.gradient(objective, halves[1:], 0))
    part.processes.rank = 0
    first = float(part.gradient(objective, halves[:1], 0))
    assert first != second
    assert both == pytest.approx((first + second) / 2, rel=1e-6)
