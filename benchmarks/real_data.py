"""The recipes on their data: with contrastive adjustment and by denoising alone, beside real data.

    python -m benchmarks.real_data [--only NAME ...] [--mnist FOLDER] [--chorales FILE] [--quick]

Each recipe's network is trained by denoising and then by contrastive adjustment, of a head or of
all weights, for the recipe's own minutes or those given ("chain"); then by denoising alone, for as
many steps as cost the same time (a step of each phase is timed beside one of denoising, in
processor time). Both are sampled by the same annealed chain at the same hold, number of network
evaluations (NFE) and seed, each class as often where they are told, and measured against the same
held-out examples; the floor is that of as many real ones. Nothing was tuned on the default seed.
Samples and runs are written to the folder too, to be looked at and gone on with; rows of other
recipes that are in the folder already stay in the report.
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
from discrete_ca.data import Examples, StreamedData, made
from discrete_ca.errors import unknown_name
from discrete_ca.explore.exporting import export
from discrete_ca.runs import RunConfig
from discrete_ca.sealed import write_json
from discrete_ca.training.batches import Batches

DENOISING = dca.Schedule.of(dca.Denoising(level_weight=dca.InverseLevel(0.1)))
ROUNDS, NEAR, SHOWN = 7, 16, 48
_ROWS = "real_data_rows"
SMALL: dict[str, Any] = {"widths": (8,), "head_width": 8, "width": 16, "depth": 1}


class Case(NamedTuple):
    """What is told of a recipe."""

    measure: str
    """Of those of its suite, the one in the table."""
    split: str | None = "test"
    """Which split it is compared with; None for the suite's own choice."""
    moves: int = 32
    correctors: int = 1
    draw: bool = False
    """Read out by a draw, not the mode."""
    guidance: float = 0.0
    """How much more than the data the samples follow the label that they are told."""
    samples: int = 200
    source: str | None = None
    """Which argument says where its data are."""
    kind: str | None = None
    """The kind of data, where their name does not say."""
    recipe: str = "half"
    """What adjusts after denoising: all weights, or a head."""
    adjust: float | None = None
    """Its share of the budget; None for the usual one."""


CASES = {
    "binarized-mnist": Case("frechet_distance", recipe="head", adjust=0.15),
    "mnist16": Case(
        "frechet_distance", correctors=3, guidance=0.5, samples=100, recipe="head", adjust=0.15
    ),
    "mnist256": Case(
        "frechet_distance",
        correctors=3,
        guidance=0.5,
        source="mnist",
        kind="digits",
        samples=64,
        adjust=0.1,
    ),
    "mnist-gaussian": Case("frechet_distance", correctors=3, samples=100, adjust=0.1),
    "colour": Case("whole_shapes", moves=64, correctors=3, samples=64, adjust=0.1),
    "moby-characters": Case("divergence_3", recipe="head", adjust=0.2),
    "moby-subwords": Case("divergence_2", samples=100),
    "chorales": Case(
        "chord_cross_entropy", source="chorales", samples=100, recipe="head", adjust=0.2
    ),
    "toys": Case("mmd_gaussian", moves=64, correctors=3, draw=True, samples=2000),
}


def whole_shapes(pictures: Tensor) -> float:
    """Share of the pictures that are one of those there are, within 16 levels at every site."""
    every = made.every_shape().flatten(1).float()
    away = [(row - every).abs().amax(1).amin() for row in pictures.flatten(1).float()]
    return sum(float(distance) <= NEAR for distance in away) / len(away)


def adjusting(config: RunConfig, case: Case) -> RunConfig:
    """A recipe that ends in contrastive adjustment, as its case says."""
    recipe = dataclasses.replace(config.recipe, kind=case.recipe, adjust=case.adjust)
    return dataclasses.replace(config, recipe=recipe)


def trained(
    config: RunConfig, examples: Examples, schedule: dca.Schedule, **budget: Any
) -> tuple[Any, dca.Trainer]:
    """The kernel of a run and its trainer; the same seed gives the same start."""
    torch.manual_seed(config.train.seed)
    kernel = runs.build_kernel(config, examples)
    settings = dataclasses.replace(config.train, **budget)
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
    config = adjusting(config, case).resolved()
    examples, _ = config.data.load_parts(config.train.seed)
    assert not isinstance(examples, StreamedData)
    schedule = runs.build_schedule(config.recipe)
    chain, trainer = trained(config, examples, schedule)
    equal = steps_of_equal_cost(config, examples, schedule, trainer.step)
    plain = dataclasses.replace(config, recipe=dataclasses.replace(config.recipe, kind="denoising"))
    alone = runs.build_schedule(plain.recipe)
    denoiser, other = trained(plain, examples, alone, steps=equal, minutes=None)
    place = folder / name
    of_chain = measured(name, case, config, chain, examples, place / "chain")
    of_denoiser = measured(name, case, plain, denoiser, examples, place / "denoiser")
    costs = {"steps": trainer.step, "denoiser's steps": other.step}
    raw = {"data": name, **costs, "chain": of_chain, "denoiser": of_denoiser}
    report.append("real_data", [raw], str(folder))
    return {
        "data": name,
        "measure": TEXTS.get(case.measure) or metrics.MEASURES[case.measure].text,
        "real data (floor)": of_chain[metrics.floor_name(case.measure)],
        "chain": of_chain[case.measure],
        "denoiser of equal cost": of_denoiser[case.measure],
        "minutes": trainer.seconds / 60,
        "denoiser's minutes": other.seconds / 60,
        **costs,
        "NFE": of_chain["nfe"],
        "hold": chain.hold,
        "samples": of_chain["samples"],
        "seed": config.train.seed,
    }


def measured(
    name: str, case: Case, config: RunConfig, kernel: Any, examples: Any, folder: Path
) -> dict[str, Any]:
    """The measures of samples of a kernel; they and the kernel, as a run, are written."""
    about = runs.describe(config, examples, {})
    runs.save_model(folder, kernel, examples)
    write_json(folder / runs.RUN_FILE, about)
    saved = runs.load_run(folder)
    comparison = runs.build_comparison(saved, kind=case.kind, split=case.split)
    count = min(case.samples, len(comparison.real))
    told = torch.arange(count) % examples.num_classes if saved.kernel.told_label else None
    guided: Any = saved.kernel
    guided = guided.guided(case.guidance) if case.guidance else guided
    z, info = dca.sample(
        guided, count, examples.shape, moves=case.moves, correctors=case.correctors,
        label=told, draw=case.draw, generator=torch.Generator().manual_seed(config.train.seed),
        return_info=True, progress=False,
    )  # fmt: skip
    found = dict(comparison.report(z, torch.Generator().manual_seed(0)))
    if name == "colour":
        found |= {"whole_shapes": whole_shapes(z), "whole_shapes_floor": 1.0}
    coding = saved.coding()
    pitches = None if coding is None else coding.pitches
    drawn = ".png" if files.is_image(examples.shape) else ".txt"
    for suffix in (drawn, ".npz") if pitches is None else (drawn, ".npz", ".mid"):
        export(
            folder / f"samples{suffix}", z[:SHOWN], saved.num_categories,
            tokenizer=saved.tokenizer, pitches=pitches,
        )  # fmt: skip
    return {**found, "samples": count, "nfe": info.nfe}


TEXTS = {"whole_shapes": f"whole shapes, each site within {NEAR} levels (share)"}
"""Measures of this benchmark alone, in words."""


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
    if given.minutes is not None or given.steps is not None:
        train = dataclasses.replace(train, minutes=given.minutes, steps=given.steps)
    config = dataclasses.replace(config, data=data, train=train)
    return small(config) if given.quick else config


def small(config: RunConfig) -> RunConfig:
    """The same, with two steps of a tiny network."""
    train = dataclasses.replace(config.train, minutes=None, steps=2, batch_size=4)
    return dataclasses.replace(config, train=train, net=dataclasses.replace(config.net, **SMALL))


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Run it and write its report."""
    parser = report.parser(__doc__, quick="two steps of tiny networks")
    parser.add_argument(
        "--only", nargs="*", default=[*CASES], help="recipes; none: what is in the folder"
    )
    parser.add_argument("--minutes", type=float, help="of training; else each recipe's own")
    parser.add_argument("--steps", type=int, help="of training, in place of minutes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--mnist", help="folder with MNIST's IDX files")
    parser.add_argument("--chorales", help=".json file of chorales")
    given = report.parse(parser, argv)
    for name in given.only:
        if name not in CASES:
            parser.error(unknown_name("recipe", name, CASES))
    for name in given.only:
        case = CASES[name]
        if given.quick:
            case = case._replace(moves=1, correctors=1, samples=8)
        config = settings_of(name, case, given)
        if config is not None:
            report.append(_ROWS, [run(name, case, config, Path(given.folder))], given.folder)
    rows = _rows(given.folder)
    return report.write("real_data", rows, given.folder)


def _rows(folder: str) -> list[dict[str, Any]]:
    """The newest row of each recipe in a folder, so that runs of a few complete one another."""
    found = {row["data"]: row for row in report.appended(_ROWS, folder)}
    return [found[name] for name in CASES if name in found]


if __name__ == "__main__":
    main()
