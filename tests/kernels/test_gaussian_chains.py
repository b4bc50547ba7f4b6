"""Chains of the Gaussian kernel on Gaussian data, whose laws are known in closed form.

With a read-out that is linear in x a step is ``y = A x + e``, so that its stationary covariance
solves ``Σ = A Σ Aᵀ + D`` with D the step's variances.
"""

from __future__ import annotations

import math

import pytest
import torch
from scipy import linalg, stats
from torch import nn

import discrete_ca as dca
from discrete_ca import GaussianNoiseKernel
from discrete_ca.diagnostics import mixing
from discrete_ca.kernels import LinearNoise, VariancePreserving
from tests.helpers import FALSE_ALARM, f64, seeded

every_noise = pytest.mark.parametrize(
    "noise", [LinearNoise(), VariancePreserving()], ids=["linear", "preserving"]
)
MEAN = torch.tensor([0.4, -0.2], dtype=torch.float64)
COVARIANCE = torch.tensor([[0.5, 0.4], [0.4, 0.6]], dtype=torch.float64)  # correlation 0.73


class Posterior(nn.Module):
    """The exact posterior marginals of z ~ N(m, C) given x: the best denoiser there is."""

    def __init__(self, noise, mean=MEAN, covariance=COVARIANCE):
        super().__init__()
        self.noise, self.mean, self.covariance = noise, mean, covariance

    def forward(self, x, b):
        a, v = self.noise.coefficients(b.double()[0])
        total = a**2 * self.covariance + v * torch.eye(len(self.mean)).double()
        gain = a * self.covariance @ torch.linalg.inv(total)
        mean = self.mean + (x.double() - a * self.mean) @ gain.T
        variance = (self.covariance - a * gain @ self.covariance).diagonal()
        return torch.stack([mean, variance.clamp_min(1e-30).log().expand_as(mean)], -1).to(x)


def one(noise):
    return Posterior(noise, MEAN[:1], COVARIANCE[:1, :1])


def marginal(kernel, net, b):
    """Mean and covariance of the noisy law at level b."""
    a, v = (float(t) for t in kernel.noise.coefficients(f64(b)[0]))
    return a * net.mean, a**2 * net.covariance + v * torch.eye(len(net.mean)).double()


@torch.no_grad()
def step(kernel, sites, b):
    """A, the shift and D of an equal-level step, read off its laws."""
    law = kernel.transition(
        torch.cat([torch.zeros(1, sites), torch.eye(sites)]).double(), f64(b)[0]
    )
    return (law.mean[1:] - law.mean[0]).T, law.mean[0], law.variance[0]


def stationary(kernel, sites, b):
    """Mean and covariance of the law that the chain converges to."""
    A, shift, D = (t.numpy() for t in step(kernel, sites, b))
    mean = linalg.solve(torch.eye(sites).double().numpy() - A, shift)
    covariance = linalg.solve_discrete_lyapunov(A, torch.diag(torch.from_numpy(D)).numpy())
    return torch.from_numpy(mean), torch.from_numpy(covariance)


@pytest.mark.parametrize("hold", [0.0, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("b", [0.02, 0.3, 0.9])
@every_noise
def test_a_single_site_is_stationary_for_its_noisy_law_at_every_hold(noise, b, hold):
    net = one(noise)
    kernel = GaussianNoiseKernel(net, noise, hold)
    for found, expected in zip(stationary(kernel, 1, b), marginal(kernel, net, b), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("b", [0.3, 0.6])
@every_noise
def test_correlated_sites_err_less_the_slower_the_chain(noise, b):
    """A read-out a site loses correlations: the means stay right, the covariance only as h -> 1."""
    net = Posterior(noise)
    errors = []
    for hold in (0.0, 0.5, 0.9, 0.99, 0.999):
        kernel = GaussianNoiseKernel(net, noise, hold)
        mean, covariance = stationary(kernel, 2, b)
        wanted = marginal(kernel, net, b)
        torch.testing.assert_close(mean, wanted[0])
        errors.append(float((covariance - wanted[1]).abs().max()))
    assert errors == sorted(errors, reverse=True)
    assert errors[0] > 0.01 and errors[-1] < errors[0] / 100


class Linear(nn.Module):
    """A read-out that is linear in x, at one level."""

    def __init__(self, gain, shift, variance):
        super().__init__()
        self.gain, self.shift = nn.Parameter(gain), nn.Parameter(shift)
        self.log_variance = nn.Parameter(variance.log())

    def forward(self, x, b):
        mean = x @ self.gain.to(x).T + self.shift.to(x)
        return torch.stack([mean, self.log_variance.to(x).expand_as(mean)], -1)


def linear_of(net, b):
    with torch.no_grad():
        out = net(torch.cat([torch.zeros(1, 2), torch.eye(2)]).double(), f64(b, b, b))
    mean, log_variance = out.unbind(-1)
    return Linear((mean[1:] - mean[0]).T.clone(), mean[0].clone(), log_variance[0].exp())


@pytest.mark.parametrize("noise", [LinearNoise()])
def test_contrastive_adjustment_makes_correlated_sites_right(noise):
    """From the best denoiser there is, whose chain errs, through the trainer."""
    b, hold = 0.4, 0.3
    kernel = GaussianNoiseKernel(linear_of(Posterior(noise), b), noise, hold)
    target = marginal(kernel, Posterior(noise), b)[1]
    before = float((stationary(kernel, 2, b)[1] - target).abs().max())
    root = torch.linalg.cholesky(COVARIANCE)

    def data(count, generator):
        return MEAN + torch.randn(count, 2, generator=generator, dtype=torch.float64) @ root.T

    objective = dca.ContrastiveAdjustment(levels=(b, b), denoising_weight=0.0)
    config = dca.TrainConfig(
        steps=600, batch_size=1024, learning_rate=0.02, ema=0.98, progress=False
    )
    dca.Trainer(kernel, objective, data, config).fit()
    after = float((stationary(kernel, 2, b)[1] - target).abs().max())
    assert before > 0.03 and after < before / 4
    A, _, _ = step(kernel, 2, b)
    balance = A @ target
    assert float((balance - balance.T).abs().max()) < 0.02  # detailed balance


@pytest.mark.parametrize("hold", [0.0, 0.9])
@every_noise
def test_annealed_runs_end_in_the_law_of_the_data(noise, hold):
    """Kolmogorov-Smirnov of draws from the read-out, at a false-alarm rate of 1e-6."""
    net = one(noise)
    kernel = GaussianNoiseKernel(net, noise, hold)
    settings = {"moves": 6, "correctors": 1, "lowest": 0.05, "chunk": 4000, "progress": False}
    z = dca.sample(kernel, 4000, (1,), draw=True, generator=seeded(0), **settings)
    scaled = (z.double().flatten() - float(net.mean)) / math.sqrt(float(net.covariance))
    assert stats.kstest(scaled.numpy(), "norm").pvalue > FALSE_ALARM
    # The mode of the read-out is the posterior mean, which varies less by the posterior variance.
    z = dca.sample(kernel, 4000, (1,), generator=seeded(1), **settings)
    at_end = net(torch.zeros(1, 1).double(), f64(0.05))[0, 0, 1].exp()
    deviation = math.sqrt(float(net.covariance) - float(at_end))
    scaled = (z.double().flatten() - float(net.mean)) / deviation
    assert stats.kstest(scaled.numpy(), "norm").pvalue > FALSE_ALARM


@pytest.mark.parametrize("hold", [0.3, 0.8])
def test_mixing_is_that_of_an_autoregression(hold):
    """One site: ρ_t = A^t, so that τ = (1 + A) / (1 - A)."""
    noise, b = LinearNoise(), 0.5
    net = one(noise)
    kernel = GaussianNoiseKernel(net, noise, hold)
    A = float(step(kernel, 1, b)[0])
    z = float(net.mean) + math.sqrt(float(net.covariance)) * torch.randn(64, 1, generator=seeded(2))
    (point,) = mixing.trade_off(
        kernel, z, [b], steps=400, fidelity=lambda z: float(z.mean()), generator=seeded(3)
    )
    assert point.autocorrelation_time == pytest.approx((1 + A) / (1 - A), rel=0.1)
    independent = math.sqrt(2 * float(net.covariance))  # of two draws, were read-outs draws
    assert 0 < point.changed < independent


def test_observers_of_real_numbers():
    kernel = GaussianNoiseKernel(dca.nn.UNet(2, None, widths=(8,), head_width=8))
    z = torch.rand(6, 8, 8, generator=seeded(4)) * 2 - 1
    held_out = dca.training.HeldOut(z)(kernel)["held_out"]
    assert math.isfinite(held_out)
    picture = dca.training.Samples((8, 8), None, count=4, moves=2)(kernel)["samples"]
    assert picture.size == (2 * 27 + 3, 2 * 27 + 3)
    found = dca.training.Mixing(z, levels=(0.3,), steps=8)(kernel)
    assert found["changed/0.3"] > 0 and found["ess_a_step/0.3"] > 0
