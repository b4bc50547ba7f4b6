"""Independent categories a site, kept as logits: what a network reads out."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import torch
from torch import Tensor

from discrete_ca import draws
from discrete_ca.corruption.segments import log_sums
from discrete_ca.corruption.sparse import SparseRows
from discrete_ca.distributions.base import Distribution, sum_sites
from discrete_ca.errors import NonFiniteError
from discrete_ca.logits import entropies, log_prob_at, wide


class Categorical(Distribution):
    """Independent categories a site, ``p(z|x) = prod_i p_i(z_i)``.

    It keeps the logits as they are; a normalised copy is made only where `log_probs` is asked for.

    Args:
        logits: log-probabilities up to a constant a row, shape (B, *S, K).
        fixed: (mask, values), each (B, *S): sites with mask True have a point mass at their value.
        source: what made the logits, for errors.

    Raises:
        NonFiniteError: (when used) for logits that hold NaN, +inf or a row of nothing but -inf.

    Example:
        >>> law = Categorical(torch.tensor([[[1.0, 3.0]]]).log())
        >>> law.mode(), law.log_prob(torch.tensor([[1]])).exp()
        (tensor([[1]]), tensor([0.7500]))
    """

    def __init__(
        self, logits: Tensor, fixed: tuple[Tensor, Tensor] | None = None, source: str = "the law"
    ) -> None:
        self.logits, self.fixed, self.source = logits, fixed, source

    @cached_property
    def log_probs(self) -> Tensor:
        """Normalised log-probabilities in at least float32, (B, *S, K)."""
        with torch.set_grad_enabled(self.logits.requires_grad):  # kept for later, with its gradient
            log_probs = torch.log_softmax(self.logits, -1, dtype=wide(self.logits.dtype))
        self._check(log_probs[..., 0])  # one bad logit makes its whole row NaN
        if self.fixed is None:
            return log_probs
        mask, values = self.fixed
        every = torch.arange(log_probs.shape[-1], device=log_probs.device)
        point = torch.where(values.unsqueeze(-1) == every, 0.0, -torch.inf).to(log_probs.dtype)
        with torch.set_grad_enabled(log_probs.requires_grad):
            return torch.where(mask.unsqueeze(-1), point, log_probs)

    def log_probs_at(self, sites: tuple[Tensor, ...]) -> Tensor:
        """`log_probs` at n sites alone, named by their indices into (B, *S): (n, K)."""
        fixed = None if self.fixed is None else (self.fixed[0][sites], self.fixed[1][sites])
        return Categorical(self.logits[sites], fixed, self.source).log_probs

    def _check(self, values: Tensor) -> None:
        if bool(values.isnan().any()):
            raise NonFiniteError(f"{self.source} returned logits that are not finite")

    def site_log_probs(self, y: Tensor) -> Tensor:
        """``log p_i(y_i)`` at each site, (B, *S)."""
        found = log_prob_at(self.logits, y)
        self._check(found)
        if self.fixed is None:
            return found
        mask, values = self.fixed
        return torch.where(mask, torch.where(values == y, 0.0, -torch.inf).to(found), found)

    def site_log_sums(self, x: Tensor, near: SparseRows) -> tuple[Tensor, Tensor]:
        """``log p_i(x_i)`` and ``log sum_z p_i(z) S[z, x_i]`` at each site, each (B, *S).

        Args:
            x: states, which may be more than the categories: their ``log p_i`` is -inf.
            near: S, a sparse matrix of categories and states.
        """
        own, led = log_sums(self.logits, x, near)
        self._check(own)
        if self.fixed is None:
            return own, led
        mask, values = self.fixed
        surely = near.at(values.clamp(max=near.num_rows - 1), x).log().to(led)
        point = torch.where(values == x, 0.0, -torch.inf).to(own)
        return torch.where(mask, point, own), torch.where(mask, surely, led)

    def site_log_means(
        self, of: Callable[[Tensor], Tensor], at: Callable[[Tensor], Tensor]
    ) -> Tensor:
        """``log sum_z p_i(z) f_i(z)`` at each site, (B, *S), for f that its caller can sum.

        Args:
            of: gives it for ``p ∝ exp(logits)`` from the logits, (B, *S, K) to (B, *S); NaN where a
                row of them is no law.
            at: ``log f_i`` at one category a site, (B, *S) to (B, *S).
        """
        found = of(self.logits)
        self._check(found)
        if self.fixed is None:
            return found
        mask, values = self.fixed
        return torch.where(mask, at(values).to(found), found)

    def log_prob(self, y: Tensor) -> Tensor:
        """Sum over sites of log p_i(y_i), shape (B,)."""
        return sum_sites(self.site_log_probs(y))

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """One exact draw a site, long, (B, *S)."""
        return self._fix(self._draw(self.logits, generator))

    def _fix(self, z: Tensor) -> Tensor:
        return z if self.fixed is None else torch.where(self.fixed[0], self.fixed[1], z)

    def sample_at(self, sites: tuple[Tensor, ...], generator: torch.Generator | None) -> Tensor:
        """Draws at n sites alone, named by their indices into (B, *S); long, (n,)."""
        self._check(self.logits.reshape(self.logits.shape[0], -1)[:, 0])  # also where none is drawn
        z = self._draw(self.logits[sites], generator)
        if self.fixed is None:
            return z
        return torch.where(self.fixed[0][sites], self.fixed[1][sites], z)

    def _draw(self, logits: Tensor, generator: torch.Generator | None) -> Tensor:
        try:
            return draws.categorical(logits, generator)
        except NonFiniteError as error:
            raise NonFiniteError(f"{self.source} returned logits that are not finite") from error

    def mode(self) -> Tensor:
        """The most probable category a site, (B, *S)."""
        highest, z = self.logits.max(-1)
        self._check(highest - highest)  # not finite: NaN
        return self._fix(z)

    def entropy(self) -> Tensor:
        """Entropy in nats, (B,)."""
        return sum_sites(entropies(self.log_probs.exp()))
