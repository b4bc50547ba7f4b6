"""Autocorrelation of series whose correlation is known, and trade-off curves."""

from __future__ import annotations

import math

import pytest
import torch

from discrete_ca import CategoricalNoiseKernel, TransitionKernel
from discrete_ca.chains import run
from discrete_ca.corruption import Uniform
from discrete_ca.diagnostics import exact, mixing
from discrete_ca.distributions import Categorical
from tests.helpers import Counting, Posterior, Smooth, Told, f64, random_law, seeded


def autoregressive(phi, steps, chains, seed):
    """x_t = φ x_{t-1} + ε, started from its stationary law; ρ_t = φ^t, τ = (1 + φ) / (1 - φ)."""
    noise = torch.randn(steps, chains, dtype=torch.float64, generator=seeded(seed))
    x = torch.empty_like(noise)
    x[0] = noise[0] / math.sqrt(1 - phi**2)
    for t in range(1, steps):
        x[t] = phi * x[t - 1] + noise[t]
    return x


@pytest.mark.parametrize("shape", [(4,), (7, 3), (32, 2), (33, 1)])
def test_autocorrelation_by_double_loop(shape):
    series = torch.randn(*shape, dtype=torch.float64, generator=seeded(0))
    centred = (series - series.mean()).reshape(len(series), -1)
    steps = len(centred)
    expected = torch.stack(
        [
            (centred[: steps - lag] * centred[lag:]).sum() / centred.square().sum()
            for lag in range(steps)
        ]
    )
    torch.testing.assert_close(mixing.autocorrelation(series), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("phi", [0.0, 0.5, 0.9])
def test_autoregressive_series(phi):
    """2,000 steps of 60 chains: within 10 % of τ = (1 + φ) / (1 - φ), the seed fixed."""
    series = autoregressive(phi, 2000, 60, seed=1)
    rho = mixing.autocorrelation(series)
    torch.testing.assert_close(rho[:6], phi ** torch.arange(6).double(), rtol=0, atol=0.02)
    tau = (1 + phi) / (1 - phi)
    assert mixing.autocorrelation_time(series) == pytest.approx(tau, rel=0.1)
    assert mixing.effective_sample_size(series) == pytest.approx(2000 * 60 / tau, rel=0.1)


def test_the_initial_sequence_of_geyer_by_hand():
    """Pairs 1 + ρ_1, ρ_2 + ρ_3, ...: cut at the first that is not positive, made to fall."""
    series = autoregressive(0.7, 60, 3, seed=2)
    rho = mixing.autocorrelation(series).tolist()
    total, lowest = 0.0, math.inf
    for lag in range(0, 60, 2):
        pair = rho[lag] + rho[lag + 1]
        if pair <= 0:
            break
        lowest = min(lowest, pair)
        total += lowest
    assert lag < 58  # the cut was reached
    assert mixing.autocorrelation_time(series) == pytest.approx(2 * total - 1, rel=1e-12)


def test_pairs_are_made_to_fall(monkeypatch):
    """Pairs 1.5, 0.25, 0.5, 0.125 count as 1.5, 0.25, 0.25, 0.125; what comes after 0 is noise."""
    rho = f64(1, 0.5, 0.25, 0, 0.25, 0.25, 0.125, 0, -0.5, 0.25, 3, 3)
    monkeypatch.setattr(mixing, "autocorrelation", lambda _: rho)
    assert mixing.autocorrelation_time(torch.arange(12.0)) == 2 * 2.125 - 1


def test_a_negative_correlation_is_better_than_independence():
    series = autoregressive(-0.5, 2000, 40, seed=3)
    assert mixing.effective_sample_size(series) > 1.5 * series.numel()
    tau = mixing.autocorrelation_time(torch.tensor([1.0, -1.0]).repeat(50))
    assert 0 < tau < 0.1


def test_a_first_pair_that_is_not_positive_is_bounded(monkeypatch):
    """1 + ρ_1 <= 0 is rounding; τ is then at least one step in T."""
    monkeypatch.setattr(mixing, "autocorrelation", lambda _: f64(1, -1.5, 0.1, 0))
    assert mixing.autocorrelation_time(torch.tensor([1.0, 2.0, 1.0, 2.0])) == 0.25


def test_chains_that_stay_apart_are_correlated():
    """The mean is over all chains: two chains at 0 and at 5 have told two things."""
    apart = autoregressive(0.0, 500, 2, seed=4) * 0.1 + f64(0, 5)
    assert mixing.effective_sample_size(apart) < 10
    one = mixing.effective_sample_size(apart[:, 0])
    assert one > 300


@pytest.mark.parametrize("series", [torch.zeros(10, 2), torch.ones(10), f64(1, 2).expand(10, 2)])
def test_chains_that_never_move_tell_nothing(series):
    assert mixing.autocorrelation_time(series) == math.inf
    assert mixing.effective_sample_size(series) == 0.0


def test_one_chain_that_moves_is_counted():
    series = torch.zeros(20, 2)
    series[::2, 1] = 1.0
    assert mixing.effective_sample_size(series) > 0


def test_a_vector_is_one_chain():
    series = autoregressive(0.3, 50, 1, seed=5)
    for function in (mixing.autocorrelation_time, mixing.effective_sample_size):
        assert function(series) == function(series[:, 0])
    assert mixing.effective_sample_size(series.float()) > 0


@pytest.mark.parametrize(
    ("series", "message"),
    [
        (torch.zeros(3, 2), r"series has shape \(3, 2\); allowed: \(T, N\) with T >= 4"),
        (torch.zeros(3), r"series has shape \(3,\)"),
        (torch.zeros(5, 2, 2), r"series has shape \(5, 2, 2\)"),
        (torch.tensor(1.0), r"series has shape \(\)"),
        (torch.tensor([0.0, 1, math.nan, 2]), "series has values that are not finite"),
        (torch.tensor([0.0, 1, math.inf, 2]), "series has values that are not finite"),
    ],
)
@pytest.mark.parametrize(
    "name", ["autocorrelation", "autocorrelation_time", "effective_sample_size"]
)
def test_what_is_no_series_is_refused(name, series, message):
    with pytest.raises(ValueError, match=message):
        getattr(mixing, name)(series)


# -- trade-off curves ------------------------------------------------------------------------------


def test_trade_off_counts_its_budget_and_fills_its_fields():
    net = Counting(Smooth(2, 2))
    kernel = CategoricalNoiseKernel(net, Uniform(2), 0.7)
    z = torch.randint(0, 2, (30, 5), generator=seeded(6))
    seen = []

    def fidelity(clean):
        seen.append(clean)
        return float(clean.double().mean())

    levels = [0.125, 0.5, 0.875]
    points = mixing.trade_off(kernel, z, levels, steps=12, fidelity=fidelity, generator=seeded(7))
    assert [p.level for p in points] == levels
    assert net.calls == sum(p.nfe for p in points) == 3 * 13
    assert net.levels == [b for b in levels for _ in range(13)]
    for point, clean in zip(points, seen, strict=True):
        assert clean.shape == z.shape
        assert point.hold == 0.7
        assert point.fidelity == float(clean.double().mean())
        assert point.changed == float((clean != z).double().mean())
        assert point.autocorrelation_time > 0


def test_trade_off_by_hand():
    """One level, with the chain run again from the same seed."""
    kernel = CategoricalNoiseKernel(Smooth(2, 2), Uniform(2), 0.7)
    z = torch.randint(0, 2, (30, 5), generator=seeded(8))
    for statistic in (None, lambda x: x[:, 0]):
        (point,) = mixing.trade_off(
            kernel,
            z,
            [0.25],
            steps=12,
            fidelity=lambda clean: float(clean.sum()),
            statistic=statistic,
            generator=seeded(9),
        )
        g = seeded(9)
        start = kernel.corrupt(z, 0.25, g)
        states = list(run(kernel, start, 0.25, 12, generator=g))
        series = [x.double().mean(-1) if statistic is None else x[:, 0].double() for x in states]
        clean = kernel.transition(states[-1], 0.25).read_out.mode()
        assert point.fidelity == float(clean.sum())
        tau = mixing.autocorrelation_time(torch.stack(series))
        assert point.autocorrelation_time == pytest.approx(tau, rel=1e-12)


def test_slower_holds_have_longer_autocorrelation_times():
    law = random_law(2, (4,))
    net = Posterior(law, Uniform(2), (4,))
    z = exact.states(2, (4,))[torch.multinomial(law, 100, replacement=True, generator=seeded(10))]
    taus = []
    for hold in (0.3, 0.9):
        kernel = CategoricalNoiseKernel(net, Uniform(2), hold)
        (point,) = mixing.trade_off(
            kernel,
            z,
            [0.5],
            steps=100,
            fidelity=lambda clean: 0.0,
            statistic=lambda x: x.sum(-1),
            generator=seeded(11),
        )
        taus.append(point.autocorrelation_time)
    assert taus[0] * 3 < taus[1]


class NoReadOut(TransitionKernel):
    """Redraws every site; its states are clean."""

    def transition(self, x, level, target_level=None, label=None, known=None):
        return Categorical(torch.zeros(*x.shape, 3).log_softmax(-1))


def test_trade_off_of_a_kernel_without_a_read_out():
    z = torch.zeros(50, 4).long()
    (point,) = mixing.trade_off(
        NoReadOut(),
        z,
        [0.5],
        steps=50,
        fidelity=lambda x: float((x == 2).double().mean()),
        statistic=lambda x: x.sum(-1),
        generator=seeded(12),
    )
    assert point.hold == 0.0
    assert point.autocorrelation_time == pytest.approx(1, abs=0.3)
    assert point.changed == pytest.approx(2 / 3, abs=0.15)


class Watched(CategoricalNoiseKernel):
    """Remembers what each step was told."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.seen = []

    def transition(self, x, level, target_level=None, label=None, known=None, hold=None):
        self.seen.append((x, label, known, hold))
        return super().transition(x, level, target_level, label, known, hold)


def test_no_step_of_a_trade_off_touches_known_sites():
    """Nor do they count: neither in the mean over sites nor in what has changed."""
    kernel = Watched(Told(3, 3), Uniform(3), 0.3)
    z = torch.randint(0, 3, (40, 6), generator=seeded(13))
    mask = torch.arange(6) < torch.randint(1, 6, (40, 1), generator=seeded(14))
    z[~mask] = 2
    kept = []
    (point,) = mixing.trade_off(
        kernel, z, [0.8], steps=12, known=(mask, z), generator=seeded(15),
        fidelity=lambda clean: kept.append(clean) or 0.0,
    )  # fmt: skip
    states = [x for x, *_ in kernel.seen[1:]]  # put into the first by the kernel itself
    assert len(states) == 12
    assert all(torch.equal(x[~mask], z[~mask]) for x in [*states, *kept])
    assert all(torch.equal(known[0], mask) for _, _, known, _ in kernel.seen)
    means = torch.stack([(x.double() * mask).sum(1) / mask.sum(1) for x in states])
    tau = mixing.autocorrelation_time(means)
    assert point.autocorrelation_time == pytest.approx(tau, rel=1e-12)
    share = float((kept[0] != z)[mask].double().mean())
    assert share > 0.1 and point.changed == pytest.approx(share, rel=1e-12)


@pytest.mark.parametrize("metropolis", [False, True])
def test_trade_off_under_conditions_by_hand(metropolis):
    kernel = Watched(Told(2, 2), Uniform(2), 0.9)
    z = torch.randint(0, 2, (30, 5), generator=seeded(16))
    label = torch.arange(30) % 3
    (point,) = mixing.trade_off(
        kernel, z, [0.25], steps=12, fidelity=lambda clean: float(clean.sum()), hold=0.2,
        label=label, metropolis=metropolis, generator=seeded(17),
    )  # fmt: skip
    assert point.hold == 0.2 and point.nfe == len(kernel.seen) == 13
    g = seeded(17)
    start = kernel.corrupt(z, 0.25, g)
    states = list(
        run(kernel, start, 0.25, 12, hold=0.2, label=label, metropolis=metropolis, generator=g)
    )
    tau = mixing.autocorrelation_time(torch.stack([x.double().mean(-1) for x in states]))
    assert point.autocorrelation_time == pytest.approx(tau, rel=1e-12)
    clean = kernel.transition(states[-1], 0.25, label=label, hold=0.2).read_out.mode()
    assert point.fidelity == float(clean.sum())


def test_trade_off_with_guidance_counts_both_evaluations():
    kernel = CategoricalNoiseKernel(Told(2, 2), Uniform(2), 0.5).guided(1.0)
    z = torch.zeros(4, 5, dtype=torch.long)
    (point,) = mixing.trade_off(kernel, z, [0.5], steps=4, fidelity=lambda clean: 0.0, label=1)
    assert point.nfe == 10


def test_alternating_chains_are_bounded():
    alternating = torch.tensor([1.0, -1.0]).repeat(50)
    assert mixing.effective_sample_size(alternating) == 200  # 100 log10(100)
