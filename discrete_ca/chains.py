r"""Running a kernel: stationary runs, annealed sampling, variants, inpainting (theory, section 6).

Costs are counted in network evaluations (NFE), one an example and step. Where a run has T moves
and c correctors a move, an annealed run costs T (1 + c) and one more for the read-out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from discrete_ca import checks
from discrete_ca.conditions import Conditions
from discrete_ca.kernels import TransitionKernel, device_of
from discrete_ca.walker import Tally, Walker

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


def cosine_levels(moves: int, lowest: float = 0.02) -> list[float]:
    """``moves + 1`` levels from 1 down to `lowest`, closer together at both ends.

    Example:
        >>> [round(b, 2) for b in cosine_levels(4, 0.0)]
        [1.0, 0.85, 0.5, 0.15, 0.0]
    """
    place = torch.linspace(0, 1, checks.positive(moves, "moves") + 1, dtype=torch.float64)
    shape = (1 + torch.cos(torch.pi * place)) / 2
    return (lowest + (1 - lowest) * shape).tolist()  # type: ignore[no-any-return]


def linear_levels(moves: int, lowest: float = 0.02) -> list[float]:
    """``moves + 1`` evenly spaced levels from 1 down to `lowest`.

    Example:
        >>> linear_levels(2, 0.0)
        [1.0, 0.5, 0.0]
    """
    place = torch.linspace(0, 1, checks.positive(moves, "moves") + 1, dtype=torch.float64)
    return (1 - (1 - lowest) * place).tolist()  # type: ignore[no-any-return]


def run(
    kernel: TransitionKernel,
    x: Tensor,
    level: checks.Level,
    steps: int | None = None,
    *,
    hold: checks.Level | None = None,
    label: Tensor | None = None,
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
        label: labels (B,), for networks that declare them.
        known: (mask, values), mask True = generate.
        metropolis: refuse steps that break detailed balance; see `discrete_ca.metropolis`.
        generator: source of randomness.

    Yields:
        States at the same level, (B, *S); one network evaluation an example each, and with
        `metropolis` one more before the first.

    Example:
        >>> from discrete_ca import CategoricalNoiseKernel, corruption, nn
        >>> kernel = CategoricalNoiseKernel(nn.MLP(2, 2, shape=(5,)), corruption.Uniform(2))
        >>> states = run(kernel, torch.zeros(3, 5, dtype=torch.long), level=0.3, steps=4)
        >>> len(list(states))
        4
    """
    given = Conditions(label, known, _holds(hold, len(x), x.device))
    walker = Walker(kernel, x, level, given, generator, Tally.of(metropolis))
    done = 0
    while steps is None or done < steps:
        yield walker.step()
        done += 1


def read_out(
    kernel: TransitionKernel,
    x: Tensor,
    level: checks.Level,
    *,
    draw: bool = False,
    hold: checks.Level | None = None,
    label: Tensor | None = None,
    known: checks.Known | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Clean z for noisy x: the mode of p_θ(z|x), or a draw; one network evaluation.

    A kernel without a read-out gives x itself; a `hold` matters to networks that are told it.
    """
    given = Conditions(label, known, _holds(hold, len(x), x.device))
    return Walker(kernel, x, level, given, generator).read_out(draw)


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


def _in_chunks(
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


def _holds(hold: checks.Level | None, count: int, device: torch.device) -> Tensor | None:
    """Holds (N,), from one for all or one each; None for the kernel's own."""
    if hold is None:
        return None
    return checks.holds(hold, torch.zeros(count, device=device))


def _labels(label: Tensor | int | None, count: int, device: torch.device) -> Tensor | None:
    """Labels (N,), from one for all or one each.

    Raises:
        TypeError: for labels that are no whole numbers.
        ValueError: for another shape.
    """
    if label is None:
        return None
    found = torch.as_tensor(label, device=device)
    if found.is_floating_point() or found.dtype == torch.bool:
        raise TypeError(f"label has dtype {found.dtype}; allowed: whole numbers")
    if found.shape not in ((), (count,)):
        raise ValueError(f"label has shape {tuple(found.shape)}; allowed: () or ({count},)")
    return found.long().expand(count)


def _info(
    kernel: TransitionKernel,
    calls: int,
    label: Tensor | int | None,
    levels: list[float],
    tally: Tally | None,
) -> RunInfo:
    """What a run of so many calls of the kernel cost."""
    acceptance = None if tally is None else tally.acceptance
    return RunInfo(calls * kernel.evaluations(label is not None), levels, acceptance)


def _schedule(levels: Sequence[float] | None, moves: int, lowest: float) -> list[float]:
    found = cosine_levels(moves, lowest) if levels is None else [*levels]
    if len(found) < 2 or any(not 0 <= b <= 1 for b in found):
        raise ValueError(f"levels was {found}; allowed: at least two numbers in [0, 1]")
    if found[0] != 1:
        raise ValueError(f"levels starts at {found[0]}; allowed: 1, where the start is known")
    return found


def sample(
    kernel: TransitionKernel,
    count: int,
    shape: Sequence[int],
    *,
    moves: int = 32,
    correctors: int = 1,
    levels: Sequence[float] | None = None,
    lowest: float = 0.02,
    hold: float | None = None,
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
        correctors: c, equal-level steps after each move.
        levels: the T + 1 levels, from 1 down; None for `cosine_levels`.
        lowest: the last level, where `levels` is None.
        hold: h, in [0, 1]; None for the kernel's own.
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
    schedule = _schedule(levels, moves, lowest)
    checks.positive(correctors, "correctors", least=0)
    checks.positive(count, "count")
    labels = _labels(label, count, device_of(kernel))
    if known is not None:
        known = checks.known_sites(
            known, torch.empty((), device=device_of(kernel)).expand(count, *shape)
        )
    steps = (len(schedule) - 1) * (1 + correctors)
    given = Conditions(labels, known, _holds(hold, count, device_of(kernel)))

    tally = Tally.of(metropolis, schedule[1:] if correctors else ())

    def work(piece: slice, tick: Callable[[], None]) -> Tensor:
        x = kernel.initial(piece.stop - piece.start, tuple(shape), generator, device_of(kernel))
        walker = Walker(kernel, x, schedule[0], given[piece], generator, tally)
        return _anneal(walker, schedule[1:], correctors, draw, tick)

    z = _in_chunks(work, count, chunk, steps, progress)
    return (z, _info(kernel, steps + 1, label, schedule, tally)) if return_info else z


def variants(
    kernel: TransitionKernel,
    z: Tensor,
    n: int = 16,
    *,
    level: float = 0.2,
    steps: int = 20,
    hold: float | None = None,
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
        hold: h, in [0, 1]: nearer to 1 is slower and more faithful; None for the kernel's own.
        label: one label, for networks that declare it.
        known: (mask, values), each of shape S; mask True = generate.
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

    tally = Tally.of(metropolis, [level])

    def work(piece: slice, tick: Callable[[], None]) -> Tensor:
        count = piece.stop - piece.start
        start = z.to(device_of(kernel)).expand(count, *z.shape)
        pair = None if known is None else checks.known_sites(known, start)
        part = _labels(label, count, device_of(kernel))
        given = Conditions(part, pair, _holds(hold, count, device_of(kernel)))
        x = kernel.corrupt(start, level, generator)
        walker = Walker(kernel, x, level, given, generator, tally)
        for _ in range(steps):
            walker.step()
            tick()
        return walker.read_out(draw)

    found = _in_chunks(work, n, chunk, steps, progress)
    return (found, _info(kernel, steps + 1, label, [level], tally)) if return_info else found


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
    hold: float | None = None,
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
        correctors: c, equal-level steps after each move.
        levels: the T + 1 levels, from 1 down; None for `cosine_levels`.
        lowest: the last level, where `levels` is None.
        hold: h, in [0, 1]; None for the kernel's own.
        draw: read out by a draw instead of the mode.
        metropolis: refuse equal-level steps that break detailed balance, at no further evaluation;
            see `discrete_ca.metropolis`.
        label: one label, for networks that declare it.
        present: which sites of the design are data and not padding, boolean, shape S; None for
            all. No other may be masked.
        chunk: how many are run at once.
        generator: source of randomness.
        progress: show a bar when it takes longer than ten seconds.
        return_info: also return a `RunInfo`.

    Returns:
        Completions, (n, *S).

    Raises:
        TypeError: for a mask that is not boolean.
        ValueError: for a mask of another shape than the design, or over padding.

    Example:
        >>> from discrete_ca import CategoricalNoiseKernel, corruption, nn
        >>> kernel = CategoricalNoiseKernel(nn.MLP(2, 2, shape=(3,)), corruption.Uniform(2))
        >>> mask = torch.tensor([True, False, False])
        >>> inpaint(kernel, torch.tensor([0, 1, 1]), mask, n=2, moves=4)[:, 1:]
        tensor([[1, 1],
                [1, 1]])
    """
    if mask.shape != z.shape:
        raise ValueError(f"mask has shape {tuple(mask.shape)}; allowed: {tuple(z.shape)}")
    if mask.dtype != torch.bool:
        raise TypeError(f"mask has dtype {mask.dtype}; allowed: torch.bool (True = generate)")
    if present is not None:
        over = int((mask & ~checks.sites(present, mask[None], "present", "data")).sum())
        if over:
            raise ValueError(f"mask has {over} sites of padding; allowed: sites of present alone")
    schedule = _schedule(levels, moves, lowest)
    checks.positive(correctors, "correctors", least=0)
    steps = (len(schedule) - 1) * (1 + correctors)
    checks.positive(n, "n")

    tally = Tally.of(metropolis, schedule[1:] if correctors else ())

    def work(piece: slice, tick: Callable[[], None]) -> Tensor:
        count = piece.stop - piece.start
        x = kernel.initial(count, tuple(z.shape), generator, device_of(kernel))
        part = _labels(label, count, device_of(kernel))
        known = checks.known_sites((mask, torch.where(mask, torch.zeros_like(z), z)), x)
        given = Conditions(part, known, _holds(hold, count, device_of(kernel)))
        walker = Walker(kernel, x, schedule[0], given, generator, tally)
        return _anneal(walker, schedule[1:], correctors, draw, tick)

    found = _in_chunks(work, n, chunk, steps, progress)
    return (found, _info(kernel, steps + 1, label, schedule, tally)) if return_info else found
