"""Continuous data through the same trainer and chains: points on a circle. Run it as a script."""

import torch
from torch import nn

import discrete_ca as dca
from discrete_ca.nn import LevelEmbedding
from discrete_ca.serialization import Configured


class PointNet(Configured, nn.Module):
    """Mean and log-variance of a clean point given a noisy one: (B, 2) to (B, 2, 2)."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.embed, self.level = nn.Linear(2, width), LevelEmbedding(width)
        self.layers = nn.Sequential(nn.SiLU(), nn.Linear(width, width), nn.SiLU())
        self.out = nn.Linear(width, 4)

    def forward(self, x: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        h = self.layers(self.embed(x) + self.level(b))
        return self.out(h).reshape(*x.shape, 2)


def main() -> float:
    """Train, sample, and return the median distance of the samples from the circle."""
    torch.manual_seed(0)
    angle = 2 * torch.pi * torch.rand(4096)
    data = torch.stack([angle.cos(), angle.sin()], dim=1)
    kernel = dca.GaussianNoiseKernel(PointNet(), hold=0.5)
    config = dca.TrainConfig(steps=1000, batch_size=256, progress=False)
    dca.Trainer(kernel, dca.Schedule.half_and_half(), data, config).fit()
    points = dca.sample(kernel, 500, (2,), moves=32, generator=torch.Generator().manual_seed(0))
    return float((points.norm(dim=1) - 1).abs().median())


if __name__ == "__main__":
    print(f"median distance from the circle: {main():.3f} (radius 1)")
