r"""A network for the Gaussian kernel that corrects what is right for Gaussian data.

For z ~ N(0, σ²) and x = a z + sqrt(v) ε the posterior of z is known,

    z | x ~ N(a σ² x / (a² σ² + v), σ² v / (a² σ² + v)),

and a network that need only say how the data differ from that works on numbers of unit size at
every level. (Karras et al. 2022, arXiv 2206.00364, section 5, for a mean alone.)
"""

from __future__ import annotations

import math
from typing import Protocol

import torch
from torch import Tensor, nn

from discrete_ca import checks
from discrete_ca.nn.wrapping import Wrapped

_LEAST_VARIANCE = math.exp(-20.0)  # the Gaussian kernel bounds log-variances there


class Coefficients(Protocol):
    """The noise ``x | z ~ N(a z, v)``, such as `discrete_ca.kernels.LinearNoise`."""

    def coefficients(self, b: Tensor) -> tuple[Tensor, Tensor]:
        """(a, v) at levels b, each of the shape of b."""


class Preconditioned(Wrapped):
    """Mean and log-variance of z, (B, *S, 2), from a network's corrections of them.

    With r² the posterior variance above and F the network of ``x / sqrt(a² σ² + v)``,

        μ = a σ² x / (a² σ² + v) + r F_1,    s² = r² (ε + (1 - ε) exp F_2).

    Where data hardly vary (the paper around a digit) the likelihood grows without bound as s²
    falls, and so does its gradient: an ε above 0 keeps the sites that do vary from being learned
    last. To a step of the chain a variance so far below that of its own noise is none.

    Args:
        net: ``net(x, b, ...) -> (B, *S, 2)``.
        noise: the coefficients of the level, those of the kernel.
        deviation: σ, about the size of the data (centred at 0).
        least: ε, the share of r² that s² is at least, in [0, 1).

    Raises:
        ValueError: for a deviation that is not above 0, or a least share out of range.

    Example:
        >>> from discrete_ca.kernels import LinearNoise
        >>> from discrete_ca.nn import MLP
        >>> net = Preconditioned(MLP(2, None, shape=(3,)), LinearNoise(), deviation=0.5)
        >>> net(torch.zeros(4, 3), torch.full((4,), 0.3)).shape
        torch.Size([4, 3, 2])
    """

    def __init__(
        self, net: nn.Module, noise: Coefficients, deviation: float = 1.0, least: float = 0.0
    ) -> None:
        super().__init__(net)
        if not 0 < deviation < math.inf:
            raise ValueError(f"deviation was {deviation}; allowed: a number > 0")
        self.noise, self.deviation = noise, float(deviation)
        self.least = checks.probability(least, "least", below_one=True)

    def forward(
        self,
        x: Tensor,
        b: Tensor,
        label: Tensor | None = None,
        known: Tensor | None = None,
        hold: Tensor | None = None,
    ) -> Tensor:
        """States (B, *S) at levels (B,) to mean and log-variance, (B, *S, 2)."""
        a, v = (checks.spread(t, x) for t in self.noise.coefficients(b))
        prior = self.deviation**2
        total = (a**2 * prior + v).clamp_min(_LEAST_VARIANCE)
        variance = (prior * v / total).clamp_min(_LEAST_VARIANCE)
        out = self.inner(x / total.sqrt(), b, label=label, known=known, hold=hold)
        shift, log_scale = out.to(torch.promote_types(out.dtype, x.dtype)).unbind(-1)
        mean = a * prior / total * x + variance.sqrt() * shift
        if self.least > 0:
            varied = log_scale + math.log1p(-self.least)
            log_scale = torch.logaddexp(varied, torch.full_like(varied, math.log(self.least)))
        return torch.stack([mean, variance.log() + log_scale], -1)
