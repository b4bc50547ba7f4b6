r"""The autoregressive kernel: sites are drawn one after another inside a step (theory, section 5).

.. math:: p_\theta(y|x) = \prod_i \big[ h\,1(y_i = x_i) + (1 - h)\, p_\theta(y_i | y_{<i}, x) \big]

It has no factorisation error: ``Σ_z p(z|x) q_b(y|z)``, which is in exact detailed balance with
p_b, is within its reach at any hold, h = 0 included. Every fixed point of contrastive adjustment in
it is in detailed balance too, but they are not unique, from independence to the identity, so that
it needs an anchor that asks for mixing: `Renoising`, which trains it to just that law.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from discrete_ca import checks, draws
from discrete_ca.corruption import Corruption
from discrete_ca.distributions import Transition, held_or_fresh, sum_sites
from discrete_ca.errors import NonFiniteError
from discrete_ca.kernels.corrupted import CorruptionKernel
from discrete_ca.logits import log_prob_at
from discrete_ca.nn.autoregressive import AutoregressiveTransformer, in_order


class AutoregressiveKernel(CorruptionKernel):
    """A kernel over categorical states that draws a site given x and the sites before it.

    A step costs one evaluation of the network's reading part and D of its writing part, whose keys
    and values are kept; `log_prob` takes one pass. NFE counts a step as one.

    Args:
        net: such as `discrete_ca.nn.AutoregressiveTransformer`.
        corruption: the noise.
        hold: h, the probability that a site is held in an equal-level step, in [0, 1].

    Raises:
        ValueError: for a hold outside [0, 1], a network that cannot write site by site, or one for
            another number of states.

    Example:
        >>> from discrete_ca.corruption import Uniform
        >>> from discrete_ca.nn import AutoregressiveTransformer
        >>> net = AutoregressiveTransformer(2, shape=(5,), width=16, depth=1)
        >>> kernel = AutoregressiveKernel(net, Uniform(2))
        >>> step = kernel.transition(torch.zeros(3, 5, dtype=torch.long), level=0.3)
        >>> step.log_prob(step.sample()).shape
        torch.Size([3])
    """

    net: AutoregressiveTransformer

    def __init__(
        self, net: AutoregressiveTransformer, corruption: Corruption, hold: float = 0.0
    ) -> None:
        if not (hasattr(net, "read") and hasattr(net, "write")):
            raise ValueError(
                f"net was a {type(net).__name__}; allowed: a network that writes sites one after "
                "another, such as discrete_ca.nn.AutoregressiveTransformer"
            )
        super().__init__(net, corruption, hold)

    @property
    def num_states(self) -> int:
        """V."""
        return self.corruption.num_states

    def transition(
        self,
        x: Tensor,
        level: checks.Level,
        target_level: checks.Level | None = None,
        label: Tensor | int | None = None,
        known: checks.Known | None = None,
        hold: float | Tensor | None = None,
    ) -> AutoregressiveTransition:
        """The law of the next state; see `TransitionKernel.transition`.

        A `hold`, a number or (B,), takes the place of the kernel's own.

        Raises:
            TypeError: for states or masks of the wrong dtype.
            ValueError: for states, levels, labels or masks out of range or of the wrong shape.
            NonFiniteError: (when the law is used) for NaN logits.
        """
        x, b_x, b_y, known = self._begin(x, level, target_level, known)
        given = self.hold if hold is None else hold
        holds = checks.holds(given if target_level is None else 0.0, b_x)
        told = self._told(x, label, known, holds)
        return AutoregressiveTransition(self, x, b_x, b_y, holds, told, known)

    def renoise(
        self,
        x: Tensor,
        z: Tensor,
        b: Tensor,
        generator: torch.Generator | None = None,
        hold: Tensor | None = None,
    ) -> Tensor:
        """Draw another noisy copy of z, y ~ q(y|x, z) with sites held at x by h, (B, *S)."""
        held = self.hold if hold is None else hold
        y: Tensor = self.corruption.step(x, z, held, b, b, generator)
        return y


class AutoregressiveTransition(Transition):
    """One step of an `AutoregressiveKernel`.

    Args:
        kernel: whose step it is.
        x: states at `b_x`, (B, *S).
        b_x: level of x, (B,).
        b_y: level of y, (B,); at level 0, y is clean and takes categories alone.
        hold: h, (B,).
        told: what the network is told of label, known sites and hold, by name.
        known: (mask, values); sites with mask False stay at their values and count nothing.
    """

    def __init__(
        self,
        kernel: AutoregressiveKernel,
        x: Tensor,
        b_x: Tensor,
        b_y: Tensor,
        hold: Tensor,
        told: dict[str, Tensor | None],
        known: checks.Known | None,
    ) -> None:
        self.kernel, self.x, self.b_x, self.b_y = kernel, x, b_x, b_y
        self.told, self.known = told, known
        # what is clean and stays clean stays as it is
        self.hold = hold.masked_fill((b_x == 0) & (b_y == 0), 1.0)

    @property
    def read_out(self) -> AutoregressiveTransition:  # type: ignore[override]
        """p_θ(z|x), which draws sites one after another too, and holds none."""
        clean = torch.zeros_like(self.b_y)
        told = {**self.told, "hold": clean} if "hold" in self.told else self.told
        return AutoregressiveTransition(
            self.kernel, self.x, self.b_x, clean, clean, told, self.known
        )

    def _allowed(self, logits: Tensor) -> Tensor:
        """Logits (B, ..., V) without states that are no categories, where y is clean."""
        k = self.kernel.corruption.num_categories
        if logits.shape[-1] == k:
            return logits
        clean = (self.b_y == 0).reshape(-1, *(1,) * (logits.ndim - 1))
        extra = torch.arange(logits.shape[-1], device=logits.device) >= k
        return logits.masked_fill(clean & extra, -torch.inf)

    def log_prob(self, y: Tensor) -> Tensor:
        """Log-probability of y, (B,), in one pass; differentiable in the network.

        Raises:
            TypeError: for y that does not hold int64.
            ValueError: for y of another shape than x, or values that are no states.
        """
        checks.states(y, self.kernel.num_states, "y", self.x.shape)
        if self.known is not None:
            y = torch.where(self.known[0], y, self.known[1])
        logits = self.kernel.net(self.x, self.b_x, y, self.b_y, **self.told)
        self.kernel._check_output(logits, (*y.shape, self.kernel.num_states), self.kernel.net)
        sites = log_prob_at(self._allowed(logits), y)
        if bool(sites.isnan().any()):
            raise NonFiniteError("the network returned logits that are not finite")
        sites = held_or_fresh(sites, self.hold, y == self.x)
        return sum_sites(sites if self.known is None else sites.where(self.known[0], 0.0))

    @torch.no_grad()
    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """One draw, long, (B, *S): site after site."""
        held = None
        if bool((self.hold > 0).any()):
            u = draws.uniform(self.x.shape, self.x.device, generator)
            held = u < checks.spread(self.hold, self.x)
        y = torch.empty_like(in_order(self.x))
        for site, logits in self._sites(y):
            y[:, site] = draws.categorical(logits, generator)
            self._settle(y, site, held)
        return y.reshape(self.x.shape)

    @torch.no_grad()
    def mode(self) -> Tensor:
        """The most probable value of each site given the modes of those before it, (B, *S).

        This is greedy: the most probable y as a whole may be another.
        """
        y = torch.empty_like(in_order(self.x))
        for site, logits in self._sites(y):
            y[:, site] = self._mixed(logits, site).argmax(-1)
            self._settle(y, site, None)
        return y.reshape(self.x.shape)

    def _sites(self, y: Tensor) -> Iterator[tuple[int, Tensor]]:
        """Each site's index and logits (B, V); what stands in y before it must be settled."""
        net = self.kernel.net
        seen, condition = net.read(self.x, self.b_x, self.b_y, **self.told)
        memory = net.memory()
        for site in range(y.shape[1]):
            before = y[:, site - 1] if site else None
            logits = self._allowed(net.write(seen, condition, site, before, memory))
            if bool(logits.isnan().any()):
                raise NonFiniteError("the network returned logits that are not finite")
            yield site, logits

    def _mixed(self, logits: Tensor, site: int) -> Tensor:
        """The law of a site, holds included, (B, V)."""
        h = self.hold.double()[:, None]
        probs = logits.double().softmax(-1) * (1 - h)
        return probs.scatter_add(1, in_order(self.x)[:, site : site + 1], h)

    def _settle(self, y: Tensor, site: int, held: Tensor | None) -> None:
        """Put what is held or known into a site that was drawn."""
        if held is not None:
            y[:, site] = torch.where(in_order(held)[:, site], in_order(self.x)[:, site], y[:, site])
        if self.known is not None:
            mask, values = (in_order(part)[:, site] for part in self.known)
            y[:, site] = torch.where(mask, y[:, site], values)
