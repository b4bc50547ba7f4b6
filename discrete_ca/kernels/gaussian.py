r"""The Gaussian noise kernel (paper, Sec. 2.3, Eq. 19; theory, section 4).

``x | z ~ N(a z, v)`` with coefficients (a, v) of the level, and p_θ(z|x) = N(μ, s²) a site from the
network. With ``w' = min(w, sqrt(v_y / v_x))`` and ``c = a_y - w' a_x``:

    p_θ(y|x) = N(w' x + c μ, v_y - w'² v_x + c² s²)

Where c would be negative w' is lowered to a_y / a_x, so that no step pushes away from z.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from discrete_ca import checks
from discrete_ca.distributions import Normal
from discrete_ca.errors import NonFiniteError
from discrete_ca.kernels.base import NetworkKernel, some
from discrete_ca.serialization import Configured

_LOG_VARIANCE_RANGE = (-20.0, 10.0)


class LinearNoise(Configured):
    """The paper's coefficients: ``a = 1 - b``, ``v = b``.

    Example:
        >>> LinearNoise().coefficients(torch.tensor([0.25]))
        (tensor([0.7500]), tensor([0.2500]))
    """

    def __init__(self) -> None: ...

    def coefficients(self, b: Tensor) -> tuple[Tensor, Tensor]:
        """(a, v) at levels b, each of the shape of b."""
        return 1 - b, b


class VariancePreserving(LinearNoise):
    """``a = sqrt(1 - b)``, ``v = b``: data of unit variance keep it at every level.

    Example:
        >>> VariancePreserving().coefficients(torch.tensor([0.75]))
        (tensor([0.5000]), tensor([0.7500]))
    """

    def __init__(self) -> None: ...

    def coefficients(self, b: Tensor) -> tuple[Tensor, Tensor]:
        """(a, v) at levels b, each of the shape of b."""
        return (1 - b).sqrt(), b


class GaussianNoiseKernel(NetworkKernel):
    """A kernel over continuous states, from a network that gives mean and log-variance of z.

    Args:
        net: ``net(x, b) -> (B, *S, 2)``, mean μ and log-variance log s² a site.
        noise: the coefficients of the level.
        hold: w in [0, 1), the weight of x in the next state.

    Raises:
        ValueError: for a hold outside [0, 1).

    Example:
        >>> class Zero(nn.Module):
        ...     def forward(self, x, b):
        ...         return torch.zeros(*x.shape, 2)
        >>> kernel = GaussianNoiseKernel(Zero(), hold=0.5)
        >>> kernel.transition(torch.ones(1, 4), level=0.5).sample().shape
        torch.Size([1, 4])
    """

    holds_below_one = True  # at 1 the next state has no density

    def __init__(self, net: nn.Module, noise: LinearNoise | None = None, hold: float = 0.9) -> None:
        super().__init__(net)
        self.noise = noise if noise is not None else LinearNoise()
        self.hold = checks.probability(hold, "hold", below_one=True)

    def transition(
        self,
        x: Tensor,
        level: checks.Level,
        target_level: checks.Level | None = None,
        label: Tensor | int | None = None,
        known: checks.Known | None = None,
        hold: float | Tensor | None = None,
    ) -> Normal:
        """The law of the next state; see `TransitionKernel.transition`.

        A `hold`, a number or (B,), takes the place of the kernel's own.

        Raises:
            TypeError: for states that are not floating point.
            ValueError: for levels, labels or masks out of range or of the wrong shape, or a hold
                of 1.
            NonFiniteError: for a network that returns NaN or infinite values.
        """
        some(x)
        if not x.is_floating_point():
            raise TypeError(f"x has dtype {x.dtype}; allowed: floating point")
        b_x = checks.levels(level, x.shape[0], x.device).to(x.dtype)
        b_y = (
            b_x
            if target_level is None
            else checks.levels(target_level, x.shape[0], x.device, "target_level").to(x.dtype)
        )
        if known is not None:
            known = checks.known_sites(known, x)
            x = torch.where(known[0], x, known[1].to(x))
        holds = checks.holds(self.hold if hold is None else hold, b_x)
        if bool((holds == 1).any()):
            raise ValueError(f"hold was {hold}; allowed with real-valued states: [0, 1)")
        out = self._apply_net(x, b_x, label, known, holds)
        self._check_output(out, (*x.shape, 2), self.net)
        if not bool(out.isfinite().all()):
            raise NonFiniteError(f"{type(self.net).__name__} returned values that are not finite")
        mean, log_variance = out.to(torch.promote_types(out.dtype, torch.float32)).unbind(-1)
        read_out = Normal(mean, log_variance.clamp(*_LOG_VARIANCE_RANGE).exp(), known=known)
        w, c, kept = (checks.spread(t, x) for t in self.weights(b_x, b_y, holds))
        variance = kept + c**2 * read_out.variance
        return Normal(w * x + c * mean, variance, read_out, known)

    def weights(
        self, b_x: Tensor, b_y: Tensor, hold: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """``(w', c, v_y - w'² v_x)`` of a step from b_x to b_y, each (B,)."""
        (a_x, v_x), (a_y, v_y) = self.noise.coefficients(b_x), self.noise.coefficients(b_y)
        w = torch.full_like(b_x, self.hold) if hold is None else hold
        w = torch.where(v_x > 0, torch.minimum(w, (v_y / v_x.clamp_min(1e-30)).sqrt()), w)
        w = torch.where(a_x > 0, torch.minimum(w, a_y / a_x.clamp_min(1e-30)), w)
        return w, a_y - w * a_x, (v_y - w**2 * v_x).clamp_min(0.0)

    def corrupt(
        self, z: Tensor, level: checks.Level, generator: torch.Generator | None = None
    ) -> Tensor:
        """Draw x ~ N(a z, v), shape (B, *S)."""
        b = checks.levels(level, z.shape[0], z.device).to(z.dtype)
        a, v = (checks.spread(t, z) for t in self.noise.coefficients(b))
        return Normal(a * z, v).sample(generator)

    def initial(
        self,
        count: int,
        shape: Sequence[int],
        generator: torch.Generator | None = None,
        device: torch.device | str = "cpu",
    ) -> Tensor:
        """Draws from the law at level 1, N(0, 1), shape (count, *shape)."""
        return self.corrupt(torch.zeros((count, *shape), device=device), 1.0, generator)
