"""The command that trains."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import torch
import tyro

from discrete_ca import runs
from discrete_ca.cli.terminal import best_device, console
from discrete_ca.data.loading import NAMES
from discrete_ca.errors import ConfigError
from discrete_ca.runs import RunConfig
from discrete_ca.sealed import write_json
from discrete_ca.serialization import CONFIG_FILE
from discrete_ca.training import Trainer


@dataclass(frozen=True)
class Train:
    """Train a kernel and save it as a run: model/, run.json and metrics.jsonl.

    Settings come from --config FILE.toml (tables data, net, kernel, recipe, train) or --config NAME
    (see `discrete-ca recipes`), and from flags. Short names: --data, --net, --kernel, --corruption,
    --recipe, --train.lr.
    --debug shows tracebacks.
    """

    folder: Annotated[Path, tyro.conf.Positional]
    """Where the run goes; a finished run there is never overwritten."""
    run: Annotated[RunConfig, tyro.conf.arg(name="")] = field(default_factory=RunConfig)
    """Settings; --config gives them from a file or a recipe, and flags change them."""
    resume: bool = False
    """Go on with the run in the folder, which was cut off. Its settings are those that it was
    started with; what does not change what is learned may be given anew, such as more
    --train.steps or --train.minutes. A run that has ended is not made longer."""
    dry_run: bool = False
    """Print the resolved settings, the size of the kernel and an estimate of time, and stop."""

    def __call__(self) -> None:
        """Do it."""
        folder, run = self.folder, _with_whole_paths(self.run).resolved()
        if self.resume and runs.remembered(folder) is None:
            raise ConfigError(
                f"folder '{folder}' holds no run to go on with; allowed: that of a run"
            )
        ended = any((folder / name).exists() for name in (runs.RUN_FILE, CONFIG_FILE))
        if ended or ((folder / runs.MODEL).exists() and not self.resume):
            raise ConfigError(
                f"folder '{folder}' holds a finished run; allowed: a new folder (in Python a "
                f"Trainer starts from what it learned: load_kernel('{folder / runs.MODEL}'))"
            )
        run = dataclasses.replace(run, train=dataclasses.replace(run.train, folder=str(folder)))
        torch.manual_seed(run.train.seed)
        examples, held_out = run.data.load_parts(run.train.seed)
        kernel = runs.build_kernel(run, examples).to(best_device())
        schedule = runs.build_schedule(run.recipe)
        observers = runs.build_observers(run, kernel, examples, held_out)
        trainer = Trainer(kernel, schedule, examples, run.train, observers)
        count = sum(p.numel() for p in kernel.parameters())
        first = trainer.processes.first
        if first:
            console.print(f"{examples}: {count:,} parameters.")
            if run.data.source in NAMES and Path(run.data.source).exists():
                console.print(f"These are the package's own; what lies here is ./{run.data.source}")
            if examples.num_classes is not None and not kernel.told_label:
                console.print("The labels are not used: --net.labels tells them to the network.")
        if self.dry_run:
            _dry_run(run, trainer)
            return
        begun = trainer.has_state()
        if self.resume or not begun:  # else it is refused, and its settings stay
            trainer.processes.on_first(lambda: runs.remember(folder, run, anew=not begun))
        trainer.fit(resume=self.resume)
        if not first:
            return
        runs.save_model(folder, kernel, examples)
        training = {
            "steps": trainer.step, "seconds": round(trainer.seconds, 1), "parameters": count,
            "processes": trainer.processes.count, "steps_skipped": trainer.skipped,
        }  # fmt: skip
        about = runs.describe(run, examples, training)
        write_json(folder / runs.RUN_FILE, about)
        skipped = f", {trainer.skipped:,} of them left out as not finite" if trainer.skipped else ""
        console.print(
            f"{trainer.step:,} steps{skipped} in {trainer.seconds:.0f} s. Saved in {folder}/."
        )


def _with_whole_paths(run: RunConfig) -> RunConfig:
    """A source or tokenizer that is a path, from the root: the run is read elsewhere too."""
    whole: dict[str, Any] = {}
    for name in ("source", "tokenizer"):
        given = getattr(run.data, name)
        if given not in (None, "", *NAMES) and Path(given).expanduser().exists():
            whole[name] = str(Path(given).expanduser().resolve())
    return dataclasses.replace(run, data=dataclasses.replace(run.data, **whole))


def _dry_run(run: RunConfig, trainer: Trainer) -> None:
    """The settings, and what a step costs, from a few steps of each phase."""
    console.print_json(json.dumps(run.to_dict()))
    batches = trainer.batches
    seconds, kept = [], 0
    for phase in trainer.schedule.phases:
        part = trainer.start_part(phase)
        for step in range(3):  # the first ones are slower
            begun = time.perf_counter()
            part.gradient(phase.objective, [batches(step)], step)
            took = time.perf_counter() - begun
        seconds.append((phase.share, took))
        with _counting() as bytes_of:
            part.gradient(phase.objective, [batches(0)], 0)
        kept = max(kept, sum(bytes_of.values()))
    if run.train.steps is not None:
        steps, minutes = run.train.steps, run.train.steps * sum(s * t for s, t in seconds) / 60
    else:
        minutes = run.train.minutes or 0.0
        steps = int(60 * minutes * sum(s / t for s, t in seconds))
    weights = sum(p.numel() * p.element_size() for p in trainer.kernel.parameters())
    console.print(
        f"About {60_000 * minutes / max(steps, 1):.0f} ms a step: {steps:,} steps, "
        f"{minutes:.1f} minutes. "
        f"Memory: {5 * weights / 1e6:.1f} MB for weights, their average, gradients and optimizer, "
        f"{kept / 1e6:.1f} MB kept for the backward pass."
    )


@contextmanager
def _counting() -> Iterator[dict[int, int]]:
    """While open, counts the bytes of each storage that is kept for the backward pass."""
    bytes_of: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        bytes_of[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        yield bytes_of
