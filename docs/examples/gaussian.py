"""Continuous data through the same trainer and chains: points on a circle. Run it as a script."""

from pathlib import Path

import torch

import discrete_ca as dca


def draw(path: Path, **points: torch.Tensor) -> None:
    """A picture of sets of points side by side."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3 * len(points), 3), layout="constrained")
    for axes, (name, values) in zip(figure.subplots(1, len(points)), points.items(), strict=True):
        axes.scatter(*values.T, s=2)
        axes.set(title=name, xlim=(-1.6, 1.6), ylim=(-1.6, 1.6), aspect="equal")
    figure.savefig(path, dpi=130)


def main(folder: str | None = None) -> float:
    """Train, sample, and return the median distance of the samples from the circle."""
    torch.manual_seed(0)
    g = torch.Generator().manual_seed(0)
    angle = 2 * torch.pi * torch.rand(4096)
    data = torch.stack([angle.cos(), angle.sin()], dim=1)
    noise = dca.kernels.LinearNoise()
    net = dca.nn.Preconditioned(dca.nn.MLP(2, None, shape=(2,)), noise, deviation=0.7)
    kernel = dca.GaussianNoiseKernel(net, noise, hold=0.5)
    config = dca.TrainConfig(steps=1000, batch_size=256, progress=False)
    dca.Trainer(kernel, dca.Schedule.half_and_half(), data, config).fit()
    points = dca.sample(kernel, 500, (2,), moves=32, generator=g)
    if folder is not None:
        noisy = kernel.corrupt(data[:500], 0.1, g)
        *_, walked = dca.run(kernel, noisy, level=0.1, steps=200, generator=g)
        sets = {"data": data[:500], "samples": points, "noisy data": noisy, "200 steps": walked}
        draw(Path(folder) / "gaussian.png", **sets)
    return float((points.norm(dim=1) - 1).abs().median())


if __name__ == "__main__":
    print(f"median distance from the circle: {main('.'):.3f} (radius 1)")
