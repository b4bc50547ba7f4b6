"""Linear families ``Q_b = (1 - b) I + b R``: uniform and absorbing noise, in closed form."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from discrete_ca import checks, draws
from discrete_ca.corruption.base import Corruption


class Uniform(Corruption):
    """Uniform noise: with probability b a site is redrawn from all K categories, ``R = 1/K``.

    Args:
        num_categories: K; there are as many states, V = K.

    Example:
        >>> Uniform(2).matrix(0.5)
        tensor([[0.7500, 0.2500],
                [0.2500, 0.7500]], dtype=torch.float64)
    """

    linear = True
    pointwise = True

    def __init__(self, num_categories: int) -> None:
        super().__init__(num_categories)

    def matrix(self, level: float) -> Tensor:
        """``(1 - b) I + b / K``, shape (K, K)."""
        k = self.num_categories
        return (1 - level) * torch.eye(k, dtype=torch.float64) + level / k

    @property
    def forgets(self) -> bool:
        """True: at level 1 every row is uniform."""
        return True

    @property
    def rules_out(self) -> bool:
        """False: every category leads to every state."""
        return False

    def _sample(self, z: Tensor, b: Tensor, generator: torch.Generator | None) -> Tensor:
        redraw = draws.uniform(z.shape, z.device, generator) < checks.spread(b, z)
        u = draws.uniform(z.shape, z.device, generator)
        fresh = (u * self.num_categories).long().clamp_(max=self.num_categories - 1)
        return torch.where(redraw, fresh, z)

    def log_prob(self, z: Tensor, x: Tensor, level: checks.Level) -> Tensor:
        """``log(b/K)``, or ``log(1 - b + b/K)`` where x = z; (B, *S) in float64."""
        b = checks.spread(checks.levels(level, x.shape[0], x.device).double(), x)
        away = b / self.num_categories
        return torch.where(x == z, 1 - b + away, away).log()

    def log_likelihood(self, x: Tensor, level: checks.Level) -> Tensor:
        """``log(b/K)`` everywhere but at x, where it is ``log(1 - b + b/K)``; (B, *S, K)."""
        b = checks.spread(checks.levels(level, x.shape[0], x.device), x)
        away = b / self.num_categories
        evidence = away.log().unsqueeze(-1).expand(*x.shape, self.num_categories).clone()
        at_x = (1 - b + away).log().expand(x.shape)
        return evidence.scatter_(-1, x.unsqueeze(-1), at_x.unsqueeze(-1))

    def log_push_forward_at(self, log_p: Tensor, x: Tensor, level: checks.Level) -> Tensor:
        """``log((1 - b) p(x) + b/K)``."""
        b = checks.levels(level, x.shape[0], x.device).to(log_p.dtype)
        kept = checks.spread(torch.log1p(-b), x)
        fresh = checks.spread(b.log() - math.log(self.num_categories), x)
        return torch.logaddexp(kept + log_p, fresh)


class Absorbing(Corruption):
    """Absorbing noise: with probability b a site turns into the mask state, ``V - 1 = K``.

    A site that is not masked tells z for certain, which `reveals` says and kernels with
    `carry_over` use.

    Args:
        num_categories: K; the mask is one more state, V = K + 1.

    Example:
        >>> Absorbing(2).matrix(0.25)
        tensor([[0.7500, 0.0000, 0.2500],
                [0.0000, 0.7500, 0.2500]], dtype=torch.float64)
    """

    linear = True
    pointwise = True

    def __init__(self, num_categories: int) -> None:
        super().__init__(num_categories, num_categories + 1)

    @property
    def mask_state(self) -> int:
        """The index of the mask state, K."""
        return self.num_categories

    def matrix(self, level: float) -> Tensor:
        """``(1 - b) I`` beside a column of b, shape (K, K + 1)."""
        k = self.num_categories
        kept = (1 - level) * torch.eye(k, dtype=torch.float64)
        return torch.cat([kept, torch.full((k, 1), level, dtype=torch.float64)], -1)

    @property
    def forgets(self) -> bool:
        """True: at level 1 everything is masked."""
        return True

    @property
    def rules_out(self) -> bool:
        """True: a state that is no mask is the category itself."""
        return True

    def _sample(self, z: Tensor, b: Tensor, generator: torch.Generator | None) -> Tensor:
        masked = draws.uniform(z.shape, z.device, generator) < checks.spread(b, z)
        return torch.where(masked, self.mask_state, z)

    def log_prob(self, z: Tensor, x: Tensor, level: checks.Level) -> Tensor:
        """Log b at masked sites, elsewhere ``log(1 - b)`` where x = z or -inf; in float64."""
        b = checks.spread(checks.levels(level, x.shape[0], x.device).double(), x)
        kept = torch.where(x == z, 1 - b, 0.0)
        return torch.where(x == self.mask_state, b, kept).log()

    def log_likelihood(self, x: Tensor, level: checks.Level) -> Tensor:
        """Log b at masked sites; elsewhere ``log(1 - b)`` at x and -inf at the rest; (B, *S, K)."""
        b = checks.spread(checks.levels(level, x.shape[0], x.device), x).unsqueeze(-1)
        every = torch.arange(self.num_categories, device=x.device)
        kept = torch.where(x.unsqueeze(-1) == every, torch.log1p(-b), -torch.inf)
        return torch.where(x.unsqueeze(-1) == self.mask_state, b.log(), kept)

    def log_push_forward_at(self, log_p: Tensor, x: Tensor, level: checks.Level) -> Tensor:
        """Log b at masked sites, ``log(1 - b) + log p(x)`` elsewhere."""
        b = checks.levels(level, x.shape[0], x.device).to(log_p.dtype)
        kept = checks.spread(torch.log1p(-b), x) + log_p
        return torch.where(x == self.mask_state, checks.spread(b.log(), x), kept)

    def reveals(self, x: Tensor) -> Tensor | None:
        """Every site that is not masked."""
        return x != self.mask_state
