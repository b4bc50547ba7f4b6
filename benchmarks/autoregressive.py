"""The autoregressive kernel beside the factorised one at hold 0, exactly, on random laws.

At hold 0 every site moves in every step, and a factorised kernel errs jointly however well it is
trained. The autoregressive kernel (theory, section 5) can be exactly stationary there. It is
trained by `Renoising` alone, and by `Renoising` and then contrastive adjustment (CA). Beside it
stand a factorised network trained by denoising on the same number of examples, the optima of
denoising and of CA for factorised kernels, which have no network, and the kernel that `Renoising`
converges to. Networks of all laws are trained side by side. For each level the transition matrix
is enumerated: stationary total variation (TV) to the noisy law, and spectral gap.

    python -m benchmarks.autoregressive [--quick]
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

import discrete_ca as dca
from benchmarks import report
from benchmarks.causal import AutoregressiveEnsemble, CausalMLP
from benchmarks.ensemble import EnsembleKernel, LawBatches
from benchmarks.laws import Law, random_law
from benchmarks.tabular import joint_posterior, optimum
from discrete_ca.diagnostics import exact

LEVELS = (0.1, 0.3, 0.6)
COMMON: dict[str, Any] = {  # no label is hidden: it says which law an example is from
    "levels": (0.05, 0.7),
    "level_weight": dca.InverseLevel(0.1),
    "unlabelled_share": 0.0,
}
RENOISE = dca.Renoising(read_outs=0.0, moves=0.0, both_ways=True, **COMMON)
ADJUST = dca.ContrastiveAdjustment(denoising_weight=0.0, **COMMON)


@dataclass(frozen=True)
class Method:
    """How a kernel is trained; learning rates were chosen on laws 100 to 104."""

    schedule: dca.Schedule
    learning_rate: float
    factorised: bool = False


FACTORISED = "factorised, denoising"
METHODS = {
    FACTORISED: Method(dca.Schedule.of(dca.Denoising(**COMMON)), 5e-3, factorised=True),
    "autoregressive, renoising": Method(dca.Schedule.of(RENOISE), 5e-3),
    "autoregressive, renoising then CA": Method(
        dca.Schedule((dca.Phase(RENOISE, 0.75), dca.Phase(ADJUST, 0.25))), 5e-3
    ),
}
LIMITS = {"factorised, limit of denoising": None, "factorised, limit of CA": 0.0}
RENOISED = "autoregressive, limit of renoising"


def train(
    laws: Sequence[Law], seed: int, method: Method, steps: int, batch: int
) -> tuple[list[Any], float]:
    """A kernel for each law in float64, and the seconds that each took.

    Args:
        laws: the laws, of one shape.
        seed: of the weights and of the trainer.
        method: how.
        steps: optimizer steps.
        batch: examples a law and step.
    """
    torch.manual_seed(seed)
    law, noise = laws[0], dca.corruption.Uniform(laws[0].num_categories)
    together: Any
    if method.factorised:
        nets = [dca.nn.MLP(law.num_categories, noise.num_states, law.shape) for _ in laws]
        together = EnsembleKernel.of([dca.CategoricalNoiseKernel(n, noise, hold=0.0) for n in nets])
    else:
        writers = [CausalMLP(noise.num_states, law.shape) for _ in laws]
        together = AutoregressiveEnsemble(writers, noise)
    config = dca.TrainConfig(
        steps=steps, batch_size=batch * len(laws), seed=seed, progress=False,
        learning_rate=method.learning_rate,
    )  # fmt: skip
    trainer = dca.Trainer(together, method.schedule, LawBatches(laws), config).fit()
    kernels = [together.member(i).double() for i in range(len(laws))]
    return kernels, trainer.seconds / len(laws)


def renoised(law: Law, level: float) -> Tensor:
    """The transition matrix that draws z from its posterior and noise anew, (V^D, V^D)."""
    noise = dca.corruption.Uniform(law.num_categories)
    back, forth = joint_posterior(law, noise, level)
    return back @ forth


def measure(P: Tensor, law: Law, level: float) -> dict[str, float]:
    """Stationary TV and spectral gap of a transition matrix."""
    noise = dca.corruption.Uniform(law.num_categories)
    target = exact.noisy_law(law.p, noise, law.shape, level)
    pi = exact.stationary_distribution(P)
    return {"tv": exact.total_variation(pi, target), "gap": exact.spectral_gap(P, pi)}


def run(laws: dict[int, Law], method: str, steps: int, batch: int) -> list[dict[str, Any]]:
    """Rows of a method: one for each law, by its seed, and level."""
    kernels: list[Any] = [None] * len(laws)
    seconds, rows = 0.0, []
    if method in METHODS:
        every = list(laws.values())
        kernels, seconds = train(every, min(laws), METHODS[method], steps, batch)
    for (seed, law), trained in zip(laws.items(), kernels, strict=True):
        noise = dca.corruption.Uniform(law.num_categories)
        for level in LEVELS:
            if method == RENOISED:
                P = renoised(law, level)
            else:
                kernel = trained or optimum(law, noise, level, 0.0, True, LIMITS[method])
                P = exact.transition_matrix(kernel, law.shape, level)
            key = {"seed": seed, "method": method, "b": level, "seconds": seconds}
            rows.append({**key, **measure(P, law, level)})
    return rows


def summarise(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Medians over laws, and ratios to the factorised network, law by law."""
    found = {(row["seed"], row["method"], row["b"]): row for row in rows}
    table = []
    for name in dict.fromkeys(row["method"] for row in rows):
        for level in LEVELS:
            here = [row for row in rows if row["method"] == name and row["b"] == level]
            base = [found.get((row["seed"], FACTORISED, level), row) for row in here]
            pairs = list(zip(base, here, strict=True))
            closer = [other["tv"] / max(row["tv"], 1e-12) for other, row in pairs]
            gaps = [row["gap"] / other["gap"] for other, row in pairs]
            table.append({
                "method": name, "b": level,
                "TV": statistics.median(row["tv"] for row in here),
                "closer than the factorised network (x)": statistics.median(closer),
                "least of the laws (x)": min(closer),
                "spectral gap": statistics.median(row["gap"] for row in here),
                "gap / the factorised network's": statistics.median(gaps),
                "least gap / its": min(gaps),
                "training seconds": statistics.median(row["seconds"] for row in here),
                "laws": len(here),
            })  # fmt: skip
    return table


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Run it and write its report."""
    every = [*METHODS, *LIMITS, RENOISED]
    parser = report.parser(__doc__, quick="one law, short training")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0, help="100 and up: for tuning")
    parser.add_argument("--methods", nargs="+", choices=every, default=every)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--batch", type=int, default=256, help="examples a law and step")
    given = report.parse(parser, argv)
    if given.quick:
        given.seeds, given.steps, given.batch = 1, 300, 128
    seeds = range(given.first_seed, given.first_seed + given.seeds)
    laws = {seed: random_law(seed) for seed in seeds}
    rows: list[dict[str, Any]] = []
    for method in given.methods:
        found = run(laws, method, given.steps, given.batch)
        report.append("autoregressive", found, given.folder)
        rows += found
    settings = {"steps": given.steps, "batch": given.batch, "seeds": [*seeds]}
    written = report.write("autoregressive", summarise(rows), given.folder, **settings)
    return {**written, "raw": rows}


if __name__ == "__main__":
    main()
