"""The preconditioned network against the posterior of Gaussian data."""

import math

import pytest
import torch

from discrete_ca import GaussianNoiseKernel
from discrete_ca.kernels import LinearNoise, VariancePreserving
from discrete_ca.nn import MLP, Preconditioned, UNet
from tests.helpers import SHAPES, Fixed, f64, seeded


@pytest.mark.parametrize("noise", [LinearNoise(), VariancePreserving()])
@pytest.mark.parametrize("shape", SHAPES)
def test_corrections_of_nothing_are_the_posterior_of_a_gaussian(noise, shape):
    net = Preconditioned(Fixed(f64(0, 0)), noise, deviation=0.7)
    x, b = torch.randn(3, *shape, generator=seeded(0)).double(), f64(0.1, 0.5, 1.0)
    mean, log_variance = net(x, b).unbind(-1)
    a, v = (t.reshape(-1, *(1,) * len(shape)) for t in noise.coefficients(b))
    precision = 1 / 0.49 + a**2 / v
    torch.testing.assert_close(mean, a / v * x / precision)
    torch.testing.assert_close(log_variance.exp(), (1 / precision).expand_as(x))


def test_corrections_are_in_units_of_the_posterior():
    plain, shifted = (
        Preconditioned(Fixed(f64(*out)), LinearNoise())(f64(0.3).reshape(1, 1), f64(0.5))
        for out in [(0, 0), (2.0, -1.0)]
    )
    deviation = (plain[..., 1] / 2).exp()
    torch.testing.assert_close(shifted[..., 0], plain[..., 0] + 2 * deviation)
    torch.testing.assert_close(shifted[..., 1], plain[..., 1] - 1)


def test_variances_have_a_least_share_of_the_posteriors():
    x, b = f64(0.3).reshape(1, 1), f64(0.5)

    def shares(log_scale):
        plain, bounded = (
            Preconditioned(Fixed(f64(2.0, log_scale)), LinearNoise(), least=least)(x, b)
            for least in (0.0, 0.1)
        )
        torch.testing.assert_close(bounded[..., 0], plain[..., 0])
        return (bounded - plain)[..., 1].exp().item(), math.exp(log_scale)

    for log_scale in (-50.0, -1.0, 0.0, 3.0):
        found, scale = shares(log_scale)
        assert found * scale == pytest.approx(0.1 + 0.9 * scale, rel=1e-9)


@pytest.mark.parametrize("noise", [LinearNoise(), VariancePreserving()])
def test_clean_states_are_their_own_read_out(noise):
    net = Preconditioned(Fixed(f64(0, 0)), noise)
    x = torch.randn(2, 3, generator=seeded(1)).double()
    mean, log_variance = net(x, f64(0.0, 0.0)).unbind(-1)
    torch.testing.assert_close(mean, x)
    assert bool(log_variance.isfinite().all())


def test_networks_of_real_numbers():
    for net, shape in [
        (UNet(2, None, widths=(8,), head_width=8, known=True), (8, 8)),
        (UNet(2, None, channels=3, widths=(8,), head_width=8, patch=2), (3, 4, 4)),
        (MLP(2, None, shape=(5,), known=True), (5,)),
        (MLP(2, None, shape=()), ()),
    ]:
        kernel = GaussianNoiseKernel(Preconditioned(net, LinearNoise()))
        assert kernel.told_known == ("known" in net.accepts)
        x = torch.randn(2, *shape)
        law = kernel.transition(x, 0.3)
        law.log_prob(law.sample()).sum().backward()
        assert law.mode().shape == x.shape
    with pytest.raises(TypeError, match="x has dtype torch.int64; allowed: floating point"):
        UNet(2, None, widths=(8,), head_width=8)(torch.zeros(1, 8, 8).long(), torch.ones(1))


@pytest.mark.parametrize("deviation", [0.0, -1.0, math.nan, math.inf])
def test_deviations_are_checked(deviation):
    with pytest.raises(ValueError, match=f"deviation was {deviation}"):
        Preconditioned(Fixed(f64(0, 0)), LinearNoise(), deviation)


@pytest.mark.parametrize("least", [-0.1, 1.0, math.nan])
def test_least_shares_are_checked(least):
    with pytest.raises(ValueError, match=f"least was {least}; allowed: \\[0, 1\\)"):
        Preconditioned(Fixed(f64(0, 0)), LinearNoise(), least=least)
