"""A small network that writes site by site, and autoregressive kernels of laws side by side.

The transformer of the package is made for long sequences. On five sites a masked MLP does the same
at a fraction of the time, and `AutoregressiveKernel` takes any network that can `read` and `write`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

import discrete_ca as dca
from benchmarks.ensemble import Ensemble, SideBySide
from discrete_ca import checks, draws
from discrete_ca.nn.autoregressive import in_order
from discrete_ca.nn.embeddings import LevelEmbedding


class CausalMLP(nn.Module):
    """Logits of ``p(y_i | y_<i, x)`` at each site, (B, *S, V), for equal-level steps alone.

    All of x makes one vector; to it comes, for each site, a linear map of the sites of y before it.
    """

    mask: Tensor

    def __init__(
        self, num_states: int, shape: Sequence[int], width: int = 64, depth: int = 2
    ) -> None:
        super().__init__()
        self.num_states, self.sites, self.width = num_states, math.prod(shape), width
        self.level = LevelEmbedding(width)
        self.embed = nn.Linear(self.sites * num_states, width)
        self.readers = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.before = nn.Linear(self.sites * num_states, self.sites * width)
        earlier = torch.ones(self.sites, self.sites).tril(-1)
        mask = earlier.repeat_interleave(width, 0).repeat_interleave(num_states, 1)
        self.register_buffer("mask", mask, persistent=False)
        self.writers = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.out = nn.Linear(width, num_states)

    def forward(self, x: Tensor, b: Tensor, y: Tensor, target: Tensor) -> Tensor:
        """States x and y (B, *S), both at levels b (B,), to logits (B, *S, V)."""
        h = self.embed(self._features(x)) + self.level(b)
        for layer in self.readers:
            h = h + layer(nn.functional.silu(h))
        written = nn.functional.linear(
            self._features(y), self.before.weight * self.mask, self.before.bias
        )
        # sites in the batch: one product of matrices for all of them, side by side as well
        h = (h.unsqueeze(1) + written.unflatten(1, (self.sites, self.width))).flatten(0, 1)
        for layer in self.writers:
            h = h + layer(nn.functional.silu(h))
        out: Tensor = self.out(nn.functional.silu(h))
        return out.reshape(*x.shape, self.num_states)

    def _features(self, x: Tensor) -> Tensor:
        hot = nn.functional.one_hot(in_order(x), self.num_states)
        return hot.flatten(1).to(self.out.weight)


class WholePasses(nn.Module):
    """What `AutoregressiveKernel` asks of a network, from one that gives all sites in one pass.

    Writing takes a pass a site: a cost that only a few sites are worth.
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor, b: Tensor, y: Tensor, target: Tensor) -> Tensor:
        """Logits (B, *S, V)."""
        out: Tensor = self.net(x, b, y, target)
        return out

    def read(self, x: Tensor, b: Tensor, target: Tensor) -> tuple[tuple[Tensor, Tensor], Tensor]:
        """What `write` needs: the states and their levels, and the target's."""
        return (x, b), target

    def write(
        self, seen: tuple[Tensor, Tensor], condition: Tensor, site: int, before: Tensor | None,
        memory: list[Tensor],
    ) -> Tensor:  # fmt: skip
        """Logits (B, V) of one site; `memory` keeps those before it."""
        x, b = seen
        if before is not None:
            memory.append(before)
        y = torch.zeros_like(in_order(x))
        for earlier, states in enumerate(memory):
            y[:, earlier] = states
        return in_order_logits(self(x, b, y.reshape(x.shape), condition))[:, site]

    def memory(self) -> list[Tensor]:
        """Sites written so far: none."""
        return []


def in_order_logits(logits: Tensor) -> Tensor:
    """Logits (B, *S, V) with their sites in the order in which they are written, (B, D, V)."""
    return logits.reshape(len(logits), -1, logits.shape[-1])


class AutoregressiveEnsemble(SideBySide, dca.AutoregressiveKernel):
    """Autoregressive kernels of several laws.

    Args:
        nets: one a law.
        noise: the noise.
        independent: share of the examples that are renoised to a copy of another example of their
            law. The kernel that is learned then mixes in the noisy law itself, which keeps detailed
            balance and raises the spectral gap to at least this share.
    """

    def __init__(
        self,
        nets: Sequence[CausalMLP],
        noise: dca.corruption.Corruption,
        independent: float = 0.0,
    ) -> None:
        super().__init__(WholePasses(Ensemble(nets)), noise)  # type: ignore[arg-type]
        self.independent = independent

    @property
    def together(self) -> Ensemble:
        """The networks, side by side."""
        found = self.net.net
        assert isinstance(found, Ensemble)
        return found

    def renoise(
        self,
        x: Tensor,
        z: Tensor,
        b: Tensor,
        generator: torch.Generator | None = None,
        hold: Tensor | None = None,
    ) -> Tensor:
        """Draw y of each z, or of the next example of its law; examples of the laws in turn."""
        far = draws.uniform((len(z),), z.device, generator) < self.independent
        other = z.roll(self.together.count, 0)
        return super().renoise(x, torch.where(checks.spread(far, z), other, z), b, generator, hold)

    def member(self, index: int) -> dca.AutoregressiveKernel:
        """The kernel of one law."""
        net = WholePasses(self.together.member(index))
        return dca.AutoregressiveKernel(net, self.corruption)  # type: ignore[arg-type]
