"""Digits at 256 grey levels: ``python grey.py --data FOLDER`` with the four IDX files of MNIST.

From the command line: discrete-ca train runs/grey --config mnist256 --data FOLDER
Without --data, the digits that come with the package, at 16 levels.
"""

import argparse
from pathlib import Path

import torch

import discrete_ca as dca
from discrete_ca import drawing


def main(data: str = "mnist16", minutes: float = 3.0, folder: str = ".") -> float:
    """Train, sample, walk from a digit; returns the mean grey of the samples, as a share."""
    torch.manual_seed(0)
    digits = dca.data.load(data)
    k = digits.num_categories
    net = dca.nn.UNet(k, k, widths=(48, 64), blocks=1, head_width=16, known=True)
    kernel = dca.CategoricalNoiseKernel(net, dca.corruption.Ordinal(k), hold=0.8)
    config = dca.TrainConfig(minutes=minutes, batch_size=32, progress=False)
    dca.Trainer(kernel, dca.Schedule.half_and_half(), digits, config).fit()

    g = torch.Generator().manual_seed(0)
    samples = dca.sample(kernel, 32, digits.shape, moves=32, generator=g, progress=False)
    drawing.grid(samples, 8, k).save(Path(folder) / "grey-samples.png")
    near = dca.variants(kernel, digits[0], n=16, level=0.3, steps=20, generator=g, progress=False)
    drawing.grid(near, 8, k).save(Path(folder) / "grey-variants.png")
    return float(samples.double().mean() / (k - 1))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="mnist16")
    parser.add_argument("--minutes", type=float, default=3.0)
    given = parser.parse_args()
    print(f"mean grey of the samples: {main(given.data, given.minutes):.1%}")
