"""What other people's samplers may choose from: one grid for networks and for exact denoisers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import product

from benchmarks.peers import samplers
from benchmarks.peers.samplers import LEVELS, Step
from discrete_ca.corruption import Corruption

HOLDS = (0.5, 0.85)
"""Of our chain."""
CAPPED = (0.01, 0.02, 0.1, 0.3, 1.0)
RESCALED = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
LOOPED = (0.01, 0.02, 0.05, 0.1, 0.3, 0.5)
"""η of ReMDM-cap (at 1 all that it may, where ReMDM-rescale at 1 is the same), -rescale, -loop."""

Leveled = Callable[[Corruption, list[float]], list[Step]]
"""A sampler that takes levels down to 0: from the noise and these to its steps."""
Ways = dict[str, Callable[[Corruption, int], list[Step]]]
"""The settings of a sampler by their texts: each from the noise and a number of steps to these."""


def leveled(ways: dict[str, Leveled], schedules: Iterable[str] = LEVELS) -> Ways:
    """Those of a sampler of levels, on each schedule."""

    def steps(of: Leveled, schedule: str, noise: Corruption, n: int) -> list[Step]:
        return of(noise, LEVELS[schedule](n, 0.0))

    return {
        f"{schedule}, {text}" if text else schedule: partial(steps, of, schedule)
        for schedule, (text, of) in product(schedules, ways.items())
    }


def mdlm(schedules: Iterable[str] = LEVELS) -> Ways:
    """MDLM, which is D3PM with absorbing noise."""
    return leveled({"": lambda noise, levels: samplers.mdlm(levels)}, schedules)


def remdm(schedules: Iterable[str], looped: dict[str, float]) -> Iterator[tuple[str, Ways]]:
    """ReMDM's three by name.

    Args:
        schedules: of levels, for the first two.
        looped: shares α that the loop may show, by what is added to its texts.
    """

    def way(of: Callable[..., list[Step]], eta: float) -> Leveled:
        return lambda noise, levels: of(levels, eta)

    def loop(eta: float, shown: float, noise: Corruption, n: int) -> list[Step]:
        return samplers.remdm_loop(n, eta, shown=shown)

    capped = {f"η {eta:g}": way(samplers.capped, eta) for eta in CAPPED}
    rescaled = {f"η {eta:g}": way(samplers.rescaled, eta) for eta in RESCALED}
    yield "ReMDM-cap", leveled(capped, schedules)
    yield "ReMDM-rescale", leveled(rescaled, schedules)
    every = product(LOOPED, looped.items())
    loops: Ways = {f"η {eta:g}{text}": partial(loop, eta, shown) for eta, (text, shown) in every}
    yield "ReMDM-loop", loops
