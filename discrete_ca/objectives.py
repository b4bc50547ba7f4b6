r"""What a kernel is trained to do: contrastive adjustment, denoising, and schedules of both.

**Contrastive adjustment** (Bergenstråhle et al. 2023, arXiv 2303.05497, Algorithms 1 and 2): draw
``x ~ p_b`` (data, then noise), draw ``y ~ p_θ(y|x)`` without gradient, and descend

    L(θ) = -log p_θ(x|y) + c log p_θ(y|x).

At a fixed point the kernel is in detailed balance with p_b, so p_b is its stationary law. The
second term changes no expected gradient: c is a control variate (theory, section 2).

**Denoising**: ``-log p_θ(z|x)``, which pins the read-out that contrastive adjustment leaves free.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor

from discrete_ca import checks, draws
from discrete_ca.conditions import Conditions
from discrete_ca.kernels import TransitionKernel
from discrete_ca.masks import random_masks


@dataclass(frozen=True)
class InverseLevel:
    """Weights over levels proportional to ``1 / (b + offset)``, of mean 1 over b in [0, 1].

    Raises:
        ValueError: for an offset that is not above 0, of which no mean is finite.

    Example:
        >>> InverseLevel(0.1)(torch.tensor([0.0, 0.9])).round(decimals=2)
        tensor([4.1700, 0.4200])
    """

    offset: float = 0.1

    def __post_init__(self) -> None:
        if not 0 < checks.number(self.offset, "offset") < float("inf"):
            raise ValueError(f"offset was {self.offset}; allowed: a number > 0")

    def __call__(self, b: Tensor) -> Tensor:
        """Weights of shape (B,) at levels b."""
        mean = torch.log(torch.tensor((1 + self.offset) / self.offset))
        return 1 / ((b + self.offset) * mean)


@dataclass(frozen=True, kw_only=True)
class Objective(ABC):
    """A loss for any kernel; called with clean data it gives one loss an example.

    Args:
        levels: range from which noise levels are drawn, evenly, when none is given.
        level_weight: weights over levels, b (B,) -> (B,); None for 1.
        known_share: share of the examples with some sites known, for kernels whose network is
            told (it declares `known`): what `inpaint` needs.
        holds: range from which holds are drawn, evenly, one an example; None for the kernel's own.
            Networks and heads that declare `hold` are told: one kernel then serves every hold.
        unlabelled_share: share of the examples whose label becomes -1, none, for kernels whose
            network is told (it declares `label`) and whose data have them: what guidance, and
            sampling without a label, need. A saved kernel does not say what it was trained with.
    """

    levels: tuple[float, float] = (0.02, 1.0)
    level_weight: Callable[[Tensor], Tensor] | None = None
    known_share: float = 0.25
    holds: tuple[float, float] | None = None
    unlabelled_share: float = 0.1

    def __post_init__(self) -> None:
        checks.interval(self.levels, "levels")
        checks.probability(self.known_share, "known_share")
        checks.probability(self.unlabelled_share, "unlabelled_share")
        if self.holds is not None:
            checks.interval(self.holds, "holds")

    def __call__(
        self,
        kernel: TransitionKernel,
        z: Tensor,
        level: checks.Level | None = None,
        label: Tensor | int | None = None,
        generator: torch.Generator | None = None,
        present: Tensor | None = None,
    ) -> Tensor:
        """The losses of a batch.

        Raises:
            TypeError: for data that are no tensor, labels that are no whole numbers, and masks
                that are not boolean.
            ValueError: for shapes or values that do not fit.

        Args:
            kernel: the kernel to train.
            z: clean data, shape (B, *S).
            level: b, a number or shape (B,); None draws one an example.
            label: one label, or labels (B,), for networks that declare them.
            generator: source of randomness.
            present: which sites are data and not padding, boolean, shape (B, *S); None for all.
                The others are known: they keep their values and count nothing.

        Returns:
            Losses in nats, shape (B,), differentiable in the kernel.
        """
        checks.tensor(z, "z")
        if label is not None:
            label = checks.labels(label, len(z), z.device)
        if level is None:
            b = self.draw_levels(z.shape[0], z.device, generator)
        else:
            b = checks.levels(level, z.shape[0], z.device)
        mask = None if present is None else checks.sites(present, z, "present", "data")
        if getattr(kernel, "told_known", False) and self.known_share > 0:
            drawn = random_masks(z, self.known_share, generator)
            mask = drawn if mask is None else mask & drawn
        known = None if mask is None else (mask, z)
        x = kernel.corrupt(z, b, generator)
        if known is not None:
            x = torch.where(known[0], x, z)
        if label is not None and self.unlabelled_share > 0:
            hidden = draws.uniform(label.shape, label.device, generator) < self.unlabelled_share
            label = label.masked_fill(hidden, -1)
        h = None
        if self.holds is not None:
            self._check_range(kernel)
            low, high = self.holds
            h = low + (high - low) * draws.uniform((len(z),), z.device, generator)
        given = Conditions(label, known, None if h is None else h.to(b))
        losses = self.losses(kernel, z, x, b, given, generator)
        return losses if self.level_weight is None else losses * self.level_weight(b)

    def check(self, kernel: TransitionKernel) -> None:
        """Refuse, before training starts, a kernel that could not learn what this asks.

        Raises:
            ValueError: for `holds` that no network is told, or of which the kernel has not all.
        """
        if self.holds is None:
            return
        self._check_range(kernel)
        if not getattr(kernel, "told_hold", True):  # a user's own may know of itself
            raise ValueError(
                f"holds was {self.holds}, but no network of the kernel is told the hold; allowed: "
                "a net or an adjustment head that declares `hold`, as those made with hold=True"
            )

    def _check_range(self, kernel: TransitionKernel) -> None:
        if kernel.holds_below_one and self.holds is not None and self.holds[1] == 1:
            raise ValueError(f"holds was {self.holds}; allowed with real-valued states: below 1")

    def draw_levels(
        self, count: int, device: torch.device, generator: torch.Generator | None = None
    ) -> Tensor:
        """Levels (B,): evenly spaced with one random offset, so that a batch covers the range."""
        low, high = self.levels
        offset = draws.uniform((1,), device, generator)
        place = (torch.arange(count, device=device) / count + offset) % 1.0
        return (low + (high - low) * place).to(torch.get_default_dtype())

    @abstractmethod
    def losses(
        self,
        kernel: TransitionKernel,
        z: Tensor,
        x: Tensor,
        b: Tensor,
        given: Conditions,
        generator: torch.Generator | None,
    ) -> Tensor:
        """The losses (B,) of clean z and its noisy x at levels b, before weighting.

        Args:
            kernel: the kernel.
            z: clean data, (B, *S).
            x: noisy data at levels b, (B, *S).
            b: levels, (B,).
            given: labels, known sites and holds.
            generator: source of randomness.
        """


@dataclass(frozen=True)
class Denoising(Objective):
    """The denoiser's loss, ``-log p_θ(z|x)``, which trains the read-out (theory, section 3).

    Raises:
        ValueError: (when called) for a kernel without a read-out.

    Example:
        >>> from discrete_ca import CategoricalNoiseKernel, corruption, nn
        >>> kernel = CategoricalNoiseKernel(nn.MLP(2, 2, shape=(5,)), corruption.Uniform(2))
        >>> Denoising()(kernel, torch.zeros(8, 5, dtype=torch.long)).shape
        torch.Size([8])
    """

    def losses(
        self,
        kernel: TransitionKernel,
        z: Tensor,
        x: Tensor,
        b: Tensor,
        given: Conditions,
        generator: torch.Generator | None,
    ) -> Tensor:
        """``-log p_θ(z|x)``, (B,)."""
        read_out = getattr(given.step(kernel, x, b), "read_out", None)
        if read_out is None:
            raise ValueError(f"{type(kernel).__name__} has no read-out p(z|x) to denoise with")
        losses: Tensor = -read_out.log_prob(z)
        return losses


@dataclass(frozen=True)
class ContrastiveAdjustment(Objective):
    """Contrastive adjustment (paper, Algorithms 1 and 2), with a small denoising term.

    ``-log p_θ(x|y) + c log p_θ(y|x) - λ' log p_θ(z|x)`` with y ~ p_θ(y|x) drawn without gradient.
    A step costs one forward without gradient and one forward and backward. The denoising term is
    taken where the first forward is anyway, so that it adds a backward on `denoising_fraction` of
    the batch; c != 0 adds one on the whole. The pull of the first term on the
    read-out shrinks with 1 - h, so λ is given at h = 0.5 and scaled: ``λ' = λ min(1, 2 (1 - h))``
    (theory, section 7). A kernel without a read-out is trained without that term.

    Args:
        denoising_weight: λ, the weight of the denoising term at holds up to 0.5; 0 is the paper's.
        denoising_fraction: share of the batch that the denoising term is taken on, reweighted:
            every n-th example, n the whole number next to its inverse; with c != 0, all of it.
        control_variate: c.

    Example:
        >>> from discrete_ca import CategoricalNoiseKernel, corruption, nn
        >>> kernel = CategoricalNoiseKernel(nn.MLP(2, 2, shape=(5,)), corruption.Uniform(2))
        >>> ContrastiveAdjustment()(kernel, torch.zeros(8, 5, dtype=torch.long), level=0.3).shape
        torch.Size([8])
    """

    denoising_weight: float = 0.01
    denoising_fraction: float = 0.125
    control_variate: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.denoising_weight >= 0:
            raise ValueError(f"denoising_weight was {self.denoising_weight}; allowed: >= 0")
        if not 0 < self.denoising_fraction <= 1:
            raise ValueError(f"denoising_fraction was {self.denoising_fraction}; allowed: (0, 1]")

    def losses(
        self,
        kernel: TransitionKernel,
        z: Tensor,
        x: Tensor,
        b: Tensor,
        given: Conditions,
        generator: torch.Generator | None,
    ) -> Tensor:
        """The contrastive losses, (B,)."""
        y, losses = torch.empty_like(x), torch.zeros(len(x), device=x.device)
        for rows, with_gradient in self._parts(len(x), x.device):
            with torch.set_grad_enabled(with_gradient and torch.is_grad_enabled()):
                forward = given[rows].step(kernel, x[rows], b[rows])
            with torch.no_grad():
                y[rows] = forward.sample(generator)
            read_out = getattr(forward, "read_out", None)
            if self.denoising_weight > 0 and with_gradient and read_out is not None:
                term = -self._weights(kernel, given[rows]) * read_out.log_prob(z[rows])
                term = term * len(x) / len(rows)
                losses = losses + term.new_zeros(len(x)).index_copy(0, rows, term)
            if self.control_variate != 0:
                losses = losses + self.control_variate * forward.log_prob(y)
            del forward, read_out  # they hold logits, which the next pass needs room for
        return losses - given.step(kernel, y, b).log_prob(x)

    def _weights(self, kernel: TransitionKernel, given: Conditions) -> Tensor | float:
        """λ' = λ min(1, 2 (1 - h)), one for all or one an example."""
        if given.hold is None:
            return self.denoising_weight * min(1.0, 2 * (1 - kernel.hold))
        return self.denoising_weight * (2 * (1 - given.hold)).clamp(max=1.0)

    def _parts(self, count: int, device: torch.device) -> list[tuple[Tensor, bool]]:
        """Rows of the batch that the first pass takes together, and whether with gradient."""
        every_row = torch.arange(count, device=device)
        if self.control_variate != 0:
            return [(every_row, True)]
        if self.denoising_weight == 0:
            return [(every_row, False)]
        # An evenly spaced slice: consecutive examples have consecutive levels.
        stride = max(1, round(1 / self.denoising_fraction))
        rest = every_row[every_row % stride > 0]
        return [(every_row[::stride], True), *([(rest, False)] if len(rest) else [])]


@dataclass(frozen=True)
class Phase:
    """A part of a schedule: one objective, for a share of the budget, training parts of the kernel.

    Args:
        objective: what is descended.
        share: share of the budget, > 0; the shares of a schedule sum to 1.
        train: names of the kernel's submodules that are trained, the rest frozen; () for all.
        learning_rate: multiplies the trainer's learning rate in this phase.
    """

    objective: Objective
    share: float = 1.0
    train: tuple[str, ...] = ()
    learning_rate: float = 1.0

    def __post_init__(self) -> None:
        if isinstance(self.train, str):
            raise TypeError(f"train was {self.train!r}; allowed: a tuple, ({self.train!r},)")


@dataclass(frozen=True)
class Schedule:
    """Phases over training progress (theory, section 9).

    Raises:
        ValueError: for no phases, shares that are not positive or do not sum to 1.

    Example:
        >>> [phase.share for phase in Schedule.default().phases]
        [0.5, 0.5]
    """

    phases: tuple[Phase, ...]

    def __post_init__(self) -> None:
        shares = [phase.share for phase in self.phases]
        if not shares or min(shares) <= 0 or abs(sum(shares) - 1) > 1e-6:
            raise ValueError(f"shares of phases were {shares}; allowed: > 0, summing to 1")

    @classmethod
    def default(
        cls,
        adjust: float = 0.5,
        holds: tuple[float, float] | None = None,
        unlabelled_share: float = 0.1,
    ) -> Schedule:
        """Contrastive adjustment as recommended: denoise, then freeze and train the head by it.

        The head leaves the read-out alone, so no denoising term is needed (λ = 0). Where Metropolis
        steps can be taken, a denoiser that has the whole budget comes closer by them
        (docs/measurements.md).

        Args:
            adjust: share of the budget for the head.
            holds: range of holds that the kernel is trained for; the head, the network or both
                must be told. None for the kernel's own.
            unlabelled_share: see `Objective`.
        """
        denoise = Denoising(
            level_weight=InverseLevel(0.1), holds=holds, unlabelled_share=unlabelled_share
        )
        head = ContrastiveAdjustment(
            denoising_weight=0.0, holds=holds, unlabelled_share=unlabelled_share
        )
        return cls(
            (
                Phase(denoise, 1 - adjust, ("net",)),
                Phase(head, adjust, ("adjustment",), learning_rate=2.5),
            )
        )

    @classmethod
    def half_and_half(cls, denoising_weight: float = 0.01) -> Schedule:
        """Denoise for half of the budget, low levels weighted more, then adjust all weights.

        Args:
            denoising_weight: λ of the second half.
        """
        denoise = Denoising(level_weight=InverseLevel(0.1))
        adjust = ContrastiveAdjustment(denoising_weight=denoising_weight)
        return cls((Phase(denoise, 0.5), Phase(adjust, 0.5)))

    @classmethod
    def of(cls, objective: Objective | Schedule) -> Schedule:
        """A schedule as it is, or one objective throughout."""
        return objective if isinstance(objective, Schedule) else cls((Phase(objective),))

    def boundaries(self) -> Sequence[float]:
        """Progress in [0, 1] at which each phase ends."""
        return [*accumulate(phase.share for phase in self.phases[:-1]), 1.0]
