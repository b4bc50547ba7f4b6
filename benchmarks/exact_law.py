"""What trained chains converge to, exactly, on laws that can be enumerated.

Networks of one architecture are trained for the same cost in network passes, by denoising, by
contrastive adjustment (CA) with several weights λ and by schedules of both, on random peaked laws
(five binary sites; five ternary ones for ordinal and token noise) and on the law of the 3 x 3
patches in the middle of binarized MNIST. For each level b and hold h the chain's transition matrix
is enumerated and compared with the noisy law p_b: stationary total variation (TV), spectral gap,
and TV after 32 network evaluations from pure noise; then TV and gap of the same kernel with
Metropolis steps.
"limit" rows are optima with exact expectations and one free read-out a state, found by Adam: no
network, no sampling; they are compared with the denoiser's.

    python -m benchmarks.exact_law [--quick] [--noises uniform ...] [--holds 0.5 ...]

A pass is a forward of the denoiser; forward and backward is three. The adjustment head's own cost
is counted by its floating-point operations. The networks of all laws of a row are trained side by
side, each on its own batch; the seconds that this took, divided by their number, stand beside.
Denoising phases weight levels by 1 / (b + 0.1) and the head's learning rate is 2.5 times the
others': both were looked at on laws that are not in the table (seeds from 100 on).
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import product
from multiprocessing import get_context
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

import discrete_ca as dca
from benchmarks import report
from benchmarks.ensemble import EnsembleKernel, LawBatches, Sampled
from benchmarks.laws import Law, patch_law, random_law
from benchmarks.tabular import optimum
from discrete_ca.corruption import Absorbing, Corruption, Ordinal, TokenNoise, Uniform
from discrete_ca.diagnostics import exact

LEVELS = (0.1, 0.3, 0.6, 0.9)
HOLDS = (0.0, 0.5, 0.8, 0.9)
LAWS = ("random", "patches")
SEEDS = 5
NFE = 32


@dataclass(frozen=True)
class Noise:
    """A corruption and whether the kernel carries revealed sites over."""

    make: Callable[[int], Corruption]
    carry_over: bool = True
    num_categories: int = 2


def token_noise(num_categories: int) -> TokenNoise:
    """Tokens by uneven frequencies, and those beside them as near ones."""
    beside = torch.ones(num_categories - 1)
    near = beside.diag(1) + beside.diag(-1)
    weights = torch.arange(num_categories, 0, -1.0)
    return TokenNoise(
        num_categories, frequencies=weights / weights.sum(), near=near / near.sum(1, keepdim=True)
    )


NOISES = {
    "uniform": Noise(Uniform),
    "absorbing": Noise(Absorbing),
    "absorbing, no carry-over": Noise(Absorbing, carry_over=False),
    "ordinal": Noise(Ordinal, num_categories=3),
    "token-noise": Noise(token_noise, num_categories=3),
}

_WEIGHTED = dca.InverseLevel(0.1)


@dataclass(frozen=True)
class Recipe:
    """Phases by their share of the cost; `head` for a kernel with an adjustment head.

    `every_hold`: one head that is told the hold is trained for all of them. `evidence`: the network
    says what the other sites say, and the kernel adds what a site's own state says of it.
    """

    phases: tuple[dca.Phase, ...]
    head: bool = False
    every_hold: bool = False
    evidence: bool = False

    @property
    def serves_all(self) -> bool:
        """Whether one training is for every hold, as that of a denoiser is."""
        return self.every_hold or all(
            isinstance(phase.objective, dca.Denoising) for phase in self.phases
        )


def _ca(denoising_weight: float) -> dca.ContrastiveAdjustment:
    return dca.ContrastiveAdjustment(denoising_weight=denoising_weight)


_DENOISING = (dca.Phase(dca.Denoising(level_weight=_WEIGHTED)),)

RECIPES = {
    "denoising": Recipe(_DENOISING),
    "denoising, evidence": Recipe(_DENOISING, evidence=True),
    "CA, λ = 0": Recipe((dca.Phase(_ca(0.0)),)),
    "CA, λ = 0.01": Recipe((dca.Phase(_ca(0.01)),)),
    "CA, λ = 0.1": Recipe((dca.Phase(_ca(0.1)),)),
    "half denoising, half CA": Recipe(
        (dca.Phase(dca.Denoising(level_weight=_WEIGHTED), 0.5), dca.Phase(_ca(0.01), 0.5))
    ),
    "default (adjustment head)": Recipe(dca.Schedule.default().phases, head=True),
    "default, one head for every hold": Recipe(
        dca.Schedule.default(holds=(0.0, 0.95)).phases, head=True, every_hold=True
    ),
}
LIMITS = {"limit: denoising": None, "limit: CA, λ = 0": 0.0, "limit: CA, λ = 0.01": 0.01}


def make_kernel(law: Law, noise: Noise, hold: float, recipe: Recipe) -> dca.CategoricalNoiseKernel:
    """The network, an MLP of width 128, and for a head a small MLP that adjusts what it says."""
    corruption = noise.make(law.num_categories)
    net = dca.nn.MLP(law.num_categories, corruption.num_states, law.shape)
    adjustment = None
    if recipe.head:
        adjustment = dca.nn.AdjustmentMLP(law.num_categories, law.shape, hold=recipe.every_hold)
    return dca.CategoricalNoiseKernel(
        net, corruption, hold, noise.carry_over, adjustment, add_evidence=recipe.evidence
    )


def passes_a_step(kernel: dca.CategoricalNoiseKernel, phase: dca.Phase, law: Sampled) -> float:
    """Cost of one training step of a phase, in forwards of the denoiser."""
    frozen = phase.train == ("adjustment",)
    trunk = 1.0 if frozen else 3.0  # the pass whose gradient is taken
    if isinstance(phase.objective, dca.Denoising):
        return trunk
    cost = 1.0 + trunk
    if phase.objective.denoising_weight > 0:  # type: ignore[attr-defined]
        # the forward of these examples is made anyway: what is added is their backward
        cost += (trunk - 1) * phase.objective.denoising_fraction  # type: ignore[attr-defined]
    if kernel.adjustment is not None:
        x, b = torch.zeros(1, *law.shape, dtype=torch.long), torch.tensor([0.5])
        with FlopCounterMode(display=False) as trunk_flops:
            logits = kernel.net(x, b)
        with FlopCounterMode(display=False) as head_flops:
            told = {"hold": b} if "hold" in getattr(kernel.adjustment, "accepts", ()) else {}
            kernel.adjustment(logits, logits, b, **told)
        cost += 4 * head_flops.get_total_flops() / trunk_flops.get_total_flops()
    return cost


def fit(
    kernels: Sequence[dca.CategoricalNoiseKernel],
    phases: Sequence[dca.Phase],
    laws: Sequence[Sampled],
    passes: int,
    batch: int,
    seed: int,
    **settings: Any,
) -> tuple[EnsembleKernel, dca.Trainer]:
    """Train a kernel for each law, side by side; shares of phases are shares of the cost.

    Args:
        kernels: one a law, of one architecture.
        phases: of the recipe.
        laws: as many.
        passes: the cost of a kernel, in forwards of its denoiser.
        batch: examples a kernel and step.
        seed: of the trainer.
        **settings: more for its `TrainConfig`.
    """
    steps = [p.share * passes / passes_a_step(kernels[0], p, laws[0]) for p in phases]
    total = sum(steps)
    by_steps = tuple(  # no label is hidden: it says which of the kernels an example is for
        dca.Phase(replace(p.objective, unlabelled_share=0.0), n / total, p.train, p.learning_rate)
        for p, n in zip(phases, steps, strict=True)
    )
    side_by_side = EnsembleKernel.of(kernels)
    config = dca.TrainConfig(
        steps=round(total), batch_size=batch * len(laws), seed=seed, progress=False, **settings
    )
    schedule = dca.Schedule(by_steps)
    return side_by_side, dca.Trainer(side_by_side, schedule, LawBatches(laws), config).fit()


def train(
    kernels: Sequence[dca.CategoricalNoiseKernel],
    recipe: Recipe,
    laws: Sequence[Law],
    passes: int,
    batch: int,
    seed: int,
) -> tuple[list[dca.CategoricalNoiseKernel], float]:
    """Train a kernel for each law by a recipe whose shares are shares of the cost, not of steps.

    Returns the trained kernels, in float64, and the seconds that each took.
    """
    side_by_side, trainer = fit(kernels, recipe.phases, laws, passes, batch, seed)
    trained = [side_by_side.member(i).double() for i in range(len(laws))]
    return trained, trainer.seconds / len(laws)


def evaluate(kernel: dca.CategoricalNoiseKernel, law: Law, level: float) -> dict[str, float]:
    """Stationary TV, spectral gap and TV after `NFE` steps from pure noise."""
    target = exact.noisy_law(law.p, kernel.corruption, law.shape, level)
    P = exact.transition_matrix(kernel, law.shape, level)
    pi = exact.stationary_distribution(P)
    state = exact.noisy_law(law.p, kernel.corruption, law.shape, 1.0)
    for _ in range(NFE):
        state = state @ P
    return {
        "tv": exact.total_variation(pi, target),
        "gap": exact.spectral_gap(P, pi),
        "tv_at_nfe": exact.total_variation(state, target),
    }


def evaluate_metropolis(
    kernel: dca.CategoricalNoiseKernel, law: Law, level: float
) -> dict[str, float]:
    """Stationary TV and spectral gap of Metropolis steps, where the noise allows them."""
    if isinstance(kernel.corruption, Absorbing):
        return {}
    target = exact.noisy_law(law.p, kernel.corruption, law.shape, level)
    P = exact.metropolis_matrix(kernel, law.shape, level)
    pi = exact.stationary_distribution(P)
    return {
        "metropolis_tv": exact.total_variation(pi, target),
        "metropolis_gap": exact.spectral_gap(P, pi),
    }


@dataclass(frozen=True)
class Job:
    """One row of the grid: a method on all laws of a kind."""

    noise: str
    law: str
    seeds: tuple[int, ...]
    method: str
    holds: tuple[float, ...]
    passes: int
    batch: int

    def laws(self) -> list[Law]:
        """The laws that this job is about; the one of the patches once a seed."""
        if self.law == "patches":
            return [patch_law()] * len(self.seeds)
        return [random_law(seed, NOISES[self.noise].num_categories) for seed in self.seeds]


def run_job(job: Job) -> list[dict[str, Any]]:
    """Rows of one job: one for each law, hold and level."""
    torch.set_num_threads(1)
    laws, noise = job.laws(), NOISES[job.noise]
    cost: dict[str, Any] = {}
    kernels = []
    if job.method in RECIPES:
        recipe = RECIPES[job.method]
        for law, seed in zip(laws, job.seeds, strict=True):
            torch.manual_seed(seed)
            kernels.append(make_kernel(law, noise, job.holds[0], recipe))
        kernels, seconds = train(kernels, recipe, laws, job.passes, job.batch, job.seeds[0])
        parameters = sum(p.numel() for p in kernels[0].parameters())
        cost = {"seconds": round(seconds, 2), "parameters": parameters,
                "passes": job.passes, "batch": job.batch}  # fmt: skip
    rows = []
    for (i, law), hold, level in product(enumerate(laws), job.holds, LEVELS):
        if job.method in LIMITS:
            if job.law == "patches" and i > 0:
                continue  # the same law, without a network
            kernel = optimum(
                law, noise.make(law.num_categories), level, hold, noise.carry_over,
                LIMITS[job.method],
            )  # fmt: skip
        else:
            kernel = kernels[i]
        kernel.hold = hold
        key: dict[str, Any] = {"noise": job.noise, "law": job.law,
                               "seed": job.seeds[i], "method": job.method}  # fmt: skip
        measured = {**evaluate(kernel, law, level), **evaluate_metropolis(kernel, law, level)}
        rows.append({**key, **cost, "hold": hold, "level": level, **measured})
    return rows


def jobs(noises: list[str], holds: tuple[float, ...], seeds: tuple[int, ...], passes: int,
         batch: int, methods: list[str], kinds: list[str]) -> Iterator[Job]:  # fmt: skip
    """The grid. A denoiser does not depend on the hold: one training serves them all."""
    for name, law in product(noises, kinds):
        noise = NOISES[name]
        if law == "patches" and noise.make(2).num_states ** 9 > exact.MAX_STATES:
            continue  # with a mask there are 19,683 states
        if law == "patches" and noise.num_categories != 2:
            continue
        for method in methods:
            if method in LIMITS or RECIPES[method].serves_all:
                yield Job(name, law, seeds, method, holds, passes, batch)
            else:
                yield from (Job(name, law, seeds, method, (h,), passes, batch) for h in holds)


def summarise(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Medians over laws and seeds with their quartiles, and of ratios to denoising, law by law."""
    groups: dict[tuple[Any, ...], dict[tuple[str, int], dict[str, Any]]] = {}
    for row in rows:
        key = (row["noise"], row["law"], row["hold"], row["level"], row["method"])
        groups.setdefault(key, {})[row["law"], row["seed"]] = row
    table = []
    for (noise, law, hold, level, method), found in sorted(groups.items(), key=str):
        rival = "limit: denoising" if method in LIMITS else "denoising"
        base = groups.get((noise, law, hold, level, rival), {})
        seconds = [row.get("seconds", 0.0) for row in found.values()]
        table.append({
            "noise": noise, "law": law, "h": hold, "b": level, "method": method,
            **_medians("TV", [row["tv"] for row in found.values()], 4),
            **_closer("closer than denoising (x)", base, found, "tv"),
            "spectral gap": statistics.median(row["gap"] for row in found.values()),
            **_metropolis(found, base),
            f"TV at {NFE} NFE": statistics.median(row["tv_at_nfe"] for row in found.values()),
            "training seconds": statistics.median(seconds),
            "parameters": next(iter(found.values())).get("parameters", 0),
            "runs": len(found),
        })  # fmt: skip
    return table


def _metropolis(found: dict[Any, Any], base: dict[Any, Any]) -> dict[str, Any]:
    """What Metropolis steps come to, where there were any, beside denoising and the plain chain."""
    rows = {i: row for i, row in found.items() if "metropolis_tv" in row}
    if not rows:
        return {}
    return {
        **_medians("Metropolis TV", [row["metropolis_tv"] for row in rows.values()], 4),
        **_closer("Metropolis closer than denoising (x)", base, rows, "metropolis_tv"),
        **_closer("Metropolis closer than plain (x)", rows, rows, "metropolis_tv"),
        "Metropolis gap": statistics.median(row["metropolis_gap"] for row in rows.values()),
    }


def _closer(name: str, base: dict[Any, Any], rows: dict[Any, Any], tv: str) -> dict[str, Any]:
    """How many times closer rows are than the plain chains of a base, law by law."""
    ratios = [base[i]["tv"] / row[tv] for i, row in rows.items() if i in base]
    return _medians(name, ratios, 2) if ratios else {name: ""}


def _medians(name: str, values: list[float], digits: int) -> dict[str, Any]:
    """Their median, and the quartiles as text."""
    low, middle, high = quartiles(values)
    return {name: middle, f"{name} quartiles": f"{low:.{digits}f} to {high:.{digits}f}"}


def quartiles(values: list[float]) -> tuple[float, float, float]:
    """Lower quartile, median and upper quartile; of one value, itself."""
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Run the benchmark and write its report."""
    parser = report.parser(__doc__, quick="one law, short training")
    parser.add_argument("--noises", nargs="+", choices=NOISES, default=list(NOISES))
    parser.add_argument("--holds", nargs="+", type=float, default=list(HOLDS))
    parser.add_argument("--laws", nargs="+", choices=LAWS, default=list(LAWS))
    parser.add_argument("--methods", nargs="+", choices=[*RECIPES, *LIMITS])
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--first-seed", type=int, default=0, help="100 and up: for tuning")
    parser.add_argument("--passes", type=int, default=24_000, help="cost of a network")
    parser.add_argument("--batch", type=int, default=128, help="examples a network and step")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    given = report.parse(parser, argv)
    if given.quick:
        given.noises, given.holds, given.seeds, given.jobs = ["uniform"], [0.5], 1, 1
        given.passes, given.batch = 300, 64
        given.methods = ["denoising", "default (adjustment head)", "limit: denoising"]
    methods = given.methods or [*RECIPES, *LIMITS]
    seeds = tuple(range(given.first_seed, given.first_seed + given.seeds))
    holds = tuple(given.holds)
    grid = list(jobs(given.noises, holds, seeds, given.passes, given.batch, methods, given.laws))
    rows: list[dict[str, Any]] = []
    with ProcessPoolExecutor(given.jobs, mp_context=get_context("spawn")) as pool:
        results = map(run_job, grid) if given.jobs == 1 else pool.map(run_job, grid)
        for job, found in zip(grid, results, strict=True):
            rows += found
            report.append("exact_law", found, given.folder)
            if not given.quick:
                print(f"{len(rows)} rows: {job.noise}, {job.law}, {job.method}", flush=True)
    settings = {"passes": given.passes, "batch": given.batch, "seeds": list(seeds)}
    written = report.write("exact_law", summarise(rows), given.folder, **settings)
    return {**written, "raw": rows}


if __name__ == "__main__":
    main()
