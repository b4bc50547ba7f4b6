r"""What noise is: a family of row-stochastic matrices Q_b and an exact coupling of its levels.

A clean category z becomes a noisy state x with probability ``Q_b[z, x]``, where b in [0, 1] is the
noise level, Q_0 is the identity (padded with columns of zeros where there are more states than
categories) and sites are independent: ``q_b(x|z) = prod_i Q_b[z_i, x_i]`` (theory, section 1).

The *coupling* q(y | x, z) moves a site from level b_x to level b_y and keeps its marginal right:
if ``x ~ Q_{b_x}[z, .]`` then ``y ~ Q_{b_y}[z, .]`` (theory, section 3.1).

* Linear families, ``Q_b = (1 - b) I + b R``: hold x with probability h', else redraw from
  Q_{b'}[z, .].
* All others: hold x with a probability that depends on z and x,
  ``h min(1, Q_{b_y}[z, x] / Q_{b_x}[z, x])``, else redraw from what is missing,
  ``Q_{b_y}[z, .] - h min(Q_{b_x}[z, .], Q_{b_y}[z, .])``, normalised.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from discrete_ca import checks, draws
from discrete_ca.corruption.sparse import SparseRows
from discrete_ca.logits import log_sum_exp
from discrete_ca.serialization import Configured

# Rounds of rejection before the few sites that are left get their residual law in full.
_REJECTION_ROUNDS = 8
_ROW_TOLERANCE = 1e-6


class Law(Protocol):
    """p(z) a site, as a corruption asks for it; `discrete_ca.distributions.Categorical` is one."""

    @property
    def log_probs(self) -> Tensor:
        """All of log p, (B, *S, K): a copy of the logits."""

    def site_log_probs(self, z: Tensor) -> Tensor:
        """Log p at one category a site, (B, *S)."""

    def site_log_sums(self, x: Tensor, near: SparseRows) -> tuple[Tensor, Tensor]:
        """``log p(x)`` and ``log sum_z p(z) S[z, x]`` a site, each (B, *S)."""

    def site_log_means(
        self, of: Callable[[Tensor], Tensor], at: Callable[[Tensor], Tensor]
    ) -> Tensor:
        """``log sum_z p(z) f(z)`` a site, (B, *S), from what `of` makes of logits and `at` of z."""


class Corruption(Configured, nn.Module, ABC):
    """A family of corruption matrices Q_b, K x V, with everything derived from `matrix`.

    A user's own noise writes `matrix` and is done: the other methods have dense defaults that are
    right for every family. The structured families override them with closed forms.

    Args:
        num_categories: K, the number of clean categories.
        num_states: V, the number of noisy states; K unless the family adds states such as a mask.

    Example:
        >>> class Neighbour(Corruption):
        ...     '''A category steps to the next one, cyclically.'''
        ...     def matrix(self, level):
        ...         step = torch.eye(self.num_categories).roll(1, dims=1)
        ...         return (1 - level / 2) * torch.eye(self.num_categories) + level / 2 * step
        >>> Neighbour(3).sample(torch.tensor([[0, 1, 2]]), level=0.0)
        tensor([[0, 1, 2]])
    """

    linear: bool = False
    """Whether ``Q_b = (1 - b) I + b Q_1``, which has the cheaper coupling."""

    pointwise: bool = False
    """Whether ``sum_z p(z) Q_b[z, x]`` needs p at x alone; then `log_push_forward_at` has it."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """A subclass that pushes forward in its own way is asked for that, unless it has more."""
        super().__init_subclass__(**kwargs)
        own = cls.__dict__
        if "log_push_forward" not in own:
            return
        if "log_push_forward_at" not in own:
            cls.pointwise = False
        if "log_push_forward_from" not in own:
            cls.log_push_forward_from = Corruption.log_push_forward_from  # type: ignore[method-assign]

    def __init__(self, num_categories: int, num_states: int | None = None) -> None:
        super().__init__()
        self.num_categories = checks.positive(num_categories, "num_categories", least=1)
        states = num_categories if num_states is None else num_states
        self.num_states = checks.positive(states, "num_states", least=num_categories)

    def check_made(self) -> None:
        """Refuse a constructor of a subclass that left this one out.

        Raises:
            TypeError: for such.
        """
        if "_modules" not in self.__dict__ or "num_states" not in self.__dict__:
            raise TypeError(
                f"{type(self).__name__}.__init__ did not call super().__init__(num_categories), "
                "which every corruption needs"
            )

    @abstractmethod
    def matrix(self, level: float) -> Tensor:
        """Q_b at one level b, shape (K, V), rows summing to 1."""

    def extra_repr(self) -> str:
        """The sizes, for printing."""
        return f"num_categories={self.num_categories}, num_states={self.num_states}"

    # -- dense defaults ---------------------------------------------------------------------------

    def checked_matrix(self, level: float) -> Tensor:
        """`matrix(level)` in float64, refused where it is not row-stochastic.

        Raises:
            ValueError: for a wrong shape, entries that are not finite or negative, or rows that do
                not sum to 1.
        """
        return self._checked([level])[0]

    def _checked(self, levels: Sequence[float]) -> Tensor:
        """Q at several levels, (L, K, V) in float64, looked at together."""
        want = (self.num_categories, self.num_states)
        found = [self.matrix(level) for level in levels]

        def name(i: int) -> str:
            return f"{type(self).__name__}.matrix({levels[i]:g})"

        for i, each in enumerate(found):
            if tuple(each.shape) != want:
                raise ValueError(f"{name(i)} has shape {tuple(each.shape)}; allowed: {want}")
        q = torch.stack(found).double()
        if not bool(torch.isfinite(q).all()):
            bad = int((~torch.isfinite(q)).flatten(1).any(1).long().argmax())
            raise ValueError(f"{name(bad)} has entries that are not finite")
        if bool((q < 0).any()):
            least = q.flatten(1).amin(1)
            bad = int((least < 0).long().argmax())
            raise ValueError(
                f"{name(bad)} has negative entries; the smallest is {float(least[bad]):g}"
            )
        sums = q.sum(-1)
        error = (sums - 1).abs()
        if float(error.max()) > _ROW_TOLERANCE:
            bad, row = divmod(int(error.argmax()), self.num_categories)
            raise ValueError(f"{name(bad)} row {row} sums to {float(sums[bad, row]):g}; allowed: 1")
        return q / sums.unsqueeze(-1)

    def matrices(self, b: Tensor) -> tuple[Tensor, Tensor]:
        """Q at each distinct level of `b`, (L, K, V) in float64, and the index (B,) into it."""
        distinct, index = b.double().unique(return_inverse=True)
        return self._checked(distinct.tolist()).to(b.device), index

    @property
    def forgets(self) -> bool:
        """Whether Q_1 forgets z (its rows are equal), so that annealing has an exact start."""
        q = self.checked_matrix(1.0)
        return bool(torch.allclose(q, q[:1].expand_as(q), atol=1e-9, rtol=0.0))

    @property
    def rules_out(self) -> bool:
        """Whether a state may rule out a category, asked at level 1/2; see `metropolis.refusal`."""
        every = torch.arange(self.num_states)
        return bool(self.log_likelihood(every, 0.5).isneginf().any())

    def sample(
        self, z: Tensor, level: checks.Level, generator: torch.Generator | None = None
    ) -> Tensor:
        """Draw x ~ Q_b[z, .] at each site.

        Args:
            z: clean categories, long, shape (B, *S).
            level: b, a number or shape (B,).
            generator: source of randomness.

        Returns:
            Noisy states, long, shape (B, *S).
        """
        checks.states(z, self.num_categories, "z")
        return self._sample(z, checks.levels(level, z.shape[0], z.device), generator)

    def _sample(self, z: Tensor, b: Tensor, generator: torch.Generator | None) -> Tensor:
        q, index = self.matrices(b)
        return draws.weighted(q[checks.spread(index, z), z], generator)

    def log_prob(self, z: Tensor, x: Tensor, level: checks.Level) -> Tensor:
        """``log Q_b[z, x]`` at single points; z and x of shape (B, *S), result (B, *S)."""
        q, index = self.matrices(checks.levels(level, x.shape[0], x.device))
        return q[checks.spread(index, x), z, x].log()

    def log_likelihood(self, x: Tensor, level: checks.Level) -> Tensor:
        """The evidence of each state: ``log Q_b[., x_i]`` over categories, shape (B, *S, K)."""
        q, index = self.matrices(checks.levels(level, x.shape[0], x.device))
        return q.transpose(1, 2)[checks.spread(index, x), x].log()

    def log_push_forward(self, log_pz: Tensor, x: Tensor, level: checks.Level) -> Tensor:
        """``log sum_z p(z) Q_b[z, x]`` at the given states only.

        Args:
            log_pz: log p(z) a site, shape (B, *S, K).
            x: states, long, shape (B, *S).
            level: b, a number or shape (B,).

        Returns:
            Log-probabilities, shape (B, *S), in the dtype of `log_pz`.
        """
        if self.pointwise:
            at_x = x.clamp(max=self.num_categories - 1)  # states without a category need no p
            log_p = log_pz.gather(-1, at_x.unsqueeze(-1)).squeeze(-1)
            return self.log_push_forward_at(log_p, x, level)
        return log_sum_exp(log_pz + self.log_likelihood(x, level).to(log_pz.dtype))

    def log_push_forward_from(self, law: Law, x: Tensor, level: checks.Level) -> Tensor:
        """`log_push_forward` of a law that is asked for no more of p(z) than the family needs.

        What a family needs beside all of p, or p at x alone where it is `pointwise`, it asks for
        in a `log_push_forward_from` of its own.

        Args:
            law: p(z) a site.
            x: states, long, shape (B, *S).
            level: b, a number or shape (B,).

        Returns:
            Log-probabilities, shape (B, *S), differentiable in what made the law.
        """
        if not self.pointwise:
            return self.log_push_forward(law.log_probs, x, level)
        log_p = law.site_log_probs(x.clamp(max=self.num_categories - 1))
        return self.log_push_forward_at(log_p, x, level)

    def log_push_forward_at(self, log_p: Tensor, x: Tensor, level: checks.Level) -> Tensor:
        """`log_push_forward` from log p(z = x) alone, (B, *S), for families that are `pointwise`.

        What states without a category of their own (a mask) have as `log_p` does not matter.
        """
        raise NotImplementedError(f"{type(self).__name__} is not pointwise")

    def reveals(self, x: Tensor) -> Tensor | None:
        """Where a state tells z for certain at every level, shape (B, *S); None where never."""
        return None

    # -- the coupling of two levels ---------------------------------------------------------------

    def couple(self, hold: float | Tensor, b_x: Tensor, b_y: Tensor) -> tuple[Tensor, Tensor]:
        """The hold probability h' and residual level b' of a step from b_x to b_y, each (B,).

        For linear families (theory, section 3.1): ``h' = min(h, b_y / b_x)`` downward,
        ``min(h, (1 - b_y) / (1 - b_x))`` upward, ``b' = (b_y - h' b_x) / (1 - h')``. The case split
        keeps b' within [0, 1] in float32, and exactly 0 or 1 where the ratio binds. Other families
        return ``(hold, b_y)`` and hold by value, as `step` does.
        """
        h = torch.as_tensor(hold, dtype=b_x.dtype, device=b_x.device).expand_as(b_x)
        if not self.linear:
            return h, b_y
        down = b_y <= b_x
        part = torch.where(down, b_y, 1 - b_y)
        whole = torch.where(down, b_x, 1 - b_x)
        ratio = torch.where(whole > 0, part / whole.clamp_min(1e-45), 1.0).clamp(max=1.0)
        held = torch.minimum(h, ratio)
        gap = (1 - held).clamp_min(torch.finfo(b_x.dtype).tiny)
        level = ((b_y - held * b_x) / gap).clamp(0.0, 1.0)
        binds = (ratio <= h) & (b_x != b_y)
        level = torch.where(binds, torch.where(down, 0.0, 1.0).to(level), level)
        return held, torch.where((b_x == b_y) | (held == 1), b_y, level)

    def step(
        self,
        x: Tensor,
        z: Tensor,
        hold: float | Tensor,
        b_x: Tensor,
        b_y: Tensor,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Draw y ~ q(y | x, z), exactly, for any two levels.

        Args:
            x: states at level b_x, long, shape (B, *S).
            z: clean categories, long, shape (B, *S).
            hold: h, a number or shape (B,).
            b_x: level of x, shape (B,).
            b_y: level of y, shape (B,).
            generator: source of randomness.

        Returns:
            States at level b_y, long, shape (B, *S).
        """
        held, level = self.couple(hold, b_x, b_y)
        probability = checks.spread(held, x)
        if self.linear or bool((b_x == b_y).all()):
            keep = draws.uniform(x.shape, x.device, generator) < probability
            return torch.where(keep, x, self._sample(z, level, generator))
        change = self.log_prob(z, x, b_y) - self.log_prob(z, x, b_x)
        probability = probability * change.exp().nan_to_num(nan=1.0).clamp(max=1.0)
        keep = draws.uniform(x.shape, x.device, generator) < probability
        return torch.where(keep, x, self._residual(z, held, b_x, b_y, ~keep, generator))

    def _residual(
        self,
        z: Tensor,
        hold: Tensor,
        b_x: Tensor,
        b_y: Tensor,
        wanted: Tensor,
        generator: torch.Generator | None,
    ) -> Tensor:
        """Draw from the residual law where `wanted`: by rejection, the last few in full."""
        y = z.clone()
        for _ in range(_REJECTION_ROUNDS):
            if not bool(wanted.any()):
                return y
            v, fits = self._try_residual(z, hold, b_x, b_y, generator)
            accept = wanted & fits
            y = torch.where(accept, v, y)
            wanted = wanted & ~accept
        rows = wanted.nonzero(as_tuple=True)
        batch = rows[0]
        if not len(batch):  # the last round took the rest
            return y
        z_left = z[rows][:, None].expand(-1, self.num_states)
        every = torch.arange(self.num_states, device=z.device).expand_as(z_left)
        new = self.log_prob(z_left, every, b_y[batch]).exp()
        old = self.log_prob(z_left, every, b_x[batch]).exp()
        law = (new - hold[batch, None] * torch.minimum(old, new)).clamp_min(0.0)
        y[rows] = draws.weighted(law, generator)
        return y

    def _try_residual(
        self,
        z: Tensor,
        hold: Tensor,
        b_x: Tensor,
        b_y: Tensor,
        generator: torch.Generator | None,
    ) -> tuple[Tensor, Tensor]:
        """A draw from Q_{b_y} at each site, and whether it may stand for one from the residual."""
        v = self._sample(z, b_y, generator)
        change = self.log_prob(z, v, b_x) - self.log_prob(z, v, b_y)
        refuse = checks.spread(hold, z) * change.exp().clamp(max=1.0)
        return v, draws.uniform(z.shape, z.device, generator) >= refuse

    def coupling(self, x: Tensor, hold: float | Tensor, b_x: Tensor, b_y: Tensor) -> Tensor:
        """``q(y | x, z)`` for every z and y, shape (B, *S, K, V) in float64: for small spaces."""
        held, level = self.couple(hold, b_x.double(), b_y.double())
        same = nn.functional.one_hot(x, self.num_states).double().unsqueeze(-2)
        shape = (*x.shape, self.num_categories, self.num_states)

        def over_sites(b: Tensor) -> Tensor:
            q, index = self.matrices(b)
            return q[checks.spread(index, x)].expand(shape)

        h = checks.spread(held, torch.empty(shape, device="meta"))
        if self.linear or bool((b_x == b_y).all()):
            return h * same + (1 - h) * over_sites(level)
        old, new = over_sites(b_x), over_sites(b_y)
        kept = h * torch.minimum(old, new)
        old_x, kept_x = ((q * same).sum(-1, keepdim=True) for q in (old, kept))
        holds = torch.where(old_x > 0, kept_x / old_x.clamp_min(1e-300), h)
        rest = new - kept
        rest = rest / rest.sum(-1, keepdim=True).clamp_min(1e-300)
        return holds * same + (1 - holds) * rest

    def initial(
        self,
        count: int,
        shape: Sequence[int],
        generator: torch.Generator | None = None,
        device: torch.device | str = "cpu",
    ) -> Tensor:
        """Draw from the law at level 1, which needs no data; shape (count, *shape).

        Raises:
            ValueError: for a family whose Q_1 remembers z: such a chain starts from data.
        """
        if not self.forgets:
            raise ValueError(
                f"{type(self).__name__} does not forget z at level 1, so annealing has no exact "
                "start; start from data, or use a corruption with forgets=True"
            )
        z = torch.zeros((count, *shape), dtype=torch.long, device=device)
        return self._sample(z, torch.ones(count, device=device), generator)
