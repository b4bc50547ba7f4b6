"""Watching a run: its progress bar, and the signals that ask it to stop."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Bar:
    """The progress of a run: a bar on a terminal, a line now and then elsewhere.

    Args:
        shown: whether to show anything.
    """

    FIRST_SECONDS, LINE_SECONDS = 10.0, 30.0  # to the first line in a log, and between lines

    def __init__(self, shown: bool) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        numbers = (
            "step {task.fields[step]} loss {task.fields[loss]:.3f} {task.fields[speed]:.1f} steps/s"
        )
        self._console = Console()
        self._lines = shown and not self._console.is_terminal
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}% " + numbers),
            TimeRemainingColumn(),
            console=self._console,
            disable=not shown or self._lines,
        )
        self._task = self._bar.add_task("training", total=1.0, step=0, loss=math.nan, speed=0.0)
        self._before: tuple[float, float] | None = None
        self._said, self._wait = time.monotonic(), self.FIRST_SECONDS

    def __enter__(self) -> Bar:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, place: float, row: dict[str, float]) -> None:
        """Move to `place` in [0, 1]; `row` has the step, the loss and the seconds so far."""
        step, seconds = row["step"], row["seconds"]
        before = self._before or (0, 0.0)
        speed = (step - before[0]) / max(seconds - before[1], 1e-9)
        self._before = (step, seconds)
        self._bar.update(self._task, completed=place, step=step, loss=row["loss"], speed=speed)
        if self._lines and (self._late() or place >= 1.0):
            self._said, self._wait = time.monotonic(), self.LINE_SECONDS
            left = f", about {seconds * (1 / place - 1):.0f} s left" if 0 < place < 1 else ""
            self._console.print(
                f"{place:4.0%} step {step} loss {row['loss']:.3f} {speed:.1f} steps/s "
                f"{seconds:.0f} s{left}",
                highlight=False,
            )

    def wants_a_line(self) -> bool:
        """Whether nothing was said yet and the first line is due."""
        return self._lines and self._wait == self.FIRST_SECONDS and self._late()

    def _late(self) -> bool:
        return time.monotonic() - self._said >= self._wait


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
