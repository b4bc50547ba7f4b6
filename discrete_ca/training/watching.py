"""Watching a run: its progress bar, and the signals that ask it to stop."""

from __future__ import annotations

import math
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Bar:
    """The progress bar of a run."""

    def __init__(self, shown: bool) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        numbers = (
            "step {task.fields[step]} loss {task.fields[loss]:.3f} {task.fields[speed]:.1f} steps/s"
        )
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}% " + numbers),
            TimeRemainingColumn(),
            disable=not shown,
        )
        self._task = self._bar.add_task("training", total=1.0, step=0, loss=math.nan, speed=0.0)
        self._before: tuple[float, float] | None = None

    def __enter__(self) -> Bar:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, place: float, row: dict[str, float]) -> None:
        """Move to `place` in [0, 1]."""
        step, seconds = row["step"], row["seconds"]
        before = self._before or (0, 0.0)
        speed = (step - before[0]) / max(seconds - before[1], 1e-9)
        self._before = (step, seconds)
        self._bar.update(self._task, completed=place, step=step, loss=row["loss"], speed=speed)


@contextmanager
def interrupts(watch: bool) -> Iterator[Callable[[], bool]]:
    """While open, SIGINT and SIGTERM are noted for the caller to ask for, not acted on.

    Args:
        watch: whether to; signals are seen in the main thread alone.
    """
    seen: list[int] = []
    if not watch or threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    names = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(name, lambda number, _: seen.append(number)) for name in names]
    try:
        yield lambda: bool(seen)
    finally:
        for name, handler in zip(names, before, strict=True):
            signal.signal(name, handler)
