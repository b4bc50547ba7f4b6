"""The demo: train on binarized MNIST, draw samples, a walking chain, inpaintings and variants.

Run it as ``python -m discrete_ca.demo``, or from Python:

    from discrete_ca.demo import demo
    report = demo("runs/demo", minutes=8.0)
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from discrete_ca import chains, data, drawing, draws, kernels, metrics, runs
from discrete_ca.metrics.judge import NUM_DIGITS
from discrete_ca.sealed import write_json
from discrete_ca.training import Trainer

RECIPE = "binarized-mnist"
MOVES, CORRECTORS, GUIDANCE = 32, 3, 0.3
HELD_OUT, STRATIFIED = 1000, 5
WALK_LEVEL = 0.3
VARIANT_LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)


def demo_kernel(hold: float | None = None) -> kernels.CategoricalNoiseKernel:
    """The kernel that the demo trains: the recipe's, with another hold where one is given."""
    recipe = runs.RunConfig.from_toml(RECIPE)
    if hold is not None:
        recipe = dataclasses.replace(recipe, kernel=dataclasses.replace(recipe.kernel, hold=hold))
    label = torch.tensor([NUM_DIGITS - 1])
    like = data.DiscreteData(torch.zeros(1, 28, 28, dtype=torch.long), 2, labels=label)
    kernel = runs.build_kernel(recipe, like)
    assert isinstance(kernel, kernels.CategoricalNoiseKernel)
    return kernel


def demo(
    folder: str | Path = "runs/demo",
    minutes: float = 8.0,
    samples: int = 1000,
    seed: int = 0,
    quiet: bool = False,
) -> dict[str, Any]:
    """Train the recipe for some minutes, then write the run, pictures and metrics.json.

    Args:
        folder: where everything goes; an earlier demo there is replaced.
        minutes: training budget, wall clock.
        samples: samples that the metrics are taken on.
        seed: seeds the network's weights, training and every draw.
        quiet: print nothing.

    Returns:
        What metrics.json holds.
    """
    console = Console(quiet=quiet)
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    train, held_out = data.load("binarized_mnist").split_off(
        HELD_OUT, generator=torch.Generator().manual_seed(seed)
    )
    test = data.load("binarized_mnist", split="test")
    recipe = runs.RunConfig.from_toml(RECIPE)
    budget = dataclasses.replace(recipe.train, minutes=minutes, seed=seed, progress=not quiet)
    run = dataclasses.replace(recipe, train=budget)
    kernel = demo_kernel()
    count = sum(p.numel() for p in kernel.parameters())
    console.print(
        f"Training {count:,} parameters for {minutes:g} minutes on {len(train):,} digits."
    )
    trainer = Trainer(kernel, runs.build_schedule(run.recipe), train, run.train).fit()
    kernel.save_pretrained(place / runs.MODEL)
    training = {
        "steps": trainer.step, "seconds": round(trainer.seconds, 1), "parameters": count,
    }  # fmt: skip
    write_json(place / runs.RUN_FILE, runs.describe(run, train, training))

    console.print(f"Sampling {samples:,} digits.")
    begun = time.monotonic()
    guided = kernel.guided(GUIDANCE)
    assert train.labels is not None
    labels = train.labels[draws.stratified(train.labels, samples, generator)]
    digits, info = chains.sample(
        guided, samples, (28, 28), label=labels, moves=MOVES,
        correctors=CORRECTORS, generator=generator, return_info=True, progress=not quiet,
    )  # fmt: skip
    seconds = time.monotonic() - begun
    report = {
        **_measure(digits, train, held_out.states, test.states, generator),
        "samples": samples,
        "moves": MOVES,
        "correctors": CORRECTORS,
        "guidance": GUIDANCE,
        "nfe": info.nfe,
        "sampling_seconds": round(seconds, 1),
        "training_seconds": round(trainer.seconds, 1),
        "training_steps": trainer.step,
        "parameters": count,
        "seed": seed,
    }
    write_json(place / "metrics.json", report)
    _draw(kernel, guided, digits, test, place, generator)
    console.print(_table(report))
    console.print(f"Pictures, model and metrics are in {place}/.")
    return report


def _measure(
    digits: Tensor,
    train: data.DiscreteData,
    held_out: Tensor,
    test: Tensor,
    generator: torch.Generator,
) -> dict[str, float]:
    judge = metrics.load_judge()
    reference = judge.features(test)
    found = metrics.digit_metrics(digits, reference, judge)
    floor = metrics.digit_metrics(held_out, reference, judge)
    # the held-out digits have the labels that chance gave them, the samples even ones
    assert train.labels is not None
    stratified = 0.0
    for _ in range(STRATIFIED):
        real = train[draws.stratified(train.labels, len(digits), generator)]
        stratified += float(metrics.frechet_distance(judge.features(real), reference)) / STRATIFIED
    states = train.states
    return {
        "confident_share": found.confident_share,
        "confident_share_held_out": floor.confident_share,
        "class_entropy": found.class_entropy,
        "frechet_distance": found.frechet_distance,
        "frechet_distance_floor": floor.frechet_distance,
        "frechet_distance_stratified": stratified,
        "share_of_copies": metrics.share_of_copies(digits, states),
        "share_of_copies_test": metrics.share_of_copies(test, states),
    }


def _table(report: dict[str, Any]) -> Table:
    table = Table(title="Binarized MNIST", title_justify="left")
    for name, justify in (("measure", "left"), ("samples", "right"), ("real digits", "right")):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    for row in metrics.rows(report):
        table.add_row(*row)
    return table


def _draw(
    kernel: kernels.TransitionKernel,
    guided: kernels.TransitionKernel,
    digits: Tensor,
    test: data.DiscreteData,
    place: Path,
    generator: torch.Generator,
) -> None:
    """samples.png, variants.png, inpaint.png and chain.gif, all told the labels of their digits."""
    assert test.labels is not None
    real, labels = test[torch.arange(16)], test.labels[:16].long()
    balanced: dict[str, Any] = {"metropolis": True, "generator": generator}
    drawing.grid(digits[:64], 8).save(place / "samples.png")

    rows = []
    for level in VARIANT_LEVELS:
        found = chains.variants(
            kernel, real[0], n=11, level=level, steps=20, label=labels[0], progress=False,
            **balanced,
        )  # fmt: skip
        rows.append(torch.cat([real[:1], found]))
    drawing.grid(torch.cat(rows), 12).save(place / "variants.png")

    rows = []
    masks = torch.zeros(4, 28, 28, dtype=torch.bool)  # True = generate
    masks[0, 14:], masks[1, :14], masks[2, :, 14:], masks[3, 7:21, 7:21] = True, True, True, True
    for mask, image, label in zip(masks, real[1:5], labels[1:5], strict=True):
        found = chains.inpaint(
            guided, image, mask, n=9, label=label, correctors=CORRECTORS, generator=generator,
            progress=False,
        )  # fmt: skip
        shown = image.masked_fill(mask, drawing.UNKNOWN)
        rows.append(torch.cat([image[None], shown[None], found]))
    drawing.grid(torch.cat(rows), 11).save(place / "inpaint.png")

    frames = [drawing.grid(real, 4)]
    x = kernel.corrupt(real, WALK_LEVEL, generator)
    for i, state in enumerate(chains.run(kernel, x, WALK_LEVEL, 200, label=labels, **balanced)):
        if i % 4 == 0:
            clean = chains.read_out(kernel, state, WALK_LEVEL, label=labels)
            frames.append(drawing.grid(clean, 4))
    drawing.save_film(frames, place / "chain.gif")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description="Train on binarized MNIST and draw what it learned."
    )
    parser.add_argument("--folder", default="runs/demo", help="where everything is written")
    parser.add_argument("--minutes", type=float, default=8.0, help="training budget, wall clock")
    parser.add_argument("--samples", type=int, default=1000, help="samples for the metrics")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    demo(given.folder, given.minutes, given.samples, given.seed)


if __name__ == "__main__":
    main()
