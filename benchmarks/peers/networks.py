"""Samplers over equal networks: Frechet distance and samples a second, by NFE.

    python -m benchmarks.peers.networks [--quick] [--data binarized-mnist ...] [--budgets 800 3200]

A budget is a number of steps of denoising, batch and optimizer the recipe's. Denoisers of uniform
and of absorbing noise are one architecture trained equally long; D3PM, MDLM, ReMDM and the packages
flow-matching and diffusers draw from them, our chain from the uniform one, and "with head" from the
recipe's own schedule at the same cost, which spends part of it on an adjustment head. The Frechet
distance is on the judge's features (16 levels: after a threshold at 8) to test digits; of coloured
shapes, at 16 levels a channel, it is that of their pixels to all there are. The first row is as
many real ones. Every read-out is a draw, ours too, though `discrete_ca.sample` takes modes where it
is not asked. Samples a second are of one thread, by processor time. NFE are network evaluations a
sample, at most those of the column.

Settings (levels, remasking, divergence-free term, correctors; never a temperature) are those with
the lowest distance of 100 samples at seed 100 from the networks of the largest budget, a choice for
each sampler and NFE, up to 128 NFE; at more NFE the choice at 128 stands. Those distances are to
training digits, never to the table's test digits. The table is seed 0. Rows that are in the folder
already are not measured again.

Expected before measuring: at 8 NFE all are far from the floor and the uniform ones nearest, since
they may still change a site; MDLM stalls, since its errors stay; ReMDM and our chain gain most from
128 and 512. Metropolis steps help at hold 0.5 more than at 0.85. More training helps every one by
more than the choice of a sampler does. The cached MDLM saves nothing here: with 784 sites nearly
every step reveals one. Flow-matching is near D3PM and MDLM at the same NFE.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks import report
from benchmarks.peers import flow, schedulers
from benchmarks.peers.cases import CASES, examples
from benchmarks.peers.settings import Kernel, Sampler, Setting, chains, peers
from benchmarks.peers.training import Job, fit

NFES = (8, 32, 128, 512)
TUNING_SEED, TUNING_COUNT, TUNING_MOST = 100, 100, 128


def lacking(sampler: Sampler) -> str:
    """Which package a sampler would need and has not, in words; "" for none."""
    for package, name in ((flow, "flow-matching"), (schedulers, "diffusers")):
        if sampler.name.startswith(name) and not package.installed():
            return package.MISSING
    return ""


class Table:
    """The measures of one data set.

    Args:
        name: of the recipe.
        count: samples a row.
        folder: where networks are kept.
        small: tiny networks.
    """

    def __init__(self, name: str, count: int, folder: Path, small: bool) -> None:
        self.name, self.case, self.count = name, CASES[name], count
        self.folder, self.small = folder, small
        self.examples = examples(self.case.source, self.case.quantize)
        self.measures = self.case.measures(count, most=100 if small else None)
        self.kernels: dict[Job, Kernel] = {}

    def kernel(self, sampler: Sampler, budget: int) -> Kernel:
        """The network that a sampler draws from, trained for a budget."""
        job = Job(self.name, sampler.noise, budget, sampler.head)
        if job not in self.kernels:
            self.kernels[job] = fit(job, self.examples, self.folder, self.small)
        return self.kernels[job]

    def chosen(self, sampler: Sampler, budget: int, nfe: int) -> Setting:
        """The best of its settings on the tuning seed."""
        able = [each for each in sampler.settings if each.least <= nfe]
        if len(able) == 1 or self.small:
            return able[0]
        kernel, found = self.kernel(sampler, budget), []
        for setting in able:
            generator = torch.Generator().manual_seed(TUNING_SEED)
            count = min(TUNING_COUNT, self.count)
            z, _ = setting.draw(kernel, count, self.case.shape, nfe, generator)
            found.append(self.measures.tuning_distance(z))
        return able[found.index(min(found))]

    def row(self, sampler: Sampler, setting: Setting, budget: int, nfe: int) -> dict[str, Any]:
        """The measures of a sampler at most so many evaluations."""
        kernel, generator = self.kernel(sampler, budget), torch.Generator().manual_seed(0)
        begun = time.process_time()
        z, used = setting.draw(kernel, self.count, self.case.shape, nfe, generator)
        seconds = time.process_time() - begun
        return {
            "data": self.name, "budget (steps)": budget, "sampler": sampler.name,
            "at most NFE": nfe, **self.measures.looks(z),
            "samples a second": self.count / seconds,
            "NFE": round(used, 1), "setting": setting.text,
        }  # fmt: skip


Rows = dict[tuple[Any, ...], dict[str, Any]]
"""Rows by data, budget, sampler and NFE."""


def key_of(row: dict[str, Any]) -> tuple[Any, ...]:
    """What tells a row from the others."""
    return row["data"], row["budget (steps)"], row["sampler"], row["at most NFE"]


def fill(rows: Rows, name: str, given: Any, keep: Callable[[dict[str, Any]], None]) -> None:
    """Add what is missing of a data set, keeping each row as soon as it is there."""
    table = Table(name, given.count, Path(given.folder) / "networks", given.quick)
    real = {"data": name, "budget (steps)": "", "sampler": "real data", "at most NFE": ""}
    if key_of(real) not in rows:
        keep({**real, **table.measures.looks(table.measures.real)})
    budgets = sorted(given.budgets or table.case.budgets, reverse=True)
    largest, settings = budgets[0], dict[tuple[str, int], Setting]()
    for budget in budgets:
        for sampler in (*peers(), *chains(given.head)):
            here = {"data": name, "budget (steps)": budget, "sampler": sampler.name}
            if missing := lacking(sampler):
                row = {**here, "at most NFE": "", "setting": missing}
                rows[key_of(row)] = row
                continue
            for nfe in given.nfe:
                if key_of({**here, "at most NFE": nfe}) in rows:
                    continue
                chosen = sampler.name, min(nfe, TUNING_MOST)
                if chosen not in settings:
                    earlier = rows.get((name, largest, *chosen), {}).get("setting")
                    known = [each for each in sampler.settings if each.text == earlier]
                    settings[chosen] = (
                        known[0] if known else table.chosen(sampler, largest, chosen[1])
                    )
                keep(table.row(sampler, settings[chosen], budget, nfe))


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Run it and write its report."""
    parser = report.parser(__doc__, quick="two steps of tiny networks, 4 samples, nothing tuned")
    parser.add_argument("--data", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--budgets", nargs="+", type=int, help="steps; default: of the data")
    parser.add_argument("--nfe", nargs="+", type=int, default=list(NFES))
    parser.add_argument("--count", type=int, default=200, help="samples a row")
    parser.add_argument("--no-head", dest="head", action="store_false", help="skip the head's rows")
    given = report.parse(parser, argv)
    if given.quick:
        given.data, given.budgets, given.nfe, given.count = ["binarized-mnist"], [2], [8], 4
    rows: Rows = {}
    if not given.quick:  # of an earlier run, which this one goes on with
        rows |= {key_of(row): row for row in report.appended("peers.networks", given.folder)}

    def keep(row: dict[str, Any]) -> None:
        rows[key_of(row)] = row
        report.append("peers.networks", [row], given.folder)

    for name in given.data:
        fill(rows, name, given, keep)
    settings = {"samples": given.count, "seed": 0, "tuning seed": TUNING_SEED}
    return report.write("peers.networks", list(rows.values()), given.folder, **settings)


if __name__ == "__main__":
    main()
