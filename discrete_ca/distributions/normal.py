"""Independent Gaussians a site."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from discrete_ca import checks, draws
from discrete_ca.distributions.base import Transition, sum_sites


class Normal(Transition):
    """Independent Gaussians a site; as a transition it carries the read-out.

    Args:
        mean: shape (B, *S).
        variance: broadcastable to the mean, non-negative.
        read_out: p(z|x), when this is a transition.
        known: (mask, values); sites with mask False are at their values and count nothing.

    Example:
        >>> Normal(torch.zeros(1, 2), torch.ones(1, 2)).log_prob(torch.zeros(1, 2))
        tensor([-1.8379])
    """

    def __init__(
        self,
        mean: Tensor,
        variance: Tensor,
        read_out: Normal | None = None,
        known: checks.Known | None = None,
    ) -> None:
        self.mean, self.variance = mean, variance.expand_as(mean)
        self.read_out, self.known = read_out, known

    def _fix(self, y: Tensor) -> Tensor:
        return y if self.known is None else torch.where(self.known[0], y, self.known[1].to(y))

    @torch.no_grad()
    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """One draw, (B, *S)."""
        device = draws.source_of(generator, self.mean.device)
        noise = torch.randn(
            self.mean.shape, dtype=self.mean.dtype, device=device, generator=generator
        )
        return self._fix(self.mean + self.variance.sqrt() * noise.to(self.mean.device))

    def log_prob(self, y: Tensor) -> Tensor:
        """Log-density, (B,)."""
        scaled = (y - self.mean) ** 2 / self.variance
        sites = -0.5 * (scaled + self.variance.log() + math.log(2 * math.pi))
        return sum_sites(sites if self.known is None else sites.where(self.known[0], 0.0))

    def mode(self) -> Tensor:
        """The mean, (B, *S)."""
        return self._fix(self.mean.detach())

    def entropy(self) -> Tensor:
        """Differential entropy in nats, (B,)."""
        sites = 0.5 * (self.variance.log() + math.log(2 * math.pi * math.e))
        return sum_sites(sites if self.known is None else sites.where(self.known[0], 0.0))
