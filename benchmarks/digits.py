"""Whether chains over digits drift: real digits, many steps at one level, read-outs compared.

    python -m benchmarks.digits [--run runs/demo] [--told] [--quick]

Chains start from digits of the test set, noised to a level b. After so many equal-level steps their
read-outs (modes) are compared with other digits of the test set: Frechet distance on the judge's
features, the share that the judge is confident of, ink (share of black pixels), and the share that
the judge still calls by its first label. A chain whose law is right stays where real digits are in
the first three, whatever happens to the last. With `--told` each chain is told the label that its
digit has, and has to stay of that class. A step is one network evaluation, of guided chains two:

- denoiser: the frozen denoiser's own chain;
- adjusted: with the head that contrastive adjustment trained;
- guided: the denoiser's, following the label that it is told more than the data do (g = 0.3);
- with Metropolis steps: the same, refusing what breaks detailed balance.

Expected before measuring: the denoiser's chain loses ink and confidence, most at hold 0.5; the head
halves that (theory, section 9); Metropolis steps end most of it. Told (expected after 128 chains of
200 steps at b = 0.3 and hold 0.8, on another seed, stayed near the floor): no drift of the guided
chain at hold 0.8; at hold 0.5 plain chains lose ink still, and Metropolis steps end that.
"""

from __future__ import annotations

import time
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from benchmarks import report
from discrete_ca import data, metrics, runs
from discrete_ca.conditions import Conditions
from discrete_ca.demo import demo_kernel
from discrete_ca.kernels import CategoricalNoiseKernel
from discrete_ca.walker import Tally, Walker

GUIDANCE = 0.3


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


def chains(
    kernel: CategoricalNoiseKernel,
    judge: metrics.Judge,
    digits: data.DiscreteData,
    reference: Tensor,
    level: float,
    hold: float,
    at: list[int],
    told: bool,
    metropolis: bool,
    seed: int,
) -> list[dict[str, Any]]:
    """What chains from given digits look like after each of so many steps."""
    labels = digits.labels
    assert labels is not None
    generator = torch.Generator().manual_seed(seed)
    count, begun = len(digits), time.monotonic()
    tally = Tally() if metropolis else None
    x = kernel.corrupt(digits[torch.arange(count)], level, generator)
    given = Conditions.of(x, labels if told else None, hold=hold)
    walker, rows = Walker(kernel, x, level, given, generator, tally), []
    for step in range(1, max(at) + 1):
        walker.step()
        if step not in at:
            continue
        z = walker.read_out(draw=False)
        said = judge.log_probs(z)
        rows.append({
            "steps": step,
            "NFE": step * kernel.evaluations(told),
            **looks(judge, z, said, reference),
            "same label": float((said.argmax(-1) == labels).double().mean()),
            "taken": "" if tally is None else tally.acceptance,
            "seconds": round(time.monotonic() - begun, 1),
        })  # fmt: skip
    return rows


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Run the benchmark and write its report."""
    parser = report.parser(__doc__, quick="an untrained kernel, two chains, two steps")
    parser.add_argument("--run", default="runs/demo", help="a run of the demo's recipe")
    parser.add_argument("--chains", type=int, default=256)
    parser.add_argument("--at", type=int, nargs="+", default=[10, 50, 100, 200, 500])
    parser.add_argument("--levels", type=float, nargs="+", default=[0.3, 0.6])
    parser.add_argument("--holds", type=float, nargs="+", default=[0.5, 0.8])
    parser.add_argument("--told", action="store_true", help="tell the chains their labels")
    parser.add_argument("--methods", nargs="+", choices=[*METHODS, *TOLD], help="default: all")
    parser.add_argument("--seed", type=int, default=0)
    given = report.parse(parser, argv)
    if given.quick:
        given.chains, given.at, given.levels, given.holds = 4, [1, 2], [0.3], [0.8]
        torch.manual_seed(given.seed)
        kernel: Any = demo_kernel()
    elif not Path(given.run).is_dir():
        parser.error(f"run was {given.run}, which is not there; `make demo` makes one")
    else:
        kernel = runs.load_run(given.run).kernel
    test = data.load("binarized_mnist", split="test")
    digits, others = test.split(len(test) - given.chains, given.seed)
    judge, head = metrics.load_judge(), kernel.adjustment
    reference = judge.features(others[torch.arange(len(others))])
    real = digits[torch.arange(len(digits))]
    begun: dict[str, Any] = {"b": "", "h": "", "method": "real digits", "steps": 0, "NFE": ""}
    rows = [{
        **begun, **looks(judge, real, judge.log_probs(real), reference),
        "same label": "", "taken": "", "seconds": "",
    }]  # fmt: skip
    methods = {**METHODS, **(TOLD if given.told else {})}
    asked = [name for name in methods if not given.methods or name in given.methods]
    for level, hold, name in product(given.levels, given.holds, asked):
        method = methods[name]
        kernel.adjustment = head if method.head else None
        made = chains(
            kernel.guided(method.guidance) if method.guidance else kernel,
            judge, digits, reference, level, hold, given.at, given.told, method.metropolis,
            given.seed,
        )  # fmt: skip
        here = [{"b": level, "h": hold, "method": name, **row} for row in made]
        report.append("digits", here, given.folder)
        rows += here
    settings = {"chains": given.chains, "seed": given.seed, "told": given.told}
    return report.write("digits", rows, given.folder, **settings)


if __name__ == "__main__":
    main()
