"""Watching a chain while it goes on, at no cost in evaluations.

Every step of a kernel with a read-out holds p_θ(z|x), the law that a clean design would be read
from there. Its mode is a picture of where the chain is; looking at it draws nothing, so that what
is made is the same, bit for bit, whether somebody watches or not.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from discrete_ca import checks
from discrete_ca.kernels import TransitionKernel


@dataclass(frozen=True, eq=False)
class Glimpse:
    """A step of a chain: where it is, and what would be read out there.

    Args:
        x: noisy states, (B, *S); of Metropolis steps those proposed, taken or not.
        law: the law of the next state.
        known: (mask, values) that the step was told, mask True = generate.
    """

    x: Tensor
    law: Any
    known: checks.Known | None

    @torch.no_grad()
    def designs(self) -> Tensor:
        """Clean designs (B, *S) on the CPU: modes of the read-out; x for a law without one."""
        read_out = getattr(self.law, "read_out", None)
        z: Tensor = self.x if read_out is None else read_out.mode()
        if self.known is not None:
            z = torch.where(self.known[0], z, self.known[1])
        return z.cpu()


Watch = Callable[[Glimpse], None]
"""Called after each evaluation; what it raises ends the chain."""


def watched(kernel: TransitionKernel, watch: Watch) -> TransitionKernel:
    """A kernel whose every evaluation somebody sees; it shares all weights with the one given.

    Args:
        kernel: the kernel.
        watch: who sees it.

    Example:
        >>> from discrete_ca import CategoricalNoiseKernel, corruption, nn, variants
        >>> kernel = CategoricalNoiseKernel(nn.MLP(2, 2, shape=(5,)), corruption.Uniform(2))
        >>> seen = []
        >>> seeing = watched(kernel, lambda glimpse: seen.append(glimpse.designs()))
        >>> z = variants(seeing, torch.zeros(5, dtype=torch.long), n=3, steps=4)
        >>> len(seen), seen[0].shape, bool((seen[-1] == z).all())
        (5, torch.Size([3, 5]), True)
    """

    def transition(
        x: Tensor,
        level: checks.Level,
        target_level: checks.Level | None = None,
        label: Tensor | None = None,
        known: checks.Known | None = None,
        **more: Any,
    ) -> Any:
        law = kernel.transition(x, level, target_level, label, known, **more)
        watch(Glimpse(x, law, known))
        return law

    made = copy.copy(kernel)
    made.transition = transition  # type: ignore[method-assign]
    return made
