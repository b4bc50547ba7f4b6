"""Distribution objects: what `TransitionKernel.transition` returns, and what a network reads out.

A chain or an objective asks a distribution to `sample`, for `log_prob`, `mode` or `entropy`, and
never which type it is. Log-probabilities are summed over sites: shape (B,).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cached_property

import torch
from torch import Tensor

from discrete_ca import checks, draws
from discrete_ca.corruption import Corruption
from discrete_ca.corruption.segments import log_sums
from discrete_ca.corruption.sparse import SparseRows
from discrete_ca.errors import NonFiniteError
from discrete_ca.logits import log_prob_at, wide


def sum_sites(values: Tensor) -> Tensor:
    """Sum over all site dimensions: (B, *S) to (B,).

    Example:
        >>> sum_sites(torch.ones(2, 3, 4))
        tensor([12., 12.])
    """
    return values.reshape(values.shape[0], -1).sum(-1)


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


class Distribution(ABC):
    """A law over states of shape (B, *S), one for each of the B examples.

    A user's own needs `sample` and `log_prob`; chains that ask for a mode need `mode`.
    """

    @abstractmethod
    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """One draw an example, shape (B, *S), without gradient."""

    @abstractmethod
    def log_prob(self, y: Tensor) -> Tensor:
        """Log-probability (or density) of y, shape (B, *S), summed over sites: (B,)."""

    def mode(self) -> Tensor:
        """The most probable value a site, shape (B, *S)."""
        raise NotImplementedError(f"{type(self).__name__} has no mode")

    def entropy(self) -> Tensor:
        """Entropy in nats, shape (B,)."""
        raise NotImplementedError(f"{type(self).__name__} has no closed entropy")


class Transition(Distribution):
    """A law of the next state y given x, with the read-out p(z|x) where the kernel has one."""

    read_out: Distribution | None = None


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


def entropies(probs: Tensor) -> Tensor:
    """Entropy in nats of each row: (..., V) to (...); 0 log 0 = 0.

    Example:
        >>> entropies(torch.tensor([0.5, 0.5, 0.0]))
        tensor(0.6931)
    """
    return -torch.special.xlogy(probs, probs).sum(-1)


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
        checks.states(y, self.corruption.num_states, "y")
        if y.shape != self.x.shape:
            raise ValueError(f"y has shape {tuple(y.shape)}; allowed: {tuple(self.x.shape)}")
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
        device = generator.device if generator is not None else self.mean.device
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
