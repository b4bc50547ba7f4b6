"""Drawing while others draw: a job a session, so many in all, frames on the way.

The newest job of a session takes the place of the one before it; only a measurement waits for what
is drawn: it is given up, and may be asked for again.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from discrete_ca.explore.watching import Glimpse, Watch
from discrete_ca.server.turns import PassOn, Turns

MOST_JOBS = 64
"""How many jobs may run and wait together."""
_FRAME_SECONDS = 0.08
_SHARE_OF_FRAMES = 0.2  # of a job's time at most, for read-outs that are dear


class Busy(Exception):
    """More work waits than is allowed."""


class Cancelled(Exception):
    """The job was given up: somebody asked for another, or went away.

    Args:
        message: why.
        for_drawing: whether it was a measurement that a drawing went before.
    """

    def __init__(self, message: str, for_drawing: bool = False) -> None:
        super().__init__(message)
        self.for_drawing = for_drawing


@dataclass(frozen=True, eq=False)
class Frame:
    """What a chain shows on its way.

    Args:
        done: evaluations so far.
        designs: what would be read out now, (B, *S).
    """

    done: int
    designs: Tensor


@dataclass(frozen=True, eq=False)
class Ended:
    """How a job ended: with a result or with an error."""

    result: Any = None
    error: Exception | None = None


class Mailbox:
    """What a job tells whoever waits for it; of frames that were not fetched the newest stays."""

    def __init__(self) -> None:
        self._loop, self._news = asyncio.get_running_loop(), asyncio.Event()
        self._frame: Frame | None = None
        self._end: Ended | None = None

    def put(self, found: Frame | Ended) -> None:
        """Put something in, from any thread."""
        if isinstance(found, Frame):
            self._frame = found
        else:
            self._end = found
        try:
            self._loop.call_soon_threadsafe(self._news.set)
        except RuntimeError:  # the loop has been closed: nobody waits
            pass

    async def get(self) -> Frame | Ended:
        """The newest frame, or the end."""
        await self._news.wait()
        self._news.clear()
        if self._end is not None:
            return self._end
        assert self._frame is not None
        return self._frame


class Job:
    """One piece of drawing.

    Args:
        mailbox: whom to tell.
        yields: whether it gives way to every job that does not.
    """

    def __init__(self, mailbox: Mailbox, yields: bool = False) -> None:
        self.mailbox, self.yields, self.ended = mailbox, yields, threading.Event()
        self._given_up: Cancelled | None = None
        self._done, self._next_frame = 0, 0.0

    @property
    def goes_before_others(self) -> bool:
        """Whether those that yield give way to it."""
        return not self.yields and self._given_up is None

    def cancel(self, for_drawing: bool = False) -> None:
        """Let it end after the evaluation at which it is; for a drawing, if so, that goes first."""
        self._given_up = Cancelled("another was asked for", for_drawing)

    def check(self) -> None:
        """End here if it was given up.

        Raises:
            Cancelled: if so.
        """
        if self._given_up is not None:
            raise self._given_up

    def watching(self, pass_on: PassOn) -> Watch:
        """What the kernel calls after each evaluation: show a frame now and then, let others on."""

        def watch(glimpse: Glimpse) -> None:
            self._done += 1
            self.check()
            begun = time.perf_counter()
            if begun >= self._next_frame:
                self.mailbox.put(Frame(self._done, glimpse.designs()))
                ended = time.perf_counter()
                pause = max(_FRAME_SECONDS, (ended - begun) / _SHARE_OF_FRAMES)
                self._next_frame = ended + pause
            pass_on()
            self.check()

        return watch


class Desk:
    """Where jobs are handed in.

    Args:
        most: how many may run and wait together.
    """

    def __init__(self, most: int = MOST_JOBS) -> None:
        self.turns, self.most = Turns(), most
        self._lock = threading.Lock()
        self._newest: dict[str, Job] = {}
        self._alive: set[Job] = set()
        self._threads = ThreadPoolExecutor(most, thread_name_prefix="drawing")

    def begin(
        self,
        session: str,
        draw: Callable[[Watch], Any],
        keep: Callable[[Any], Any],
        mailbox: Mailbox,
        release: Callable[[], None] = lambda: None,
        yields: bool = False,
    ) -> Job:
        """Start a job; the one that the session had is given up, and this waits for its end.

        One that yields does not begin while the session has one that does not: it is given up
        itself.

        Args:
            session: whose it is.
            draw: uses the model, in turns with others; what it is given it hands to the kernel.
            keep: makes the result of what was drawn, without the model.
            mailbox: gets frames, and the result or the error.
            release: called when the job has ended, however it did.
            yields: whether it gives way to every job that does not.

        Raises:
            Busy: for too many.
        """
        with self._lock:
            if len(self._alive) >= self.most:
                raise Busy(f"{len(self._alive)} drawings wait; allowed: {self.most}, try again")
            before, job = self._newest.get(session), Job(mailbox, yields)
            self._alive.add(job)
            if yields and before is not None and before.goes_before_others:
                job.cancel(for_drawing=True)
                before = None  # goes on: its end is not waited for
            else:
                self._newest[session] = job
                if before is not None:
                    before.cancel(for_drawing=before.yields and not yields)
        self._threads.submit(self._run, session, job, before, draw, keep, release)
        return job

    def cancel(self, session: str) -> bool:
        """Give up what a session draws; whether it did."""
        with self._lock:
            job = self._newest.get(session)
        if job is not None:
            job.cancel()
        return job is not None

    def stop(self) -> None:
        """Give everything up."""
        with self._lock:
            jobs = [*self._alive]
        for job in jobs:
            job.cancel()
        self._threads.shutdown(wait=True)

    def __len__(self) -> int:
        """How many run and wait."""
        return len(self._alive)

    def _run(
        self,
        session: str,
        job: Job,
        before: Job | None,
        draw: Callable[[Watch], Any],
        keep: Callable[[Any], Any],
        release: Callable[[], None],
    ) -> None:
        try:
            if before is not None:
                before.ended.wait()
            job.check()
            with self.turns.taking() as pass_on:
                job.check()
                drawn = draw(job.watching(pass_on))
            job.check()
            end = Ended(keep(drawn))
        except Exception as error:
            end = Ended(error=error)
        finally:
            with self._lock:
                self._alive.discard(job)
                if self._newest.get(session) is job:
                    del self._newest[session]
            release()
            job.ended.set()
        job.mailbox.put(end)
