"""Annealed runs, from pure noise through falling levels to a read-out: samples and inpaintings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from discrete_ca import checks
from discrete_ca.chains.batches import cost_of, in_chunks
from discrete_ca.chains.levels import checked_levels
from discrete_ca.conditions import Conditions
from discrete_ca.kernels import TransitionKernel, device_of
from discrete_ca.walker import Tally, Walker


def sample(
    kernel: TransitionKernel,
    count: int,
    shape: Sequence[int],
    *,
    moves: int = 32,
    correctors: int = 1,
    levels: Sequence[float] | None = None,
    lowest: float = 0.02,
    hold: checks.Level | None = None,
    draw: bool = False,
    metropolis: bool = False,
    label: Tensor | int | None = None,
    known: checks.Known | None = None,
    chunk: int = 256,
    generator: torch.Generator | None = None,
    progress: bool = True,
    return_info: bool = False,
) -> Any:
    """Annealed sampling: from pure noise through falling levels to a read-out.

    Args:
        kernel: the kernel.
        count: number of samples, N.
        shape: S.
        moves: T, moves between levels.
        correctors: c, equal-level steps after each move: 65 evaluations a sample unless said.
            `discrete-ca` has 3, since what it writes and measures is drawn once (129 evaluations,
            as in the demo). Which is better at equal cost depends on the kernel.
        levels: the T + 1 levels, the first 1; some may be above the one before. None for
            `cosine_levels`.
        lowest: the last level, where `levels` is None.
        hold: h, in [0, 1], one or (N,); None for the kernel's own.
        draw: read out by a draw instead of the mode.
        metropolis: refuse equal-level steps that break detailed balance, at no further evaluation;
            see `discrete_ca.metropolis`.
        label: one label, or labels (N,), for networks that declare them.
        known: (mask, values) of sites that are not drawn, such as padding, each of shape S or
            (N, *S); mask True = generate.
        chunk: how many samples are run at once.
        generator: source of randomness.
        progress: show a bar when it takes longer than ten seconds.
        return_info: also return a `RunInfo`.

    Returns:
        Clean samples z, (N, *S); with `return_info`, also what they cost.

    Raises:
        ValueError: for counts, moves or levels that are not allowed, or noise that does not forget.

    Example:
        >>> from discrete_ca import CategoricalNoiseKernel, corruption, nn
        >>> kernel = CategoricalNoiseKernel(nn.MLP(2, 2, shape=(5,)), corruption.Uniform(2))
        >>> z, info = sample(kernel, 4, (5,), moves=8, correctors=1, return_info=True)
        >>> z.shape, info.nfe
        (torch.Size([4, 5]), 17)
    """
    schedule = checked_levels(levels, moves, lowest)
    checks.positive(correctors, "correctors", least=0)
    checks.positive(count, "count")
    every = torch.empty((), device=device_of(kernel)).expand(count, *shape)
    given = Conditions.of(every, label, known, hold)
    steps = (len(schedule) - 1) * (1 + correctors)

    tally = Tally.of(metropolis, schedule[1:] if correctors else ())

    def work(piece: slice, tick: Callable[[], None]) -> Tensor:
        x = kernel.initial(piece.stop - piece.start, tuple(shape), generator, device_of(kernel))
        walker = Walker(kernel, x, schedule[0], given[piece], generator, tally)
        return _anneal(walker, schedule[1:], correctors, draw, tick)

    z = in_chunks(work, count, chunk, steps, progress)
    return (z, cost_of(kernel, steps + 1, label, schedule, tally)) if return_info else z


def inpaint(
    kernel: TransitionKernel,
    z: Tensor,
    mask: Tensor,
    *,
    n: int = 1,
    moves: int = 32,
    correctors: int = 1,
    levels: Sequence[float] | None = None,
    lowest: float = 0.02,
    hold: checks.Level | None = None,
    draw: bool = False,
    metropolis: bool = False,
    label: Tensor | int | None = None,
    present: Tensor | None = None,
    chunk: int = 256,
    generator: torch.Generator | None = None,
    progress: bool = True,
    return_info: bool = False,
) -> Any:
    """Draw the masked sites given the others, which stay as they are, bit for bit.

    The known values stand unnoised in the state, and the network is told which they are where it
    declares `known`: then, and under absorbing noise with carry-over, what is learned is the law
    given them. A network that cannot be told takes them for noisy ones: an approximation
    (theory, section 6).

    Args:
        kernel: the kernel.
        z: one design, shape S; values at masked sites are ignored.
        mask: boolean, shape S; True = generate this site.
        n: how many completions.
        moves: T, moves between levels.
        correctors: c, equal-level steps after each move; 1 unless said, as of `sample`.
        levels: the T + 1 levels, the first 1; some may be above the one before. None for
            `cosine_levels`.
        lowest: the last level, where `levels` is None.
        hold: h, in [0, 1], one or (n,); None for the kernel's own.
        draw: read out by a draw instead of the mode.
        metropolis: refuse equal-level steps that break detailed balance, at no further evaluation;
            see `discrete_ca.metropolis`.
        label: one label, or labels (n,), for networks that declare them.
        present: which sites of the design are data and not padding, boolean, shape S; None for
            all. No other may be masked.
        chunk: how many are run at once.
        generator: source of randomness.
        progress: show a bar when it takes longer than ten seconds.
        return_info: also return a `RunInfo`.

    Returns:
        Completions, (n, *S).

    Raises:
        TypeError: for a design or mask that is no tensor, or a mask that is not boolean.
        ValueError: for a mask of another shape than the design, or over padding.

    Example:
        >>> from discrete_ca import CategoricalNoiseKernel, corruption, nn
        >>> kernel = CategoricalNoiseKernel(nn.MLP(2, 2, shape=(3,)), corruption.Uniform(2))
        >>> mask = torch.tensor([True, False, False])
        >>> inpaint(kernel, torch.tensor([0, 1, 1]), mask, n=2, moves=4)[:, 1:]
        tensor([[1, 1],
                [1, 1]])
    """
    checks.tensor(z, "z")
    if checks.tensor(mask, "mask").shape != z.shape:
        raise ValueError(f"mask has shape {tuple(mask.shape)}; allowed: {tuple(z.shape)}")
    if mask.dtype != torch.bool:
        raise TypeError(f"mask has dtype {mask.dtype}; allowed: torch.bool (True = generate)")
    if present is not None:
        over = int((mask & ~checks.sites(present, mask[None], "present", "data")).sum())
        if over:
            raise ValueError(f"mask has {over} sites of padding; allowed: sites of present alone")
    return sample(
        kernel, checks.positive(n, "n"), z.shape, moves=moves, correctors=correctors, levels=levels,
        lowest=lowest, hold=hold, draw=draw, metropolis=metropolis, label=label,
        known=(mask, z.masked_fill(mask, 0)), chunk=chunk, generator=generator, progress=progress,
        return_info=return_info,
    )  # fmt: skip


def _anneal(
    walker: Walker,
    levels: Sequence[float],
    correctors: int,
    draw: bool,
    tick: Callable[[], None],
) -> Tensor:
    for level in levels:
        walker.move(level)
        tick()
        for _ in range(correctors):
            walker.step()
            tick()
    return walker.read_out(draw)
