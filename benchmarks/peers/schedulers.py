"""The discrete schedulers of the package diffusers as they are, over the same denoiser.

- `AmusedScheduler`: MaskGIT's order (Chang et al. 2022, arXiv 2202.04200), which keeps the draws
  that the denoiser was surest of; noise on the order, falling to 0, is its own choice.
- `VQDiffusionScheduler` (Gu et al. 2022, arXiv 2111.14822): its default schedule is absorbing noise
  with one part in a million of uniform noise, so that it is MDLM with evenly spaced levels; a test
  says so, and the table need not.

The package is an extra, as flow-matching is, and imported when used.
"""

from __future__ import annotations

import math
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from benchmarks.peers.samplers import Denoiser

MISSING = "diffusers is not installed"
_LEAST = 1e-30


def installed() -> bool:
    """Whether the package is there."""
    return find_spec("diffusers") is not None


def draw_amused(
    denoiser: Denoiser,
    x: Tensor,
    steps: int,
    schedule: str = "cosine",
    noise: float = 2.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Run its `AmusedScheduler` from masked states to clean ones.

    Args:
        denoiser: of absorbing noise, not told the level.
        x: all masks, (B, *S).
        steps: network evaluations.
        schedule: of the share that is masked, cosine or linear.
        noise: on the order in which sites are kept, at the first step; values are drawn as they
            are.
        generator: source of randomness.
    """
    from diffusers import AmusedScheduler

    shape, masked = x.shape, int(x.max())
    scheduler: Any = AmusedScheduler(mask_token_id=masked, masking_schedule=schedule)
    scheduler.set_timesteps(steps, temperature=(noise, 0))
    for i, time in enumerate(scheduler.timesteps):
        p = denoiser(x, math.cos(math.pi / 2 * i / steps))
        logits = p.flatten(1, -2).clamp_min(_LEAST).log()
        taken = scheduler.step(logits, time, x.flatten(1), generator=generator)
        x = taken.prev_sample.reshape(shape)
    return x


def draw_vq(
    denoiser: Denoiser, x: Tensor, steps: int, generator: torch.Generator | None = None
) -> Tensor:
    """Run its `VQDiffusionScheduler` from masked states to clean ones.

    Args:
        denoiser: of absorbing noise.
        x: all masks, (B, *S).
        steps: network evaluations; the last is at level 0 and decides nothing.
        generator: source of randomness.
    """
    from diffusers import VQDiffusionScheduler

    shape, masked = x.shape, int(x.max())
    scheduler: Any = VQDiffusionScheduler(num_vec_classes=masked + 1, num_train_timesteps=steps)
    scheduler.set_timesteps(steps)
    for time in scheduler.timesteps:
        p = denoiser(x, float(time) / (steps - 1))
        log_p = p.flatten(1, -2).clamp_min(_LEAST).log().transpose(1, 2)
        taken = scheduler.step(log_p, time, x.flatten(1), generator=generator)
        x = taken.prev_sample.reshape(shape)
    return x
