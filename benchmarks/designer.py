"""Rounds that simulated designers take to a hidden target, and how candidates are made for them.

A person has a digit of the test set in mind and begins with a random training digit of its class
(`benchmarks.people` says how they pick and paint). They are done when the design differs from the
target in no more cells than the target's nearest neighbour among 1,000 other test digits does, and
give up after so many rounds. Candidates come, at an equal number of network evaluations (NFE) a
round, from

* the adjusted chain: the design noised to a level, some steps of the kernel there, read out;
* the denoiser's chain: the same without the adjustment head;
* resampling from scratch, given the class and what is locked;

and without a network from real digits (what a perfect sampler would show; without painting) or from
nowhere (painting alone). The level of both chains falls by a factor when the present design is
kept. Where it begins and the factor, the same for both chains, and among how many candidates
resampling parts its evaluations and at which hold, are chosen on other targets, from the training
set, with painting and without, from grids of a few settings: the fewest rounds in the mean.

    python -m benchmarks.designer [--run FOLDER] [--targets N] [--quick]

FOLDER is what ``make demo`` writes; without one, a kernel is trained first by its recipe.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from benchmarks import people, real_data, report
from benchmarks.people import Chain, DenoisersChain, Method, Nothing, RealDigits, Resampling
from discrete_ca import demo, draws, runs

OTHERS = 1000  # digits, the nearest of which is the threshold
RESAMPLES = 2000  # of the bootstrap
LEVELS, FALLS = (0.5, 0.65, 0.8), (0.8, 0.95)
COUNTS, HOLDS = (8, 4, 2), (0.0, None)

GRIDS: dict[str, list[Method]] = {
    "adjusted chain": [Chain(*each) for each in product(LEVELS, FALLS)],
    "denoiser's chain": [DenoisersChain(*each) for each in product(LEVELS, FALLS)],
    "resampling": [Resampling(*each) for each in product(COUNTS, HOLDS)],
    "real digits": [RealDigits()],
    "painting alone": [Nothing()],
}
CHAINS = ("adjusted chain", "denoiser's chain")
WITHOUT_PAINTING, WITH_PAINTING = [*GRIDS][:4], [*GRIDS][:3] + [*GRIDS][4:]


class Job(NamedTuple):
    """People of one kind with one method: what a process is given."""

    folder: str
    name: str
    method: Method
    painting: bool
    split: str
    targets: int
    others: int
    bound: int
    seed: int


class Found(NamedTuple):
    """How many rounds each of a job's people took, infinity for who gave up, and the seconds."""

    rounds: list[float]
    seconds: float

    def mean(self, bound: int) -> float:
        """Rounds in the mean, those who gave up counted as one more than the bound."""
        return float(counted(torch.tensor(self.rounds), bound).mean())


@cache
def _kernel(folder: str) -> Any:
    return runs.load_run(folder).kernel.eval()


def run_job(job: Job) -> Found:
    """Let the people of a job work, side by side."""
    torch.set_num_threads(1)  # processes share the machine
    begun = time.perf_counter()
    task = people.tasks(job.split, job.targets, job.others, job.seed)
    # the same draws for every method: the two chains part ways only where the head says so
    generator = draws.keyed(job.seed, "designer", job.split, int(job.painting))
    rounds = people.rounds_needed(
        job.method, _kernel(job.folder), task, job.painting, job.bound, generator
    )
    return Found(rounds.tolist(), time.perf_counter() - begun)


def counted(rounds: Tensor, bound: int) -> Tensor:
    """Rounds, those of who gave up as one more than the bound."""
    return rounds.clamp_max(bound + 1)


# -- what is told of them -------------------------------------------------------------------------


def middle(values: Tensor) -> Tensor:
    """The median of each row, the lower one of two."""
    return values.median(-1).values


def interval(values: Tensor, statistic: Any, seed: int) -> tuple[float, float, float]:
    """A statistic of values (N,), and between what it lies at 95 %, by bootstrap over them."""
    place = torch.randint(
        len(values), (RESAMPLES, len(values)), generator=draws.keyed(seed, "bootstrap")
    )
    ends = statistic(values[place]).sort().values
    out = round(0.025 * (RESAMPLES - 1))
    return float(statistic(values)), float(ends[out]), float(ends[-1 - out])


def words(rounds: float, bound: int, times: int = 1) -> str:
    """So many rounds, or more than the bound; each counted so many times.

    Example:
        >>> words(7.0, 24), words(float("inf"), 24, times=32)
        ('7', '> 768')
    """
    return f"{times * rounds:.0f}" if rounds <= bound else f"> {times * bound}"


def row(job: Job, found: Found, first: Found) -> dict[str, Any]:
    """What the table says of a job, beside the adjusted chain's of the same people."""
    rounds, bound = torch.tensor(found.rounds), job.bound
    more = counted(rounds, bound) - counted(torch.tensor(first.rounds), bound)
    lost, lost_least, lost_most = interval(more, lambda values: values.mean(-1), job.seed)
    value, least, most = (words(x, bound) for x in interval(rounds, middle, job.seed))
    settings = (
        f"{field.name} {getattr(job.method, field.name)}".replace("None", "the kernel's")
        for field in dataclasses.fields(job.method)  # type: ignore[arg-type]
    )
    return {
        "painting": "yes" if job.painting else "no",
        "candidates from": job.name,
        "settings": ", ".join(settings),
        "rounds, median (95 %)": f"{value} ({least} to {most})",
        "NFE, median": words(float(middle(rounds)), bound, job.method.nfe),
        "done, %": 100 * float((rounds <= bound).double().mean()),
        "mean rounds": found.mean(bound),
        "more than the adjusted chain's (95 %)": (
            "" if job.name == CHAINS[0] else f"{lost:.1f} ({lost_least:.1f} to {lost_most:.1f})"
        ),
        "seconds": round(found.seconds),
    }


# -- the run --------------------------------------------------------------------------------------


def trained(folder: Path, seed: int, quick: bool) -> str:
    """A run of the demo's recipe with a head; tiny and hardly trained in the quick form."""
    config = runs.RunConfig.from_toml(demo.RECIPE)
    config = real_data.adjusting(config, real_data.CASES[demo.RECIPE])
    train = dataclasses.replace(config.train, seed=seed, progress=False)
    config = dataclasses.replace(config, train=train)
    if quick:
        config = real_data.small(config)
    examples, _ = config.data.load_parts(seed)
    kernel, _ = real_data.trained(config, examples, runs.build_schedule(config.recipe))
    kernel.save_pretrained(folder / runs.MODEL)
    return str(folder)


def tuned(jobs: list[Job], results: Iterator[Found]) -> dict[tuple[str, bool], Method]:
    """For each name, with painting and without, the method with the fewest rounds in the mean.

    The chains share their settings: those with the fewest in both.
    """
    means = {
        (job.name, job.painting, dataclasses.astuple(job.method)): found.mean(job.bound)  # type: ignore[call-overload]
        for job, found in zip(jobs, results, strict=True)
    }

    def cost(job: Job) -> float:
        names = CHAINS if job.name in CHAINS else (job.name,)
        settings = dataclasses.astuple(job.method)  # type: ignore[call-overload]
        return sum(means[name, job.painting, settings] for name in names)

    chosen: dict[tuple[str, bool], Job] = {}
    for job in jobs:
        arm = (job.name, job.painting)
        chosen[arm] = min(chosen.get(arm, job), job, key=cost)
    return {arm: job.method for arm, job in chosen.items()}


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Run it and write its report."""
    parser = report.parser(__doc__, quick="a tiny kernel, hardly trained, three people, two rounds")
    parser.add_argument("--run", help="of the demo's recipe with a head; else one is trained")
    parser.add_argument("--targets", type=int, default=100)
    parser.add_argument("--tuning-targets", type=int, default=16)
    parser.add_argument("--bound", type=int, default=24, help="rounds until people give up")
    parser.add_argument("--tuning-bound", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    given = report.parse(parser, argv)
    grids = GRIDS
    if given.quick:
        given.targets, given.tuning_targets, given.bound, given.tuning_bound = 3, 2, 2, 1
        given.jobs, grids = 1, {name: grid[-2:] for name, grid in GRIDS.items()}
    folder = given.run or trained(Path(given.folder) / "designer", given.seed, given.quick)
    arms = [(name, False) for name in WITHOUT_PAINTING] + [(name, True) for name in WITH_PAINTING]

    def job(name: str, painting: bool, method: Method, tuning: bool) -> Job:
        split = "train" if tuning else "test"
        targets = given.tuning_targets if tuning else given.targets
        bound = given.tuning_bound if tuning else given.bound
        return Job(folder, name, method, painting, split, targets, OTHERS, bound, given.seed)

    def keep(jobs: list[Job], results: Iterator[Found]) -> Iterator[Found]:
        for each, found in zip(jobs, results, strict=True):
            raw = {"name": each.name, "painting": each.painting, "method": str(each.method)}
            raw |= {"split": each.split, **found._asdict()}
            report.append("designer", [raw], given.folder)
            yield found

    with ProcessPoolExecutor(given.jobs, mp_context=get_context("spawn")) as pool:
        work = map if given.jobs == 1 else pool.map
        trials = [job(*arm, method, True) for arm in arms for method in grids[arm[0]]]
        trials = [each for each in trials if len(grids[each.name]) > 1]
        chosen = tuned(trials, keep(trials, work(run_job, trials)))
        final = [job(*arm, chosen.get(arm, grids[arm[0]][0]), False) for arm in arms]
        results = list(keep(final, work(run_job, final)))
    first = {each.painting: found for each, found in zip(final, results, strict=True)
             if each.name == CHAINS[0]}  # fmt: skip
    rows = [row(each, found, first[each.painting])
            for each, found in zip(final, results, strict=True)]  # fmt: skip
    settings = {
        "targets": given.targets, "tuning targets": given.tuning_targets, "bound": given.bound,
        "tuning bound": given.tuning_bound, "others": OTHERS, "NFE a round": people.NFE,
        "shown": people.SHOWN, "painted a round": people.PAINTED,
        "temperature": people.TEMPERATURE, "seed": given.seed,
    }  # fmt: skip
    return {**report.write("designer", rows, given.folder, **settings), "raw": results}


if __name__ == "__main__":
    main()
