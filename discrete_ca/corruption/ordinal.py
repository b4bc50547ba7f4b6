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
from discrete_ca.corruption.base import Corruption, Law
from discrete_ca.corruption.windows import Window, examples, log_window_sums


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

    def _window(self, b: Tensor) -> Window:
        """The sequence of Q and its sums over rows at levels (B,), in float64."""
        k = self.num_categories
        d = torch.arange(1 - k, k, device=b.device, dtype=torch.float64)
        log_g = self._log_theta(b)[:, None] * d**2
        log_g = log_g.nan_to_num(nan=0.0, neginf=-torch.inf)  # g(0) = 1 also where θ = 0
        reach = log_g[:, k - 1 :].exp().cumsum(-1)  # up to d on one side
        return Window(log_g, (reach + reach.flip(-1) - 1).log())

    def matrix(self, level: float) -> Tensor:
        """Q_b, shape (K, K), in float64."""
        every = torch.arange(self.num_categories)
        window = self._window(torch.tensor([level], dtype=torch.float64))
        return window.columns(torch.zeros_like(every), every).T.exp()

    def _sample(self, z: Tensor, b: Tensor, generator: torch.Generator | None) -> Tensor:
        sums = self._window(b).log_g.exp().cumsum(-1)
        sums = torch.cat([sums.new_zeros(len(sums), 1), sums], -1)
        sites = z.reshape(z.shape[0], -1)
        first = self.num_categories - 1 - sites  # where x = 0 stands
        low, high = sums.gather(-1, first), sums.gather(-1, first + self.num_categories)
        u = draws.uniform(sites.shape, z.device, generator)
        place = torch.searchsorted(sums, low + u * (high - low), right=True) - 1
        return (place - first).clamp_(0, self.num_categories - 1).reshape(z.shape)

    def log_prob(self, z: Tensor, x: Tensor, level: checks.Level) -> Tensor:
        """``log Q_b[z, x]`` at single points, shape (B, *S), in float64."""
        window = self._window(checks.levels(level, x.shape[0], x.device))
        rows, offset = z.reshape(len(z), -1), (x - z).reshape(len(z), -1)
        log_g = window.log_g.gather(-1, offset + self.num_categories - 1)
        return (log_g - window.log_normaliser.gather(-1, rows)).reshape(x.shape)

    def log_likelihood(self, x: Tensor, level: checks.Level) -> Tensor:
        """``log Q_b[., x_i]``, shape (B, *S, K)."""
        b = checks.levels(level, x.shape[0], x.device)
        window = Window(*(t.to(b.dtype) for t in self._window(b)))
        return window.columns(examples(x), x.reshape(-1)).reshape(*x.shape, self.num_categories)

    def log_push_forward_from(self, law: Law, x: Tensor, level: checks.Level) -> Tensor:
        """See `Corruption.log_push_forward_from`; nothing of the logits' size is made."""
        window = self._window(checks.levels(level, x.shape[0], x.device))
        return law.site_log_means(
            lambda logits: log_window_sums(logits, x, window), lambda z: self.log_prob(z, x, level)
        )
