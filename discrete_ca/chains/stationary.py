"""Runs at one level: the stationary chain, its read-outs, and the variants that it makes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import torch
from torch import Tensor

from discrete_ca import checks
from discrete_ca.chains.batches import cost_of, in_chunks
from discrete_ca.conditions import Conditions
from discrete_ca.kernels import TransitionKernel, device_of
from discrete_ca.walker import Tally, Walker


def run(
    kernel: TransitionKernel,
    x: Tensor,
    level: checks.Level,
    steps: int | None = None,
    *,
    hold: checks.Level | None = None,
    label: Tensor | int | None = None,
    known: checks.Known | None = None,
    metropolis: bool = False,
    generator: torch.Generator | None = None,
) -> Iterator[Tensor]:
    """A stationary run at one level: yields the state after each step, lazily.

    Args:
        kernel: the kernel.
        x: starting states at `level`, (B, *S); see `TransitionKernel.corrupt` to make them.
        level: b.
        steps: how many states to yield; None goes on for ever.
        hold: h, a number or (B,); None for the kernel's own.
        label: one label, or labels (B,), for networks that declare them.
        known: (mask, values), mask True = generate.
        metropolis: refuse steps that break detailed balance; see `discrete_ca.metropolis`.
        generator: source of randomness.

    Yields:
        States at the same level, (B, *S); one network evaluation an example each, and with
        `metropolis` one more before the first.

    Raises:
        ValueError: (at once) for conditions that do not fit, or fewer than 0 steps.

    Example:
        >>> from discrete_ca import CategoricalNoiseKernel, corruption, nn
        >>> kernel = CategoricalNoiseKernel(nn.MLP(2, 2, shape=(5,)), corruption.Uniform(2))
        >>> states = run(kernel, torch.zeros(3, 5, dtype=torch.long), level=0.3, steps=4)
        >>> len(list(states))
        4
    """
    if steps is not None:
        checks.positive(steps, "steps", least=0)
    given = Conditions.of(x, label, known, hold)
    walker = Walker(kernel, x, level, given, generator, Tally.of(metropolis))
    return (walker.step() for _ in (count() if steps is None else range(steps)))


def read_out(
    kernel: TransitionKernel,
    x: Tensor,
    level: checks.Level,
    *,
    draw: bool = False,
    hold: checks.Level | None = None,
    label: Tensor | int | None = None,
    known: checks.Known | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Clean z for noisy x: the mode of p_θ(z|x), or a draw; one network evaluation.

    A kernel without a read-out gives x itself; a `hold` matters to networks that are told it.
    """
    given = Conditions.of(x, label, known, hold)
    return Walker(kernel, x, level, given, generator).read_out(draw)


def variants(
    kernel: TransitionKernel,
    z: Tensor,
    n: int = 16,
    *,
    level: float = 0.2,
    steps: int = 20,
    hold: checks.Level | None = None,
    label: Tensor | int | None = None,
    known: checks.Known | None = None,
    draw: bool = False,
    metropolis: bool = False,
    chunk: int = 256,
    generator: torch.Generator | None = None,
    progress: bool = True,
    return_info: bool = False,
) -> Any:
    """Neighbours of a design: noise it to a level, run the stationary chain there, read out.

    A low level and few steps stay near; a high level wanders.

    Args:
        kernel: the kernel.
        z: one clean design, shape S.
        n: how many variants.
        level: b.
        steps: equal-level steps.
        hold: h, in [0, 1], one or (n,): nearer to 1 is slower and more faithful; None for the
            kernel's own.
        label: one label, or labels (n,), for networks that declare them.
        known: (mask, values), each of shape S or (n, *S); mask True = generate.
        draw: read out by a draw instead of the mode.
        metropolis: refuse equal-level steps that break detailed balance, at no further evaluation;
            see `discrete_ca.metropolis`.
        chunk: how many are run at once.
        generator: source of randomness.
        progress: show a bar when it takes longer than ten seconds.
        return_info: also return a `RunInfo`.

    Returns:
        Clean variants, (n, *S).

    Example:
        >>> from discrete_ca import CategoricalNoiseKernel, corruption, nn
        >>> kernel = CategoricalNoiseKernel(nn.MLP(2, 2, shape=(5,)), corruption.Uniform(2))
        >>> variants(kernel, torch.zeros(5, dtype=torch.long), n=3, steps=2).shape
        torch.Size([3, 5])
    """
    checks.positive(steps, "steps", least=0)
    checks.positive(n, "n")
    start = checks.tensor(z, "z").to(device_of(kernel)).expand(n, *z.shape)
    given = Conditions.of(start, label, known, hold)
    tally = Tally.of(metropolis, [checks.number(level, "level")])

    def work(piece: slice, tick: Callable[[], None]) -> Tensor:
        x = kernel.corrupt(start[piece], level, generator)
        walker = Walker(kernel, x, level, given[piece], generator, tally)
        for _ in range(steps):
            walker.step()
            tick()
        return walker.read_out(draw)

    found = in_chunks(work, n, chunk, steps, progress)
    return (found, cost_of(kernel, steps + 1, label, [level], tally)) if return_info else found
