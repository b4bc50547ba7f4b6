"""One walk of a batch of chains: moves between levels, steps at one level, and read-outs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor

from discrete_ca import metropolis
from discrete_ca.conditions import Conditions
from discrete_ca.distributions import CategoricalTransition
from discrete_ca.kernels import TransitionKernel


@dataclass
class Tally:
    """How many proposals of Metropolis steps were made and taken, over all examples."""

    proposed: int = 0
    accepted: int = 0

    @classmethod
    def of(cls, metropolis: bool, levels: Sequence[float] = ()) -> Self | None:
        """One for Metropolis steps at such levels; None for plain steps.

        Raises:
            ValueError: for a level at which a state says for certain what it was.
        """
        if metropolis and any(b == 0 for b in levels):
            raise ValueError("metropolis was True at level 0; allowed: levels above 0")
        return cls() if metropolis else None

    @property
    def acceptance(self) -> float | None:
        """The share that was taken; None where there was none to take."""
        return self.accepted / self.proposed if self.proposed else None


class Walker:
    """States x at a level, on their way.

    Args:
        kernel: the kernel.
        x: states, (B, *S).
        level: their level b.
        given: what every step is told.
        generator: source of randomness.
        tally: counts Metropolis steps, and asks for them: None for plain ones.

    Raises:
        ValueError: for Metropolis steps of a kernel that has none (`metropolis.refusal`).
    """

    def __init__(
        self,
        kernel: TransitionKernel,
        x: Tensor,
        level: float | Tensor,
        given: Conditions,
        generator: torch.Generator | None = None,
        tally: Tally | None = None,
    ) -> None:
        if tally is not None and (why := metropolis.refusal(kernel)) is not None:
            raise ValueError(why)
        self.kernel, self.x, self.level, self.given = kernel, x, level, given
        self.generator, self.tally = generator, tally
        self._law: CategoricalTransition | None = None  # at x, where a Metropolis step left one

    @torch.no_grad()
    def move(self, level: float) -> None:
        """Go to another level."""
        if self._law is None:
            law = self.given.step(self.kernel, self.x, self.level, level)
        else:
            law = self.kernel.move(self._law, level, self.given.hold)  # type: ignore[operator]
        self.x, self.level, self._law = law.sample(self.generator), level, None

    @torch.no_grad()
    def step(self) -> Tensor:
        """One step at the present level; the new states."""
        if self.tally is None:
            self.x = self._at(self.x).sample(self.generator)
            return self.x
        law = self._at(self.x) if self._law is None else self._law
        self._law, accepted = metropolis.step(law, self._at, self.generator)
        self.tally.proposed += len(accepted)
        self.tally.accepted += int(accepted.sum())
        self.x = self._law.x
        return self.x

    @torch.no_grad()
    def read_out(self, draw: bool) -> Tensor:
        """Clean states z: the mode of p_θ(z|x), or a draw; x of a kernel without a read-out."""
        law = self._at(self.x) if self._law is None else self._law
        if getattr(law, "read_out", None) is None:
            return self.x
        z: Tensor = law.read_out.sample(self.generator) if draw else law.read_out.mode()
        known = self.given.known
        return z if known is None else torch.where(known[0], z, known[1])

    def _at(self, x: Tensor) -> Any:
        """The law of an equal-level step at states x: one network evaluation."""
        return self.given.step(self.kernel, x, self.level)
