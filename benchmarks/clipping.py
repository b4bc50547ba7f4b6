"""What clipping does to contrastive adjustment, exactly, on random laws that can be enumerated.

The gradient of contrastive adjustment is heavy-tailed, and its tail is the signal (theory, section
9): clipping at a fixed norm was seen to bias the result. Here the same networks are trained from
the same seeds without clipping, with norms limited to a multiple of their running mean
(`TrainConfig.clip`), and, for comparison, at a fixed norm; the stationary total variation (TV) of
the chain to the noisy law is computed by enumeration.

    python -m benchmarks.clipping [--quick]
"""

from __future__ import annotations

import statistics
from typing import Any

import torch

import discrete_ca as dca
from benchmarks import report
from benchmarks.ensemble import LawBatches
from benchmarks.exact_law import LEVELS, NOISES, RECIPES, evaluate, make_kernel
from benchmarks.laws import Law, random_law
from discrete_ca.training.part import NormLimit, Part

HOLD = 0.5
MULTIPLES = (10.0, 3.0, 1.5)  # of the running mean
FIXED = (1.0, 0.3)  # of the median norm without clipping


class FixedNorm(NormLimit):
    """Clipping as it is usually done: every norm above `factor` is scaled down to it."""

    def scale(self, norm: float) -> float:
        """What a gradient of this norm is multiplied with, in (0, 1]."""
        self.steps += 1
        self.cut += norm > self.factor
        return min(1.0, self.factor / norm) if norm > 0 else 1.0


class FixedTrainer(dca.Trainer):
    """A trainer that clips at a fixed norm."""

    norm: float

    def start_part(self, phase: dca.Phase) -> Part:
        """As the package's, with that limit."""
        part = super().start_part(phase)
        part.limit = FixedNorm(self.norm)
        return part


def run(law: Law, seed: int, steps: int, batch: int) -> list[dict[str, Any]]:
    """Rows of one law: one for each way to clip and level."""
    rows: list[dict[str, Any]] = []

    def trained(name: str, trainer_class: type[dca.Trainer], clip: float | None, norm: float = 0.0
                ) -> dca.Trainer:  # fmt: skip
        torch.manual_seed(seed)
        kernel = make_kernel(law, NOISES["uniform"], HOLD, RECIPES["CA, λ = 0.01"])
        config = dca.TrainConfig(
            steps=steps, batch_size=batch, seed=seed, clip=clip, progress=False
        )
        objective = dca.ContrastiveAdjustment(denoising_weight=0.01)
        trainer = trainer_class(kernel, objective, LawBatches([law]), config)
        if isinstance(trainer, FixedTrainer):
            trainer.norm = norm
        trainer.fit()
        kernel.double()
        for level in LEVELS:
            tv = evaluate(kernel, law, level)["tv"]
            share = trainer.part.clipped / steps
            rows.append({"seed": seed, "clip": name, "b": level, "tv": tv, "share cut": share})
        return trainer

    free = trained("none", dca.Trainer, None)
    usual = statistics.median(row["gradient_norm"] for row in free.history)
    for multiple in MULTIPLES:
        trained(f"{multiple:g} x the running mean", dca.Trainer, multiple)
    for share in FIXED:
        trained(f"fixed, {share:g} x the median norm", FixedTrainer, None, share * usual)
    return rows


def summarise(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Medians over laws of the TV, and of its ratio to the TV without clipping."""
    found = {(row["seed"], row["clip"], row["b"]): row for row in rows}
    table = []
    for name in dict.fromkeys(row["clip"] for row in rows):
        line: dict[str, Any] = {"clip": name}
        mine = [row for row in rows if row["clip"] == name]
        for level in LEVELS:
            here = [row for row in mine if row["b"] == level]
            ratio = [row["tv"] / found[row["seed"], "none", level]["tv"] for row in here]
            line[f"TV at b = {level}"] = statistics.median(row["tv"] for row in here)
            line[f"/ none, {level}"] = statistics.median(ratio)
        line["share cut"] = statistics.median(row["share cut"] for row in mine)
        table.append(line)
    return table


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Run it and write its report."""
    parser = report.parser(__doc__, quick="one law, short training")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=2700, help="12,000 network passes")
    parser.add_argument("--batch", type=int, default=128)
    given = report.parse(parser, argv)
    if given.quick:
        given.seeds, given.steps, given.batch = 1, 100, 64
    rows: list[dict[str, Any]] = []
    for seed in range(given.seeds):
        rows += run(random_law(seed, 2), seed, given.steps, given.batch)
    settings = {"steps": given.steps, "batch": given.batch, "seeds": given.seeds}
    return {**report.write("clipping", summarise(rows), given.folder, **settings), "raw": rows}


if __name__ == "__main__":
    main()
