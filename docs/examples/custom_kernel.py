"""A user's own kernel: the first site given the old second, then the second given the new first.

Only `transition` and its law are written. Run it as a script.
"""

import torch

import discrete_ca as dca
from discrete_ca.distributions import Transition


class OneAfterTheOther(Transition):
    """p(y|x) = p(y_1 | x_2) p(y_2 | y_1)."""

    def __init__(self, first, second, x):
        self.first, self.second, self.x = first, second, x

    def sample(self, generator=None):
        y1 = dca.draws.categorical(self.first(self.x[:, 1]), generator)
        return torch.stack([y1, dca.draws.categorical(self.second(y1), generator)], dim=1)

    def log_prob(self, y):
        first = self.first(self.x[:, 1]).log_softmax(-1).gather(1, y[:, :1])
        second = self.second(y[:, 0]).log_softmax(-1).gather(1, y[:, 1:])
        return (first + second).squeeze(1)


class PairKernel(dca.TransitionKernel):
    """Two sites of K values."""

    def __init__(self, num_states):
        super().__init__()
        self.num_states = num_states
        self.first = torch.nn.Embedding(num_states, num_states)
        self.second = torch.nn.Embedding(num_states, num_states)

    def transition(self, x, level, target_level=None, label=None, known=None):
        return OneAfterTheOther(self.first, self.second, x)


def main() -> float:
    """Train on pairs (i, i) and return the stationary probability of such pairs."""
    torch.manual_seed(0)
    data = torch.randint(0, 4, (4096, 1)).expand(-1, 2)
    kernel = PairKernel(4)
    config = dca.TrainConfig(steps=300, batch_size=128, learning_rate=0.05, progress=False)
    dca.Trainer(kernel, dca.ContrastiveAdjustment(), data, config).fit()
    exact = dca.diagnostics.exact
    pi = exact.stationary_distribution(exact.transition_matrix(kernel, (2,), level=0.0))
    return float(pi.reshape(4, 4).diagonal().sum())


if __name__ == "__main__":
    print(f"{main():.1%} of the stationary law is on equal pairs (by chance: 25%)")
