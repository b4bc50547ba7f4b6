"""Text by characters, Moby-Dick: do long chains stay text, and samples beside the neighbours'.

    python -m benchmarks.text [--quick] [--steps 3000] [--seeds 0 1 2]

Networks of the recipe moby-characters (convolutions, windows of 64 characters, K = 83), each for a
budget of steps of denoising: a denoiser of uniform noise; the same with an adjustment head by the
default schedule at the same cost, told its hold; a denoiser of absorbing noise for MDLM and ReMDM.
A reader of held-out text judges: the cross-entropy of its 5-gram model and the Jensen-Shannon
divergence of 3-grams. The first alone is won by dull text, so the second and the shares of distinct
4-grams and of known words stand beside it; the floor is as many real windows that no reader has
counted. Rows are means over seeds, each with networks, windows and draws of its own.

Chains: from held-out windows noised to b, so many steps at b and hold h, one network evaluation
each; read-outs by a draw, whose own cost is the row of 0 steps. "As at the start" is the share of
characters that a read-out has from its first window: to stand still is no merit. "ReMDM at one
level" remasks a site with probability (1 - h) b and reveals one with (1 - h) (1 - b), for ever,
which is this package's step under absorbing noise.

Samples: from noise at equal network evaluations (NFE). Settings (correctors and hold; levels;
remasking; never a temperature) are those with the lowest divergence at seed 100 on windows held out
of the training text, one for each sampler and NFE; the chain with the head takes that of the chain
without. A cached MDLM is left out: of 64 sites nearly every step reveals one.

Expected before measuring: (1) the denoiser's plain chain drifts at hold 0.5, by 0.3 nats or more
from step 10 to the last, half as much at 0.8; (2) Metropolis steps end most of that, but of windows
of 64 sites few steps are taken at hold 0.5, and such chains keep more of their start; (3) the head
gains less than its seeds differ, as on digits, and loses with Metropolis steps; (4) ReMDM at one
level drifts too, less at equal b since its masks are known to be masks. (5) Samples at 32 NFE are
alike but for ReMDM-loop, which needs more; at 128 ReMDM is first, MDLM and D3PM hardly better than
at 32, Metropolis steps ahead of plain chains. (6) All are far from real text: the networks are
short of training.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterator
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import torch

from benchmarks import report
from benchmarks.peers.settings import Kernel, Sampler, Setting, chain_settings, nearest, peers
from benchmarks.peers.training import Job, fit
from benchmarks.reader import CROSS, DIVERGENCE, Reader
from discrete_ca.conditions import Conditions
from discrete_ca.data import DiscreteData
from discrete_ca.runs import RunConfig
from discrete_ca.walker import Tally, Walker

RECIPE = "moby-characters"
TUNING_SEED, TUNING_COUNT = 100, 32
TOLD = (0.4, 0.9)
"""Holds that the head is trained for."""
PEERS = ("D3PM, uniform", "MDLM (D3PM, absorbing)", "ReMDM-cap", "ReMDM-rescale", "ReMDM-loop")
OTHERS = ("distinct 4-grams", "known words", "as at the start", "taken")

Row = dict[str, Any]


class Method(NamedTuple):
    """How a chain goes on."""

    noise: str = "uniform"
    head: bool = False
    metropolis: bool = False


METHODS = {
    "denoiser": Method(),
    "denoiser, Metropolis": Method(metropolis=True),
    "with head": Method(head=True),
    "with head, Metropolis": Method(head=True, metropolis=True),
    "ReMDM at one level": Method("absorbing"),
}
CHAINS = ("denoiser", "denoiser, Metropolis", "with head")
"""Methods that samples are drawn by too."""


def samplers(holds: list[float]) -> Iterator[Sampler]:
    """Those of other people, and our annealed chain."""
    yield from (each for each in peers() if each.name in PEERS)
    for name in CHAINS:
        settings = [
            each._replace(text=f"h = {hold:g}, {each.text}")
            for hold in holds
            for each in chain_settings(hold, METHODS[name].metropolis)
        ]
        yield Sampler(f"chain, {name}", "uniform", settings, METHODS[name].head)


class Bench:
    """Networks that are trained and rows that are measured once, though a run was interrupted.

    Args:
        given: the arguments.
    """

    def __init__(self, given: argparse.Namespace) -> None:
        self.given = given
        data = RunConfig.from_toml(RECIPE).data
        whole, test = (
            dataclasses.replace(data, split=split, held_out=0).load() for split in ("train", "test")
        )
        assert isinstance(whole, DiscreteData) and isinstance(test, DiscreteData)
        self.test, self.shape = test, tuple(test.shape)
        self.examples, self.tuning = whole.split(len(test), 0)
        self.kernels: dict[Job, Kernel] = {}
        budget = [given.steps, given.count, given.at]
        self.kept = report.Kept("text", given.folder, anew=given.quick, budget=budget)

    def kernel(self, noise: str, head: bool, seed: int) -> Kernel:
        """The network of a seed."""
        job = Job(RECIPE, noise, self.given.steps, head, seed, TOLD if head else None)
        if job not in self.kernels:
            place = Path(self.given.folder) / "networks"
            self.kernels[job] = fit(job, self.examples, place, self.given.quick)
        return self.kernels[job]

    def setting(self, sampler: Sampler, nfe: int) -> Setting:
        """Of a sampler's settings the one with the lowest divergence at the tuning seed."""
        if self.given.quick:
            return sampler.settings[0]
        name = sampler.name.replace("with head", "denoiser")
        able = sampler.able(nfe)
        about = {"part": "tuning", "sampler": name, "at most NFE": nfe,
                 "among": [each.text for each in able]}  # fmt: skip
        tried = self.kept.rows(about, partial(self._tried, sampler.noise, able, nfe))
        return nearest(able, tried, DIVERGENCE)

    def _tried(self, noise: str, settings: list[Setting], nfe: int) -> Iterator[Row]:
        kernel = self.kernel(noise, False, TUNING_SEED)
        reader = Reader(self.tuning, TUNING_COUNT, TUNING_SEED)
        for each in settings:
            generator = torch.Generator().manual_seed(TUNING_SEED)
            z, _ = each.draw(kernel, TUNING_COUNT, self.shape, nfe, generator)
            yield {"setting": each.text, **reader.looks(z)}

    def chains(self, seed: int, reader: Reader) -> Iterator[Row]:
        """What chains from held-out windows come to, after each of so many steps."""
        for b, h, (name, method) in product(self.given.levels, self.given.holds, METHODS.items()):
            about = {"part": "chains", "sampler": name, "b": b, "h": h, "seed": seed}
            yield from self.kept.rows(about, partial(self._walked, method, b, h, seed, reader))

    def _walked(
        self, method: Method, b: float, h: float, seed: int, reader: Reader
    ) -> Iterator[Row]:
        kernel = self.kernel(method.noise, method.head, seed)
        generator = torch.Generator().manual_seed(seed)
        x = kernel.corrupt(reader.windows, b, generator)
        tally = Tally.of(method.metropolis)
        walker = Walker(kernel, x, b, Conditions.of(x, hold=h), generator, tally)
        for step in range(max(self.given.at) + 1):
            if step:
                walker.step()
            if step in self.given.at:
                z = walker.read_out(draw=True)
                same = float((z == reader.windows).double().mean())
                taken = {"taken": tally.acceptance} if tally and step else {}
                yield {"steps": step, **reader.looks(z), "as at the start": same, **taken}

    def samples(self, seed: int, reader: Reader) -> Iterator[Row]:
        """What samples from noise come to, at most so many network evaluations."""
        for sampler, nfe in product(samplers(self.given.holds), self.given.nfe):
            about = {"part": "samples", "sampler": sampler.name, "at most NFE": nfe, "seed": seed}
            yield from self.kept.rows(about, partial(self._drawn, sampler, nfe, seed, reader))

    def _drawn(self, sampler: Sampler, nfe: int, seed: int, reader: Reader) -> Iterator[Row]:
        setting, generator = self.setting(sampler, nfe), torch.Generator().manual_seed(seed)
        kernel = self.kernel(sampler.noise, sampler.head, seed)
        z, used = setting.draw(kernel, self.given.count, self.shape, nfe, generator)
        yield {"NFE": used, "setting": setting.text, **reader.looks(z)}


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Run it and write its report."""
    parser = report.parser(__doc__, quick="two steps of tiny networks, 8 windows, nothing tuned")
    parser.add_argument("--steps", type=int, default=3000, help="of training, a network's budget")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--count", type=int, default=128, help="chains, and samples, a row")
    parser.add_argument("--levels", type=float, nargs="+", default=[0.3])
    parser.add_argument("--holds", type=float, nargs="+", default=[0.5, 0.8])
    parser.add_argument("--at", type=int, nargs="+", default=[0, 10, 100], help="steps")
    parser.add_argument("--nfe", type=int, nargs="+", default=[32, 128])
    given = report.parse(parser, argv)
    if given.quick:
        given.steps, given.seeds, given.count, given.holds = 2, [0], 8, [0.8]
        given.at, given.nfe = [0, 2], [4]
    needs = {each.name: min(way.least for way in each.settings) for each in samplers(given.holds)}
    most = max(needs, key=lambda name: needs[name])
    if min(given.nfe) < needs[most]:
        allowed = f"{needs[most]} or more, which '{most}' needs"
        parser.error(f"argument --nfe: was {min(given.nfe)}; allowed: {allowed}")
    bench, rows = Bench(given), []
    for seed in given.seeds:
        reader = Reader(bench.test, given.count, seed)
        rows.append({"part": "real", "sampler": "real text", **reader.looks(reader.windows)})
        rows += bench.chains(seed, reader)
        rows += bench.samples(seed, reader)
    settings = {"steps of training": given.steps, "windows": given.count, "seeds": given.seeds}
    found = report.spread(
        rows, (CROSS, DIVERGENCE), OTHERS, left_out=("seed", "shown", *bench.kept.about)
    )
    return report.write("text", found, given.folder, **settings, tuning=TUNING_SEED)


if __name__ == "__main__":
    main()
