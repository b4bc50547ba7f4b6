"""One step of a categorical noise kernel: sites are held, or drawn anew (theory, section 3.1)."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import torch
from torch import Tensor

from discrete_ca import checks, draws
from discrete_ca.corruption import Corruption
from discrete_ca.distributions.base import Transition, sum_sites
from discrete_ca.distributions.categorical import Categorical
from discrete_ca.logits import entropies


def held_or_fresh(log_fresh: Tensor, hold: Tensor, same: Tensor) -> Tensor:
    """``log [h 1(y = x) + (1 - h) p(y)]`` at each site: it was held, or drawn anew.

    Args:
        log_fresh: log p(y) of a site that is drawn anew, (B, *S).
        hold: h, (B,).
        same: where y = x, (B, *S).

    Example:
        >>> log_half = torch.full((1, 2), 0.5).log()
        >>> held_or_fresh(log_half, torch.tensor([0.5]), torch.tensor([[True, False]])).exp()
        tensor([[0.7500, 0.2500]])
    """
    h = checks.spread(hold, log_fresh).to(log_fresh.dtype)
    fresh = torch.log1p(-h) + log_fresh
    return torch.where(same, torch.logaddexp(h.log(), fresh), fresh)


class CategoricalTransition(Transition):
    """One hold-or-refresh step of a categorical noise kernel (theory, section 3.1).

    ``p(y|x) = prod_i [h' 1(y_i = x_i) + (1 - h') sum_z p(z_i = z | x) Q_{b'}[z, y_i]]`` for linear
    families and for equal levels; between levels of other families the hold depends on the value
    and `log_prob` goes through the dense `probs`.

    Args:
        x: states at level `b_x`, long, (B, *S).
        read_out: the read-out p(z|x) of the denoiser.
        adjust: makes the law p(z|x) that the step uses from the read-out; None for a step that
            uses the read-out itself. Called when first needed.
        corruption: the noise.
        hold: h, shape (B,).
        b_x: level of x, shape (B,).
        b_y: level of y, shape (B,).
        known: (mask, values), each (B, *S); sites with mask False stay at their values and count
            nothing in `log_prob`.
    """

    read_out: Categorical

    def __init__(
        self,
        x: Tensor,
        read_out: Categorical,
        corruption: Corruption,
        hold: Tensor,
        b_x: Tensor,
        b_y: Tensor,
        known: checks.Known | None = None,
        adjust: Callable[[Categorical], Categorical] | None = None,
    ) -> None:
        self.x, self.read_out, self.corruption = x, read_out, corruption
        self.hold, self.b_x, self.b_y, self.known = hold, b_x, b_y, known
        self._adjust = adjust

    @cached_property
    def law(self) -> Categorical:
        """The law p(z|x) that the step uses."""
        return self.read_out if self._adjust is None else self._adjust(self.read_out)

    @property
    def log_pz(self) -> Tensor:
        """The law p(z|x) that the step uses, as log-probabilities (B, *S, K)."""
        return self.law.log_probs

    @cached_property
    def _mixture(self) -> bool:
        """Whether each site is held with probability h', else drawn anew, whatever its value."""
        same = self.b_x is self.b_y or bool((self.b_x == self.b_y).all())
        return self.corruption.linear or same

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """Draw z ~ p(z|x), then y ~ q(y|x, z); long, (B, *S).

        Where the hold does not depend on z, the sites to hold are drawn first: the others alone
        need a z.
        """
        if not self._mixture:
            z = self.law.sample(generator)
            y = self.corruption.step(self.x, z, self.hold, self.b_x, self.b_y, generator)
            return y if self.known is None else torch.where(self.known[0], y, self.known[1])
        held, level = self.corruption.couple(self.hold, self.b_x, self.b_y)
        u = draws.uniform(self.x.shape, self.x.device, generator)
        fresh = u >= checks.spread(held, self.x)
        y = self.x
        if self.known is not None:
            mask, values = self.known
            fresh, y = fresh & mask, torch.where(mask, y, values)
        sites = fresh.nonzero(as_tuple=True)
        if not len(sites[0]):
            return y.clone()
        if len(sites[0]) == y.numel():  # the same draws, without a copy of the logits
            z = self.law.sample(generator).reshape(-1)
        else:
            z = self.law.sample_at(sites, generator)
        if self.corruption.linear:  # a site alone costs what it costs among others
            return y.index_put(sites, self.corruption.sample(z, level[sites[0]], generator))
        whole = torch.zeros_like(y).index_put(sites, z)
        return torch.where(fresh, self.corruption.sample(whole, level, generator), y)

    def log_prob(self, y: Tensor) -> Tensor:
        """Log-probability of y, (B,); differentiable in the network.

        Raises:
            TypeError: for y that does not hold int64.
            ValueError: for y of another shape than x, or values that are no states.
        """
        checks.states(y, self.corruption.num_states, "y", self.x.shape)
        if self._mixture:
            held, level = self.corruption.couple(self.hold, self.b_x, self.b_y)
            pushed = self.corruption.log_push_forward_from(self.law, y, level)
            sites = held_or_fresh(pushed, held, y == self.x)
        else:
            sites = self.probs().gather(-1, y.unsqueeze(-1)).squeeze(-1).log()
        return sum_sites(sites if self.known is None else sites.where(self.known[0], 0.0))

    def log_site_ratios(self, y: Tensor, sites: tuple[Tensor, ...]) -> Tensor:
        """``log p_b(x with y_i at i) / p_b(x)``, by the read-out, at n sites i; (n,).

        It is ``log sum_z p(z_i = z | x) Q_b[z, y_i] / Q_b[z, x_i]``.

        Args:
            y: states, (B, *S).
            sites: indices into (B, *S), each (n,).

        Raises:
            ValueError: for noise under which a state rules out categories: it cannot say how
                probable they would be.
        """
        level = self.b_x[sites[0]]
        log_pz = self.read_out.log_probs_at(sites)
        here, there = (
            self.corruption.log_likelihood(of[sites].unsqueeze(1), level).squeeze(1).to(log_pz)
            for of in (self.x, y)
        )
        if bool(here.isneginf().any()):
            raise ValueError(
                f"{type(self.corruption).__name__} rules out categories by a state at level "
                f"{float(self.b_x.min()):g}; allowed: noise that leads from each to every state"
            )
        return (log_pz + there - here).logsumexp(-1)

    def where(self, mask: Tensor, other: CategoricalTransition) -> CategoricalTransition:
        """This law in the examples where a mask (B,) is True, and another of its kind elsewhere."""

        def chosen(mine: Tensor, others: Tensor) -> Tensor:
            return torch.where(checks.spread(mask, mine), mine, others)

        mine, others = self.read_out, other.read_out
        fixed = mine.fixed
        if fixed is not None and others.fixed is not None:
            fixed = chosen(fixed[0], others.fixed[0]), chosen(fixed[1], others.fixed[1])
        read_out = Categorical(chosen(mine.logits, others.logits), fixed, mine.source)
        adjust = None
        if self._adjust is not None:
            law = Categorical(chosen(self.law.logits, other.law.logits), fixed, self.law.source)

            def adjust(_: Categorical) -> Categorical:
                return law

        return CategoricalTransition(
            chosen(self.x, other.x), read_out, self.corruption, self.hold, self.b_x, self.b_y,
            self.known, adjust,
        )  # fmt: skip

    def towards(self, target: Tensor, hold: Tensor) -> CategoricalTransition:
        """The law of a move from the same state to another level, by the same read-out.

        Args:
            target: b_y, (B,).
            hold: h, (B,).
        """
        return CategoricalTransition(
            self.x, self.read_out, self.corruption, hold, self.b_x, target, self.known
        )

    def probs(self) -> Tensor:
        """The whole law a site, (B, *S, V) in float64: dense, for small spaces and inspection."""
        law = self.corruption.coupling(self.x, self.hold, self.b_x, self.b_y)
        probs = (self.log_pz.double().exp().unsqueeze(-1) * law).sum(-2)
        if self.known is None:
            return probs
        mask, values = self.known
        fixed = torch.nn.functional.one_hot(values, self.corruption.num_states).to(probs)
        return torch.where(mask.unsqueeze(-1), probs, fixed)

    def mode(self) -> Tensor:
        """The most probable next value a site, (B, *S); builds `probs`."""
        return self.probs().argmax(-1)

    def entropy(self) -> Tensor:
        """Entropy in nats, (B,); builds `probs`."""
        return sum_sites(entropies(self.probs()))
