"""A user's own noise: on a keyboard ring, a key is mistaken for a neighbour, or for any key.

Only `matrix` is written; sampling, coupling and scoring follow from it. Run it as a script.
"""

import torch

import discrete_ca as dca


class KeyboardRing(dca.corruption.Corruption):
    """Q_b = (1 - b) I + b ((1 - b) S + b / K), S the two neighbours; it forgets at b = 1."""

    def matrix(self, level: float) -> torch.Tensor:
        k = self.num_categories
        eye = torch.eye(k, dtype=torch.float64)
        neighbours = (eye.roll(1, 1) + eye.roll(-1, 1)) / 2
        return (1 - level) * eye + level * ((1 - level) * neighbours + level / k)


def main(steps: int = 400) -> float:
    """Train on pairs of equal keys and return the share of samples that are such pairs."""
    torch.manual_seed(0)
    data = torch.randint(0, 6, (4096, 1)).expand(-1, 2)
    net = dca.nn.MLP(6, 6, shape=(2,), width=64)
    kernel = dca.CategoricalNoiseKernel(net, KeyboardRing(6), hold=0.5)
    config = dca.TrainConfig(steps=steps, batch_size=128, progress=False)
    dca.Trainer(kernel, dca.Schedule.half_and_half(), data, config).fit()
    pairs = dca.sample(kernel, 500, (2,), moves=16, generator=torch.Generator().manual_seed(0))
    return float((pairs[:, 0] == pairs[:, 1]).double().mean())


if __name__ == "__main__":
    print(f"{main():.1%} of the samples are equal pairs (by chance: 16.7%)")
