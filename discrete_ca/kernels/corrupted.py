"""What kernels over categorical states share: a corruption as their noise, known sites, a start."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from discrete_ca import checks
from discrete_ca.corruption import Corruption
from discrete_ca.kernels.base import NetworkKernel, some


class CorruptionKernel(NetworkKernel):
    """A kernel over states that a corruption makes of the data.

    Args:
        net: the network.
        corruption: the noise.
        hold: h, the probability that a site is held in an equal-level step, in [0, 1].

    Raises:
        ValueError: for a hold outside [0, 1], or a network for another number of categories or
            states than the noise has.
    """

    def __init__(self, net: nn.Module, corruption: Corruption, hold: float) -> None:
        super().__init__(net)
        self.corruption = corruption
        self.hold = checks.probability(hold, "hold")
        self._check_size(net, "net", "num_categories")
        self._check_size(net, "net", "num_states")

    def _check_size(self, part: nn.Module | None, name: str, size: str) -> None:
        """Refuse a part of the kernel that is made for another size than the noise has."""
        has, needs = getattr(part, size, None), getattr(self.corruption, size)
        if has is not None and has != needs:
            noise = type(self.corruption).__name__
            raise ValueError(f"{name} has {size} = {has}; allowed: {needs}, as {noise} has")

    def _begin(
        self,
        x: Tensor,
        level: checks.Level,
        target_level: checks.Level | None,
        known: checks.Known | None,
    ) -> tuple[Tensor, Tensor, Tensor, checks.Known | None]:
        """What a step starts from, checked: x with the known values in it, b_x, b_y, known sites.

        b_y is b_x itself for an equal-level step.
        """
        some(x)
        checks.states(x, self.corruption.num_states)
        b_x = b_y = checks.levels(level, x.shape[0], x.device)
        if target_level is not None:
            b_y = checks.levels(target_level, x.shape[0], x.device, "target_level")
        if known is not None:
            known = checks.known_sites(known, x)
            fixed = known[1].masked_fill(known[0], 0)  # values at generated sites mean nothing
            checks.states(fixed, self.corruption.num_categories, "known values")
            x = torch.where(known[0], x, known[1])
        return x, b_x, b_y, known

    def _clean(self, x: Tensor, b: Tensor) -> Tensor | None:
        """Where a state is the category itself, at level 0, (B, *S); None where nowhere is.

        Noise of one's own whose Q_0 is not the identity has no such level.
        """
        if bool((b > 0).all()):
            return None
        every = torch.arange(self.corruption.num_categories, device=x.device)
        if bool((self.corruption.log_prob(every, every, 0.0) < -1e-6).any()):
            return None
        return checks.spread(b == 0, x) & (x < len(every))

    def corrupt(
        self, z: Tensor, level: checks.Level, generator: torch.Generator | None = None
    ) -> Tensor:
        """Draw x ~ q_b(x|z), shape (B, *S)."""
        return self.corruption.sample(z, level, generator)

    def initial(
        self,
        count: int,
        shape: Sequence[int],
        generator: torch.Generator | None = None,
        device: torch.device | str = "cpu",
    ) -> Tensor:
        """Draws from the law at level 1, long, shape (count, *shape)."""
        return self.corruption.initial(count, shape, generator, device)
