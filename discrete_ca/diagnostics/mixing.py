r"""How fast a chain mixes: autocorrelation, effective sample size, trade-off curves.

A series is any number per state and step, shape (T, N): N chains of T steps. Its autocorrelation
time is ``τ = 1 + 2 Σ_t ρ_t`` with Geyer's initial monotone sequence (Geyer 1992, Statistical
Science 7(4)), and its effective sample size ``N T / τ``. A chain that never moves has told nothing
beyond its start: its ESS is 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from discrete_ca import checks
from discrete_ca.conditions import Conditions
from discrete_ca.kernels import TransitionKernel
from discrete_ca.walker import Tally, Walker


def _series(values: Tensor) -> Tensor:
    series = values.double()
    if series.ndim == 1:
        series = series[:, None]
    if series.ndim != 2 or series.shape[0] < 4:
        raise ValueError(f"series has shape {tuple(values.shape)}; allowed: (T, N) with T >= 4")
    if not bool(torch.isfinite(series).all()):
        raise ValueError("series has values that are not finite")
    return series


def autocorrelation(values: Tensor) -> Tensor:
    """Autocorrelation ρ_t of a series at lags 0 .. T-1, averaged over chains; shape (T,).

    The mean is taken over all chains, so that chains which stay apart count as correlated.

    Args:
        values: one number per step and chain, (T, N) or (T,).

    Raises:
        ValueError: for other shapes, fewer than 4 steps, or values that are not finite.

    Example:
        >>> autocorrelation(torch.tensor([1.0, -1.0] * 4))[:2]
        tensor([ 1.0000, -0.8750], dtype=torch.float64)
    """
    series = _series(values)
    steps = series.shape[0]
    centred = series - series.mean()
    size = 1 << (2 * steps - 1).bit_length()
    spectrum = torch.fft.rfft(centred, size, dim=0).abs().square()
    covariance = torch.fft.irfft(spectrum, size, dim=0)[:steps].mean(1) / steps
    return covariance / covariance[0].clamp_min(1e-300)


def autocorrelation_time(values: Tensor) -> float:
    """τ in steps, infinite for chains that never move.

    Example:
        >>> autocorrelation_time(torch.zeros(10, 2))
        inf
    """
    series = _series(values)
    if bool((series == series[0]).all()):
        return math.inf
    rho = autocorrelation(series)
    pairs = rho[: len(rho) // 2 * 2].reshape(-1, 2).sum(1)  # positive and falling in theory
    ends = (pairs <= 0).nonzero()
    pairs = pairs[: int(ends[0])] if len(ends) else pairs
    if not len(pairs):
        return 1.0 / series.shape[0]
    return max(float(2 * pairs.cummin(0).values.sum() - 1), 1.0 / series.shape[0])


def effective_sample_size(values: Tensor) -> float:
    """ESS of a series, ``N T / τ``; 0 for chains that never move.

    Antithetic chains can pass N T; what their few draws can show is bounded by N T log10(N T).

    Example:
        >>> effective_sample_size(torch.zeros(10, 2))
        0.0
    """
    series = _series(values)
    time = autocorrelation_time(series)
    count = series.numel()
    return 0.0 if math.isinf(time) else min(count / time, count * math.log10(count))


@dataclass(frozen=True)
class TradeOff:
    """One point of a trade-off curve: fidelity against mixing, at one level and hold.

    Args:
        level: b.
        hold: h.
        fidelity: the fidelity measure of the last states' read-outs.
        autocorrelation_time: τ of the statistic, in steps.
        changed: share of sites that differ from the start at the end, known ones left out; of
            real-valued states, the root mean square of the difference.
        nfe: network evaluations a chain.
    """

    level: float
    hold: float
    fidelity: float
    autocorrelation_time: float
    changed: float
    nfe: int


def _changed(clean: Tensor, z: Tensor, free: Tensor) -> float:
    clean, z = clean[free], z[free]
    if clean.is_floating_point():
        return float((clean - z).double().square().mean().sqrt())
    return float((clean != z).double().mean())


def _site_means(x: Tensor, free: Tensor) -> Tensor:
    """Means over the free sites, (N,)."""
    sites = x.double().where(free, 0.0).reshape(len(x), -1).sum(1)
    return sites / free.reshape(len(x), -1).sum(1).clamp_min(1)


@torch.no_grad()
def trade_off(
    kernel: TransitionKernel,
    z: Tensor,
    levels: Sequence[float],
    *,
    steps: int,
    fidelity: Callable[[Tensor], float],
    statistic: Callable[[Tensor], Tensor] | None = None,
    hold: float | None = None,
    label: Tensor | int | None = None,
    known: checks.Known | None = None,
    metropolis: bool = False,
    generator: torch.Generator | None = None,
) -> list[TradeOff]:
    """The curve of fidelity against mixing over levels, from stationary runs.

    Args:
        kernel: the kernel.
        z: clean data, one start a chain, (N, *S).
        levels: levels b to run at.
        steps: T, steps a run.
        fidelity: a measure of clean states, (N, *S) -> number, such as a Frechet distance.
        statistic: numbers whose autocorrelation is measured, (N, *S) -> (N,); None for the mean
            over the sites that are not known.
        hold: h, in [0, 1]; None for the kernel's own.
        label: one label, or labels (N,), for networks that declare them.
        known: (mask, values) of sites that no step touches, such as padding, each of shape S or
            (N, *S); mask True = generate.
        metropolis: refuse steps that break detailed balance; see `discrete_ca.metropolis`.
        generator: source of randomness.

    Example:
        >>> from discrete_ca import CategoricalNoiseKernel, corruption, nn
        >>> kernel = CategoricalNoiseKernel(nn.MLP(2, 2, shape=(5,)), corruption.Uniform(2))
        >>> data = torch.randint(0, 2, (8, 5))
        >>> points = trade_off(kernel, data, [0.5], steps=8, fidelity=lambda z: 0.0)
        >>> points[0].nfe
        9
    """
    given = Conditions.of(checks.tensor(z, "z"), label, known, hold)
    free = torch.ones_like(z, dtype=torch.bool) if given.known is None else given.known[0]
    points = []
    for level in levels:
        start = kernel.corrupt(z, level, generator)
        tally = Tally.of(metropolis, [level])
        walker, series = Walker(kernel, start, level, given, generator, tally), []
        for _ in range(steps):
            x = walker.step()
            series.append(_site_means(x, free) if statistic is None else statistic(x).double())
        clean = walker.read_out(draw=False)
        points.append(
            TradeOff(
                level=level,
                hold=kernel.hold if hold is None else float(hold),
                fidelity=fidelity(clean),
                autocorrelation_time=autocorrelation_time(torch.stack(series)),
                changed=_changed(clean, z, free),
                nfe=(steps + 1) * kernel.evaluations(label is not None),
            )
        )
    return points
