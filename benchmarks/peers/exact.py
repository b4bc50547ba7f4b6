"""Laws that samplers come to, exactly, with the exact denoiser: no network, no training, no draws.

    python -m benchmarks.peers.exact [--quick]

On random peaked laws of five binary sites and on the law of 2 x 3 patches of digits, every
sampler's step is a matrix over all states; their product gives the law of its output, and the table
the total variation (TV) to the data law, by the number of network evaluations (NFE). All samplers
ask the same thing, the exact marginals p(z_i|x) of their noise. A real image has 784 sites, so that
few NFE a site is the case to look at: 2 and 4 stand beside 8, 32, 128 and 512.

Settings (levels, remasking, correctors: those of `choices`; never a temperature) are those with the
lowest median TV at that NFE on other laws (seeds 100 to 102; patches of the test split), a choice
for each sampler and NFE, ours too.

Expected before measuring: (1) With an exact denoiser a masked sampler is exact as soon as it
reveals one site at a time, so that with D = 5 or 6 sites every masked sampler wins from 8 or 32 NFE
on, the cached one at D evaluations at most; there is nothing for correctors to do. (2) Uniform
noise cannot do that: D3PM's error falls like 1 / NFE. (3) Our plain chain stops at the error of its
last levels (1e-2), with Metropolis steps lower. (4) Below D evaluations all are bad and near to one
another; remasking costs there.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from itertools import product
from typing import Any, NamedTuple

from torch import Tensor, nn

import discrete_ca as dca
from benchmarks import report
from benchmarks.laws import Law, patch_law, random_law
from benchmarks.peers import grids, samplers
from benchmarks.peers.grids import HOLDS, Leveled, Ways
from benchmarks.peers.samplers import LEVELS, Step
from benchmarks.tabular import posterior
from discrete_ca.corruption import Absorbing, Corruption, Uniform
from discrete_ca.diagnostics import exact

NFES = (2, 4, 8, 32, 128, 512)
MOST_STEPS, MOST_CACHED = 1024, 8
"""Of a cached run: steps, and evaluations, which are no more than there are sites."""


class Oracle(nn.Module):
    """The exact denoiser of a law: what the best network of an architecture would say.

    Args:
        law: the data law.
        corruption: the noise.
    """

    def __init__(self, law: Law, corruption: Corruption) -> None:
        super().__init__()
        self.law, self.corruption = law, corruption
        self.num_categories, self.num_states = corruption.num_categories, corruption.num_states
        self.timeless = isinstance(corruption, Absorbing)  # masks say all that the level does
        self.table = lru_cache(maxsize=2048)(partial(posterior, law, corruption))

    def probs(self, x: Tensor, level: float) -> Tensor:
        """p(z|x), (B, *S, K)."""
        found = self.table(0.5 if self.timeless else level)
        return found[exact.index(x, self.num_states)].reshape(*x.shape, self.num_categories)

    def forward(self, x: Tensor, b: Tensor) -> Tensor:
        """The same as logits, at levels (B,) that are equal."""
        return self.probs(x, float(b[0])).clamp_min(1e-300).log()


class Subject:
    """A data law and the exact denoisers of its noises.

    Args:
        law: the data law.
    """

    def __init__(self, law: Law) -> None:
        self.law = law
        self.uniform = Oracle(law, Uniform(law.num_categories))
        self.absorbing = Oracle(law, Absorbing(law.num_categories))


class Setting(NamedTuple):
    """A sampler with everything chosen."""

    text: str
    law: Callable[[Subject, int], tuple[Tensor, float]]
    """From a subject and the most evaluations to the law of the output and the evaluations."""
    least: int = 1
    """Fewest evaluations that it can do with."""
    most: int = NFES[-1]
    """Most evaluations that it can make use of."""


def peer(
    noise: str,
    steps: Callable[[Corruption, int], list[Step]],
    cached: bool,
    subject: Subject,
    nfe: int,
) -> tuple[Tensor, float]:
    """The law of another sampler's output over clean states, and its mean NFE.

    Args:
        noise: uniform or absorbing.
        steps: the sampler, from the noise and its number of steps.
        cached: whether a state that did not change is not asked about again.
        subject: the data law and its denoisers.
        nfe: the most evaluations.
    """
    law, oracle = subject.law, getattr(subject, noise)
    states = exact.states(law.num_categories, law.shape)
    start = exact.noisy_law(law.p, oracle.corruption, law.shape, 1.0)
    count = samplers.cached_steps(nfe, states[0].numel(), MOST_STEPS) if cached else nfe
    found, changes = samplers.final_law(
        steps(oracle.corruption, count), oracle.probs, start, oracle.num_states, law.shape
    )
    return found[exact.index(states, oracle.num_states)], 1 + changes if cached else nfe


def chain(
    hold: float,
    metropolis: bool,
    schedule: str,
    correctors: int,
    lowest: float,
    subject: Subject,
    nfe: int,
) -> tuple[Tensor, float]:
    """The law of our annealed chain's read-out (a draw), at no more than so many evaluations."""
    moves = (nfe - 1) // (1 + correctors)
    levels = LEVELS[schedule](moves, lowest)
    oracle = subject.uniform
    kernel = dca.CategoricalNoiseKernel(oracle, oracle.corruption, hold).double()
    _, found = exact.annealed_law(
        kernel, subject.law.shape, levels, correctors, draw=True, metropolis=metropolis
    )
    return found, moves * (1 + correctors) + 1


def _settings(noise: str, ways: Ways, cached: bool = False) -> list[Setting]:
    most = MOST_CACHED if cached else NFES[-1]
    return [
        Setting(text, partial(peer, noise, steps, cached), most=most)
        for text, steps in ways.items()
    ]


def _flow() -> Ways:
    def steps(power: float, divergence_free: float, noise: Corruption, n: int) -> list[Step]:
        return samplers.flow_euler(noise.checked_matrix(1.0)[0], n, power, divergence_free)

    return {
        f"κ = t^{n:g}, c = {c:g}": partial(steps, n, c)
        for n, c in product((1.0, 2.0), (0.0, 1.0, 4.0))
    }


def _chains(hold: float, metropolis: bool) -> list[Setting]:
    return [
        Setting(
            f"{schedule} to {lowest:g}, {c} correctors",
            partial(chain, hold, metropolis, schedule, c, lowest),
            least=2 + c,
        )
        for schedule, c, lowest in product(LEVELS, (0, 1, 3, 7), (0.005, 0.02, 0.2))
        if c or not metropolis
    ]


def choices() -> Iterator[tuple[str, list[Setting]]]:
    """Each sampler by name with all the settings that it may choose from."""
    d3pm: dict[str, Leveled] = {"": samplers.d3pm}
    as_printed: dict[str, Leveled] = {"Eq. 4 as printed": partial(samplers.d3pm, joint=True)}
    yield "D3PM, uniform", _settings("uniform", grids.leveled(d3pm | as_printed))
    yield "flow-matching, uniform source", _settings("uniform", _flow())
    yield "D3PM, absorbing", _settings("absorbing", grids.leveled(d3pm))
    yield "MDLM", _settings("absorbing", grids.mdlm())
    yield "MDLM, cached", _settings("absorbing", grids.mdlm(), cached=True)
    for name, ways in grids.remdm(LEVELS, {", α 0.9": 0.9, ", α 0.7": 0.7}):
        yield name, _settings("absorbing", ways)
    yield "flow-matching, masked source", _settings("absorbing", _flow())
    for hold, metropolis in product(HOLDS, (False, True)):
        text = "Metropolis" if metropolis else "plain"
        yield f"chain, h = {hold:g}, {text}", _chains(hold, metropolis)
    slowest = [each for each in _chains(1.0, False) if each.least == 2]  # nothing to correct
    yield "chain, h = 1", slowest


LAWS: dict[str, tuple[Callable[[], list[Law]], Callable[[], list[Law]]]] = {
    "random": (
        lambda: [random_law(seed) for seed in (100, 101, 102)],
        lambda: [random_law(seed) for seed in range(5)],
    ),
    "patches 2 x 3": (
        lambda: [patch_law(height=2, split="test")],
        lambda: [patch_law(height=2)],
    ),
}
"""Laws to choose settings on, and laws of the table, by kind."""


def median_tv(setting: Setting, subjects: list[Subject], nfe: int) -> tuple[float, float]:
    """Median TV over laws and mean NFE of a setting."""
    found = [setting.law(subject, nfe) for subject in subjects]
    tvs = [
        exact.total_variation(p, subject.law.p)
        for (p, _), subject in zip(found, subjects, strict=True)
    ]
    return statistics.median(tvs), statistics.mean(used for _, used in found)


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Run it and write its report."""
    parser = report.parser(__doc__, quick="one random law, two settings a sampler, few NFE")
    parser.add_argument("--nfe", nargs="+", type=int, default=list(NFES))
    parser.add_argument("--laws", nargs="+", choices=LAWS, default=list(LAWS))
    given = report.parse(parser, argv)
    if min(given.nfe) < 1:
        parser.error(f"argument --nfe: was {min(given.nfe)}; allowed: 1 or more")
    if given.quick:
        given.nfe, given.laws = [2, 4], ["random"]
    kept, rows = report.Kept("peers.exact", given.folder, anew=given.quick), []
    for kind in given.laws:
        tuning, subjects = ([Subject(law) for law in make()] for make in LAWS[kind])
        if given.quick:
            tuning, subjects = tuning[:1], subjects[:1]
        for (name, settings), nfe in product(choices(), given.nfe):
            able = [each for each in settings if each.least <= nfe <= each.most]
            if able:
                tried = able[: 2 if given.quick else None]
                best = partial(best_row, tried, tuning, subjects, nfe)
                key = {"law": kind, "sampler": name, "at most NFE": nfe}
                among = {"among": [each.text for each in tried]}
                found = kept.rows({**key, **among}, best)
                rows += [{k: v for k, v in row.items() if k not in among} for row in found]
    return report.write("peers.exact", rows, given.folder, laws=given.laws)


def best_row(
    settings: list[Setting], tuning: list[Subject], subjects: list[Subject], nfe: int
) -> Iterator[dict[str, Any]]:
    """What the setting that is best on some laws comes to on others, a row."""
    begun = time.process_time()
    best = min(settings, key=lambda each: median_tv(each, tuning, nfe)[0])
    tv, used = median_tv(best, subjects, nfe)
    yield {
        "TV": tv, "NFE": round(used, 2), "setting": best.text, "settings tried": len(settings),
        "seconds": round(time.process_time() - begun, 1),
    }  # fmt: skip


if __name__ == "__main__":
    main()
