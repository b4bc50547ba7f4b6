"""The training loop: a kernel, a schedule of objectives, data and a budget."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

from torch import Tensor, nn

from discrete_ca import checks
from discrete_ca.errors import CheckpointError, ConfigError, NonFiniteError, unknown_name
from discrete_ca.kernels import TransitionKernel
from discrete_ca.objectives import Objective, Phase, Schedule
from discrete_ca.training.batches import Batch, Batches, Source
from discrete_ca.training.checkpoints import RunState, load_state, owned, save_state, saved
from discrete_ca.training.config import TrainConfig
from discrete_ca.training.loader import loader
from discrete_ca.training.networks import compiled, half_precision
from discrete_ca.training.observers import Observer
from discrete_ca.training.part import Part
from discrete_ca.training.processes import Processes
from discrete_ca.training.progress import Progress
from discrete_ca.training.records import Records, Row
from discrete_ca.training.watching import interrupts

log = logging.getLogger(__name__)

_MOST_BAD_STEPS = 100
_REPORT_EVERY = 20
_COUNTERS = ("step", "part_steps", "bad_steps", "skipped", "seconds")


class Trainer:
    """Trains a kernel: AdamW, warm-up, cosine decay, EMA, phases of a schedule.

    Learning rate, optimizer and EMA start anew where a phase trains another part of the kernel than
    the one before; the part left behind keeps its averaged weights. After `fit` the kernel has the
    averaged weights and is in evaluation mode.

    Started by `accelerate launch` or `torchrun`, several processes share each batch; the first
    writes the files, which all must be able to read when a run is resumed.

    Args:
        kernel: the kernel to train, in place; one process trains it on the device where it is.
        objective: an objective, or a schedule of them.
        data: a data set, a stream, a tensor or array (N, *S) of clean states, or a function
            (count, generator) -> states, or (states, labels).
        config: the settings.
        observers: what is measured and drawn every `config.observe_every` steps.

    Raises:
        ConfigError: for an objective that is none, a phase that trains a part which the kernel does
            not have or asks what it cannot learn (`Objective.check`), for what needs a folder
            without one, and a batch that cannot be cut into its parts.
        DataError: for data that are no source of batches, or none.

    Example:
        >>> import torch
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
        observers: Sequence[Observer] = (),
    ) -> None:
        if not isinstance(objective, Objective | Schedule):
            raise ConfigError(
                f"objective was a {type(objective).__name__}; allowed: an Objective or a Schedule, "
                "as in Trainer(kernel, objective, data, config)"
            )
        self.kernel, self.data, self.config, self.observers = kernel, data, config, observers
        self.schedule = Schedule.of(objective)
        for name in ("best", "trackers"):
            if getattr(config, name) and config.folder is None:
                raise ConfigError(f"{name} was {getattr(config, name)!r}; allowed: with a folder")
        self.processes = Processes(kernel)
        self.batches = Batches(data, config.batch_size, config.seed)
        noise = getattr(kernel, "corruption", None)
        if noise is not None and isinstance(self.batches.source, Tensor):  # data sets have looked
            checks.states(self.batches.source, noise.num_categories, "data")
        self.parts = self.processes.count * config.accumulate
        if config.batch_size % self.parts:
            raise ConfigError(
                f"batch_size was {config.batch_size}; allowed: a multiple of {self.parts}, "
                "processes times accumulate"
            )
        self.step, self.part_steps = 0, 0
        self.bad_steps, self.skipped = 0, 0  # without a finite gradient: in a row, in all
        self.seconds = 0.0
        self._clock, self._resumed = 0.0, False
        self.progress = Progress(self.schedule, config)
        self.records = Records()
        self._trainable = [p for p in kernel.parameters() if p.requires_grad]
        for phase in self.schedule.phases:
            if not self._parameters(phase):
                raise ConfigError(f"a phase trains {phase.train}, which has no free parameters")
            try:
                phase.objective.check(kernel)
            except ValueError as error:
                raise ConfigError(str(error)) from error

    @property
    def history(self) -> list[Row]:
        """The rows of metrics.jsonl."""
        return self.records.history

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

    def start_part(self, phase: Phase) -> Part:
        """Freeze all but the phase's part and start its optimizer and average."""
        self.part_steps = 0
        self.part = Part(self.kernel, self._parameters(phase), self.config, self.processes)
        return self.part

    # -- the loop ---------------------------------------------------------------------------------

    def fit(self, resume: bool = False) -> Trainer:
        """Train until the budget is spent.

        With a folder, an interrupt (SIGINT or SIGTERM) lets the step end and saves the run.

        Args:
            resume: go on with the run saved in ``config.folder``, where there is one.

        Raises:
            CheckpointError: for a folder that holds another run, or a state that does not fit.
            NonFiniteError: when more than 100 steps in a row gave no finite gradient. The weights
                before them are kept, and saved where there is a folder.
            KeyboardInterrupt: after an interrupt.
        """
        config, processes = self.config, self.processes
        if config.folder is None and resume:
            raise ConfigError("resume was True without a folder; name the folder in the config")
        folder = None if config.folder is None else Path(config.folder)
        with ExitStack() as stack:
            if folder is not None:
                processes.on_first(lambda: stack.enter_context(owned(folder, resume)))
            state = load_state(folder) if resume and folder is not None else None
            if state is None:
                self.start_part(self.progress.current)
            else:
                self._restore(state)
            in_half = config.precision == "bfloat16"
            stack.enter_context(half_precision(self.kernel, processes.device, in_half))
            stack.enter_context(compiled(self.kernel, config.compile))
            processes.on_first(lambda: stack.enter_context(self.records.open(config)))
            interrupted = stack.enter_context(interrupts(folder is not None))
            place = self.step, processes.rank, processes.count
            read = loader(self.batches, *place, config.workers, config.accumulate)
            self._loop(folder, stack.enter_context(closing(read)), interrupted)
        self.part.ema.copy_to_parameters()
        for parameter in self._trainable:
            parameter.requires_grad_(True)
        self.kernel.eval()
        return self

    def _loop(
        self, folder: Path | None, read: Iterator[Batch], interrupted: Callable[[], bool]
    ) -> None:
        config, progress = self.config, self.progress
        self.kernel.train()
        if self.step == 0:
            self._observe()
        began = saved_step = self.step if self._resumed else -1
        saved_at, self._clock = self.seconds, time.monotonic()
        while not progress.finished:
            phase = progress.current
            stop = self._update(read, interrupted)
            if self.step % _REPORT_EVERY == 0 or progress.finished:
                self._close()
            if config.observe_every and self.step % config.observe_every == 0:
                self._observe()
            if not progress.finished and progress.current.train != phase.train:
                self.part.ema.copy_to_parameters()
                self.start_part(progress.current)
            given_up = self.bad_steps > _MOST_BAD_STEPS
            late = self.seconds - saved_at > 60 * config.save_minutes
            if folder is not None and (late or stop or given_up):
                self._save(folder)
                saved_at, saved_step = self.seconds, self.step
            if given_up:
                why = f"; the last: {self.part.reason}" if self.part.reason else ""
                raise NonFiniteError(f"{self.bad_steps} steps in a row had no finite gradient{why}")
            if stop:
                raise KeyboardInterrupt(f"step {self.step} is saved in '{folder}'")
        if config.observe_every and self.step % config.observe_every and self.step != began:
            self._observe()
        if folder is not None and saved_step != self.step:
            self._save(folder)

    def _update(self, read: Iterator[Batch], interrupted: Callable[[], bool]) -> bool:
        """One optimizer step, left out where the gradient is not finite; whether to stop."""
        mine = [next(read) for _ in range(self.config.accumulate)]
        if self.step == 0 and mine[0].label is None and self.kernel.told_label:
            log.warning(
                "the kernel's network takes labels, but the data have none: it learns nothing of "
                "them (DiscreteData(states, labels=labels), or a network without num_classes)"
            )
        loss = self.part.gradient(self.progress.current.objective, mine, self.step)
        norm, taken = self.part.descend(self.progress.learning_rate(self.part_steps))
        self.step += 1
        self.part_steps += 1
        self.bad_steps = 0 if taken else self.bad_steps + 1
        self.skipped += not taken
        begun, self._clock = self._clock, time.monotonic()  # reports and saves count as well
        facts = [float(loss), self._clock - begun, float(interrupted())]
        mean_loss, seconds, stop = self.processes.mean(facts)  # so that all decide alike
        self.records.add(mean_loss, norm)
        self.seconds += seconds
        self.progress.advance(seconds)
        self.records.show(self.progress.place(), self.step, self.seconds)
        return stop > 0

    def _close(self) -> None:
        """A row of what came since the last one."""
        self.records.close(
            self.progress.place(), step=self.step, phase=self.progress.phase,
            skipped=self.skipped, clipped=self.part.clipped, seconds=round(self.seconds, 3),
        )  # fmt: skip

    def _observe(self) -> None:
        """Look at the kernel as it would be now, with its averaged weights."""
        if not self.observers or not self.config.observe_every:
            return

        def look() -> None:
            self.kernel.eval()
            with self.part.ema.applied():
                self.records.observe(self.kernel, self.observers, self.step, self.progress.phase)
            self.kernel.train()

        self.processes.on_first(look)

    # -- checkpoints ------------------------------------------------------------------------------

    def has_state(self) -> bool:
        """Whether the config's folder holds a state of a run."""
        return self.config.folder is not None and bool(saved(Path(self.config.folder)))

    def _save(self, folder: Path) -> None:
        def write() -> None:
            numbers, tensors = self.part.state()
            numbers |= {name: getattr(self, name) for name in _COUNTERS}
            numbers |= {"progress": self.progress.state(), "records": self.records.state()}
            numbers |= {"data": self.batches.state(self.step), "parts": self.parts}
            tensors |= {f"kernel.{k}": v for k, v in self.kernel.state_dict().items()}
            save_state(folder, RunState(numbers, tensors), self.step)
            self.records.write(folder)

        self.processes.on_first(write)

    def _restore(self, state: RunState) -> None:
        try:
            self.progress.restore(state.numbers["progress"])
            self.start_part(self.progress.current)
            for name in _COUNTERS:
                setattr(self, name, state.numbers[name])
            self.records.restore(state.numbers["records"])
            self.batches.restore(state.numbers.get("data", {}))
            weights = {k: state.tensors[f"kernel.{k}"] for k in self.kernel.state_dict()}
            self.kernel.load_state_dict(weights)
            self.part.restore(state.numbers, state.tensors)
            self._resumed = True
            before = self.progress.current
            self.progress.settle()
            if self.progress.current.train != before.train:
                self.part.ema.copy_to_parameters()
                self.start_part(self.progress.current)
            if state.numbers["parts"] != self.parts:
                log.warning(
                    "batches were cut into %d parts and are now cut into %d (processes times "
                    "accumulate): from here on the noise is another", state.numbers["parts"],
                    self.parts,
                )  # fmt: skip
        except (KeyError, RuntimeError, IndexError, ValueError, TypeError) as error:
            raise CheckpointError(
                f"the saved run does not fit this kernel and schedule: {error}"
            ) from error
