"""What the chains share: batches in pieces, conditions for one or all, and what a run cost."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from discrete_ca import checks
from discrete_ca.kernels import TransitionKernel
from discrete_ca.walker import Tally

_BAR_AFTER_SECONDS = 10.0


@dataclass
class RunInfo:
    """What a run cost.

    Args:
        nfe: network evaluations an example.
        levels: the levels that the run went through.
        acceptance: share of the Metropolis steps that were taken; None without them.
    """

    nfe: int = 0
    levels: list[float] = field(default_factory=list)
    acceptance: float | None = None


def in_chunks(
    work: Callable[[slice, Callable[[], None]], Tensor],
    count: int,
    chunk: int,
    steps: int,
    progress: bool,
) -> Tensor:
    """Join what `work` makes of each piece of a batch; a bar appears when it takes long."""
    from rich.progress import Progress

    size = checks.positive(chunk, "chunk")
    pieces = [slice(i, min(i + size, count)) for i in range(0, count, size)]
    begun = time.monotonic()
    bar = Progress(transient=True, disable=not progress)
    task = bar.add_task("sampling", total=steps * len(pieces))

    def tick() -> None:
        bar.advance(task)
        if progress and not bar.live.is_started:
            if time.monotonic() - begun > _BAR_AFTER_SECONDS:
                bar.start()

    try:
        return torch.cat([work(piece, tick) for piece in pieces])
    finally:
        if bar.live.is_started:
            bar.stop()


def cost_of(
    kernel: TransitionKernel,
    calls: int,
    label: Tensor | int | None,
    levels: list[float],
    tally: Tally | None,
) -> RunInfo:
    """What a run of so many calls of the kernel cost."""
    acceptance = None if tally is None else tally.acceptance
    return RunInfo(calls * kernel.evaluations(label is not None), levels, acceptance)
