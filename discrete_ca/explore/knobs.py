"""Knobs from a wish: which level and hold change about a fifth of a design?

The share of cells that differ is measured on short runs and searched by bisection. Runs of one
tuner share their random numbers, so that the share grows smoothly with the level.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from discrete_ca import checks, draws
from discrete_ca.diagnostics import mixing
from discrete_ca.explore.proposals import Variants
from discrete_ca.explore.studio import Studio
from discrete_ca.explore.tree import Node

LOWEST_LEVEL = 0.01
_JUDGED_AT = 0.3


@dataclass(frozen=True)
class Knobs:
    """Settings for `variants` or `walk`, with what they were measured to do.

    Args:
        level: b.
        hold: h; None for kernels that have none to choose.
        steps: equal-level steps.
        changed: share of the unlocked cells that differ from the design, measured.
        nfe: network evaluations that finding them took; 0 where all was known from before.
    """

    level: float
    hold: float | None
    steps: int
    changed: float
    nfe: int


@dataclass(eq=False)
class Tuner:
    """Measures, for one kernel and design, how much a level and a hold change; remembers it.

    Args:
        studio: the kernel.
        node: the design with its locked cells.
        steps: equal-level steps of every run.
        n: runs a measurement.
        label: the class to draw, for kernels that are told it.
        seed: of the runs.
        guidance: how much louder the label is.
        metropolis: refuse steps that break detailed balance.
        measured: the shares found so far, by level and hold.

    Raises:
        ValueError: for a design without an unlocked cell.

    Example:
        >>> import torch
        >>> from discrete_ca import CategoricalNoiseKernel, corruption, nn
        >>> from discrete_ca.explore.tree import Recipe
        >>> kernel = CategoricalNoiseKernel(nn.MLP(2, 2, shape=(5,)), corruption.Uniform(2))
        >>> z = torch.zeros(5, dtype=torch.long)
        >>> tuner = Tuner(Studio(kernel, (5,)), Node(1, z, z == 1, Recipe(None, (), 0)), steps=4)
        >>> tuner.for_change(0.3).nfe > 0, tuner.for_change(0.3).nfe
        (True, 0)
    """

    studio: Studio
    node: Node
    steps: int = 20
    n: int = 16
    label: int | None = None
    seed: int = 0
    guidance: float = 0.0
    metropolis: bool = False
    measured: dict[tuple[float, float | None], float] = field(default_factory=dict)
    nfe: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        checks.positive(self.steps, "steps")
        checks.positive(self.n, "n")
        if bool(self.node.locked.all()):
            raise ValueError("the design has every cell locked; allowed: at least one to change")

    def changed(self, level: float, hold: float | None) -> float:
        """Share of the unlocked cells that variants at these settings change, on average."""
        if (level, hold) not in self.measured:
            operation = Variants(
                n=self.n, level=level, hold=hold, steps=self.steps, label=self.label,
                guidance=self.guidance, metropolis=self.metropolis,
            )  # fmt: skip
            made = operation.apply(self.studio, [self.node], draws.keyed(self.seed, "knobs"))
            self.nfe += made.nfe
            differ = made.designs != self.node.design
            self.measured[level, hold] = float(differ[:, ~self.node.locked].double().mean())
        return self.measured[level, hold]

    def for_change(
        self, share: float, *, hold: float | None = None, tolerance: float = 0.01, rounds: int = 8
    ) -> Knobs:
        """The level, and where it does not suffice the hold, that change a share of the cells.

        The level is bisected at the kernel's own hold (or the one given). Where even level 1
        changes less, or `LOWEST_LEVEL` more, the level stays there and the hold is bisected, down
        or up. What comes nearest is returned: `Knobs.changed` says how near that is.

        Costs ``n (steps + 1)`` network evaluations a measurement, at most ``2 + 2 rounds`` of them.

        Args:
            share: how much of the unlocked cells shall differ, such as 1/5; in (0, 1).
            hold: h to begin with; None for the kernel's own.
            tolerance: how near is near enough.
            rounds: halvings a knob.

        Raises:
            ValueError: for a share or a hold that is not allowed.
        """
        if not 0 < share < 1:
            raise ValueError(f"share was {share}; allowed: (0, 1), such as 1/5")
        hold, before = self.studio.hold(hold), self.nfe
        tried: list[tuple[float, float, float | None]] = []  # how far off, level, hold

        def excess(level: float, hold: float | None) -> float:
            found = self.changed(level, hold) - share
            tried.append((abs(found), level, hold))
            return found

        def bisect(low: float, high: float, at: Callable[[float], float]) -> None:
            """Halve where the share at `low` is too small and that at `high` too large."""
            for _ in range(checks.positive(rounds, "rounds")):
                if min(tried)[0] <= tolerance:
                    return
                middle = (low + high) / 2
                low, high = (middle, high) if at(middle) < 0 else (low, middle)

        if (least := excess(LOWEST_LEVEL, hold)) > 0:
            if hold is not None:
                bisect(1.0, hold, lambda h: excess(LOWEST_LEVEL, h))
        elif least < 0 and excess(1.0, hold) < 0:
            if hold is not None:
                bisect(hold, 0.0, lambda h: excess(1.0, h))
        else:
            bisect(LOWEST_LEVEL, 1.0, lambda b: excess(b, hold))
        _, level, found = min(tried, key=lambda each: each[0])
        changed = self.changed(level, found)
        return Knobs(level, found, self.steps, changed, self.nfe - before)


def strangeness(studio: Studio, designs: Tensor, seed: int = 0) -> float:
    """How strange the kernel itself finds designs: nats a cell to denoise them from level 0.3.

    A denoiser's loss, with the same noise at every call; lower is better.

    Raises:
        ValueError: for a kernel without a read-out.
    """
    with studio.set(None) as kernel:
        z = designs.to(studio.device)
        x = kernel.corrupt(z, _JUDGED_AT, draws.keyed(seed, "strangeness"))
        law = getattr(kernel.transition(x, _JUDGED_AT), "read_out", None)
        if law is None:
            raise ValueError(f"{type(kernel).__name__} has no read-out; pass fidelity")
        return float(-law.log_prob(z).mean()) / max(1, designs[0].numel())


def trade_off(
    studio: Studio,
    node: Node,
    levels: Sequence[float],
    *,
    hold: float | None = None,
    steps: int = 32,
    n: int = 16,
    fidelity: Callable[[Tensor], float] | None = None,
    seed: int = 0,
) -> list[mixing.TradeOff]:
    """Fidelity against mixing of the kernel at hand, from one design (`mixing.trade_off`).

    Args:
        studio: the kernel.
        node: the design where every run starts; locks are not looked at.
        levels: levels b to run at.
        hold: h; None for the kernel's own.
        steps: steps a run.
        n: runs a level.
        fidelity: a measure of clean designs (N, *S), lower is better, such as a Frechet distance to
            data; None for `strangeness`.
        seed: of the runs.

    Raises:
        ValueError: for settings out of range.
    """
    starts = node.design.to(studio.device).expand(checks.positive(n, "n"), *studio.shape)
    judge = fidelity or (lambda designs: strangeness(studio, designs, seed))
    with studio.set(studio.hold(hold)) as kernel:
        return mixing.trade_off(
            kernel, starts, levels, steps=steps, fidelity=judge,
            generator=draws.keyed(seed, "trade-off"),
        )  # fmt: skip
