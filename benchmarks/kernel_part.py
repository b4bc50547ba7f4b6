"""The kernel's own part of a step, given the logits, at K = 256 (python -m benchmarks.kernel_part).

A step of the chain and its score, `sample` and `log_prob` of `transition`, are measured with a
network that returns logits it was given, beside a *reference*: the law of the next state as a whole
for the absorbing kernel, log p(y|x) over all K + 1 states by a logsumexp over three tensors of
(..., K + 1) log-probabilities (a fresh category, a fresh mask, the kept x), drawn from and scored
by torch's own `Categorical`. It is the way of the method's authors, written anew.

Times are medians of ratios, round by round, in one process of one thread. Memory is what each adds
to the resident memory of a process of its own at its peak, the logits excluded (Linux only).

Shape (64, 3, 32, 32), a colour image a row; `--quick` has small images, few rounds and no memory.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

import discrete_ca as dca
from benchmarks import memory, report

K, HOLD = 256, 0.9
SHAPE, QUICK = (64, 3, 32, 32), (4, 3, 8, 8)
NEVER = -1e30  # as -inf, without its NaNs

Job = Callable[[], None]


class Given(nn.Module):
    """Logits that are there already."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, x: Tensor, b: Tensor) -> Tensor:
        """The logits, whatever x is."""
        return self.logits


def reference_law(logits: Tensor, x: Tensor, b: Tensor, hold: float) -> Tensor:
    """Log p(y|x) over all K + 1 states, (B, *S, K + 1), of the absorbing kernel."""
    b = b.reshape(-1, *(1,) * x.ndim)
    shape = (*x.shape, 1)
    kept = torch.full((*x.shape, K + 1), NEVER)
    kept.scatter_(-1, x.unsqueeze(-1), math.log(hold) if hold > 0 else NEVER)
    fresh = logits.log_softmax(-1) + torch.log1p(-b) + math.log1p(-hold)
    fresh = torch.cat([fresh, torch.full(shape, NEVER)], -1)
    masked = (b.log() + math.log1p(-hold)).expand(shape)
    masked = torch.cat([torch.full((*x.shape, K), NEVER), masked], -1)
    return torch.logsumexp(torch.stack([fresh, masked, kept]), 0)


def jobs(shape: tuple[int, ...], hold: float, gradient: bool) -> dict[str, Job]:
    """The pieces of work, by name: to draw and score, or to score and go back to the logits."""
    g = torch.Generator().manual_seed(0)
    x = torch.randint(0, K, shape, generator=g)
    y = torch.where(
        torch.rand(shape, generator=g) < 0.9, x, torch.randint(0, K, shape, generator=g)
    )
    b = torch.linspace(0.02, 1.0, shape[0])
    logits = (3 * torch.randn(*shape, K, generator=g)).requires_grad_(gradient)

    def reference() -> None:
        law = torch.distributions.Categorical(logits=reference_law(logits, x, b, hold))
        _use(law.log_prob(y if gradient else law.sample()), logits)

    def ours(noise: dca.corruption.Corruption) -> Job:
        kernel = dca.CategoricalNoiseKernel(Given(logits), noise, hold, carry_over=False)

        def job() -> None:
            step = kernel.transition(x, b)
            _use(step.log_prob(y if gradient else step.sample()), logits)

        return job

    noises = (dca.corruption.Uniform(K), dca.corruption.Absorbing(K), dca.corruption.Ordinal(K))
    named = {type(noise).__name__.lower(): ours(noise) for noise in noises}
    return {"reference": reference, **named}


def _use(log_prob: Tensor, logits: Tensor) -> None:
    if logits.requires_grad:
        log_prob.sum().backward()
        logits.grad = None


def measure(
    shape: tuple[int, ...], hold: float, gradient: bool, rounds: int, with_memory: bool
) -> dict[str, Any]:
    """How many times faster and smaller each noise is than the reference."""
    work = jobs(shape, hold, gradient)
    seconds: dict[str, list[float]] = {name: [] for name in work}
    for i in range(rounds + 1):
        for name, job in work.items():
            begun = time.perf_counter()
            job()
            if i:  # the first one warms up
                seconds[name].append(time.perf_counter() - begun)
    del work
    peaks = {}
    for name in seconds if with_memory else ():
        setup = f"from benchmarks.kernel_part import jobs\njob = jobs({shape}, {hold}, {gradient})"
        peaks[name] = memory.peak(f"{setup}[{name!r}]", "job()")
    row: dict[str, Any] = {"work": "score, backward" if gradient else "draw, score", "hold": hold}
    for name in list(seconds)[1:]:
        pairs = zip(seconds["reference"], seconds[name], strict=True)
        row[f"{name}: times faster"] = statistics.median(a / b for a, b in pairs)
        if peaks:
            row[f"{name}: memory, share"] = peaks[name] / peaks["reference"]
    row["reference, seconds"] = statistics.median(seconds["reference"])
    if peaks:
        row["reference, MB"] = peaks["reference"] / 1e3
    return row


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Run the benchmark and write its report."""
    given = report.parse(report.parser(__doc__, quick="small images, times only"), argv)
    torch.set_num_threads(1)  # as in the processes that memory is measured in
    shape, rounds = (QUICK, 3) if given.quick else (SHAPE, 3)
    works = [(HOLD, False), (0.0, False), (HOLD, True)]
    with_memory = memory.AVAILABLE and not given.quick
    rows = [measure(shape, hold, back, rounds, with_memory) for hold, back in works]
    return report.write("kernel_part", rows, given.folder, K=K, shape=list(shape))


if __name__ == "__main__":
    main()
