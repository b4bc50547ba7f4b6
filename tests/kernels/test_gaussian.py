"""The Gaussian noise kernel on data whose posterior is known in closed form."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import stats
from torch import nn

from discrete_ca import GaussianNoiseKernel
from discrete_ca.errors import NonFiniteError
from discrete_ca.kernels import LinearNoise, VariancePreserving
from tests.helpers import FALSE_ALARM, SHAPES, Fixed, f64, seeded

NOISES = [LinearNoise(), VariancePreserving()]
MEAN, SPREAD = 1.7, 0.6  # z ~ N(m, S)
every_noise = pytest.mark.parametrize("noise", NOISES, ids=["linear", "preserving"])
MOVES = [(0.3, 0.3), (1.0, 1.0), (0.6, 0.2), (0.2, 0.6), (0.5, 0.49), (0.95, 0.999)]
MOVES += [(1.0, 0.9), (0.9, 1.0), (0.4, 0.0), (1.0, 0.0), (0.0, 1.0)]
FROM_CLEAN = [(0.0, 0.5), (0.0, 0.01), (0.0, 0.0)]


class ExactPosterior(nn.Module):
    """Mean and log-variance of z given x = a z + sqrt(v) ε for z ~ N(m, S)."""

    def __init__(self, noise):
        super().__init__()
        self.noise = noise

    def forward(self, x, b):
        a, v = (t.reshape(-1, *(1,) * (x.ndim - 1)) for t in self.noise.coefficients(b))
        total = a**2 * SPREAD + v
        mean = MEAN + a * SPREAD / total * (x - a * MEAN)
        variance = (SPREAD * v / total).expand(x.shape)
        return torch.stack([mean, variance.clamp_min(1e-30).log()], -1)


def marginal(noise, b):
    """Mean and variance of the noisy law at level b."""
    a, v = (float(t) for t in noise.coefficients(f64(b)[0]))
    return a * MEAN, a**2 * SPREAD + v


def after_one_step(kernel, b_x, b_y):
    """Mean and variance of y for x at level b_x: the step is linear in x, so two points tell it."""
    x = f64(0, 1).reshape(2, 1)
    law = kernel.transition(x, f64(b_x)[0], f64(b_y)[0])
    (at_0, at_1), (variance, same) = law.mean.flatten(), law.variance.flatten()
    assert float(variance) == pytest.approx(float(same), abs=1e-15)
    mean_x, variance_x = marginal(kernel.noise, b_x)
    slope = at_1 - at_0
    return float(at_0 + slope * mean_x), float(slope**2 * variance_x + variance)


@pytest.mark.parametrize("hold", [0.0, 0.5, 0.9, 0.999])
@pytest.mark.parametrize(("b_x", "b_y"), MOVES)
@every_noise
def test_a_step_keeps_the_marginal(noise, b_x, b_y, hold):
    kernel = GaussianNoiseKernel(ExactPosterior(noise), noise, hold)
    mean, variance = after_one_step(kernel, b_x, b_y)
    expected = marginal(noise, b_y)
    assert mean == pytest.approx(expected[0], abs=1e-12)
    assert variance == pytest.approx(expected[1], abs=1e-12)


@pytest.mark.parametrize(("b_x", "b_y"), FROM_CLEAN)
@every_noise
def test_a_step_from_clean_states_keeps_the_marginal(noise, b_x, b_y):
    """v_x = 0: the posterior is a point, which the bound on log-variances widens to 2e-9."""
    kernel = GaussianNoiseKernel(ExactPosterior(noise), noise, 0.9)
    found, expected = after_one_step(kernel, b_x, b_y), marginal(noise, b_y)
    assert found == pytest.approx(expected, abs=1e-8)


@every_noise
def test_an_equal_level_is_the_default(noise):
    kernel = GaussianNoiseKernel(ExactPosterior(noise), noise, 0.8)
    x = torch.randn(5, 3, generator=seeded(0)).double()
    one, two = kernel.transition(x, f64(0.3)[0]), kernel.transition(x, f64(0.3)[0], f64(0.3)[0])
    assert torch.equal(one.mean, two.mean) and torch.equal(one.variance, two.variance)
    assert (kernel.noise is noise) and isinstance(
        GaussianNoiseKernel(nn.Identity()).noise, LinearNoise
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("hold", [0.0, 0.3, 0.9, 0.999])
@every_noise
def test_weights_over_all_pairs_of_levels(noise, hold, dtype):
    """w' = min(w, sqrt(v_y / v_x), a_y / a_x), so that neither c nor the variance is negative."""
    grid = torch.cat(
        [torch.linspace(0, 1, 41).to(dtype), torch.rand(40, generator=seeded(1)).to(dtype)]
    )
    b_x, b_y = torch.cartesian_prod(grid, grid).unbind(-1)
    w, c, kept = GaussianNoiseKernel(nn.Identity(), noise, hold).weights(b_x, b_y)
    assert not bool(torch.stack([w, c, kept]).isnan().any())
    (a_x, v_x), (a_y, v_y) = noise.coefficients(b_x.double()), noise.coefficients(b_y.double())
    zero = torch.tensor(math.inf, dtype=torch.float64)
    expected = torch.minimum(
        torch.where(v_x > 0, (v_y / v_x).sqrt(), zero), torch.where(a_x > 0, a_y / a_x, zero)
    ).clamp(max=hold)
    rounding = 1e-5 if dtype == torch.float32 else 1e-12
    torch.testing.assert_close(w.double(), expected, rtol=rounding, atol=rounding)
    assert bool((kept >= 0).all()) and float(c.min()) >= -rounding
    torch.testing.assert_close(c.double(), a_y - expected * a_x, rtol=0, atol=rounding)
    exact = (v_y - expected**2 * v_x).clamp_min(0)
    torch.testing.assert_close(kept.double(), exact, rtol=0, atol=rounding)


@every_noise
def test_variances_are_those_of_the_conditional_not_of_the_total(noise):
    """Downward, w is lowered by v_y - w² v_x >= 0 however wide the read-out is."""
    wide = Fixed(f64(0.0, 5.0))
    law = GaussianNoiseKernel(wide, noise, 0.9).transition(
        f64(1.0).reshape(1, 1), f64(0.8), f64(0.1)
    )
    (a_x, v_x), (a_y, v_y) = noise.coefficients(f64(0.8)), noise.coefficients(f64(0.1))
    w = (v_y / v_x).sqrt()
    torch.testing.assert_close(law.mean[0], w)
    torch.testing.assert_close(law.variance[0], (a_y - w * a_x) ** 2 * math.exp(5.0))


@every_noise
def test_a_long_run_stays_where_the_data_are(noise):
    """Kolmogorov-Smirnov after 5 equal and 4 falling steps, at a false-alarm rate of 1e-6."""
    kernel = GaussianNoiseKernel(ExactPosterior(noise), noise, 0.7).double()
    g = seeded(2)
    z = MEAN + math.sqrt(SPREAD) * torch.randn(4000, 2, generator=g).double()
    x = kernel.corrupt(z, f64(0.6)[0], g)
    for b_x, b_y in [(0.6, 0.6)] * 5 + [(0.6, 0.4), (0.4, 0.3), (0.3, 0.5), (0.5, 0.1)]:
        x = kernel.transition(x, f64(b_x)[0], f64(b_y)[0]).sample(g)
    mean, variance = marginal(noise, 0.1)
    pvalue = stats.kstest((x.numpy().ravel() - mean) / math.sqrt(variance), "norm").pvalue
    assert pvalue > FALSE_ALARM


@every_noise
def test_the_read_out_is_the_network(noise):
    kernel = GaussianNoiseKernel(ExactPosterior(noise), noise)
    x = torch.randn(3, 4, generator=seeded(3)).double()
    law = kernel.transition(x, f64(0.5)[0], f64(0.2)[0])
    mean, log_variance = kernel.net(x, f64(0.5, 0.5, 0.5)).unbind(-1)
    torch.testing.assert_close(law.read_out.mean, mean)
    torch.testing.assert_close(law.read_out.variance, log_variance.exp())


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_sites_of_any_rank(shape, dtype):
    kernel = GaussianNoiseKernel(ExactPosterior(LinearNoise()))
    x = torch.randn(3, *shape, generator=seeded(4)).to(dtype)
    b_x, b_y = torch.tensor([0.2, 0.5, 1.0]), torch.tensor([0.1, 0.5, 0.8])
    law = kernel.transition(x, b_x, b_y)
    y = law.sample(seeded(5))
    assert y.shape == x.shape and y.dtype == dtype
    assert torch.equal(y, law.sample(seeded(5)))
    log_prob = law.log_prob(y)
    assert log_prob.shape == (3,)
    for i in range(3):
        alone = kernel.transition(x[i : i + 1], b_x[i], b_y[i]).log_prob(y[i : i + 1])
        torch.testing.assert_close(alone, log_prob[i : i + 1])


@pytest.mark.parametrize("shape", SHAPES)
@every_noise
def test_corrupt_and_initial(noise, shape):
    """Kolmogorov-Smirnov at a false-alarm rate of 1e-6."""
    kernel = GaussianNoiseKernel(nn.Identity(), noise)
    count = 4000 // max(1, math.prod(shape))
    x = kernel.initial(count, shape, seeded(6))
    assert x.shape == (count, *shape)
    assert stats.kstest(x.numpy().ravel(), "norm").pvalue > FALSE_ALARM
    z = torch.full((count, *shape), 2.0).double()
    a, v = (float(t) for t in noise.coefficients(f64(0.4)[0]))
    x = kernel.corrupt(z, f64(0.4)[0], seeded(7))
    assert stats.kstest((x.numpy().ravel() - 2 * a) / math.sqrt(v), "norm").pvalue > FALSE_ALARM
    assert torch.equal(kernel.corrupt(z, 0.0), z)
    levels = torch.linspace(0, 1, count)
    assert torch.equal(kernel.corrupt(z, levels)[0], z[0])


def test_coefficients():
    b = f64(0.0, 0.36, 1.0)
    assert [t.tolist() for t in LinearNoise().coefficients(b)] == [[1.0, 0.64, 0.0], b.tolist()]
    a, v = VariancePreserving().coefficients(b)
    assert a.tolist() == pytest.approx([1.0, 0.8, 0.0]) and torch.equal(v, b)
    torch.testing.assert_close(a**2 + v, torch.ones(3).double())


@pytest.mark.parametrize(("b_x", "b_y"), [(0.4, 0.4), (0.6, 0.2), (0.2, 0.7)])
def test_gradients_of_log_prob(b_x, b_y):
    class Given(nn.Module):
        def forward(self, x, b):
            return self.out

    kernel = GaussianNoiseKernel(Given(), hold=0.6)
    x, y = (torch.randn(2, 3, generator=seeded(s)).double() for s in (8, 9))

    def function(out):
        kernel.net.out = out
        return kernel.transition(x, f64(b_x)[0], f64(b_y)[0]).log_prob(y)

    out = torch.randn(2, 3, 2, generator=seeded(10)).double().requires_grad_()
    assert torch.autograd.gradcheck(function, out)


class Remembers(ExactPosterior):
    """Keeps the state and the mask that it was given."""

    def forward(self, x, b, label=None, known=None):
        self.given = (x, label, known)
        return super().forward(x, b)


def test_known_sites_and_labels():
    kernel = GaussianNoiseKernel(Remembers(LinearNoise()))
    mask, values = torch.tensor([True, False, True]), torch.tensor([0.0, 7.5, 0.0])
    x, label = torch.randn(2, 3, generator=seeded(11)), torch.tensor([1, 2])
    law = kernel.transition(x, 0.5, 0.3, label=label, known=(mask, values))
    seen, told_label, told = kernel.net.given
    assert torch.equal(seen[:, 1], values[1].expand(2)) and torch.equal(seen[:, 0], x[:, 0])
    assert torch.equal(told_label, label) and torch.equal(told, mask.expand(2, 3))
    y = law.sample(seeded(12))
    assert torch.equal(y[:, 1], values[1].expand(2))
    assert torch.equal(law.read_out.mode()[:, 1], values[1].expand(2))
    assert torch.equal(law.mode()[:, 1], values[1].expand(2))
    free = kernel.transition(seen, 0.5, 0.3)
    rest = torch.distributions.Normal(free.mean, free.variance.sqrt()).log_prob(y)[:, [0, 2]]
    torch.testing.assert_close(law.log_prob(y), rest.sum(-1))


@pytest.mark.parametrize("hold", [-0.1, 1.0, 1.5, math.nan])
def test_holds_outside_are_refused(hold):
    with pytest.raises(ValueError, match=rf"hold was {hold}; allowed: \[0, 1\)"):
        GaussianNoiseKernel(nn.Identity(), hold=hold)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"x": torch.zeros(2, 3).long()}, TypeError, "x has dtype torch.int64; allowed: floating"),
        ({"level": 2.0}, ValueError, "level was 2.0"),
        ({"target_level": -1.0}, ValueError, "target_level was -1.0"),
        ({"label": torch.zeros(2).long()}, ValueError, "Fixed.forward declares no `label`"),
        ({"known": (torch.ones(3), torch.ones(3))}, TypeError, "known mask has dtype"),
    ],
)
def test_arguments_of_a_transition_are_checked(change, error, message):
    kernel = GaussianNoiseKernel(Fixed(torch.zeros(2)))
    with pytest.raises(error, match=message):
        kernel.transition(**{"x": torch.zeros(2, 3), "level": 0.5, **change})


def test_outputs_of_the_network_are_checked():
    x = torch.zeros(2, 3)
    with pytest.raises(ValueError, match=r"Fixed returned shape \(2, 3, 3\); allowed: \(2, 3, 2\)"):
        GaussianNoiseKernel(Fixed(torch.zeros(3))).transition(x, 0.5)
    for place in (0, 1):
        out = torch.zeros(2)
        out[place] = math.nan
        with pytest.raises(NonFiniteError, match="Fixed returned"):
            GaussianNoiseKernel(Fixed(out)).transition(x, 0.5)


@pytest.mark.parametrize("bad", [math.inf, -math.inf])
def test_infinite_means_are_refused(bad):
    with pytest.raises(NonFiniteError, match="Fixed returned"):
        GaussianNoiseKernel(Fixed(f64(bad, 0))).transition(torch.zeros(2, 3), 0.5)


@pytest.mark.parametrize("log_variance", [-1e6, 1e6])
def test_log_variances_are_bounded(log_variance):
    law = GaussianNoiseKernel(Fixed(f64(0, log_variance))).transition(torch.zeros(2, 3), 0.5)
    variance = law.read_out.variance
    assert bool((variance > 0).all()) and bool(variance.isfinite().all())
    assert bool(law.log_prob(law.sample()).isfinite().all())
