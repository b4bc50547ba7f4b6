"""What a step costs beside the bare network (python -m benchmarks.cost).

Measured on images at K = 2, 16, 256 and on tokens, a small transformer at K = 50,257:

* training: a CA step (and one with the default denoising slice) against the bare network: one
  forward without gradient, one forward and backward of a sum of its logits;
* running: a chain step, without and with the adjustment head, against one forward;
* memory: the peak of resident memory that each adds, in a process of its own. A sum of logits needs
  none of them for its gradient, which no loss for training can match at large K: a bare step with
  torch's own cross entropy stands beside it.

Everything is interleaved in one process and compared by the median of the ratios, round by round.
"""

from __future__ import annotations

import functools
import statistics
import time
from collections.abc import Callable, Collection
from typing import Any

import torch
from torch import Tensor

import discrete_ca as dca
from benchmarks import memory, report

BATCH, SIDE = 64, 28
TOKENS, LENGTH, VOCABULARY = 4, 64, 50_257


def images(num_categories: int) -> tuple[dca.CategoricalNoiseKernel, Tensor]:
    """The kernel (the demo's network at K = 2, with its head) and a batch of random images."""
    torch.manual_seed(0)
    net = dca.nn.UNet(num_categories, num_categories, widths=(64, 96), blocks=1, head_width=16)
    head = dca.nn.AdjustmentHead(num_categories, dims=2)
    noise = dca.corruption.Uniform(num_categories)
    kernel = dca.CategoricalNoiseKernel(net, noise, adjustment=head)
    return kernel, torch.randint(0, num_categories, (BATCH, SIDE, SIDE))


def tokens() -> tuple[dca.CategoricalNoiseKernel, Tensor]:
    """A transformer's kernel, without a head, and a batch of random sequences."""
    torch.manual_seed(0)
    net = dca.nn.Transformer(VOCABULARY, VOCABULARY, width=256, depth=2)
    kernel = dca.CategoricalNoiseKernel(net, dca.corruption.Uniform(VOCABULARY))
    return kernel, torch.randint(0, VOCABULARY, (TOKENS, LENGTH))


CASES: dict[str, Callable[[], tuple[dca.CategoricalNoiseKernel, Tensor]]] = {
    **{f"images, K = {k}": functools.partial(images, k) for k in (2, 16, 256)},
    f"tokens, K = {VOCABULARY}": tokens,
}


def works(kernel: dca.CategoricalNoiseKernel, z: Tensor) -> dict[str, Callable[[], None]]:
    """The pieces of work that are compared, by name."""
    b = torch.linspace(0.02, 1.0, len(z))
    plain = dca.CategoricalNoiseKernel(kernel.net, kernel.corruption)  # hold 0.9: a tenth is drawn
    restless = dca.CategoricalNoiseKernel(kernel.net, kernel.corruption, hold=0.0)
    pure = dca.ContrastiveAdjustment(denoising_weight=0.0)
    default = dca.ContrastiveAdjustment()

    def bare_step() -> None:
        with torch.no_grad():
            kernel.net(z, b)
        kernel.net(z, b).sum().backward()
        kernel.zero_grad()

    def cross_entropy_step() -> None:
        with torch.no_grad():
            kernel.net(z, b)
        logits = kernel.net(z, b)
        torch.nn.functional.cross_entropy(logits.flatten(0, -2), z.flatten()).backward()
        kernel.zero_grad()

    def objective(loss: dca.Objective) -> Callable[[], None]:
        def step() -> None:
            loss(plain, z, b).mean().backward()
            kernel.zero_grad()

        return step

    def forward() -> None:
        with torch.no_grad():
            kernel.net(z, b)

    def head_step() -> None:
        kernel.net.requires_grad_(False)
        pure(kernel, z, b).mean().backward()
        kernel.net.requires_grad_(True)
        kernel.zero_grad()

    def chain_step(stepping: dca.CategoricalNoiseKernel) -> Callable[[], None]:
        def step() -> None:
            with torch.no_grad():
                stepping.transition(z, b).sample()

        return step

    jobs = {
        "bare step": bare_step,
        "bare step, cross entropy": cross_entropy_step,
        "CA step": objective(pure),
        "CA step, default": objective(default),
        "forward": forward,
        "chain step": chain_step(plain),
        "chain step, hold 0": chain_step(restless),
    }
    if kernel.adjustment is not None:
        jobs["CA step of the head alone"] = head_step
        jobs["chain step with the head"] = chain_step(kernel)
    return jobs


PAIRS = (
    ("CA step", "bare step"),
    ("CA step", "bare step, cross entropy"),
    ("CA step, default", "bare step"),
    ("CA step, default", "bare step, cross entropy"),
    ("CA step of the head alone", "bare step"),
    ("chain step", "forward"),
    ("chain step, hold 0", "forward"),
    ("chain step with the head", "forward"),
)


def pairs(names: Collection[str]) -> list[tuple[str, str]]:
    """The pairs of which both are among the names."""
    return [pair for pair in PAIRS if {*pair} <= {*names}]


def time_ratios(case: str, rounds: int) -> dict[str, float]:
    """Median over rounds of time ratios, ours against the bare network."""
    jobs = works(*CASES[case]())
    for job in jobs.values():
        job()
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(rounds):
        for name, job in jobs.items():
            begun = time.perf_counter()
            job()
            seconds[name].append(time.perf_counter() - begun)
    found = {}
    for ours, bare in pairs(jobs):
        ratios = [a / b for a, b in zip(seconds[ours], seconds[bare], strict=True)]
        found[f"{ours} / {bare}"] = statistics.median(ratios)
    found["bare step, seconds"] = statistics.median(seconds["bare step"])
    return found


def peak_memory(case: str, name: str) -> float:
    """Peak resident kilobytes that one piece of work adds."""
    setup = f"from benchmarks.cost import CASES, works\njobs = works(*CASES[{case!r}]())"
    return memory.peak(setup, f"jobs[{name!r}]()")


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Run the benchmark and write its report."""
    given = report.parse(report.parser(__doc__, quick="few rounds, K = 2 only"), argv)
    rows = []
    for case in list(CASES)[:1] if given.quick else CASES:
        row: dict[str, Any] = {"case": case, **time_ratios(case, 3 if given.quick else 9)}
        if not given.quick and memory.AVAILABLE:
            peaks = {name: peak_memory(case, name) for name in works(*CASES[case]())}
            for ours, bare in pairs(peaks):
                row[f"peak memory, {ours} / {bare}"] = peaks[ours] / peaks[bare]
        rows.append(row)
    shapes = {"images": [BATCH, SIDE, SIDE], "tokens": [TOKENS, LENGTH]}
    return report.write("cost", rows, given.folder, **shapes)


if __name__ == "__main__":
    main()
