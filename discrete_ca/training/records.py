"""What a run writes down: rows of numbers, pictures, the best weights.

``metrics.jsonl`` has a row every few steps (mean loss, gradient norm, steps skipped) and one for
each look of the observers; ``observed/`` has their pictures, ``best/`` the best averaged weights.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import fmean
from typing import Any

from discrete_ca.errors import CheckpointError, ConfigError, unknown_name
from discrete_ca.kernels import TransitionKernel
from discrete_ca.training.config import TrainConfig
from discrete_ca.training.observers import Observer
from discrete_ca.training.trackers import Trackers
from discrete_ca.training.watching import Bar

METRICS_FILE, OBSERVED, BEST = "metrics.jsonl", "observed", "best"

Row = dict[str, float]


class Records:
    """The rows of a run.

    Example:
        >>> records = Records()
        >>> records.add(2.0, 1.0); records.add(4.0, 1.0)
        >>> records.close(0.5, step=2)
        {'loss': 3.0, 'gradient_norm': 1.0, 'step': 2}
    """

    def __init__(self) -> None:
        self.history: list[Row] = []
        self.best: tuple[str, float] | None = None  # the measure and its lowest value
        self._pending: list[tuple[float, float]] = []  # of steps that are in no row yet
        self._config: TrainConfig | None = None
        self._bar: Bar | None = None
        self._trackers: Trackers | None = None

    @contextmanager
    def open(self, config: TrainConfig) -> Iterator[None]:
        """While open, rows are shown and tracked as the config says."""
        self._config = config
        with ExitStack() as stack:
            self._bar = stack.enter_context(Bar(config.progress))
            self._trackers = stack.enter_context(Trackers(config))
            yield
        self._bar = self._trackers = None

    def add(self, loss: float, norm: float) -> None:
        """Note the loss and the gradient norm of a step."""
        self._pending.append((loss, norm))

    def show(self, place: float, step: int, seconds: float) -> None:
        """Say how the run goes before its first row, where that takes long."""
        if self._bar is not None and self._bar.wants_a_line():
            losses = [loss for loss, _ in self._pending]
            self._bar.show(place, {"loss": _mean(losses), "step": step, "seconds": seconds})

    def close(self, place: float, **facts: float) -> Row:
        """A row of the steps since the last one: means over the finite ones, and `facts`.

        Args:
            place: share of the run done, in [0, 1].
            facts: the step and whatever else stands in the row.
        """
        losses, norms = zip(*self._pending, strict=True)
        row = {"loss": _mean(losses), "gradient_norm": _mean(norms), **facts}
        self._pending = []
        self._add(row)
        if self._bar is not None:
            self._bar.show(place, row)
        return row

    def observe(
        self, kernel: TransitionKernel, observers: Sequence[Observer], step: int, phase: int
    ) -> None:
        """Call the observers; keep what they found, and the weights where they are the best yet.

        Raises:
            ConfigError: where `best` names no measure of theirs.
        """
        assert self._config is not None
        config = self._config
        found: dict[str, Any] = {}
        for observer in observers:
            found |= observer(kernel)
        pictures = {k: v for k, v in found.items() if hasattr(v, "save")}
        numbers = {k: float(v) for k, v in found.items() if k not in pictures}
        self._add({**numbers, "step": step, "phase": phase})
        if self._trackers is not None:
            self._trackers.log_pictures(pictures, step)
        if config.folder is None:
            return
        folder = Path(config.folder)
        for name, picture in pictures.items():
            (folder / OBSERVED).mkdir(parents=True, exist_ok=True)
            picture.save(folder / OBSERVED / f"{name}-{step:08d}.png")
        if config.best is not None:
            if config.best not in numbers:
                raise ConfigError(unknown_name("best", config.best, numbers))
            value, best = numbers[config.best], self.best
            if math.isfinite(value) and (best is None or best[0] != config.best or value < best[1]):
                self.best = (config.best, value)
                kernel.save_pretrained(folder / BEST)

    def _add(self, row: Row) -> None:
        self.history.append(row)
        if self._trackers is not None:
            self._trackers.log(row)

    def write(self, folder: Path) -> None:
        """All rows, one a line, to metrics.jsonl; what is not finite as null.

        Raises:
            CheckpointError: where the file cannot be written; the one before stays.
        """
        lines = "".join(json.dumps(_plain(row)) + "\n" for row in self.history)
        place = folder / METRICS_FILE
        beside = folder / f".{METRICS_FILE}"
        try:
            beside.write_text(lines, encoding="utf-8")
            os.replace(beside, place)
        except OSError as error:
            raise CheckpointError(f"'{place}' cannot be written: {error}") from error

    def state(self) -> dict[str, Any]:
        """Plain values to go on from."""
        return {"history": self.history, "pending": self._pending, "best": self.best}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""
        self.history = list(state["history"])
        self.best = None if state["best"] is None else (state["best"][0], float(state["best"][1]))
        self._pending = [(float(loss), float(norm)) for loss, norm in state["pending"]]


def _plain(row: Row) -> dict[str, float | None]:
    return {name: value if math.isfinite(value) else None for name, value in row.items()}


def _mean(values: Sequence[float]) -> float:
    finite = [value for value in values if math.isfinite(value)]
    return fmean(finite) if finite else math.nan
