"""Colour pictures at 256 levels: coloured shapes, sampled and inpainted. Run it as a script."""

from pathlib import Path

import torch

import discrete_ca as dca
from discrete_ca import drawing

SIDE, K = 8, 256
PAPER = torch.tensor([230, 230, 230])
INKS = torch.tensor([[220, 40, 40], [40, 160, 60], [50, 70, 210]])


def shapes(count: int, generator: torch.Generator) -> torch.Tensor:
    """Discs and squares in three colours, (N, 3, SIDE, SIDE), values 0 .. 255."""
    centre = torch.randint(2, SIDE - 2, (2, count, 1, 1), generator=generator)
    rows, columns = torch.arange(SIDE)[:, None], torch.arange(SIDE)
    away = torch.stack([(rows - centre[0]).expand(-1, SIDE, SIDE),
                        (columns - centre[1]).expand(-1, SIDE, SIDE)]).abs()  # fmt: skip
    round_ones = torch.rand(count, 1, 1, generator=generator) < 0.5
    inside = torch.where(round_ones, away.square().sum(0) <= 5, away.amax(0) <= 1)
    ink = INKS[torch.randint(0, 3, (count,), generator=generator)]
    return torch.where(inside[:, None], ink[:, :, None, None], PAPER[:, None, None])


def off_palette(pictures: torch.Tensor) -> float:
    """Median distance of a pixel from the nearest colour that the shapes have, in levels."""
    colours = torch.cat([PAPER[None], INKS])[:, :, None, None]
    away = (pictures[:, None] - colours).abs().sum(2)  # (N, colours, SIDE, SIDE)
    return float(away.amin(1).double().median() / 3)


def main(steps: int = 1200, folder: str | None = None) -> float:
    """Train, sample, inpaint; returns how far the samples' colours are from the shapes'."""
    torch.manual_seed(0)
    g = torch.Generator().manual_seed(0)
    data = dca.DiscreteData(shapes(4096, g), num_categories=K)
    # Near levels share what is learned: three numbers a channel make 256 logits.
    net = dca.nn.UNet(
        3, K, channels=3, patch=2, widths=(48, 64), blocks=1, head_width=24, known=True
    )
    noise = dca.corruption.Ordinal(K)
    kernel = dca.CategoricalNoiseKernel(dca.nn.Logistic(net, K), noise, hold=0.5)
    config = dca.TrainConfig(steps=steps, batch_size=32, learning_rate=3e-3, progress=False)
    first = dca.Phase(dca.Denoising(), 0.9)
    schedule = dca.Schedule((first, dca.Phase(dca.ContrastiveAdjustment(), 0.1)))
    dca.Trainer(kernel, schedule, data, config).fit()
    settings = {"moves": 32, "generator": g, "progress": False}
    samples = dca.sample(kernel, 16, data.shape, **settings)
    mask = torch.zeros(3, SIDE, SIDE, dtype=torch.bool)
    mask[:, SIDE // 2 :] = True  # True = generate: the lower half
    filled = dca.inpaint(kernel, data[0], mask, n=16, **settings)
    assert bool((filled[:, ~mask] == data[0][~mask]).all())
    if folder is not None:
        for name, pictures in {"samples": samples, "inpaint": filled}.items():
            drawing.grid(pictures, 8, K, scale=6).save(Path(folder) / f"{name}.png")
    return off_palette(samples)


if __name__ == "__main__":
    print(f"median distance from the shapes' colours: {main(folder='.'):.1f} of 255 levels")
