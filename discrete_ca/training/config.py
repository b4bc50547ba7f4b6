"""What a training run is asked to do, checked before work starts."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from discrete_ca import checks
from discrete_ca.errors import ConfigError, unknown_name

PRECISIONS = ("float32", "bfloat16")


@dataclass(frozen=True)
class TrainConfig:
    """Settings of a `Trainer`. The budget is given in steps or in minutes.

    Args:
        steps: optimizer steps in all.
        minutes: wall-clock minutes in all; exactly one of the two.
        batch_size: examples a step, B; data of fewer are gone through several times a step, each
            time at other levels and noise.
        learning_rate: peak of AdamW's rate, times the phase's own factor.
        final_learning_rate: where the cosine ends, as a share of the peak.
        warmup: steps of linear warm-up at the start and after each change of the trained part.
        weight_decay: AdamW's.
        betas: AdamW's.
        ema: decay of the averaged weights, which the kernel has after `fit`; 0 turns it off.
        seed: seeds the data order, the levels and every draw.
        folder: where checkpoints and metrics go; None for none.
        save_minutes: minutes between checkpoints.
        progress: show a progress bar on a terminal, plain lines elsewhere.
        accumulate: parts that each process takes its share of a batch in, one after another; the
            gradient is that of the whole.
        precision: what networks compute in, ``float32`` (their own dtype) or ``bfloat16``
            (autocast); log-probabilities and losses stay in float32.
        compile: compile the networks with `torch.compile`.
        clip: gradients whose norm is above `clip` times its running mean are scaled down to that;
            None for none.
        workers: threads that read batches ahead; 0 reads each when it is needed.
        observe_every: steps between the observers' measures, which are also taken at the end; 0
            for none.
        best: name of the measure by which the best averaged weights are kept in ``folder/best``;
            lower is better.
        trackers: names of trackers that `accelerate` knows, such as ``tensorboard``.

    Raises:
        ConfigError: for a value that is not allowed.

    Example:
        >>> TrainConfig(steps=100).batch_size
        64
    """

    steps: int | None = None
    minutes: float | None = None
    batch_size: int = 64
    learning_rate: float = 2e-3
    final_learning_rate: float = 0.01
    warmup: int = 50
    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.99)
    ema: float = 0.999
    seed: int = 0
    folder: str | None = None
    save_minutes: float = 2.0
    progress: bool = True
    accumulate: int = 1
    precision: str = "float32"
    compile: bool = False
    clip: float | None = 10.0
    workers: int = 0
    observe_every: int = 0
    best: str | None = None
    trackers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.minutes is None):
            raise ConfigError("the budget is either steps or minutes; exactly one must be given")
        for name in ("minutes", "learning_rate", "save_minutes", "clip"):
            value = getattr(self, name)
            if value is not None and not (value > 0 and math.isfinite(value)):
                raise ConfigError(f"{name} was {value}; allowed: a number > 0")
        try:
            for name in ("steps", "batch_size", "accumulate"):
                if getattr(self, name) is not None:
                    checks.positive(getattr(self, name), name)
            for name in ("warmup", "workers", "observe_every"):
                checks.positive(getattr(self, name), name, least=0)
            checks.probability(self.ema, "ema", below_one=True)
            checks.probability(self.final_learning_rate, "final_learning_rate")
        except ValueError as error:
            raise ConfigError(str(error)) from error
        if not (len(self.betas) == 2 and all(0 <= beta < 1 for beta in self.betas)):
            raise ConfigError(f"betas was {self.betas}; allowed: two numbers in [0, 1)")
        if self.precision not in PRECISIONS:
            raise ConfigError(unknown_name("precision", self.precision, PRECISIONS))
        if self.best is not None and not self.observe_every:
            raise ConfigError(f"best was '{self.best}'; allowed: with observe_every")
        if not self.weight_decay >= 0:
            raise ConfigError(f"weight_decay was {self.weight_decay}; allowed: >= 0")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """A config from plain values, as read from a file.

        Raises:
            ConfigError: for an unknown key, with the nearest valid name.

        Example:
            >>> TrainConfig.from_dict({"stepz": 5})
            Traceback (most recent call last):
            discrete_ca.errors.ConfigError: unknown key 'stepz'; did you mean 'steps'? Known: ...
        """
        known = [field.name for field in dataclasses.fields(cls)]
        for key in values:
            if key not in known:
                raise ConfigError(unknown_name("key", key, known))
        return cls(**values)
