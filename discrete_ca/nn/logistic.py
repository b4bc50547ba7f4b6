r"""An output head for ordered categories: a mixture of discretised logistic laws.

Category k of K is the bin [t_k, t_{k+1}] of [-1, 1], the first and last reach to infinity, and

    p(k) = Σ_m π_m [σ((t_{k+1} - μ_m) / s_m) - σ((t_k - μ_m) / s_m)].

Near categories share what is learned, which K free logits do not. (Salimans et al. 2017, arXiv
1701.05517, equation 2; as a read-out of noisy pixels: Austin et al. 2021, arXiv 2107.03006.)
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from discrete_ca import checks
from discrete_ca.nn.wrapping import Wrapped

_NARROWEST = 0.05  # scale, in bins: nearly everything in one


def logistic_logits(
    parameters: Tensor, num_categories: int, origin: Tensor | float = 0.0
) -> Tensor:
    """Log-probabilities (..., K) of a mixture of M discretised logistic laws.

    A difference of sigmoids u > l is ``σ(u) σ(-l) (1 - exp(l - u))``, a sum in logarithms without
    cancellation: every category has a finite log-probability, however far it lies.

    Args:
        parameters: shape (..., 3M): M each of logits of π, means μ, and s before a softplus.
        num_categories: K.
        origin: what the means are counted from.

    Raises:
        ValueError: for a last axis that is not a multiple of 3.

    Example:
        >>> logistic_logits(torch.tensor([0.0, 0.0, -2.0]), 4).exp()
        tensor([0.0359, 0.4641, 0.4641, 0.0359])
    """
    k = checks.positive(num_categories, "num_categories", least=2)
    if parameters.shape[-1] % 3:
        shape = tuple(parameters.shape)
        raise ValueError(f"parameters have shape {shape}; allowed: (..., 3M) for M components")
    parameters = parameters.to(torch.promote_types(parameters.dtype, torch.float32))
    weight, mean, width = parameters.unflatten(-1, (3, -1)).unbind(-2)
    inverse = 1 / (nn.functional.softplus(width) + 2 * _NARROWEST / k)
    edges = torch.arange(1, k, device=mean.device, dtype=mean.dtype) * (2 / k) - 1
    place = (edges - (mean + origin).unsqueeze(-1)) * inverse.unsqueeze(-1)  # (..., M, K - 1)
    below = nn.functional.logsigmoid(place)
    inside = (-torch.expm1(-2 / k * inverse)).log().unsqueeze(-1)
    rest = below[..., 1:] + (below - place)[..., :-1] + inside
    bins = torch.cat([below[..., :1], rest, (below - place)[..., -1:]], -1)
    if weight.shape[-1] == 1:
        return bins.squeeze(-2)
    return (weight.log_softmax(-1).unsqueeze(-1) + bins).logsumexp(-2)


class Logistic(Wrapped):
    """Logits (B, *S, K) of ordered categories, from a network that gives 3M numbers a site.

    The means that the network gives are added to the place of the state itself, in [-1, 1]: one
    that has learned nothing leaves a pixel near where it is. Masks stand at 0.

    Args:
        net: ``net(x, b, ...) -> (B, *S, 3M)``: the package's networks made with ``3 * M`` in place
            of the number of categories.
        num_categories: K.

    Raises:
        ValueError: (when called) for a network that does not give 3M numbers a site.

    Example:
        >>> from discrete_ca.nn import UNet
        >>> net = Logistic(UNet(3 * 2, 256, widths=(16,)), 256)
        >>> net(torch.zeros(1, 8, 8, dtype=torch.long), torch.tensor([0.3])).shape
        torch.Size([1, 8, 8, 256])
    """

    def __init__(self, net: nn.Module, num_categories: int) -> None:
        super().__init__(net)
        self.num_categories = checks.positive(num_categories, "num_categories", least=2)
        self.num_states = getattr(net, "num_states", None)

    def forward(
        self,
        x: Tensor,
        b: Tensor,
        label: Tensor | None = None,
        known: Tensor | None = None,
        hold: Tensor | None = None,
    ) -> Tensor:
        """States (B, *S) at levels (B,) to logits (B, *S, K)."""
        out = self.inner(x, b, label=label, known=known, hold=hold)
        k = self.num_categories
        place = torch.where(x < k, (2 * x + 1) / k - 1, 0.0).to(out).unsqueeze(-1)
        return logistic_logits(out, k, place)
