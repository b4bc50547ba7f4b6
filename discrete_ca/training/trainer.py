"""The training loop: a kernel, a schedule of objectives, data and a budget."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from discrete_ca.errors import CheckpointError, ConfigError, NonFiniteError, unknown_name
from discrete_ca.kernels import TransitionKernel
from discrete_ca.objectives import Objective, Phase, Schedule
from discrete_ca.training.batches import Source, batches
from discrete_ca.training.checkpoints import RunState, check_folder, load_state, save_state
from discrete_ca.training.config import TrainConfig
from discrete_ca.training.ema import EMA

if TYPE_CHECKING:
    from rich.progress import Progress

_MOST_BAD_STEPS = 100
_REPORT_EVERY = 20


class Trainer:
    """Trains a kernel: AdamW, warm-up, cosine decay, EMA, phases of a schedule.

    Learning rate, optimizer and EMA start anew where a phase trains another part of the kernel than
    the one before; the part left behind keeps its averaged weights. After `fit` the kernel has the
    averaged weights and is in evaluation mode.

    Args:
        kernel: the kernel to train, in place.
        objective: an objective, or a schedule of them.
        data: a data set, a tensor (N, *S) of clean states, or a function
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
        self.step, self.bad_steps, self.phase_step, self.phase = 0, 0, 0, 0
        self.seconds = 0.0
        self.history: list[dict[str, float]] = []
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

    def _start_part(self, phase: Phase) -> None:
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
        self.phase_step = 0

    def _stretch(self, index: int) -> tuple[float, float]:
        """Progress at which the run of phases with this phase's part begins and ends."""
        phases, ends = self.schedule.phases, self.schedule.boundaries()
        first = last = index
        while first > 0 and phases[first - 1].train == phases[index].train:
            first -= 1
        while last + 1 < len(phases) and phases[last + 1].train == phases[index].train:
            last += 1
        return (ends[first - 1] if first else 0.0), ends[last]

    def _learning_rate(self, index: int, progress: float) -> float:
        begin, end = self._stretch(index)
        place = min(max((progress - begin) / (end - begin), 0.0), 1.0)
        floor = self.config.final_learning_rate
        cosine = floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * place))
        warm = min(1.0, (self.phase_step + 1) / (self.config.warmup + 1))
        return self.config.learning_rate * self.schedule.phases[index].learning_rate * cosine * warm

    # -- the loop ---------------------------------------------------------------------------------

    def fit(self, resume: bool = False) -> Trainer:
        """Train until the budget is spent.

        Args:
            resume: go on with the run saved in ``config.folder``, where there is one.

        Raises:
            CheckpointError: for a folder that holds another run, or a state that does not fit.
            NonFiniteError: when more than 100 steps in a row gave no finite gradient.
        """
        config = self.config
        if resume and config.folder is None:
            raise ConfigError("resume was True without a folder; name the folder in the config")
        folder = None if config.folder is None else Path(config.folder)
        if folder is not None:
            check_folder(folder, resume)
        order = torch.Generator().manual_seed(config.seed)
        noise = torch.Generator().manual_seed(config.seed + 1)
        self.phase = 0
        self._start_part(self.schedule.phases[0])
        if resume and folder is not None and (saved := load_state(folder)) is not None:
            self._restore(saved, order, noise)
        device = next(self.kernel.parameters()).device
        stream = batches(self.data, config.batch_size, order)
        self.kernel.train()
        bar = _progress_bar(config.progress)
        before, started, saved_at = self.seconds, time.monotonic(), time.monotonic()
        first_step, losses = self.step, []
        with bar:
            task = bar.add_task("training", total=1.0, step=0, loss=math.nan, speed=0.0)
            while (progress := self._progress()) < 1.0:
                self._enter_phase(progress)
                z, label = next(stream)
                told = label is not None and getattr(self.kernel, "told_label", False)
                label = label.to(device) if label is not None and told else None
                losses.append(self._update(z.to(device), label, progress, noise))
                self.seconds = before + time.monotonic() - started
                if self.step % _REPORT_EVERY == 0:
                    loss = float(torch.stack(losses).nanmean())
                    losses = []
                    speed = (self.step - first_step) / max(self.seconds - before, 1e-9)
                    self.history.append(
                        {"step": self.step, "phase": self.phase, "loss": loss,
                         "seconds": round(self.seconds, 3)}
                    )  # fmt: skip
                    bar.update(task, completed=progress, step=self.step, loss=loss, speed=speed)
                if folder is not None and time.monotonic() - saved_at > 60 * config.save_minutes:
                    self._save(folder, order, noise)
                    saved_at = time.monotonic()
            bar.update(task, completed=1.0, step=self.step)
        if folder is not None:
            self._save(folder, order, noise)
        self.ema.copy_to_parameters()
        for parameter in self._trainable:
            parameter.requires_grad_(True)
        self.kernel.eval()
        return self

    def _progress(self) -> float:
        if self.config.steps is not None:
            return self.step / self.config.steps
        assert self.config.minutes is not None
        return self.seconds / (60 * self.config.minutes)

    def _enter_phase(self, progress: float) -> None:
        ends = self.schedule.boundaries()
        index = next(i for i, end in enumerate(ends) if progress < end or end == 1.0)
        if index == self.phase:
            return
        changed = self.schedule.phases[index].train != self.schedule.phases[self.phase].train
        self.phase = index
        if changed:
            self.ema.copy_to_parameters()
            self._start_part(self.schedule.phases[index])

    def _update(
        self,
        z: torch.Tensor,
        label: torch.Tensor | None,
        progress: float,
        generator: torch.Generator,
    ) -> torch.Tensor:
        """One optimizer step; the mean loss. A step without a finite gradient is left out."""
        for group in self.optimizer.param_groups:
            group["lr"] = self._learning_rate(self.phase, progress)
        phase = self.schedule.phases[self.phase]
        loss = phase.objective(self.kernel, z, label=label, generator=generator).mean()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        gradients = [p.grad for p in self.ema.parameters if p.grad is not None]
        norms = torch.stack(torch._foreach_norm(gradients))
        self.step += 1
        self.phase_step += 1
        if bool(torch.isfinite(norms).all()):
            self.optimizer.step()
            self.ema.update()
            self.bad_steps = 0
        else:
            self.bad_steps += 1
            if self.bad_steps > _MOST_BAD_STEPS:
                raise NonFiniteError(f"{self.bad_steps} steps in a row had no finite gradient")
        return loss.detach()

    # -- checkpoints ------------------------------------------------------------------------------

    def _counters(self) -> Sequence[str]:
        return ("step", "phase_step", "seconds", "history", "phase")

    def _save(self, folder: Path, order: torch.Generator, noise: torch.Generator) -> None:
        state = RunState()
        state.numbers = {name: getattr(self, name) for name in self._counters()}
        state.numbers["ema_step"] = self.ema.step
        state.tensors = {f"kernel.{k}": v for k, v in self.kernel.state_dict().items()}
        state.tensors |= {"order": order.get_state(), "noise": noise.get_state()}
        state.tensors |= {f"ema.{i}": v for i, v in enumerate(self.ema.averages)}
        for i, slots in self.optimizer.state_dict()["state"].items():
            state.tensors |= {f"optimizer.{i}.{name}": value for name, value in slots.items()}
        save_state(folder, state)
        lines = "".join(json.dumps(row) + "\n" for row in self.history)
        (folder / "metrics.jsonl").write_text(lines, encoding="utf-8")

    def _restore(self, state: RunState, order: torch.Generator, noise: torch.Generator) -> None:
        try:
            for name in self._counters():
                setattr(self, name, state.numbers[name])
            self._start_part(self.schedule.phases[self.phase])
            self.phase_step, self.ema.step = state.numbers["phase_step"], state.numbers["ema_step"]
            weights = {k: state.tensors[f"kernel.{k}"] for k in self.kernel.state_dict()}
            self.kernel.load_state_dict(weights)
            order.set_state(state.tensors["order"])
            noise.set_state(state.tensors["noise"])
            for i, average in enumerate(self.ema.averages):
                average.copy_(state.tensors[f"ema.{i}"])
            slots: dict[int, dict[str, torch.Tensor]] = {}
            for key, value in state.tensors.items():
                if key.startswith("optimizer."):
                    _, place, name = key.split(".", 2)
                    slots.setdefault(int(place), {})[name] = value
            optimizer = self.optimizer.state_dict()
            self.optimizer.load_state_dict({**optimizer, "state": slots})
        except (KeyError, RuntimeError, IndexError, ValueError) as error:
            raise CheckpointError(
                f"the saved run does not fit this kernel and schedule: {error}"
            ) from error


def _progress_bar(show: bool) -> Progress:
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    numbers = (
        "step {task.fields[step]} loss {task.fields[loss]:.3f} {task.fields[speed]:.1f} steps/s"
    )
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}% " + numbers),
        TimeRemainingColumn(),
        disable=not show,
    )
