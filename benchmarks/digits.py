"""Whether chains over digits drift: real digits, many steps at one level, read-outs compared.

    python -m benchmarks.digits [--run runs/demo] [--told] [--seeds 0 1 2] [--quick]

Chains start from digits of the test set, noised to a level b. After so many equal-level steps their
read-outs (modes) are compared with other digits of the test set: Frechet distance on the judge's
features, the share that the judge is confident of, ink (share of black pixels), and the share that
the judge still calls by its first label. A chain whose law is right stays where real digits are in
the first three, whatever happens to the last. With `--told` each chain is told the label that its
digit has, and has to stay of that class. "Correlation" is that of read-outs with those at the
start, pixel by pixel, less what a class has in common: how far the chains have come since. Each
seed has digits of its own; means of seeds, of the first measure the lowest and highest beside.
Chains that are in the folder already are not run again. A step is one network evaluation, of guided
chains two:

- denoiser: the frozen denoiser's own chain;
- adjusted: with the head that contrastive adjustment trained, of a run that has one (`discrete-ca
  train --config binarized-mnist --recipe head --recipe.adjust 0.15`);
- guided: the denoiser's, following the label that it is told more than the data do (g = 0.3);
- with Metropolis steps: the same, refusing what breaks detailed balance.

Expected before measuring: the denoiser's chain loses ink and confidence, most at hold 0.5; the head
halves that (theory, section 9); Metropolis steps end most of it. Told (expected after 128 chains of
200 steps at b = 0.3 and hold 0.8, on another seed, stayed near the floor): no drift of the guided
chain at hold 0.8; at hold 0.5 plain chains lose ink still, and Metropolis steps end that.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from benchmarks import report
from discrete_ca import data, metrics, nn, runs
from discrete_ca.conditions import Conditions
from discrete_ca.demo import demo_kernel
from discrete_ca.kernels import CategoricalNoiseKernel
from discrete_ca.sealed import tensors_checksum
from discrete_ca.training.networks import compiled
from discrete_ca.walker import Tally, Walker

GUIDANCE = 0.3
REAL = "real digits"

Row = dict[str, Any]


class Method(NamedTuple):
    """How a chain goes on."""

    head: bool = False
    metropolis: bool = False
    guidance: float = 0.0


METHODS = {
    "denoiser": Method(),
    "adjusted": Method(head=True),
    "denoiser, Metropolis": Method(metropolis=True),
    "adjusted, Metropolis": Method(head=True, metropolis=True),
}
TOLD = {
    "guided": Method(guidance=GUIDANCE),
    "guided, Metropolis": Method(guidance=GUIDANCE, metropolis=True),
}
"""Those that need a label."""


def looks(judge: metrics.Judge, z: Tensor, said: Tensor, reference: Tensor) -> dict[str, float]:
    """What images look like to the judge, who said this of them."""
    return {
        "Frechet": float(metrics.frechet_distance(judge.features(z), reference)),
        "confident": metrics.confident_share(said),
        "ink": float(z.double().mean()),
    }


def correlation(z: Tensor, first: Tensor, labels: Tensor) -> float:
    """Of images with others, pixel by pixel, less the means of their classes."""
    of_class = one_hot(labels).double()
    mean = of_class / of_class.sum(0).clamp_min(1)

    def centred(x: Tensor) -> Tensor:
        flat = x.flatten(1).double()
        return flat - of_class @ (mean.T @ flat)

    a, b = centred(z), centred(first)
    return float((a * b).sum() / (a.square().sum() * b.square().sum()).sqrt())


class Bench:
    """Chains of a run that are walked once, though the benchmark was interrupted.

    Args:
        given: the arguments.
        kernel: of the run.
    """

    def __init__(self, given: argparse.Namespace, kernel: CategoricalNoiseKernel) -> None:
        self.given, self.kernel, self.head = given, kernel, kernel.adjustment
        self.test = data.load("binarized_mnist", split="test")
        self.judge = metrics.load_judge()
        self.kept = report.Kept(
            "digits", given.folder, anew=given.quick, run=given.run,
            model=tensors_checksum(kernel.state_dict()), chains=given.chains, told=given.told,
            at=given.at,
        )  # fmt: skip

    def rows(self, seed: int) -> Iterator[Row]:
        """Real digits, and every method at every level and hold."""
        digits, others = self.test.split(len(self.test) - self.given.chains, seed)
        reference = self.judge.features(others[torch.arange(len(others))])
        real = digits[torch.arange(len(digits))]
        looked = looks(self.judge, real, self.judge.log_probs(real), reference)
        yield {"b": "", "h": "", "method": REAL, "steps": 0, "NFE": "", **looked, "seed": seed}
        methods = {**METHODS, **(TOLD if self.given.told else {})}
        able = [name for name in methods if self.head is not None or not methods[name].head]
        asked = [name for name in able if name in (self.given.methods or able)]
        for level, hold, name in product(self.given.levels, self.given.holds, asked):
            key = {"b": level, "h": hold, "method": name, "seed": seed}
            walked = partial(self._walked, digits, reference, level, hold, methods[name], seed)
            yield from self.kept.rows(key, walked)

    def _walked(
        self,
        digits: data.DiscreteData,
        reference: Tensor,
        level: float,
        hold: float,
        method: Method,
        seed: int,
    ) -> Iterator[Row]:
        """What chains from given digits look like after each of so many steps."""
        labels, told = digits.labels, self.given.told
        assert labels is not None
        self.kernel.adjustment = self.head if method.head else None
        kernel = self.kernel.guided(method.guidance) if method.guidance else self.kernel
        generator, begun = torch.Generator().manual_seed(seed), time.monotonic()
        tally = Tally.of(method.metropolis)
        x = kernel.corrupt(digits[torch.arange(len(digits))], level, generator)
        given = Conditions.of(x, labels if told else None, hold=hold)
        walker = Walker(kernel, x, level, given, generator, tally)
        first = walker.read_out(draw=False)
        for step in range(1, max(self.given.at) + 1):
            walker.step()
            if step in self.given.at:
                z = walker.read_out(draw=False)
                said = self.judge.log_probs(z)
                yield {
                    "steps": step,
                    "NFE": step * kernel.evaluations(told),
                    **looks(self.judge, z, said, reference),
                    "same label": float((said.argmax(-1) == labels).double().mean()),
                    "correlation": correlation(z, first, labels),
                    **({"taken": tally.acceptance} if tally else {}),
                    "seconds": round(time.monotonic() - begun, 1),
                }


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Run the benchmark and write its report."""
    parser = report.parser(__doc__, quick="an untrained kernel, four chains, two steps")
    parser.add_argument("--run", default="runs/demo", help="a run of the demo's recipe")
    parser.add_argument("--chains", type=int, default=512)
    parser.add_argument("--at", type=int, nargs="+", default=[10, 30, 100, 300, 1000])
    parser.add_argument("--levels", type=float, nargs="+", default=[0.3, 0.6])
    parser.add_argument("--holds", type=float, nargs="+", default=[0.5, 0.8])
    parser.add_argument("--told", action="store_true", help="tell the chains their labels")
    parser.add_argument(
        "--methods", nargs="+", choices=[*METHODS, *TOLD], help="default: all that the run can"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--compile", action="store_true", help="the network by torch.compile")
    given = report.parse(parser, argv)
    if given.quick:
        given.chains, given.at, given.levels, given.holds = 4, [1, 2], [0.3], [0.8]
        given.seeds = given.seeds[:1]
        torch.manual_seed(0)
        kernel: Any = demo_kernel()
        kernel.adjustment = nn.AdjustmentHead(2, dims=2)
    elif not Path(given.run).is_dir():
        parser.error(f"run was {given.run}, which is not there; `make demo` makes one")
    else:
        kernel = runs.load_run(given.run).kernel
    for name in given.methods or ():
        if kernel.adjustment is None and {**METHODS, **TOLD}[name].head:
            parser.error(f"methods had {name!r}, but the run has no head; see --help")
    bench = Bench(given, kernel)
    with compiled(kernel, given.compile):
        rows = [row for seed in given.seeds for row in bench.rows(seed)]
    others = ("confident", "ink", "same label", "correlation", "taken")
    found = report.spread(
        rows, ("Frechet",), others, left_out=("seed", "seconds", *bench.kept.about)
    )
    settings = {"chains": given.chains, "seeds": given.seeds, "told": given.told}
    return report.write("digits", found, given.folder, **settings)


if __name__ == "__main__":
    main()
