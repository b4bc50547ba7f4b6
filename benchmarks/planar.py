r"""Chains on the seven planar laws of 32 bits, compared with data as the literature does.

Networks of one architecture are trained for the same cost in network passes (as in
`benchmarks.exact_law`): by denoising, by the default schedule with an adjustment head, and by half
denoising, half contrastive adjustment; each with and without `add_evidence`. All laws and seeds of
a method are trained side by side. Then, for each level b, chains at the hold that they were trained
at start from held-out data, and after 10, 100 and 1,000 steps two things are compared with data:

* states, with data noised to the same level: the claim of stationarity itself;
* read-outs (draws of p(z|x)), with clean data: this also holds what one read-out costs, which
  0 steps show.

"Annealed" are samples of `dca.sample`. "Limit: denoising" is the chain of the best denoiser there
can be, no network: exact marginals p(z_i|x), computed with the leading 8 bits of each coordinate,
the others being noise to it. Chains with Metropolis steps are of the same networks.

The measure is the unbiased MMD^2 with the similarity exp(-0.1 d_H), in units of 1e-4 (Zhang et al.
2022, arXiv 2202.01361). It is taken between 1,000 states or more and 4,000 of data: after 10 steps
those of 1,000 chains, then those of 300 chains at 4 times of the second half of 100 steps, and of
50 chains at 20 times of that of 1,000. No two states of one chain are paired, which keeps it
unbiased. Its mean is 0 where the laws are equal; real data in place of the samples give the
floor. This measure hardly sees the plane: what no network has learned can be at its floor. So
read-outs and annealed samples are compared as points too ("plane"), by the unbiased MMD^2 with the
similarity exp(-|x - y|^2 / 2 s^2), s = 0.25, in the same unit.

    python -m benchmarks.planar [--quick] [--hold 0.5]

Learning rate, width and steps were chosen by held-out denoising loss at seed 100.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import discrete_ca as dca
from benchmarks import report
from benchmarks.exact_law import RECIPES, Recipe, fit
from benchmarks.planar_chains import LEVELS, NOISE, QUICK, Measures, Protocol, Row
from benchmarks.planar_laws import BITS, LAWS, PlanarLaw
from benchmarks.planar_limit import BestDenoiser

RECIPE_NAMES = ("denoising", "default (adjustment head)", "half denoising, half CA")
METHODS = {
    f"{name}{', evidence' * evidence}": replace(RECIPES[name], evidence=evidence)
    for name in RECIPE_NAMES
    for evidence in (False, True)
}
LIMIT, FAST = "limit: denoising", "limit: denoising, hold 0"
REFUSING = ", Metropolis"
"""What the name of a chain with Metropolis steps ends with."""
REAL, ANNEALED = "real data (floor)", "annealed"
WIDTH, RATE, EMA = 64, 5e-3, 0.995

Points = list[list[float]]


def make_kernel(hold: float, recipe: Recipe) -> dca.CategoricalNoiseKernel:
    """An MLP over the bits, and for a head a small one that adjusts what it says."""
    shape = (2 * BITS,)
    return dca.CategoricalNoiseKernel(
        dca.nn.MLP(2, 2, shape, width=WIDTH),
        dca.corruption.Uniform(2),
        hold,
        adjustment=dca.nn.AdjustmentMLP(2, shape) if recipe.head else None,
        add_evidence=recipe.evidence,
    )


def summarise(rows: list[Row]) -> list[Row]:
    """Means over seeds, and their standard deviations."""
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        method = row["method"] + REFUSING * row.get("metropolis", False)
        groups.setdefault((method, row["b"], row["steps"], row["law"]), []).append(row)
    table = []
    for (method, b, steps, law), found in groups.items():
        line = {"method": method, "b": b, "steps": steps, "law": law}
        for name in ("states", "read-outs", "plane"):
            values = [row[name] for row in found if name in row]
            if values:
                line[name] = statistics.mean(values)
                line[f"{name} sd"] = statistics.stdev(values) if len(values) > 1 else 0.0
        line["training seconds"] = found[0].get("training seconds", 0.0)
        table.append({**line, "runs": len(found)})
    return table


def picture(parts: dict[str, list[Points]], laws: Sequence[PlanarLaw], place: Path) -> None:
    """Points of each law, a column each; a line for each part."""
    from matplotlib.figure import Figure

    figure = Figure((1.35 * len(laws), 1.4 * len(parts)), layout="tight")
    axes = figure.subplots(len(parts), len(laws), squeeze=False)
    for (name, clouds), line in zip(parts.items(), axes, strict=True):
        for points, at in zip(clouds, line, strict=True):
            at.scatter(*zip(*points, strict=True), s=0.6, c="black", linewidths=0)
            at.set(xlim=(-4, 4), ylim=(-4, 4), xticks=[], yticks=[], aspect="equal")
        line[0].set_ylabel(name.replace(" (", "\n(").replace(", ", ",\n"), fontsize=6)
    for law, at in zip(laws, axes[0], strict=True):
        at.set_title(law.name, fontsize=7)
    figure.savefig(place, dpi=90)


def decoded(law: PlanarLaw, z: Tensor) -> Points:
    """The points of states (N, 32), as fine as a picture shows them."""
    return law.decode(z).double().round(decimals=3).tolist()


def run(
    method: str, measures: Measures, seeds: range, hold: float, passes: int, batch: int
) -> Iterator[Row]:
    """What a method comes to, by plain steps and by Metropolis steps.

    Yields:
        A row for each law, seed, level and number of steps; those of annealed samples of the first
        seed hold the points.
    """
    laws, first = measures.laws, seeds.start
    if method == REAL:
        yield from measures.floor()
        return
    told = {}
    if method in (LIMIT, FAST):
        every = [*laws]
        best = BestDenoiser(laws, LEVELS, measures.protocol.kept, measures.protocol.draws)
        hold = hold if method == LIMIT else 0.0
        kernel = dca.CategoricalNoiseKernel(best, NOISE, hold, add_evidence=True)
    else:
        every, recipe = [*laws] * len(seeds), METHODS[method]
        torch.manual_seed(first)
        alone = [make_kernel(hold, recipe) for _ in every]
        kernel, trainer = fit(
            alone, recipe.phases, every, passes, batch, first, learning_rate=RATE, ema=EMA
        )
        told = {"training seconds": round(trainer.seconds / len(every), 2)}
        z = measures.annealed(kernel, len(every), first)
        for i, law in enumerate(every):
            shown = {"points": decoded(law, z[:, i])} if i < len(laws) else {}
            yield {"law": law.name, "seed": first + i // len(laws), "b": 0.0, "steps": ANNEALED,
                   **measures.clean(law, z[None, :, i]), **told, **shown}  # fmt: skip
    for metropolis in (False, True):
        for row in measures.rows(kernel, len(every), first, metropolis):
            yield {"metropolis": metropolis, **row, **told}


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Run it and write its report and picture."""
    parser = report.parser(__doc__, quick="two laws, hardly any training")
    parser.add_argument("--methods", nargs="+", choices=[*METHODS, LIMIT, FAST])
    parser.add_argument("--hold", type=float, default=0.5)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0, help="100 and up: for tuning")
    parser.add_argument("--passes", type=int, default=24_000, help="cost of a network")
    parser.add_argument("--batch", type=int, default=128, help="examples a network and step")
    parser.add_argument(
        "--resume",
        action="store_true",
        help="keep what was measured before at this hold, budget and seeds",
    )
    given = report.parse(parser, argv)
    laws, protocol = list(LAWS.values()), Protocol()
    methods = given.methods or [LIMIT, FAST, *METHODS]
    if given.quick:
        laws, protocol, given.seeds, given.passes, given.batch = laws[:2], QUICK, 1, 30, 16
        methods = given.methods or [LIMIT, *list(METHODS)[2:4]]
    seeds = range(given.first_seed, given.first_seed + given.seeds)
    budget = {"hold": given.hold, "passes": given.passes, "batch": given.batch}
    if not given.resume:
        (Path(given.folder) / "planar.jsonl").unlink(missing_ok=True)
    kept = report.Kept("planar", given.folder, **budget, seeds=[*seeds])
    measures = Measures(laws, protocol)
    for method in (REAL, *methods):
        work = partial(run, method, measures, seeds, **budget)
        kept.rows({"method": method}, work)
        if not given.quick:
            print(f"{len(kept.found)} rows: {method}", flush=True)
    g = torch.Generator().manual_seed(0)
    parts = {REAL: [decoded(law, law.sample(protocol.samples, g)) for law in laws]}
    for row in kept.found:
        if "points" in row:
            parts.setdefault(row["method"], []).append(row["points"])
    picture(parts, laws, Path(given.folder) / "planar.png")
    trained = {row["seed"] for row in kept.found if row["method"] in METHODS}
    written = report.write(
        "planar", summarise(kept.found), given.folder, **budget, width=WIDTH, learning_rate=RATE,
        seeds=len(trained), **asdict(protocol),
    )  # fmt: skip
    return {**written, "raw": kept.found}


if __name__ == "__main__":
    main()
