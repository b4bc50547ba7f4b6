"""The autoregressive kernel beside the factorised one at hold 0, exactly, on random laws.

At hold 0 every site moves in every step, and a factorised kernel errs jointly however well it is
trained. The autoregressive kernel (theory, section 5) can be exactly stationary there. It is
trained by `Renoising` alone, and by `Renoising` and then contrastive adjustment (CA). Beside it
stand a factorised network trained by denoising on the same number of examples, and the optima of
denoising and of CA for factorised kernels, which have no network. For each level the transition
matrix is enumerated: stationary total variation (TV) to the noisy law, and spectral gap.

    python -m benchmarks.autoregressive [--quick]
"""

from __future__ import annotations

import statistics
from typing import Any

import torch

import discrete_ca as dca
from benchmarks import report
from benchmarks.ensemble import LawBatches
from benchmarks.laws import Law, random_law
from benchmarks.tabular import optimum
from discrete_ca.diagnostics import exact

LEVELS = (0.1, 0.3, 0.6)
WEIGHT = dca.InverseLevel(0.1)
RENOISE = dca.Renoising(level_weight=WEIGHT)
ADJUST = dca.ContrastiveAdjustment(denoising_weight=0.0)
FACTORISED = "factorised, denoising"
SCHEDULES = {
    FACTORISED: dca.Schedule.of(dca.Denoising(level_weight=WEIGHT)),
    "autoregressive, renoising": dca.Schedule.of(RENOISE),
    "autoregressive, renoising then CA": dca.Schedule(
        (dca.Phase(RENOISE, 0.75), dca.Phase(ADJUST, 0.25))
    ),
}
LIMITS = {"factorised, limit of denoising": None, "factorised, limit of CA": 0.0}


def train(
    law: Law, seed: int, schedule: dca.Schedule, steps: int, batch: int, factorised: bool
) -> tuple[Any, float]:
    """The trained kernel in float64, and the seconds that it took."""
    torch.manual_seed(seed)
    noise = dca.corruption.Uniform(law.num_categories)
    kernel: Any
    if factorised:
        net = dca.nn.MLP(law.num_categories, noise.num_states, law.shape)
        kernel = dca.CategoricalNoiseKernel(net, noise, hold=0.0)
    else:
        writer = dca.nn.AutoregressiveTransformer(noise.num_states, law.shape, width=64, depth=2)
        kernel = dca.AutoregressiveKernel(writer, noise)
    config = dca.TrainConfig(steps=steps, batch_size=batch, seed=seed, progress=False)
    trainer = dca.Trainer(kernel, schedule, LawBatches([law]), config).fit()
    return kernel.double(), trainer.seconds


def measure(kernel: Any, law: Law, level: float) -> dict[str, float]:
    """Stationary TV and spectral gap."""
    target = exact.noisy_law(law.p, kernel.corruption, law.shape, level)
    P = exact.transition_matrix(kernel, law.shape, level)
    pi = exact.stationary_distribution(P)
    return {"tv": exact.total_variation(pi, target), "gap": exact.spectral_gap(P, pi)}


def run(law: Law, seed: int, steps: int, batch: int) -> list[dict[str, Any]]:
    """Rows of one law: one for each method and level."""
    rows = []
    noise = dca.corruption.Uniform(law.num_categories)
    for name in (*SCHEDULES, *LIMITS):
        kernel, seconds = None, 0.0
        if name in SCHEDULES:
            kernel, seconds = train(law, seed, SCHEDULES[name], steps, batch, name == FACTORISED)
        for level in LEVELS:
            here = kernel or optimum(law, noise, level, 0.0, True, LIMITS[name])
            found = measure(here, law, level)
            rows.append({"seed": seed, "method": name, "b": level, "seconds": seconds, **found})
    return rows


def summarise(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Medians over laws, and the median ratio of the factorised network's TV to each."""
    found = {(row["seed"], row["method"], row["b"]): row for row in rows}
    table = []
    for name in dict.fromkeys(row["method"] for row in rows):
        for level in LEVELS:
            here = [row for row in rows if row["method"] == name and row["b"] == level]
            ratios = [found[row["seed"], FACTORISED, level]["tv"] / row["tv"] for row in here]
            table.append({
                "method": name, "b": level,
                "TV": statistics.median(row["tv"] for row in here),
                "closer than the factorised network (x)": statistics.median(ratios),
                "least of the laws (x)": min(ratios),
                "spectral gap": statistics.median(row["gap"] for row in here),
                "training seconds": statistics.median(row["seconds"] for row in here),
                "laws": len(here),
            })  # fmt: skip
    return table


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Run it and write its report."""
    parser = report.parser(__doc__, quick="one law, short training")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--batch", type=int, default=256)
    given = report.parse(parser, argv)
    if given.quick:
        given.seeds, given.steps, given.batch = 1, 30, 32
    rows: list[dict[str, Any]] = []
    for seed in range(given.seeds):
        found = run(random_law(seed), seed, given.steps, given.batch)
        report.append("autoregressive", found, given.folder)
        rows += found
    settings = {"steps": given.steps, "batch": given.batch, "seeds": given.seeds}
    written = report.write("autoregressive", summarise(rows), given.folder, **settings)
    return {**written, "raw": rows}


if __name__ == "__main__":
    main()
