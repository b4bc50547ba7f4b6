"""The training loop: a kernel, a schedule of objectives, data and a budget."""

from __future__ import annotations

import json
import time
from pathlib import Path

import torch
from torch import nn

from discrete_ca import draws
from discrete_ca.errors import CheckpointError, ConfigError, NonFiniteError, unknown_name
from discrete_ca.kernels import TransitionKernel
from discrete_ca.objectives import Objective, Phase, Schedule
from discrete_ca.training.batches import Batches, Source
from discrete_ca.training.checkpoints import RunState, load_state, owned, save_state, saved
from discrete_ca.training.config import TrainConfig
from discrete_ca.training.ema import EMA
from discrete_ca.training.progress import Progress
from discrete_ca.training.watching import Bar, interrupts

_MOST_BAD_STEPS = 100
_REPORT_EVERY = 20
_COUNTERS = ("step", "part_steps", "bad_steps", "seconds", "history")


class Trainer:
    """Trains a kernel: AdamW, warm-up, cosine decay, EMA, phases of a schedule.

    Learning rate, optimizer and EMA start anew where a phase trains another part of the kernel than
    the one before; the part left behind keeps its averaged weights. After `fit` the kernel has the
    averaged weights and is in evaluation mode.

    Args:
        kernel: the kernel to train, in place.
        objective: an objective, or a schedule of them.
        data: a data set, a tensor or array (N, *S) of clean states, or a function
            (count, generator) -> states, or (states, labels).
        config: the settings.

    Raises:
        ConfigError: for a phase that trains a part which the kernel does not have.

    Example:
        >>> from discrete_ca import CategoricalNoiseKernel, Denoising, corruption, nn
        >>> kernel = CategoricalNoiseKernel(nn.MLP(2, 2, shape=(3,)), corruption.Uniform(2))
        >>> data = torch.randint(0, 2, (100, 3))
        >>> trainer = Trainer(kernel, Denoising(), data, TrainConfig(steps=5, progress=False))
        >>> trainer.fit().step
        5
    """

    def __init__(
        self,
        kernel: TransitionKernel,
        objective: Objective | Schedule,
        data: Source,
        config: TrainConfig,
    ) -> None:
        self.kernel, self.data, self.config = kernel, data, config
        self.schedule = Schedule.of(objective)
        self.step, self.bad_steps, self.part_steps = 0, 0, 0
        self.seconds = 0.0
        self.progress = Progress(self.schedule, config)
        self.history: list[dict[str, float]] = []
        self.pending: list[torch.Tensor] = []  # losses that are in no row of the history yet
        self._trainable = [p for p in kernel.parameters() if p.requires_grad]
        for phase in self.schedule.phases:
            if not self._parameters(phase):
                raise ConfigError(f"a phase trains {phase.train}, which has no free parameters")

    # -- what a phase trains ----------------------------------------------------------------------

    def _parameters(self, phase: Phase) -> list[nn.Parameter]:
        """What the phase trains, less what the caller had frozen."""
        if not phase.train:
            return self._trainable
        parts = dict(self.kernel.named_children())
        for name in phase.train:
            if name not in parts:
                known = unknown_name("part of the kernel", name, parts)
                hint = "; make the kernel with adjustment=..." if name == "adjustment" else ""
                raise ConfigError(known + hint)
        chosen = {id(p) for name in phase.train for p in parts[name].parameters()}
        return [p for p in self._trainable if id(p) in chosen]

    def start_part(self, phase: Phase) -> None:
        """Freeze all but the phase's part and start its optimizer and average."""
        chosen = self._parameters(phase)
        self.kernel.requires_grad_(False)
        for parameter in chosen:
            parameter.requires_grad_(True)
        config = self.config
        self.optimizer = torch.optim.AdamW(
            chosen, config.learning_rate, config.betas, weight_decay=config.weight_decay, fused=True
        )
        self.ema = EMA(chosen, config.ema)
        self.part_steps = 0

    # -- the loop ---------------------------------------------------------------------------------

    def fit(self, resume: bool = False) -> Trainer:
        """Train until the budget is spent.

        With a folder, an interrupt (SIGINT or SIGTERM) lets the step end and saves the run.

        Args:
            resume: go on with the run saved in ``config.folder``, where there is one.

        Raises:
            CheckpointError: for a folder that holds another run, or a state that does not fit.
            NonFiniteError: when more than 100 steps in a row gave no finite gradient.
            KeyboardInterrupt: after an interrupt.
        """
        config = self.config
        if config.folder is None:
            if resume:
                raise ConfigError("resume was True without a folder; name the folder in the config")
            return self._fit(None, resume)
        folder = Path(config.folder)
        with owned(folder, resume):
            return self._fit(folder, resume)

    def _fit(self, folder: Path | None, resume: bool) -> Trainer:
        config = self.config
        batches = Batches(self.data, config.batch_size, config.seed)
        state = load_state(folder) if resume and folder is not None else None
        if state is None:
            self.start_part(self.progress.current)
        else:
            self._restore(state)
        self.kernel.train()
        with Bar(config.progress) as bar, interrupts(folder is not None) as interrupted:
            saved_at, saved_step = time.monotonic(), -1
            while not self.progress.finished:
                begun = time.monotonic()
                phase = self.progress.current
                self.pending.append(self._update(*batches(self.step)))
                seconds = time.monotonic() - begun
                self.seconds += seconds
                self.progress.advance(seconds)
                if self.step % _REPORT_EVERY == 0:
                    self._report(bar)
                if not self.progress.finished and self.progress.current.train != phase.train:
                    self.ema.copy_to_parameters()
                    self.start_part(self.progress.current)
                late = time.monotonic() - saved_at > 60 * config.save_minutes
                if folder is not None and (late or interrupted()):
                    self._save(folder)
                    saved_at, saved_step = time.monotonic(), self.step
                    if interrupted():
                        raise KeyboardInterrupt(f"step {self.step} is saved in '{folder}'")
        if folder is not None and saved_step != self.step:
            self._save(folder)
        self.ema.copy_to_parameters()
        for parameter in self._trainable:
            parameter.requires_grad_(True)
        self.kernel.eval()
        return self

    def _report(self, bar: Bar) -> None:
        row = {
            "step": self.step, "phase": self.progress.phase,
            "loss": float(torch.stack(self.pending).nanmean()), "seconds": round(self.seconds, 3),
        }  # fmt: skip
        self.pending = []
        self.history.append(row)
        bar.show(self.progress.place(), row)

    def gradient(
        self, objective: Objective, z: torch.Tensor, label: torch.Tensor | None, step: int
    ) -> torch.Tensor:
        """The mean loss of a batch at a step; its gradient is left in the parameters."""
        device = next(self.kernel.parameters()).device
        told = label is not None and getattr(self.kernel, "told_label", False)
        label = label.to(device) if label is not None and told else None
        noise = draws.keyed(self.config.seed, "noise", step)
        self.optimizer.zero_grad(set_to_none=True)
        loss = objective(self.kernel, z.to(device), label=label, generator=noise).mean()
        loss.backward()
        return loss.detach()

    def has_state(self) -> bool:
        """Whether the config's folder holds a state of a run."""
        return self.config.folder is not None and bool(saved(Path(self.config.folder)))

    def _update(self, z: torch.Tensor, label: torch.Tensor | None) -> torch.Tensor:
        """One optimizer step; the mean loss. A step without a finite gradient is left out."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.progress.learning_rate(self.part_steps)
        loss = self.gradient(self.progress.current.objective, z, label, self.step)
        gradients = [p.grad for p in self.ema.parameters if p.grad is not None]
        norms = torch.stack(torch._foreach_norm(gradients))
        self.step += 1
        self.part_steps += 1
        if bool(torch.isfinite(norms).all()):
            self.optimizer.step()
            self.ema.update()
            self.bad_steps = 0
        else:
            self.bad_steps += 1
            if self.bad_steps > _MOST_BAD_STEPS:
                raise NonFiniteError(f"{self.bad_steps} steps in a row had no finite gradient")
        return loss

    # -- checkpoints ------------------------------------------------------------------------------

    def _save(self, folder: Path) -> None:
        state = RunState()
        state.numbers = {name: getattr(self, name) for name in _COUNTERS}
        state.numbers |= {"ema_step": self.ema.step, "progress": self.progress.state()}
        state.tensors = {f"loss.{i}": loss for i, loss in enumerate(self.pending)}
        state.tensors |= {f"kernel.{k}": v for k, v in self.kernel.state_dict().items()}
        state.tensors |= {f"ema.{i}": v for i, v in enumerate(self.ema.averages)}
        for i, slots in self.optimizer.state_dict()["state"].items():
            state.tensors |= {f"optimizer.{i}.{name}": value for name, value in slots.items()}
        save_state(folder, state, self.step)
        lines = "".join(json.dumps(row) + "\n" for row in self.history)
        (folder / "metrics.jsonl").write_text(lines, encoding="utf-8")

    def _restore(self, state: RunState) -> None:
        try:
            self.progress.restore(state.numbers["progress"])
            self.start_part(self.progress.current)
            for name in _COUNTERS:
                setattr(self, name, state.numbers[name])
            self.ema.step = state.numbers["ema_step"]
            count = sum(key.startswith("loss.") for key in state.tensors)
            self.pending = [state.tensors[f"loss.{i}"] for i in range(count)]
            weights = {k: state.tensors[f"kernel.{k}"] for k in self.kernel.state_dict()}
            self.kernel.load_state_dict(weights)
            for i, average in enumerate(self.ema.averages):
                average.copy_(state.tensors[f"ema.{i}"])
            slots: dict[int, dict[str, torch.Tensor]] = {}
            for key, value in state.tensors.items():
                if key.startswith("optimizer."):
                    _, place, name = key.split(".", 2)
                    slots.setdefault(int(place), {})[name] = value
            optimizer = self.optimizer.state_dict()
            self.optimizer.load_state_dict({**optimizer, "state": slots})
        except (KeyError, RuntimeError, IndexError, ValueError, TypeError) as error:
            raise CheckpointError(
                f"the saved run does not fit this kernel and schedule: {error}"
            ) from error
