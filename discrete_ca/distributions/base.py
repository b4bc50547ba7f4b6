"""What every law over states can be asked for."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor


def sum_sites(values: Tensor) -> Tensor:
    """Sum over all site dimensions: (B, *S) to (B,).

    Example:
        >>> sum_sites(torch.ones(2, 3, 4))
        tensor([12., 12.])
    """
    return values.reshape(values.shape[0], -1).sum(-1)


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
