"""What the Trainer costs beside a bare loop, and how long a run takes to go on.

Both loops train the demo's network on binarized MNIST by denoising, batch 64: the bare one takes
random rows of a tensor, computes the loss, goes backward and takes a step of AdamW; the Trainer
adds its data order, keyed noise, gradient norms, average, schedules and records. Steps alternate
in one process; the ratio is the median over them.

    python -m benchmarks.training [--quick]
"""

from __future__ import annotations

import statistics
import tempfile
import time
from typing import Any

import torch

import discrete_ca as dca
from benchmarks import report
from discrete_ca.demo import demo_kernel
from discrete_ca.training.batches import Batches
from discrete_ca.training.loader import loader

BATCH = 64


class Stopped(Exception):
    """Raised where a timing ends."""


def step_ratio(data: dca.DiscreteData, rounds: int) -> dict[str, float]:
    """Median of the Trainer's step over the bare loop's."""
    torch.manual_seed(0)
    bare, ours = demo_kernel(), demo_kernel()
    objective = dca.Denoising()
    config = dca.TrainConfig(steps=rounds + 10, batch_size=BATCH, progress=False)
    trainer = dca.Trainer(ours, objective, data, config)
    trainer.start_part(trainer.progress.current)
    read = loader(Batches(data, BATCH, seed=0))
    bare.requires_grad_(False)
    trained = [p for name, p in bare.named_parameters() if name.startswith("net.")]
    for parameter in trained:
        parameter.requires_grad_(True)
    optimizer = torch.optim.AdamW(trained, config.learning_rate, fused=True)
    states = data.states

    def bare_step() -> None:
        z = states[torch.randint(len(states), (BATCH,))].long()
        optimizer.zero_grad(set_to_none=True)
        objective(bare, z).mean().backward()
        optimizer.step()

    def trainer_step() -> None:
        trainer._update(read, lambda: False)

    seconds: dict[str, list[float]] = {"bare": [], "trainer": []}
    for i in range(rounds + 2):
        for name, step in (("bare", bare_step), ("trainer", trainer_step)):
            begun = time.perf_counter()
            step()
            if i >= 2:  # the first ones warm up
                seconds[name].append(time.perf_counter() - begun)
    pairs = zip(seconds["trainer"], seconds["bare"], strict=True)
    return {
        "Trainer step / bare loop": statistics.median(a / b for a, b in pairs),
        "bare step (s)": statistics.median(seconds["bare"]),
        "pairs of steps": rounds,
    }


def resume_seconds(data: dca.DiscreteData) -> float:
    """From `fit(resume=True)` to the first step of a saved run of the demo's size."""
    with tempfile.TemporaryDirectory() as folder:
        settings: dict[str, Any] = {"batch_size": BATCH, "folder": folder, "progress": False}
        config = dca.TrainConfig(steps=2, **settings)
        dca.Trainer(demo_kernel(), dca.Denoising(), data, config).fit()

        class First(dca.Denoising):
            def losses(self, *given: Any) -> torch.Tensor:
                raise Stopped

        longer = dca.TrainConfig(steps=4, **settings)
        trainer = dca.Trainer(demo_kernel(), First(), data, longer)
        begun = time.perf_counter()
        try:
            trainer.fit(resume=True)
        except Stopped:
            return time.perf_counter() - begun
    raise AssertionError("the run did not go on")


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Run it and write its report."""
    given = report.parse(report.parser(__doc__, quick="few steps"), argv)
    data = dca.data.load("binarized_mnist")
    row = step_ratio(data, 5 if given.quick else 100)
    row["resume (s)"] = resume_seconds(data)
    return report.write("training", [row], given.folder, batch=BATCH)


if __name__ == "__main__":
    main()
