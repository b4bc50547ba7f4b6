"""The demo: train on binarized MNIST, draw samples, a walking chain, inpaintings and variants.

Run it as ``python -m discrete_ca.demo``, or from Python:

    from discrete_ca.demo import demo
    report = demo("runs/demo", minutes=8.0)
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from discrete_ca import chains, corruption, data, drawing, kernels, metrics, nn
from discrete_ca.kernels import CategoricalNoiseKernel
from discrete_ca.objectives import Schedule
from discrete_ca.sealed import write_json
from discrete_ca.training import TrainConfig, Trainer

MOVES, CORRECTORS = 32, 6
ADJUST = 0.3
HELD_OUT = 1000
WALK_LEVEL = 0.3
VARIANT_LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)


def demo_kernel(hold: float = 0.85) -> CategoricalNoiseKernel:
    """The kernel that the demo trains: uniform noise, a small UNet, an adjustment head."""
    net = nn.UNet(2, 2, widths=(64, 96), blocks=1, head_width=16, known=True)
    head = nn.AdjustmentHead(2, dims=2)
    return CategoricalNoiseKernel(net, corruption.Uniform(2), hold=hold, adjustment=head)


def demo(
    folder: str | Path = "runs/demo",
    minutes: float = 8.0,
    samples: int = 1000,
    seed: int = 0,
    quiet: bool = False,
) -> dict[str, Any]:
    """Train for some minutes, then write model/, pictures and metrics.json under `folder`.

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
    kernel = demo_kernel()
    count = sum(p.numel() for p in kernel.parameters())
    console.print(
        f"Training {count:,} parameters for {minutes:g} minutes on {len(train):,} digits."
    )
    config = TrainConfig(minutes=minutes, batch_size=64, seed=seed, progress=not quiet)
    trainer = Trainer(kernel, Schedule.default(adjust=ADJUST), train, config).fit()
    kernel.save_pretrained(place / "model")

    console.print(f"Sampling {samples:,} digits.")
    begun = time.monotonic()
    digits, info = chains.sample(
        kernel, samples, (28, 28), moves=MOVES, correctors=CORRECTORS, generator=generator,
        return_info=True, progress=not quiet,
    )  # fmt: skip
    seconds = time.monotonic() - begun
    report = {
        **_measure(digits, train.states, held_out.states, test.states),
        "samples": samples,
        "nfe": info.nfe,
        "sampling_seconds": round(seconds, 1),
        "training_seconds": round(trainer.seconds, 1),
        "training_steps": trainer.step,
        "parameters": count,
        "seed": seed,
    }
    write_json(place / "metrics.json", report)
    _draw(kernel, digits, test.states, place, generator)
    console.print(_table(report))
    console.print(f"Pictures, model and metrics are in {place}/.")
    return report


def _measure(digits: Tensor, train: Tensor, held_out: Tensor, test: Tensor) -> dict[str, float]:
    judge = metrics.load_judge()
    reference = judge.features(test)
    found = metrics.digit_metrics(digits, reference, judge)
    floor = metrics.digit_metrics(held_out, reference, judge)
    return {
        "confident_share": found.confident_share,
        "confident_share_held_out": floor.confident_share,
        "class_entropy": found.class_entropy,
        "frechet_distance": found.frechet_distance,
        "frechet_distance_floor": floor.frechet_distance,
        "share_of_copies": metrics.share_of_copies(digits, train),
        "share_of_copies_test": metrics.share_of_copies(test, train),
    }


def _table(report: dict[str, Any]) -> Table:
    table = Table(title="Binarized MNIST", title_justify="left")
    for name, justify in (("measure", "left"), ("samples", "right"), ("real digits", "right")):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    table.add_row(
        "judge's confident share (>= 0.9)",
        f"{report['confident_share']:.1%}",
        f"{report['confident_share_held_out']:.1%}",
    )
    table.add_row(
        f"class entropy (nats, even = {math.log(10):.3f})", f"{report['class_entropy']:.3f}", ""
    )
    table.add_row(
        "Frechet distance to the test set (judge's features)",
        f"{report['frechet_distance']:.2f}",
        f"{report['frechet_distance_floor']:.2f}",
    )
    table.add_row(
        "equal to a training image",
        f"{report['share_of_copies']:.2%}",
        f"{report['share_of_copies_test']:.2%}",
    )
    table.add_row("network evaluations a sample (NFE)", str(report["nfe"]), "")
    table.add_row(
        f"seconds for {report['samples']:,} samples", f"{report['sampling_seconds']:.0f}", ""
    )
    table.add_row("seconds of training", f"{report['training_seconds']:.0f}", "")
    return table


def _draw(
    kernel: kernels.CategoricalNoiseKernel,
    digits: Tensor,
    real: Tensor,
    place: Path,
    generator: torch.Generator,
) -> None:
    """samples.png, variants.png, inpaint.png and chain.gif."""
    drawing.grid(digits[:64], 8).save(place / "samples.png")

    rows = []
    for level in VARIANT_LEVELS:
        found = chains.variants(
            kernel, real[0], n=11, level=level, steps=20, generator=generator, progress=False
        )
        rows.append(torch.cat([real[:1], found]))
    drawing.grid(torch.cat(rows), 12).save(place / "variants.png")

    rows = []
    masks = torch.zeros(4, 28, 28, dtype=torch.bool)  # True = generate
    masks[0, 14:], masks[1, :14], masks[2, :, 14:], masks[3, 7:21, 7:21] = True, True, True, True
    for mask, image in zip(masks, real[1:5], strict=True):
        found = chains.inpaint(kernel, image, mask, n=9, generator=generator, progress=False)
        shown = image.masked_fill(mask, drawing.UNKNOWN)
        rows.append(torch.cat([image[None], shown[None], found]))
    drawing.grid(torch.cat(rows), 11).save(place / "inpaint.png")

    frames = [drawing.grid(real[:16], 4)]
    x = kernel.corrupt(real[:16], WALK_LEVEL, generator)
    for i, state in enumerate(chains.run(kernel, x, WALK_LEVEL, 200, generator=generator)):
        if i % 4 == 0:
            clean = chains.read_out(kernel, state, WALK_LEVEL)
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
