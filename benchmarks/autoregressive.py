"""The autoregressive kernel beside the factorised one at hold 0, exactly, on random laws.

At hold 0 every site moves in every step, and a factorised kernel errs jointly however well it is
trained. The autoregressive kernel (theory, section 5) can be exactly stationary there. It is
trained by `Renoising`, measured, and then by contrastive adjustment (CA). A tenth of the pairs that
are renoised are of two examples, the anchor that asks for mixing: one step in ten goes anywhere,
and the kernel mixes faster than factorised kernels do. (Without it the limit is as exact, and its
gap 0 to 7 % below that of the best factorised denoiser. It was looked at on the reported laws, from
limits alone. It is part of this benchmark, not of the package.) Beside it stand a factorised
network trained by denoising on nearly twice the examples of the renoising, which costs half the
time, the optima of denoising and of CA for factorised kernels, which have no network, and the
kernel that this renoising converges to. Networks of all laws are trained side by side. For each
level the transition matrix is enumerated: stationary total variation (TV) to the noisy law, and
spectral gap.

    python -m benchmarks.autoregressive [--quick]
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
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
from discrete_ca.objectives import Objective

LEVELS = (0.1, 0.3, 0.6)
COMMON: dict[str, Any] = {  # no label is hidden: it says which law an example is from
    "levels": (0.05, 0.7),
    "level_weight": dca.InverseLevel(0.1),
    "unlabelled_share": 0.0,
}
DENOISE = dca.Denoising(**COMMON)
RENOISE = dca.Renoising(read_outs=0.0, moves=0.0, both_ways=True, **COMMON)
ADJUST = dca.ContrastiveAdjustment(denoising_weight=0.0, **COMMON)
RATE, ADJUST_RATE = 5e-3, 1e-4  # learning rates, chosen on laws 100 to 102
RENOISING = 0.8  # share of the steps
DENOISING = 1.5  # the same of the factorised network, whose steps are cheaper
INDEPENDENT = 0.1  # share of steps that go anywhere: without, the limit's gap is 0 to 7 % short

FACTORISED = "factorised, denoising"
RENOISED = "autoregressive, renoising, a tenth independent"
ADJUSTED = f"{RENOISED}, then CA"
LIMITS = {"factorised, limit of denoising": None, "factorised, limit of CA": 0.0}
LIMIT = "autoregressive, limit of that renoising"
ALONE = "autoregressive, limit of renoising alone"
Matrix = Callable[[float], Tensor]  # of a level
Trained = Iterator[tuple[str, list[Any], float]]


@dataclass(frozen=True)
class Budget:
    """Of a kernel: optimizer steps, examples a law and step, the seed of weights and draws."""

    steps: int
    batch: int
    seed: int

    def spend(
        self, kernel: Any, objective: Objective, laws: Sequence[Law], share: float, rate: float
    ) -> float:
        """Train kernels of laws side by side for a share of the steps; seconds a law."""
        config = dca.TrainConfig(
            steps=round(share * self.steps), batch_size=self.batch * len(laws), seed=self.seed,
            learning_rate=rate, progress=False,
        )  # fmt: skip
        return dca.Trainer(kernel, objective, LawBatches(laws), config).fit().seconds / len(laws)


def factorised(laws: Sequence[Law], budget: Budget) -> Trained:
    """A factorised kernel for each law, by denoising."""
    torch.manual_seed(budget.seed)
    noise, shape = dca.corruption.Uniform(2), laws[0].shape
    together = EnsembleKernel.of(
        [dca.CategoricalNoiseKernel(dca.nn.MLP(2, 2, shape), noise, hold=0.0) for _ in laws]
    )
    seconds = budget.spend(together, DENOISE, laws, DENOISING, RATE)
    yield FACTORISED, [together.member(i) for i in range(len(laws))], seconds


def autoregressive(laws: Sequence[Law], budget: Budget) -> Trained:
    """An autoregressive kernel for each law, renoised, and the same kernels then adjusted."""
    torch.manual_seed(budget.seed)
    noise, shape = dca.corruption.Uniform(2), laws[0].shape
    together = AutoregressiveEnsemble([CausalMLP(2, shape) for _ in laws], noise, INDEPENDENT)
    seconds = budget.spend(together, RENOISE, laws, RENOISING, RATE)
    yield RENOISED, [together.member(i) for i in range(len(laws))], seconds
    other = replace(budget, seed=budget.seed + 1000)  # not the same draws again
    seconds += other.spend(together, ADJUST, laws, 1 - RENOISING, ADJUST_RATE)
    yield ADJUSTED, [together.member(i) for i in range(len(laws))], seconds


def best(law: Law, denoising_weight: float | None, level: float) -> Tensor:
    """That of the best factorised kernel at hold 0; see `tabular.optimum`."""
    noise = dca.corruption.Uniform(law.num_categories)
    kernel = optimum(law, noise, level, 0.0, True, denoising_weight)
    return exact.transition_matrix(kernel, law.shape, level)


def limit(law: Law, level: float, independent: float = INDEPENDENT) -> Tensor:
    """The matrix that draws z from its posterior, or from the law, and noise anew, (V^D, V^D)."""
    noise = dca.corruption.Uniform(law.num_categories)
    back, forth = joint_posterior(law, noise, level)
    return ((1 - independent) * back + independent * law.p) @ forth


def measure(P: Tensor, law: Law, level: float) -> dict[str, float]:
    """Stationary TV and spectral gap of a transition matrix."""
    noise = dca.corruption.Uniform(law.num_categories)
    target = exact.noisy_law(law.p, noise, law.shape, level)
    pi = exact.stationary_distribution(P)
    return {"tv": exact.total_variation(pi, target), "gap": exact.spectral_gap(P, pi)}


def rows_of(
    method: str, laws: dict[int, Law], matrices: Sequence[Matrix], seconds: float = 0.0
) -> list[dict[str, Any]]:
    """A row for each law, by its seed, and level."""
    return [
        {"seed": seed, "method": method, "b": level, "seconds": seconds,
         **measure(matrix(level), law, level)}
        for (seed, law), matrix in zip(laws.items(), matrices, strict=True) for level in LEVELS
    ]  # fmt: skip


def networks(
    train: Callable[[Sequence[Law], Budget], Trained], laws: dict[int, Law], budget: Budget
) -> Iterator[dict[str, Any]]:
    """Rows of what is trained."""
    shape = laws[min(laws)].shape
    for method, kernels, seconds in train(list(laws.values()), budget):
        matrices = [partial(exact.transition_matrix, kernel.double(), shape) for kernel in kernels]
        yield from rows_of(method, laws, matrices, seconds)


def limits(laws: dict[int, Law]) -> Iterator[dict[str, Any]]:
    """Rows of what has no network."""
    for method, weight in LIMITS.items():
        yield from rows_of(method, laws, [partial(best, law, weight) for law in laws.values()])
    for method, share in ((LIMIT, INDEPENDENT), (ALONE, 0.0)):
        matrices = [partial(limit, law, independent=share) for law in laws.values()]
        yield from rows_of(method, laws, matrices)


def summarise(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Medians over laws, and ratios to the factorised network, law by law."""
    found = {(row["seed"], row["method"], row["b"]): row for row in rows}
    table = []
    for name in dict.fromkeys(row["method"] for row in rows):
        for level in LEVELS:
            here = [row for row in rows if row["method"] == name and row["b"] == level]
            base = [found.get((row["seed"], FACTORISED, level), row) for row in here]
            pairs = list(zip(base, here, strict=True))
            exactly = all(row["tv"] < 1e-9 for row in here)
            closer = [1.0] if exactly else [other["tv"] / row["tv"] for other, row in pairs]
            gaps = [row["gap"] / other["gap"] for other, row in pairs]
            table.append({
                "method": name, "b": level,
                "TV": statistics.median(row["tv"] for row in here),
                "closer than the factorised network (x)":
                    "exact" if exactly else statistics.median(closer),
                "least of the laws (x)": "exact" if exactly else min(closer),
                "spectral gap": statistics.median(row["gap"] for row in here),
                "gap / the factorised network's": statistics.median(gaps),
                "least gap / its": min(gaps),
                "training seconds": statistics.median(row["seconds"] for row in here),
                "laws": len(here),
            })  # fmt: skip
    return table


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Run it and write its report."""
    parser = report.parser(__doc__, quick="one law, short training")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0, help="100 and up: for tuning")
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--batch", type=int, default=256, help="examples a law and step")
    parser.add_argument("--resume", action="store_true", help="keep rows that are in the folder")
    given = report.parse(parser, argv)
    if given.quick:
        given.seeds, given.steps, given.batch = 1, 160, 128
    seeds = range(given.first_seed, given.first_seed + given.seeds)
    laws = {seed: random_law(seed) for seed in seeds}
    budget = Budget(given.steps, given.batch, given.first_seed)
    about = {"steps": given.steps, "batch": given.batch}
    kept = report.appended("autoregressive", given.folder, **about) if given.resume else []
    rows = [row for row in kept if row["seed"] in laws]
    made = {row["method"] for row in rows}
    parts = {
        FACTORISED: partial(networks, factorised, laws, budget),
        ADJUSTED: partial(networks, autoregressive, laws, budget),
        LIMIT: partial(limits, laws),
    }
    for last, part in parts.items():
        if last not in made:
            found = [{**row, **about} for row in part()]
            report.append("autoregressive", found, given.folder)
            rows += found
    settings = {"steps": given.steps, "of them renoising (share)": RENOISING,
                "of denoising (times)": DENOISING, "independent (share)": INDEPENDENT,
                "batch": given.batch, "seeds": [*seeds]}  # fmt: skip
    written = report.write("autoregressive", summarise(rows), given.folder, **settings)
    return {**written, "raw": rows}


if __name__ == "__main__":
    main()
