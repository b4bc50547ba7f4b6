r"""Mixtures of three parts, of which only one is a matrix that is stored, and that one sparse.

    Q_b = k_b I + s_b S + n_b 1 Nᵀ

with weights k_b + s_b + n_b = 1, a sparse row-stochastic S and one law N for all rows. Everything
but `matrix` costs what the entries of S cost that are met: draws are O(log k) a site, and a state's
pushed-forward probability needs p at that state and at what S leads there from (theory, section
3.3).
"""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from discrete_ca import checks, draws
from discrete_ca.corruption.base import Corruption, Law
from discrete_ca.corruption.segments import log_sums, runs
from discrete_ca.corruption.sparse import Precise, SparseRows
from discrete_ca.logits import log_sum_exp

# Rounds of rejection on the sites left alone, before the base's; a round costs little.
_REJECTION_ROUNDS = 64


class Mixture(Corruption, Precise):
    """A corruption ``Q_b = k_b I + s_b S + n_b N``; a subclass says what the `weights` are.

    Args:
        num_categories: K.
        num_states: V.
        near: S, K x V; None where s_b is 0.
        fresh: N, shape (V,) in float64, summing to 1; None where n_b is 0.
    """

    near: SparseRows | None
    fresh: Tensor
    fresh_reach: Tensor
    sure: Tensor

    def __init__(
        self,
        num_categories: int,
        num_states: int,
        near: SparseRows | None = None,
        fresh: Tensor | None = None,
    ) -> None:
        Corruption.__init__(self, num_categories, num_states)  # `SparseMatrix` has a second parent
        self.near = near
        self._forgetting = fresh is not None
        if fresh is None:
            fresh = torch.zeros(num_states, dtype=torch.float64)
        sure = (fresh == 0) & (torch.arange(num_states, device=fresh.device) < num_categories)
        if near is not None:  # a state that another category leads to tells nothing for sure
            alone = near.in_start.diff()[:num_categories]
            every = torch.arange(num_categories, device=alone.device)
            alone = alone - (near.at(every, every) > 0).long()
            sure[:num_categories] &= (alone == 0).to(sure.device)
        self._hold(fresh=fresh, fresh_reach=fresh.cumsum(0), sure=sure)
        self._reveals = bool(sure.any())

    @abstractmethod
    def weights(self, b: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """``(k_b, s_b, n_b)`` at levels b in float64, each of the shape of b."""

    def _weights(self, level: checks.Level, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        b = checks.levels(level, x.shape[0], x.device).double()
        kept, near, fresh = (checks.spread(w, x) for w in self.weights(b))
        return kept, near, fresh

    def matrix(self, level: float) -> Tensor:
        """Q_b in full, shape (K, V) in float64: for small spaces."""
        b = torch.tensor(level, dtype=torch.float64, device=self.fresh.device)
        kept, near, fresh = self.weights(b)
        whole = kept * torch.eye(self.num_categories, self.num_states).to(self.fresh)
        whole = whole + fresh * self.fresh
        return whole if self.near is None else whole + near * self.near.dense()

    def _sample(self, z: Tensor, b: Tensor, generator: torch.Generator | None) -> Tensor:
        kept, near, _ = (checks.spread(w, z) for w in self.weights(b.double()))
        part = draws.uniform(z.shape, z.device, generator)
        u = draws.uniform(z.shape, z.device, generator)
        moved = part >= kept
        if self.near is None:
            return torch.where(moved, self._draw_fresh(u), z)
        x = torch.where(moved, self.near.draw(z, u), z)
        return torch.where(part >= kept + near, self._draw_fresh(u), x) if self._forgetting else x

    def _draw_fresh(self, u: Tensor) -> Tensor:
        reach = self.fresh_reach
        target = torch.minimum(u * reach[-1], torch.nextafter(reach[-1], reach.new_zeros(())))
        return torch.searchsorted(reach, target, right=True)

    def log_prob(self, z: Tensor, x: Tensor, level: checks.Level) -> Tensor:
        """``log Q_b[z, x]`` at single points, shape (B, *S) in float64."""
        kept, near, fresh = self._weights(level, x)
        found = torch.where(x == z, kept, 0.0) + fresh * self.fresh[x]
        return (found if self.near is None else found + near * self.near.at(z, x)).log()

    def log_likelihood(self, x: Tensor, level: checks.Level) -> Tensor:
        """``log Q_b[., x_i]``, shape (B, *S, K), in the dtype of the level."""
        k, dtype = self.num_categories, checks.levels(level, x.shape[0], x.device).dtype
        kept, near, fresh = (w.expand(x.shape).reshape(-1) for w in self._weights(level, x))
        states = x.reshape(-1)
        found = (fresh * self.fresh[states]).to(dtype)[:, None].repeat(1, k)
        if self.near is not None:
            entries = found.reshape(-1)
            for run in runs(states, self.near):
                site, z, log_value, _ = self.near.pairs(states[run])
                value = (near[run][site] * log_value.exp()).to(dtype)
                entries.index_add_(0, (site + run.start) * k + z, value)
        own = torch.where(states < k, kept, 0.0).to(dtype)
        found.scatter_add_(-1, states.clamp(max=k - 1)[:, None], own[:, None])
        return found.log_().reshape(*x.shape, k)

    def log_push_forward(self, log_pz: Tensor, x: Tensor, level: checks.Level) -> Tensor:
        """``log(k_b p(x) + s_b sum_z p(z) S[z, x] + n_b N[x])``, from p where S leads to x."""
        if self.near is None:
            at_x = x.clamp(max=self.num_categories - 1).unsqueeze(-1)
            return self._mix(log_pz.gather(-1, at_x).squeeze(-1), None, x, level)
        own, led = log_sums(log_pz, x, self.near, normalised=False)
        return self._mix(own.to(log_pz.dtype), led.to(log_pz.dtype), x, level)

    def log_push_forward_from(self, law: Law, x: Tensor, level: checks.Level) -> Tensor:
        """`log_push_forward`, from logits and their normaliser."""
        if self.near is None:
            log_p = law.site_log_probs(x.clamp(max=self.num_categories - 1))
            return self._mix(log_p, None, x, level)
        return self._mix(*law.site_log_sums(x, self.near), x, level)

    def _mix(self, own: Tensor, led: Tensor | None, x: Tensor, level: checks.Level) -> Tensor:
        """The three parts, from ``log p(x)`` and the log-probability of what S leads to x."""
        kept, near, fresh = (w.log() for w in self._weights(level, x))
        own = own.masked_fill(x >= self.num_categories, -torch.inf)
        parts = [kept.to(own.dtype) + own, (fresh + self.fresh[x].log()).to(own.dtype)]
        if led is not None:
            parts.append(near.to(led.dtype) + led)
        return log_sum_exp(torch.stack(parts, -1))

    def reveals(self, x: Tensor) -> Tensor | None:
        """Sites whose state comes from no other category, as under a pure mask; None where none."""
        return self.sure[x] if self._reveals else None

    def _residual(
        self,
        z: Tensor,
        hold: Tensor,
        b_x: Tensor,
        b_y: Tensor,
        wanted: Tensor,
        generator: torch.Generator | None,
    ) -> Tensor:
        """As the base's, but first on the sites that are left alone: they cost no more than that.

        The base's last resort writes out all V states of a site, which are many here.
        """
        y = z.clone()
        sites = wanted.nonzero(as_tuple=True)
        for _ in range(_REJECTION_ROUNDS):
            batch = sites[0]
            if not len(batch):
                return y
            v, accept = self._try_residual(z[sites], hold[batch], b_x[batch], b_y[batch], generator)
            y = y.index_put(tuple(s[accept] for s in sites), v[accept])
            sites = tuple(s[~accept] for s in sites)
        batch = sites[0]
        every = torch.ones_like(batch, dtype=torch.bool)
        rest = super()._residual(z[sites], hold[batch], b_x[batch], b_y[batch], every, generator)
        return y.index_put(sites, rest)
