"""The adjustment head: a small network shared by all sites, trained by contrastive adjustment.

It maps what a (frozen) denoiser says at a site, and around it, to the logits that equal-level steps
use (theory, section 9). Sharing over sites gives as many times more signal an example as there are
sites, and no gradient passes through the denoiser. The last layer starts at zero: an untrained head
changes nothing. Its output fades as 1 - b⁴, since at level 1 the denoiser is exact.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from discrete_ca.logits import entropies
from discrete_ca.nn.embeddings import accepted
from discrete_ca.serialization import Configured

_REACH = 8.0  # log-probabilities are cut to ± this before they enter the head


def _zeroed(layer: nn.Module) -> nn.Module:
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


def _fade(out: Tensor, b: Tensor) -> Tensor:
    """Nothing is left to adjust at level 1, where the noisy law is a product: times 1 - b⁴."""
    return out * (1 - b.to(out) ** 4).reshape(-1, *(1,) * (out.ndim - 1))


def num_features(num_categories: int, hold: bool = False) -> int:
    """Features a site that `site_features` gives, with the hold among them or not.

    Example:
        >>> num_features(2)
        13
    """
    return 4 * num_categories + 5 + 2 * hold


def site_features(
    log_pz: Tensor, evidence: Tensor, b: Tensor, hold: Tensor | None = None
) -> Tensor:
    """What a head sees of a site, (B, *S, F), from log p(z|x) and log Q_b[., x], (B, *S, K).

    Args:
        log_pz: what the denoiser says.
        evidence: what the state itself says.
        b: levels, (B,).
        hold: h, (B,), for heads that are told.

    Example:
        >>> log_pz = torch.full((1, 5, 2), 0.5).log()
        >>> site_features(log_pz, log_pz, torch.tensor([0.3])).shape
        torch.Size([1, 5, 13])
    """

    def centred(logits: Tensor) -> Tensor:
        bounded = (logits - logits.amax(-1, keepdim=True)).clamp_min(-2 * _REACH)
        return bounded - bounded.mean(-1, keepdim=True)

    says, seen = centred(log_pz), centred(evidence)
    probs = log_pz.exp()
    residual = evidence.softmax(-1) - probs
    entropy = entropies(probs).unsqueeze(-1)
    local = torch.cat([entropy, residual.abs().sum(-1, keepdim=True)], -1)
    flat = local.reshape(len(local), -1, 2)
    others = max(flat.shape[1] - 1, 1)
    pooled = ((flat.sum(1, keepdim=True) - flat) / others).reshape(local.shape)
    told = [b] if hold is None else [b, 1 - hold]  # small ones differ by their ratio
    numbers = torch.stack([f(t) for t in told for f in (lambda t: t, _log)], -1).to(log_pz)
    numbers = numbers.reshape(-1, *(1,) * (log_pz.ndim - 2), numbers.shape[-1])
    numbers = numbers.expand(*log_pz.shape[:-1], -1)
    parts = [says / _REACH, seen / _REACH, (says - seen).tanh(), residual, entropy, pooled]
    return torch.cat([*parts, numbers], -1)


def _log(small: Tensor) -> Tensor:
    return (small + 0.01).log() / 4


class AdjustmentHead(Configured, nn.Module):
    """``(log p(z|x), log Q_b[., x], b) -> logits``, each (B, *S, K), b of shape (B,).

    Inputs per site: read-out and evidence (centred logits), tanh of their difference (what the
    context says), entropy, what the state says minus what the read-out says (residual), the level,
    and entropy and residual pooled over the other sites.

    Args:
        num_categories: K.
        dims: how many trailing site dimensions the head sees neighbours along: 2 for images, 1 for
            sequences, 0 for a head that sees each site alone.
        width: channels of the two hidden layers.
        reach: how many sites away along each of the `dims` the head sees, 0 to 2: that many of
            the two hidden layers are 3 wide, the others 1.
        hold: whether the head is told the hold, so that one serves every hold.

    Raises:
        ValueError: for dims or reach out of range.

    Example:
        >>> head = AdjustmentHead(2, dims=2)
        >>> log_pz = torch.full((1, 4, 4, 2), 0.5).log()
        >>> torch.equal(head(log_pz, log_pz, torch.tensor([0.3])), log_pz)
        True
    """

    def __init__(
        self,
        num_categories: int,
        dims: int = 0,
        width: int = 24,
        reach: int = 2,
        hold: bool = False,
    ) -> None:
        super().__init__()
        self.accepts, self.num_categories = accepted(None, False, hold), num_categories
        if dims not in (0, 1, 2, 3):
            raise ValueError(f"dims was {dims}; allowed: 0, 1, 2, 3")
        if reach not in (0, 1, 2):
            raise ValueError(f"reach was {reach}; allowed: 0, 1, 2")
        self.dims = dims
        conv = (nn.Conv1d, nn.Conv1d, nn.Conv2d, nn.Conv3d)[dims]
        near, far = (3 if dims and reach > i else 1 for i in range(2))
        features = num_features(num_categories, hold)
        self.layers = nn.Sequential(
            conv(features, width, near, padding=near // 2),
            nn.SiLU(),
            conv(width, width, far, padding=far // 2),
            nn.SiLU(),
            _zeroed(conv(width, num_categories, 1)),
        )

    def forward(
        self, log_pz: Tensor, evidence: Tensor, b: Tensor, hold: Tensor | None = None
    ) -> Tensor:
        """Adjusted logits, (B, *S, K).

        Raises:
            ValueError: for fewer site dimensions than `dims`.
        """
        sites = log_pz.shape[1:-1]
        if len(sites) < self.dims:
            raise ValueError(f"log_pz has site shape {tuple(sites)}; allowed: >= {self.dims} dims")
        features = site_features(log_pz, evidence, b, hold).to(next(self.parameters()))
        spatial = sites[len(sites) - self.dims :] or (1,)
        flat = features.reshape(-1, *spatial, features.shape[-1]).movedim(-1, 1)
        out = self.layers(flat).movedim(1, -1)
        return log_pz + _fade(out.reshape(log_pz.shape).to(log_pz), b)


class AdjustmentMLP(Configured, nn.Module):
    """An adjustment head for small spaces: one MLP over the features of all sites together.

    Same inputs and outputs as `AdjustmentHead`, not shared over sites.

    Args:
        num_categories: K.
        shape: S.
        width: units of the two hidden layers.
        hold: whether the head is told the hold, so that one serves every hold.

    Example:
        >>> head = AdjustmentMLP(2, shape=(5,))
        >>> log_pz = torch.full((1, 5, 2), 0.5).log()
        >>> torch.equal(head(log_pz, log_pz, torch.tensor([0.3])), log_pz)
        True
    """

    def __init__(
        self,
        num_categories: int,
        shape: tuple[int, ...] | list[int],
        width: int = 64,
        hold: bool = False,
    ) -> None:
        super().__init__()
        self.accepts, self.num_categories = accepted(None, False, hold), num_categories
        sites = math.prod(shape)
        self.layers = nn.Sequential(
            nn.Linear(sites * num_features(num_categories, hold), width),
            nn.SiLU(),
            nn.Linear(width, width),
            nn.SiLU(),
            _zeroed(nn.Linear(width, sites * num_categories)),
        )

    def forward(
        self, log_pz: Tensor, evidence: Tensor, b: Tensor, hold: Tensor | None = None
    ) -> Tensor:
        """Adjusted logits, (B, *S, K)."""
        features = site_features(log_pz, evidence, b, hold).to(next(self.parameters()))
        out = self.layers(features.reshape(len(features), -1))
        return log_pz + _fade(out.reshape(log_pz.shape).to(log_pz), b)
