"""Colour pictures at 256 levels: coloured shapes, sampled and inpainted. Run it as a script.

From the command line: discrete-ca train runs/colour --config colour
"""

from pathlib import Path

import torch

import discrete_ca as dca
from discrete_ca import drawing
from discrete_ca.data.made import every_shape

K, NEAR = 256, 16


def whole(pictures: torch.Tensor) -> float:
    """Share of the pictures that are one of the 96 there are, within 16 levels at every site."""
    away = pictures.flatten(1)[:, None] - every_shape().flatten(1).long()
    return float((away.abs().amax(2).amin(1) <= NEAR).double().mean())


def main(steps: int = 1000, folder: str | None = None) -> float:
    """Train, sample, inpaint; returns the share of the samples that are whole shapes."""
    torch.manual_seed(0)
    g = torch.Generator().manual_seed(0)
    data = dca.data.load("shapes")
    # Free logits: paper or ink is no one logistic law, which `nn.Logistic` would give a site.
    net = dca.nn.UNet(
        K, K, channels=3, patch=2, widths=(48, 64), blocks=1, head_width=24, known=True
    )
    kernel = dca.CategoricalNoiseKernel(net, dca.corruption.Ordinal(K), hold=0.5)
    config = dca.TrainConfig(steps=steps, batch_size=32, learning_rate=3e-3, progress=False)
    dca.Trainer(kernel, dca.Schedule.half_and_half(), data, config).fit()
    settings = {"moves": 32, "generator": g, "progress": False}
    samples = dca.sample(kernel, 32, data.shape, **settings)
    mask = torch.zeros(data.shape, dtype=torch.bool)
    mask[:, 4:] = True  # True = generate: the lower half
    filled = dca.inpaint(kernel, data[0], mask, n=16, **settings)
    assert bool((filled[:, ~mask] == data[0][~mask]).all())
    if folder is not None:
        for name, pictures in {"samples": samples, "inpaint": filled}.items():
            drawing.grid(pictures, 8, K, scale=6).save(Path(folder) / f"{name}.png")
    return whole(samples)


if __name__ == "__main__":
    print(f"{main(folder='.'):.0%} of the samples are whole shapes")
