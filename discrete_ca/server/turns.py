"""Turns at one model: whoever has had the least of it goes next.

A chain holds the model for one evaluation at a time and then lets others at it, so that a long
chain delays a short one by no more than a step. The fair share is of time: each taker's account
grows by the seconds that it used, and the smallest account goes next. Who comes new starts where
the one that is furthest behind stands: waiting earns no credit.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

PassOn = Callable[[], None]
"""Lets others have their turn; returns when it is one's own again."""


@dataclass(eq=False)
class _Taker:
    seconds: float
    turn: threading.Event = field(default_factory=threading.Event)
    begun: float = 0.0


class Turns:
    """Who may use the model now.

    Example:
        >>> turns = Turns()
        >>> with turns.taking() as pass_on:
        ...     pass_on()  # between two evaluations
        >>> len(turns)
        0
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._present: list[_Taker] = []
        self._now: _Taker | None = None

    def __len__(self) -> int:
        """How many take turns."""
        return len(self._present)

    @contextmanager
    def taking(self) -> Iterator[PassOn]:
        """Take turns with others; inside, it is one's own turn until one passes it on."""
        with self._lock:
            least = min((other.seconds for other in self._present), default=0.0)
            taker = _Taker(least)
            self._present.append(taker)
            self._next()
        taker.turn.wait()
        try:
            yield lambda: self._pass_on(taker)
        finally:
            with self._lock:
                self._present.remove(taker)
                self._now = None
                self._next()

    def _pass_on(self, taker: _Taker) -> None:
        with self._lock:
            taker.seconds += time.perf_counter() - taker.begun
            taker.turn.clear()
            self._now = None
            self._next()
        taker.turn.wait()

    def _next(self) -> None:
        """Give the turn away, where it is free; the lock is held."""
        if self._now is None and self._present:
            self._now = min(self._present, key=lambda taker: taker.seconds)
            self._now.begun = time.perf_counter()
            self._now.turn.set()
