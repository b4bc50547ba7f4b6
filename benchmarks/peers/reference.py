r"""The categorical kernel as the method's authors write it, beside ours: numbers and time.

    python -m benchmarks.peers.reference [--quick]

Bergenstråhle, Lagergren and Lundeberg 2023, arXiv 2303.05497, Eq. 27: scramble first, hold second,
with a lag w. A site is masked with probability

    β = max(0, (b_y - w b_x) / (1 - w b_x)),

else it keeps its value with probability w and becomes z ~ p_θ(z|x) with 1 - w. Ours holds or
refreshes (theory, section 3.1); `CategoricalNoiseKernel.with_lag` gives it the same lag. Compared:
every entry of both transition matrices over three binary sites, for a slow and a fast lag; what the
mask's share is after a step, which should be b_y; and the time of a drawn step without a network.

Expected before measuring: the same numbers to rounding where b_y >= w b_x, so at equal levels; a
mask's share of w b_x in place of b_y below that, in theirs alone; times alike.
"""

from __future__ import annotations

import statistics
import time
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn

import discrete_ca as dca
from benchmarks import report
from benchmarks.peers.samplers import one_hot, padded
from discrete_ca import draws
from discrete_ca.corruption import Absorbing
from discrete_ca.diagnostics import exact

LAGS = {"fast, w = 0.5": 0.5, "slow, w = 0.95": 0.95}
MOVES = ((0.3, 0.3), (0.9, 0.9), (0.5, 0.48), (0.5, 0.3), (0.9, 0.6), (0.3, 0.5))
SHAPE = (3,)


def scrambled(lag: float, b_x: float, b_y: float) -> float:
    """β, the probability that a site is masked first."""
    return max(0.0, (b_y - lag * b_x) / (1 - lag * b_x))


def reference_probs(p: Tensor, x: Tensor, lag: float, b_x: float, b_y: float) -> Tensor:
    """p(y|x) a site by Eq. 27, (B, *S, V), from p(z|x), (B, *S, K)."""
    states, beta = p.shape[-1] + 1, scrambled(lag, b_x, b_y)
    mask = one_hot(torch.full_like(x, states - 1), states, p)
    kept = lag * one_hot(x, states, p) + (1 - lag) * padded(p, states)
    return beta * mask + (1 - beta) * kept


def reference_draw(
    logits: Tensor, x: Tensor, lag: float, b_x: float, b_y: float, generator: torch.Generator
) -> Tensor:
    """A draw of Eq. 27 in its own order: z, scramble, hold."""
    z = draws.categorical(logits, generator)
    u = draws.uniform(x.shape, x.device, generator)
    masked = draws.uniform(x.shape, x.device, generator) < scrambled(lag, b_x, b_y)
    return torch.where(masked, logits.shape[-1], torch.where(u < lag, x, z))


class Fixed(nn.Module):
    """Says the same of every state of an index: logits (N, *S, K), by the states' order.

    Args:
        logits: what it says.
    """

    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.logits = nn.Parameter(logits)

    def forward(self, x: Tensor, b: Tensor) -> Tensor:
        """The logits, whatever the states are."""
        return self.logits


def compared(lag: float, b_x: float, b_y: float, seed: int) -> dict[str, float]:
    """Largest difference of the matrices' entries, and the mask's share after a step."""
    generator = torch.Generator().manual_seed(seed)
    noise = Absorbing(2)
    x = exact.states(noise.num_states, SHAPE)
    logits = torch.randn(*x.shape, 2, dtype=torch.float64, generator=generator)
    kernel = dca.CategoricalNoiseKernel.with_lag(Fixed(logits), noise, lag)
    target = None if b_x == b_y else b_y
    ours = exact.transition_matrix(kernel, SHAPE, b_x, target)
    theirs = exact.product_laws(reference_probs(logits.softmax(-1), x, lag, b_x, b_y))
    law = exact.noisy_law(torch.full((8,), 1 / 8), noise, SHAPE, b_x)
    masks = (x == noise.num_states - 1).double().mean(1)
    return {
        "largest difference": float((ours - theirs).abs().max()),
        "masked, Eq. 27": float(law @ theirs @ masks),
        "masked, ours": float(law @ ours @ masks),
    }


def timed(lag: float, num_categories: int, rounds: int) -> tuple[float, float]:
    """Milliseconds of a drawn step, Eq. 27 and ours: medians; 64 examples of 784 sites."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(64, 28, 28, num_categories, generator=generator)
    x = torch.randint(0, num_categories + 1, (64, 28, 28), generator=generator)
    noise = Absorbing(num_categories)
    kernel = dca.CategoricalNoiseKernel.with_lag(Fixed(logits), noise, lag)
    theirs, ours = [], []
    with torch.no_grad():
        for _ in range(rounds):
            begun = time.process_time()
            reference_draw(logits, x, lag, 0.3, 0.3, generator)
            between = time.process_time()
            kernel.transition(x, 0.3).sample(generator)
            theirs.append(between - begun)
            ours.append(time.process_time() - between)
    return 1e3 * statistics.median(theirs), 1e3 * statistics.median(ours)


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Run it and write its report."""
    parser = report.parser(__doc__, quick="3 timings in place of 50")
    given = report.parse(parser, argv)
    rows: list[dict[str, Any]] = [
        {"lag": text, "b_x": b_x, "b_y": b_y, **compared(lag, b_x, b_y, seed=0)}
        for (text, lag), (b_x, b_y) in product(LAGS.items(), MOVES)
    ]
    for (text, lag), categories in product(LAGS.items(), (2, 16)):
        theirs, ours = timed(lag, categories, 3 if given.quick else 50)
        rows.append({
            "lag": text, "b_x": 0.3, "b_y": 0.3, "K": categories,
            "ms a step, Eq. 27": theirs, "ms a step, ours": ours,
        })  # fmt: skip
    return report.write("peers.reference", rows, given.folder)


if __name__ == "__main__":
    main()
