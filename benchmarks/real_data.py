"""The recipes on their data: the chain and a denoiser of equal cost, beside real data.

    python -m benchmarks.real_data [--only NAME ...] [--mnist FOLDER] [--chorales FILE] [--quick]

Each recipe is trained as it comes, for its own minutes or those given; then a denoiser, the same
network trained by denoising alone, for as many steps as cost the same time (a step of each phase is
timed beside one of denoising, in processor time). Both are sampled by the same annealed chain at
the same hold, number of network evaluations (NFE) and seed, and measured against the same held-out
examples; the floor is that of as many real ones. Nothing was tuned on the default seed. Samples are
written to the folder too, to be looked at.
"""

from __future__ import annotations

import dataclasses
import statistics
import time
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

import discrete_ca as dca
from benchmarks import report
from discrete_ca import files, metrics, runs
from discrete_ca.data import DiscreteData, Examples, StreamedData, made
from discrete_ca.runs import RunConfig
from discrete_ca.training.batches import Batches

DENOISING = dca.Schedule.of(dca.Denoising(level_weight=dca.InverseLevel(0.1)))
CORRECTORS, ROUNDS, NEAR = 1, 7, 16
SMALL: dict[str, Any] = {"widths": (8,), "head_width": 8, "width": 16, "depth": 1}


class Case(NamedTuple):
    """What is told of a recipe."""

    measure: str
    """Of those of its suite, the one in the table."""
    split: str | None = "test"
    """Which split it is compared with; None for the suite's own choice."""
    moves: int = 32
    samples: int = 500
    source: str | None = None
    """Which argument says where its data are."""
    kind: str | None = None
    """The kind of data, where their name does not say."""


CASES = {
    "binarized-mnist": Case("frechet_distance"),
    "mnist16": Case("frechet_distance"),
    "mnist256": Case("frechet_distance", source="mnist", kind="digits"),
    "mnist-gaussian": Case("frechet_distance"),
    "colour": Case("whole_shapes"),
    "moby-characters": Case("divergence_3"),
    "moby-subwords": Case("divergence_2"),
    "chorales": Case("chord_cross_entropy", source="chorales", samples=200),
    "toys": Case("mmd_gaussian", samples=2000),
}


def whole_shapes(pictures: Tensor) -> float:
    """Share of the pictures that are one of those there are, within 16 levels at every site."""
    every = made.every_shape().flatten(1).float()
    away = [(row - every).abs().amax(1).amin() for row in pictures.flatten(1).float()]
    return sum(float(distance) <= NEAR for distance in away) / len(away)


def trained(
    config: RunConfig, examples: Examples, schedule: dca.Schedule, **budget: Any
) -> tuple[Any, dca.Trainer]:
    """The kernel of a run and its trainer; the same seed gives the same start."""
    torch.manual_seed(config.train.seed)
    kernel = runs.build_kernel(config, examples)
    settings = dataclasses.replace(config.train, **budget) if budget else config.train
    trainer = dca.Trainer(kernel, schedule, examples, settings)
    return kernel, trainer.fit()


def steps_of_equal_cost(
    config: RunConfig, examples: Examples, schedule: dca.Schedule, steps: int
) -> int:
    """How many steps of denoising cost as much as `steps` of a schedule, by processor time."""
    phases = [*DENOISING.phases, *schedule.phases]
    batches = Batches(examples, config.train.batch_size, config.train.seed)
    times: list[list[float]] = [[] for _ in phases]
    parts = []
    for phase in phases:
        kernel = runs.build_kernel(config, examples)
        parts.append(dca.Trainer(kernel, schedule, examples, config.train).start_part(phase))
    for step in range(ROUNDS):
        for part, phase, found in zip(parts, phases, times, strict=True):
            begun = time.process_time()
            part.gradient(phase.objective, [batches(step)], step)
            part.descend(0.0)
            found.append(time.process_time() - begun)
    denoising, *others = (statistics.median(found[1:]) for found in times)
    # a budget in minutes is parted by time, one in steps by steps
    return max(
        1, round(steps * _mean_cost(schedule, others, config.train.steps is None) / denoising)
    )


def _mean_cost(schedule: dca.Schedule, costs: list[float], by_time: bool) -> float:
    """Processor seconds a step, over the phases of a schedule."""
    shares = [phase.share for phase in schedule.phases]
    if by_time:
        return 1 / sum(share / cost for share, cost in zip(shares, costs, strict=True))
    return sum(share * cost for share, cost in zip(shares, costs, strict=True))


def run(name: str, case: Case, config: RunConfig, folder: Path) -> dict[str, Any]:
    """The row of one recipe."""
    config = config.resolved()
    examples, _ = config.data.load_parts(config.train.seed)
    assert not isinstance(examples, StreamedData)
    schedule = runs.build_schedule(config.recipe)
    chain, trainer = trained(config, examples, schedule)
    equal = steps_of_equal_cost(config, examples, schedule, trainer.step)
    plain = dataclasses.replace(
        config,
        kernel=dataclasses.replace(config.kernel, head=False),
        recipe=dataclasses.replace(config.recipe, kind="denoising"),
    )
    denoiser, other = trained(plain, examples, DENOISING, steps=equal, minutes=None)
    found: dict[str, dict[str, Any]] = {}
    nfe = 0
    for method, kernel in (("chain", chain), ("denoiser", denoiser)):
        generator = torch.Generator().manual_seed(config.train.seed)
        about = runs.describe(config, examples, {})
        K = None if not isinstance(examples, DiscreteData) else examples.num_categories
        tokenizer = examples.tokenizer if isinstance(examples, DiscreteData) else None
        saved = runs.SavedRun(kernel.eval(), tuple(examples.shape), K, about, tokenizer)
        comparison = runs.build_comparison(
            saved, kind=case.kind, split=case.split, coding=_coding(examples.name)
        )
        count = min(case.samples, len(comparison.real))
        z, info = dca.sample(
            kernel, count, examples.shape, moves=case.moves, correctors=CORRECTORS,
            generator=generator, return_info=True, progress=False,
        )  # fmt: skip
        nfe = info.nfe
        found[method] = dict(comparison.report(z, torch.Generator().manual_seed(0)))
        if name == "colour":
            extra = {"whole_shapes": whole_shapes(z), "whole_shapes_floor": 1.0}
            found[method] |= extra
        _show(folder / name, method, z, K, tokenizer)
        kernel.save_pretrained(folder / name / method)
    floor = found["chain"][metrics.floor_name(case.measure)]
    raw = {"data": name, "steps": trainer.step, "denoising steps": other.step, **found}
    report.append("real_data", [raw], str(folder))
    return {
        "data": name,
        "measure": TEXTS.get(case.measure) or metrics.MEASURES[case.measure].text,
        "real data (floor)": floor,
        "chain": found["chain"][case.measure],
        "denoiser of equal cost": found["denoiser"][case.measure],
        "minutes of training": trainer.seconds / 60,
        "steps": trainer.step,
        "denoiser's minutes": other.seconds / 60,
        "denoiser's steps": other.step,
        "NFE": nfe,
        "hold": chain.hold,
        "samples": count,
    }


TEXTS = {"whole_shapes": f"whole shapes, each site within {NEAR} levels (share)"}
"""Measures of this benchmark alone, in words."""


def _coding(name: str) -> metrics.PitchCoding | None:
    """What categories of music mean, by the name of the data."""
    _, found, lowest = name.rpartition("lowest ")
    return metrics.PitchCoding(int(lowest) - 1, rest=0) if found else None


def _show(folder: Path, method: str, z: Tensor, K: int | None, tokenizer: Any) -> None:
    """Write some samples as a picture or a text, and all as numbers."""
    picture = files.is_image(tuple(z.shape[1:])) and z.shape[1] != 4
    suffixes = (".png",) if picture else (".txt",) if z.ndim == 2 else ()
    for suffix in suffixes:
        files.write(folder / f"{method}{suffix}", z[:48], K, 12, tokenizer)
    files.write(folder / f"{method}.npz", z, K)


def settings_of(name: str, case: Case, given: Any) -> RunConfig | None:
    """The recipe as it is to be run; None where its data are not there."""
    config = RunConfig.from_toml(name)
    data = config.data
    if case.source is not None:
        place = getattr(given, case.source)
        if place is None:
            return None
        data = dataclasses.replace(data, source=place)
    train = dataclasses.replace(config.train, seed=given.seed, progress=False)
    if given.minutes is not None:
        train = dataclasses.replace(train, minutes=given.minutes, steps=None)
    if given.quick:
        train = dataclasses.replace(train, minutes=None, steps=2, batch_size=4)
        return dataclasses.replace(
            config, data=data, train=train, net=dataclasses.replace(config.net, **SMALL)
        )
    return dataclasses.replace(config, data=data, train=train)


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Run it and write its report."""
    parser = report.parser(__doc__, quick="two steps of tiny networks")
    parser.add_argument("--only", nargs="+", choices=[*CASES], default=[*CASES])
    parser.add_argument("--minutes", type=float, help="of training; else each recipe's own")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--mnist", help="folder with MNIST's IDX files")
    parser.add_argument("--chorales", help=".json file of chorales")
    given = report.parse(parser, argv)
    rows = []
    for name in given.only:
        case = CASES[name]
        if given.quick:
            case = case._replace(moves=1, samples=8)
        config = settings_of(name, case, given)
        if config is not None:
            rows.append(run(name, case, config, Path(given.folder)))
            report.append("real_data_rows", rows[-1:], given.folder)
    minutes = "each recipe's own" if given.minutes is None else given.minutes
    return report.write(
        "real_data", rows, given.folder, minutes=minutes, correctors=CORRECTORS, seed=given.seed
    )


if __name__ == "__main__":
    main()
