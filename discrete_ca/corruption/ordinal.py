r"""Noise over ordered categories (quantised pixels): a discretised, truncated Gaussian.

``Q_b[z, x] ∝ θ^((x - z)²)`` with ``θ = (b / (2 - b))^(1 / m²)`` and ``m = 1 + scale (K - 2) b``: a
Gaussian of deviation ``s(b) = m / sqrt(2 log(2/b - 1))`` around z, cut to 0 .. K-1 and normalised.
Then s(0) = 0, s(1) = ∞ (it forgets), s grows about linearly between, and K = 2 is exactly uniform
noise. (Austin et al. 2021, arXiv 2107.03006, appendix A.2.3, has a per-step relative of it.)

Every row is a window of one symmetric sequence g(d) = θ^(d²), so normalisers and inverse CDFs come
from its cumulative sum: nothing of shape (K, V) is built.
"""

from __future__ import annotations

import torch
from torch import Tensor

from discrete_ca import checks, draws
from discrete_ca.corruption.base import Corruption


class Ordinal(Corruption):
    """Discretised-Gaussian noise over ordered categories.

    Args:
        num_categories: K; there are as many states, V = K.
        scale: how wide the noise is at middle levels, as a share of K; > 0.

    Example:
        >>> Ordinal(3).matrix(0.5)
        tensor([[0.6430, 0.3183, 0.0386],
                [0.2488, 0.5025, 0.2488],
                [0.0386, 0.3183, 0.6430]], dtype=torch.float64)
    """

    def __init__(self, num_categories: int, scale: float = 0.5) -> None:
        super().__init__(num_categories)
        if not scale > 0:
            raise ValueError(f"scale was {scale}; allowed: a number > 0")
        self.scale = float(scale)

    @property
    def forgets(self) -> bool:
        """True: at level 1 every row is uniform."""
        return True

    def _log_theta(self, b: Tensor) -> Tensor:
        """Log θ, in (-inf, 0], of the shape of `b` in float64."""
        b = b.double()
        width = 1 + self.scale * (self.num_categories - 2) * b
        return (b.log() - torch.log(2 - b)) / width**2

    def _sequence(self, b: Tensor) -> Tensor:
        """g(d) for d = 0 .. K-1, shape (B, K); g(0) = 1 also where θ = 0."""
        d = torch.arange(self.num_categories, device=b.device, dtype=torch.float64)
        log_g = self._log_theta(b)[:, None] * d**2
        return log_g.nan_to_num(nan=0.0, neginf=-torch.inf).exp()

    def _log_normaliser(self, b: Tensor) -> Tensor:
        """``log sum_x g(|x - z|)`` for each z, shape (B, K)."""
        g = self._sequence(b)
        reach = g.cumsum(-1)  # up to d on one side
        return (reach + reach.flip(-1) - g[:, :1]).log()

    def matrix(self, level: float) -> Tensor:
        """Q_b, shape (K, K), in float64."""
        b = torch.tensor([level], dtype=torch.float64)
        every = torch.arange(self.num_categories)
        distance = (every[:, None] - every).abs()
        q = self._sequence(b)[0][distance]
        return q / q.sum(-1, keepdim=True)

    def _sample(self, z: Tensor, b: Tensor, generator: torch.Generator | None) -> Tensor:
        g = self._sequence(b)
        both = torch.cat([g[:, 1:].flip(-1), g], -1).cumsum(-1)  # d = -(K-1) .. K-1
        both = torch.cat([both.new_zeros(both.shape[0], 1), both], -1)
        sites = z.reshape(z.shape[0], -1)
        first = self.num_categories - 1 - sites  # where x = 0 stands
        low, high = both.gather(-1, first), both.gather(-1, first + self.num_categories)
        u = draws.uniform(sites.shape, z.device, generator)
        place = torch.searchsorted(both, low + u * (high - low), right=True) - 1
        return (place - first).clamp_(0, self.num_categories - 1).reshape(z.shape)

    def log_prob(self, z: Tensor, x: Tensor, level: checks.Level) -> Tensor:
        """``log Q_b[z, x]`` at single points, shape (B, *S)."""
        b = checks.levels(level, x.shape[0], x.device)
        g = self._sequence(b).log()
        rows = z.reshape(z.shape[0], -1)
        distance = (x - z).abs().reshape(rows.shape)
        return (g.gather(-1, distance) - self._log_normaliser(b).gather(-1, rows)).reshape(x.shape)

    def log_likelihood(self, x: Tensor, level: checks.Level) -> Tensor:
        """``log Q_b[., x_i]``, shape (B, *S, K)."""
        b = checks.levels(level, x.shape[0], x.device)
        every = torch.arange(self.num_categories, device=x.device)
        distance = (x.unsqueeze(-1) - every).abs()
        log_g = self._sequence(b).log().to(b.dtype)
        flat = log_g.gather(-1, distance.reshape(x.shape[0], -1)).reshape(distance.shape)
        return flat - checks.spread(self._log_normaliser(b).to(b.dtype), x).reshape(
            x.shape[0], *(1,) * (x.ndim - 1), self.num_categories
        )
