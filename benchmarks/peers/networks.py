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
training digits, never to the table's test digits. The table is seed 0. What the folder already has
of the same networks, settings and number of samples is not trained, tuned or measured again.

Expected before measuring: at 8 NFE all are far from the floor and the uniform ones nearest, since
they may still change a site; MDLM stalls, since its errors stay; ReMDM and our chain gain most from
128 and 512. Metropolis steps help at hold 0.5 more than at 0.85. More training helps every one by
more than the choice of a sampler does. The cached MDLM saves nothing here: with 784 sites nearly
every step reveals one. Flow-matching is near D3PM and MDLM at the same NFE.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import torch

from benchmarks import report
from benchmarks.peers import flow, schedulers
from benchmarks.peers.cases import CASES, examples
from benchmarks.peers.settings import (
    LEAST,
    Kernel,
    Sampler,
    Setting,
    chains,
    nearest,
    peers,
)
from benchmarks.peers.training import Job, fit
from discrete_ca.sealed import tensors_checksum

NFES = (8, 32, 128, 512)
SEED = 0
TUNING_SEED, TUNING_COUNT, TUNING_MOST = 100, 100, 128

Row = dict[str, Any]


def lacking(sampler: Sampler) -> str:
    """Which package a sampler would need and has not, in words; "" for none."""
    for package, name in ((flow, "flow-matching"), (schedulers, "diffusers")):
        if sampler.name.startswith(name) and not package.installed():
            return package.MISSING
    return ""


class Table:
    """The measures of one data set, each taken once, though the benchmark was interrupted.

    Args:
        name: of the recipe.
        given: the arguments.
    """

    def __init__(self, name: str, given: argparse.Namespace) -> None:
        self.name, self.given, self.case = name, given, CASES[name]
        self.budgets = sorted(given.budgets or self.case.budgets, reverse=True)
        self.examples = examples(self.case.source, self.case.quantize)
        self.measures = self.case.measures(given.count, most=100 if given.quick else None)
        self.kernels: dict[Job, Kernel] = {}
        self.kept = report.Kept(
            "peers.networks", given.folder, anew=given.quick, samples=given.count
        )

    def rows(self) -> Iterator[Row]:
        """Real data, then every sampler with networks of every budget, the largest first."""
        real = {**self._key("", "real data", ""), "seed": SEED}
        yield from self.kept.rows(real, lambda: [self.measures.looks(self.measures.real)])
        for budget, sampler in product(self.budgets, (*peers(), *chains(self.given.head))):
            if missing := lacking(sampler):
                yield {**self._key(budget, sampler.name, ""), "setting": missing}
                continue
            for nfe in self.given.nfe:
                if able := sampler.able(nfe):
                    yield from self._measured(sampler, self.chosen(sampler, able, nfe), budget, nfe)

    def chosen(self, sampler: Sampler, able: list[Setting], nfe: int) -> Setting:
        """Of some settings the one with the lowest tuning distance."""
        if len(able) == 1 or self.given.quick:
            return able[0]
        largest, most = self.budgets[0], min(nfe, TUNING_MOST)
        tuning = {
            **self._key(largest, sampler.name, most), "seed": TUNING_SEED,
            "network": self._checksum(sampler, largest), "among": [each.text for each in able],
        }  # fmt: skip
        tried = self.kept.rows(tuning, partial(self._tried, sampler, able, largest, most))
        return nearest(able, tried, "tuning distance")

    def _tried(self, sampler: Sampler, able: list[Setting], budget: int, nfe: int) -> Iterator[Row]:
        kernel, count = self._kernel(sampler, budget), min(TUNING_COUNT, self.given.count)
        for setting in able:
            generator = torch.Generator().manual_seed(TUNING_SEED)
            z, _ = setting.draw(kernel, count, self.case.shape, nfe, generator)
            yield {"setting": setting.text, "tuning distance": self.measures.tuning_distance(z)}

    def _measured(self, sampler: Sampler, setting: Setting, budget: int, nfe: int) -> list[Row]:
        """A row: a sampler at most so many evaluations."""
        key = {
            **self._key(budget, sampler.name, nfe), "seed": SEED,
            "network": self._checksum(sampler, budget), "setting": setting.text,
        }  # fmt: skip
        return self.kept.rows(key, partial(self._drawn, sampler, setting, budget, nfe))

    def _drawn(self, sampler: Sampler, setting: Setting, budget: int, nfe: int) -> Iterator[Row]:
        kernel, count = self._kernel(sampler, budget), self.given.count
        generator = torch.Generator().manual_seed(SEED)
        begun = time.process_time()
        z, used = setting.draw(kernel, count, self.case.shape, nfe, generator)
        seconds = time.process_time() - begun
        yield {
            **self.measures.looks(z), "samples a second": count / seconds, "NFE": round(used, 1),
        }  # fmt: skip

    def _key(self, budget: int | str, sampler: str, nfe: int | str) -> Row:
        return {
            "data": self.name, "budget (steps)": budget, "sampler": sampler, "at most NFE": nfe,
        }  # fmt: skip

    def _kernel(self, sampler: Sampler, budget: int) -> Kernel:
        """The network that a sampler draws from, trained for a budget."""
        job = Job(self.name, sampler.noise, budget, sampler.head)
        if job not in self.kernels:
            folder = Path(self.given.folder) / "networks"
            self.kernels[job] = fit(job, self.examples, folder, self.given.quick)
        return self.kernels[job]

    def _checksum(self, sampler: Sampler, budget: int) -> str:
        return tensors_checksum(self._kernel(sampler, budget).state_dict())


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Run it and write its report."""
    parser = report.parser(__doc__, quick="two steps of tiny networks, 4 samples, nothing tuned")
    parser.add_argument("--data", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--budgets", nargs="+", type=int, help="steps; default: of the data")
    parser.add_argument("--nfe", nargs="+", type=int, default=list(NFES))
    parser.add_argument("--count", type=int, default=200, help="samples a row")
    parser.add_argument("--no-head", dest="head", action="store_false", help="skip the head's rows")
    given = report.parse(parser, argv)
    if min(given.nfe) < LEAST:
        parser.error(f"argument --nfe: was {min(given.nfe)}; allowed: {LEAST} or more")
    if given.quick:
        given.data, given.budgets, given.nfe, given.count = ["binarized-mnist"], [2], [8], 4
    rows = [
        {name: value for name, value in row.items() if name not in ("samples", "seed", "network")}
        for name in given.data
        for row in Table(name, given).rows()
    ]
    settings = {"samples": given.count, "seed": SEED, "tuning seed": TUNING_SEED}
    return report.write("peers.networks", rows, given.folder, **settings)


if __name__ == "__main__":
    main()
