"""Renoising: learn to replace a noisy copy of the data by another one of the same example."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from discrete_ca import checks, draws
from discrete_ca.conditions import Conditions
from discrete_ca.kernels import AutoregressiveKernel, TransitionKernel
from discrete_ca.objectives import Objective


@dataclass(frozen=True, kw_only=True)
class Renoising(Objective):
    """``-log p_θ(y|x)`` where x and y are noisy copies of one z, independent but for the holds.

    Its optimum is ``p(y|x) = Σ_z p(z|x) q(y|x, z)``, the chain that draws z from its posterior and
    noise anew: in exact detailed balance with p_b where the kernel can represent it, which the
    autoregressive kernel can. It asks for mixing, so that it is the anchor that contrastive
    adjustment needs there (theory, section 5).

    Args:
        read_outs: share of the examples whose y is clean, which trains the read-out.
        moves: share of the examples whose y is at a lower level, which trains the moves of an
            annealed run; the others are equal-level steps.
        both_ways: score each pair of an equal-level step from y to x as well, for a second pass: a
            pair is as likely either way, and its errors then cancel out in the balance of the two.

    Raises:
        ValueError: for shares outside [0, 1] or that sum to more; (when called) for a kernel that
            cannot `renoise`.

    Example:
        >>> from discrete_ca.corruption import Uniform
        >>> from discrete_ca.nn import AutoregressiveTransformer
        >>> net = AutoregressiveTransformer(2, shape=(5,), width=16, depth=1)
        >>> kernel = AutoregressiveKernel(net, Uniform(2))
        >>> Renoising()(kernel, torch.zeros(8, 5, dtype=torch.long)).shape
        torch.Size([8])
    """

    read_outs: float = 0.25
    moves: float = 0.25
    both_ways: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("read_outs", "moves"):
            checks.probability(getattr(self, name), name)
        if self.read_outs + self.moves > 1:
            raise ValueError(
                f"read_outs + moves was {self.read_outs + self.moves:g}; allowed: at most 1"
            )

    def losses(
        self,
        kernel: TransitionKernel,
        z: Tensor,
        x: Tensor,
        b: Tensor,
        given: Conditions,
        generator: torch.Generator | None,
    ) -> Tensor:
        """``-log p_θ(y|x)``, (B,)."""
        if not isinstance(kernel, AutoregressiveKernel):
            raise ValueError(
                f"{type(kernel).__name__} cannot renoise; allowed: an AutoregressiveKernel"
            )
        kind, depth = draws.uniform((2, len(z)), z.device, generator)
        other = kind < self.read_outs + self.moves  # y is at another level than x
        target = torch.where(kind < self.read_outs, 0.0, b * depth.to(b))
        losses = x.new_zeros(len(x), dtype=torch.get_default_dtype())
        for rows, between in ((~other, False), (other, True)):
            if not bool(rows.any()):
                continue
            here = given[rows]
            if between:
                y = kernel.corruption.sample(z[rows], target[rows], generator)
                law = here.step(kernel, x[rows], b[rows], target[rows])
            else:
                y = kernel.renoise(x[rows], z[rows], b[rows], generator, here.hold)
                law = here.step(kernel, x[rows], b[rows])
            found = law.log_prob(y)
            if self.both_ways and not between:
                found = (found + here.step(kernel, y, b[rows]).log_prob(x[rows])) / 2
            losses = losses.masked_scatter(rows, -found.to(losses))
        return losses
