"""Whether sites are better moved together that are not beside each other, on digit patches.

    python -m benchmarks.structured_holds [--quick]

A factorised kernel errs where sites that depend on each other move in one step. Here the sites of a
step are not drawn by chance but are one colour of a pattern, the colours in turn: the two of a
checkerboard, four sublattices, or, as the opposite, whole rows; sites of a colour are drawn anew
with probability 1 - h, all others stay. The kernel is the best denoiser there can be, no network,
on the 512 states of 3 x 3 patches of binarized digits; matrices are enumerated. `relaxation` is the
number of network evaluations in which the slowest mode falls to 1/e, and "random" is the kernel
that holds sites by chance, at the hold at which it relaxes as fast, found by bisection.

Expected before measuring: neighbours depend most on each other, so a checkerboard halves the
distance or better at equal relaxation; rows are worse than chance; with Metropolis steps fewer
proposals are refused. TV is that of whole turns, after the last colour.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from functools import partial, reduce
from typing import Any

import torch
from torch import Tensor

from benchmarks import report
from benchmarks.laws import Law, patch_law
from benchmarks.tabular import optimum
from discrete_ca.corruption import Uniform
from discrete_ca.diagnostics import exact
from discrete_ca.kernels import CategoricalNoiseKernel

LEVELS = (0.1, 0.3, 0.6)
HOLDS = (0.0, 0.5)


def patterns(shape: tuple[int, int]) -> dict[str, Tensor]:
    """The colour of each site, (H, W), by the name of the pattern."""
    i, j = torch.meshgrid(*(torch.arange(n) for n in shape), indexing="ij")
    return {
        "checkerboard": (i + j) % 2,
        "four sublattices": 2 * (i % 2) + j % 2,
        "rows": i,
    }


@torch.no_grad()
def matrix(
    kernel: CategoricalNoiseKernel,
    shape: tuple[int, ...],
    level: float,
    hold: float,
    metropolis: bool,
    colour: Tensor | None = None,
) -> Tensor:
    """P[x, y] of a step that moves the sites of a mask S alone, or any where it is None."""
    x = exact.states(kernel.corruption.num_states, shape)
    law = kernel.transition(x, torch.tensor(level, dtype=torch.float64), hold=hold)
    if colour is not None:
        law = copy.copy(law)
        law.known = colour.expand(x.shape), x  # other sites stay at what they are
    return exact.metropolized(law) if metropolis else exact.product_laws(law.probs())


def relaxation(P: Tensor, evaluations: int) -> float:
    """Network evaluations in which the slowest mode of a chain falls to 1/e."""
    second = float(torch.linalg.eigvals(P).abs().sort(descending=True).values[1])
    return evaluations / -math.log(second)


def as_fast(wanted: float, at: Callable[[float], Tensor]) -> float | None:
    """The hold at which a chain relaxes in so many evaluations; None where none is as fast."""
    low, high = 0.0, 0.99
    if relaxation(at(low), 1) > wanted:
        return None
    for _ in range(20):
        middle = (low + high) / 2
        low, high = (middle, high) if relaxation(at(middle), 1) < wanted else (low, middle)
    return low


def rows_of(law: Law, level: float) -> Iterator[dict[str, Any]]:
    """A row for each pattern and hold, plain and with Metropolis steps."""
    noise = Uniform(law.num_categories)
    kernel = optimum(law, noise, level, 0.0)
    target = exact.noisy_law(law.p, noise, law.shape, level)

    def tv(P: Tensor) -> float:
        return exact.total_variation(exact.stationary_distribution(P), target)

    def by_chance(hold: float, metropolis: bool) -> Tensor:
        return matrix(kernel, law.shape, level, hold, metropolis)

    height, width = law.shape
    for name, colours in patterns((height, width)).items():
        count = int(colours.max()) + 1
        for hold in HOLDS:
            for metropolis in (False, True):
                steps = [
                    matrix(kernel, law.shape, level, hold, metropolis, colours == c)
                    for c in range(count)
                ]
                P = reduce(torch.matmul, steps)
                found = {"TV": tv(P), "relaxation (NFE)": relaxation(P, count)}
                row = {
                    "b": level, "pattern": name, "h": hold, "Metropolis": "yes" * metropolis,
                    **found,
                }  # fmt: skip
                for other in (False, True):
                    likewise = "random, Metropolis" if other else "random, plain"
                    same = as_fast(found["relaxation (NFE)"], partial(by_chance, metropolis=other))
                    row[f"{likewise}: h"] = "none so fast" if same is None else same
                    row[f"{likewise}: TV"] = "" if same is None else tv(by_chance(same, other))
                yield row


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Run it and write its report."""
    given = report.parse(report.parser(__doc__, quick="patches of 2 x 3, one level"), argv)
    law = patch_law(height=2, width=3) if given.quick else patch_law()
    rows = [
        row for level in (LEVELS[1:2] if given.quick else LEVELS) for row in rows_of(law, level)
    ]
    return report.write("structured_holds", rows, given.folder, shape=law.shape)


if __name__ == "__main__":
    main()
