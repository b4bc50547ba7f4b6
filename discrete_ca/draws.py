"""Exact random draws: inverse CDFs with uniforms of 53 bits.

Float32 Gumbel noise truncates the tails of a categorical law and lowers its effective temperature
(Zheng et al. 2024, arXiv 2409.02908), and a float32 uniform cannot hit an event rarer than 6e-8.
Everything random in this package goes through these two functions.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

# Rows of a categorical draw are cut into pieces of at most this many entries, so that the
# double-precision cumulative sums never rival the logits in size.
_PIECE = 1 << 20


def uniform(
    shape: Sequence[int], device: torch.device, generator: torch.Generator | None = None
) -> Tensor:
    """Uniform draws on [0, 1) in float64, of any shape.

    They are made on the generator's device and moved, so that one seed gives the same numbers
    wherever the model lives.

    Example:
        >>> uniform((2, 3), torch.device("cpu"), torch.Generator().manual_seed(0)).shape
        torch.Size([2, 3])
    """
    source = generator.device if generator is not None else device
    draws = torch.rand(tuple(shape), dtype=torch.float64, device=source, generator=generator)
    return draws.to(device)


def categorical(log_weights: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Draw an index from each row of `log_weights`, by inverse CDF in float64.

    Args:
        log_weights: log-probabilities up to a constant a row, shape (..., K); -inf excludes.
        generator: source of randomness.

    Returns:
        Indices, long, shape (...).

    Example:
        >>> categorical(torch.tensor([[0.0, -torch.inf], [-torch.inf, 0.0]]))
        tensor([0, 1])
    """
    *batch, num = log_weights.shape
    rows = log_weights.detach().reshape(-1, num)
    u = uniform((rows.shape[0],), rows.device, generator)
    out = torch.empty(rows.shape[0], dtype=torch.long, device=rows.device)
    size = max(1, _PIECE // num)
    wide = torch.promote_types(rows.dtype, torch.float32)  # half precision would cut the tails
    for start in range(0, rows.shape[0], size):
        piece = rows[start : start + size].to(wide)
        weights = (piece - piece.amax(-1, keepdim=True)).exp_()
        if num == 2:  # the cumulative sums of two weights need no scan
            first, second = weights.double().unbind(-1)
            out[start : start + size] = u[start : start + size] * (first + second) >= first
            continue
        total = weights.cumsum(-1, dtype=torch.float64)
        target = u[start : start + size, None] * total[:, -1:]
        index = torch.searchsorted(total, target, right=True).squeeze(-1)
        out[start : start + size] = index.clamp_(max=num - 1)
    return out.reshape(batch)
