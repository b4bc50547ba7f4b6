"""Optima with exact expectations: one free read-out p(z|x) for every state, no network."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

import discrete_ca as dca
from benchmarks.laws import Law
from discrete_ca.corruption import Corruption
from discrete_ca.diagnostics import exact


class Table(nn.Module):
    """A network with free logits for every state, (V^D, D, K), at one level."""

    def __init__(self, logits: Tensor, num_states: int) -> None:
        super().__init__()
        self.logits = nn.Parameter(logits)
        self.num_states = num_states

    def forward(self, x: Tensor, b: Tensor) -> Tensor:
        """States (B, *S) to logits (B, *S, K)."""
        return self.logits[exact.index(x, self.num_states)].reshape(*x.shape, -1)


def joint_posterior(law: Law, corruption: Corruption, level: float) -> tuple[Tensor, Tensor]:
    """The exact p(z|x), (V^D, K^D), and q_b(x|z), (K^D, V^D)."""
    z = exact.states(corruption.num_categories, law.shape).reshape(len(law.p), -1)
    x = exact.states(corruption.num_states, law.shape).reshape(-1, z.shape[1])
    q = corruption.checked_matrix(level)[z[:, None], x[None]].prod(-1)
    joint = law.p * q.T
    return joint / joint.sum(1, keepdim=True).clamp_min(1e-300), q


def posterior(law: Law, corruption: Corruption, level: float) -> Tensor:
    """The exact marginals p(z_i|x), the best denoiser there can be: (V^D, D, K)."""
    z = exact.states(corruption.num_categories, law.shape).reshape(len(law.p), -1)
    onehot = nn.functional.one_hot(z, corruption.num_categories).double()
    return torch.einsum("xz,zdk->xdk", joint_posterior(law, corruption, level)[0], onehot)


def optimum(
    law: Law,
    corruption: Corruption,
    level: float,
    hold: float,
    carry_over: bool = True,
    denoising_weight: float | None = None,
    steps: int = 500,
) -> dca.CategoricalNoiseKernel:
    """The tabular kernel that is optimal at one level: for denoising, or for CA with weight λ.

    Args:
        law: the data law.
        corruption: the noise.
        level: b.
        hold: h.
        carry_over: as in the kernel.
        denoising_weight: λ of contrastive adjustment; None for plain denoising, which is closed.
        steps: steps of Adam on the exact expectation.
    """
    best = posterior(law, corruption, level)
    table = Table(best.clamp_min(1e-12).log(), corruption.num_states)
    kernel = dca.CategoricalNoiseKernel(table, corruption, hold, carry_over).double()
    if denoising_weight is None:
        return kernel
    weight = denoising_weight * min(1.0, 2 * (1 - hold))
    x = exact.states(corruption.num_states, law.shape)
    p = exact.noisy_law(law.p, corruption, law.shape, level)
    optimizer = torch.optim.Adam([table.logits], 0.02)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 1e-4 + 0.01 * (1 + math.cos(math.pi * step / steps))
        transition = kernel.transition(x, torch.tensor(level, dtype=torch.float64))
        P = exact.product_laws(transition.probs())
        flow = p[:, None] * P.detach()
        loss = -torch.special.xlogy(flow.T, P.clamp_min(1e-300)).sum()
        if weight > 0:
            log_pz = transition.read_out.log_probs.reshape(best.shape)
            cross = torch.special.xlogy(best, log_pz.exp().clamp_min(1e-300))
            loss = loss - weight * (p * cross.sum((1, 2))).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return kernel
