"""What is looked at while a kernel trains: held-out loss, samples, how the chain mixes.

An observer is any function of the kernel, called with the averaged weights every
`TrainConfig.observe_every` steps. Its numbers go to metrics.jsonl and the trackers, its pictures to
``folder/observed/`` and the trackers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Union

import torch
from torch import Tensor

from discrete_ca import chains, draws
from discrete_ca.kernels import TransitionKernel, device_of
from discrete_ca.objectives import Denoising, Objective

if TYPE_CHECKING:
    from PIL.Image import Image

Observed = Mapping[str, Union[float, "Image"]]
Observer = Callable[[TransitionKernel], Observed]


@dataclass(frozen=True)
class HeldOut:
    """The mean loss on examples that are not trained on, always with the same levels and noise.

    Args:
        z: clean data, (N, *S).
        label: labels, (N,), for networks that are told.
        objective: the loss; the denoiser's unless said, since that of contrastive adjustment
            falls with the kernel's own moves and measures no quality.
        seed: seeds levels and noise.
        present: which sites are data and not padding, (N, *S); None for all.

    Example:
        >>> from discrete_ca import CategoricalNoiseKernel, corruption, nn
        >>> kernel = CategoricalNoiseKernel(nn.MLP(2, 2, shape=(5,)), corruption.Uniform(2))
        >>> list(HeldOut(torch.zeros(8, 5, dtype=torch.long))(kernel))
        ['held_out']
    """

    z: Tensor
    label: Tensor | None = None
    objective: Objective = field(default_factory=lambda: Denoising(unlabelled_share=0.0))
    seed: int = 0
    present: Tensor | None = None

    _SIZE = 64

    @torch.no_grad()
    def __call__(self, kernel: TransitionKernel) -> Observed:
        """``{"held_out": nats an example}``."""
        told = self.label is not None and kernel.told_label
        device, total = device_of(kernel), 0.0
        for start in range(0, len(self.z), self._SIZE):
            rows = slice(start, start + self._SIZE)
            label = self.label[rows].to(device) if told and self.label is not None else None
            noise = draws.keyed(self.seed, "held out", start)
            present = None if self.present is None else self.present[rows].to(device)
            losses = self.objective(
                kernel, self.z[rows].to(device), label=label, generator=noise, present=present
            )
            total += float(losses.double().sum())
        return {"held_out": total / len(self.z)}


@dataclass(frozen=True)
class Samples:
    """A grid of samples, for images: always from the same noise, so that grids can be compared.

    Args:
        shape: (H, W) or (3, H, W).
        num_categories: K; None for real-valued states, drawn from [-1, 1].
        count: samples.
        moves: T, moves between levels.
        correctors: c, equal-level steps after each move.
        seed: seeds the draws.
        pitches: of music, categories to MIDI pitches, to draw piano rolls; None for pictures.
    """

    shape: tuple[int, ...]
    num_categories: int | None
    count: int = 64
    moves: int = 32
    correctors: int = 1
    seed: int = 0
    pitches: Callable[[Tensor], Tensor] | None = None

    def __call__(self, kernel: TransitionKernel) -> Observed:
        """``{"samples": picture}``."""
        from discrete_ca import drawing

        z: Tensor = chains.sample(
            kernel, self.count, self.shape, moves=self.moves, correctors=self.correctors,
            generator=draws.keyed(self.seed, "samples"), progress=False,
        )  # fmt: skip
        columns, levels = max(1, round(self.count**0.5)), self.num_categories or 2
        if self.pitches is not None:
            z, levels = drawing.rolls(self.pitches(z.cpu())), drawing.LIGHT
        return {"samples": drawing.grid(z, columns, levels)}


@dataclass(frozen=True)
class Mixing:
    """How fast the chain mixes, and what that costs: the trade-off curve over levels.

    Args:
        z: clean data, one start a chain, (N, *S).
        levels: levels b to run at.
        steps: T, steps a run; NFE T + 1 a level.
        fidelity: a measure of clean states, (N, *S) -> number; None for none.
        seed: seeds the draws.
        present: which sites are data and not padding, which no step touches, (N, *S); None for all.
    """

    z: Tensor
    levels: Sequence[float] = (0.1, 0.3, 0.6)
    steps: int = 50
    fidelity: Callable[[Tensor], float] | None = None
    seed: int = 0
    present: Tensor | None = None

    def __call__(self, kernel: TransitionKernel) -> Observed:
        """ESS of the mean over sites a step and chain, how much has changed, fidelity."""
        from discrete_ca.diagnostics import mixing

        z = self.z.to(device_of(kernel))
        points = mixing.trade_off(
            kernel, z, self.levels, steps=self.steps, fidelity=self.fidelity or (lambda z: 0.0),
            known=None if self.present is None else (self.present, z),
            generator=draws.keyed(self.seed, "mixing"),
        )  # fmt: skip
        found: dict[str, float | Image] = {}
        for point in points:
            found[f"ess_a_step/{point.level:g}"] = 1 / point.autocorrelation_time
            found[f"changed/{point.level:g}"] = point.changed
            if self.fidelity is not None:
                found[f"fidelity/{point.level:g}"] = point.fidelity
        return found
