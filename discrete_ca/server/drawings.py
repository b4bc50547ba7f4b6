"""Drawings as streams of server-sent events, measurements as one answer: both are jobs.

A drawing answers with ``frame`` events while its chain goes on and ends with ``made`` (the nodes,
which are then on disk), ``failed`` or ``cancelled``. What is refused before the first frame is
refused as such. To give way is no error: a measurement, which every drawing goes before, then
answers ``{"gave_way": true, "to_drawing": …}``.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from fastapi.responses import JSONResponse, Response, StreamingResponse

from discrete_ca.errors import CheckpointError
from discrete_ca.explore import Node, Operation, Studio
from discrete_ca.explore.knobs import Tuner
from discrete_ca.explore.watching import Watch
from discrete_ca.server import forms
from discrete_ca.server.jobs import Busy, Cancelled, Desk, Ended, Frame, Job, Mailbox
from discrete_ca.server.packing import nodes_of, packed, state_of
from discrete_ca.server.shelf import Missing, OpenSession, Shelf

_STATUS = {Missing: 404, Busy: 503, CheckpointError: 409}


class Drawings:
    """Jobs over the sessions of a shelf.

    Args:
        shelf: the sessions.
        studio: the kernel and its space.
        desk: where jobs are handed in.
    """

    def __init__(self, shelf: Shelf, studio: Studio, desk: Desk) -> None:
        self.shelf, self.studio, self.desk = shelf, studio, desk

    async def draw(
        self,
        session_id: str,
        kind: type[Operation],
        form: forms.Form,
        parents: Sequence[int],
        **more: Any,
    ) -> Response:
        """Draw, showing frames; what is refused is refused before anything runs."""
        values = form.model_dump(exclude={"node", "nodes", "cells"})
        values["hold"] = self.studio.hold(values["hold"])
        operation = kind(**values, **more)
        entry, release = await asyncio.to_thread(self._hold, session_id)

        def draw() -> Any:
            with entry.lock:
                entry.session.tree.room(operation.count)
                given = [entry.session.node(i) for i in parents]
            return entry.session.draft(operation, given)

        def keep(draft: Any) -> dict[str, Any]:
            with entry.lock:
                with entry.changing() as session:
                    made = session.take(draft)
                return news_of(entry, made)

        job, mailbox = self._begin(session_id, draw, keep, entry, release)
        first = await mailbox.get()
        if isinstance(first, Ended):
            _refuse(first)

        async def events() -> AsyncIterator[str]:
            found = first
            try:
                while isinstance(found, Frame):
                    yield _event("frame", self._frame(found, operation))
                    found = await mailbox.get()
                yield _ending(found)
            finally:
                job.cancel()

        return StreamingResponse(events(), media_type="text/event-stream")

    async def measure(
        self, session_id: str, form: Any, n: int, measure: Callable[[Tuner], dict[str, Any]]
    ) -> Response:
        """Measure what settings do, as a job that gives way to drawings."""
        entry, release = await asyncio.to_thread(self._hold, session_id)

        def draw() -> Any:
            with entry.lock:
                node = entry.session.node(form.node)
                tuner = entry.session.tuner(
                    node, steps=form.steps, n=n, label=form.label, guidance=form.guidance,
                    metropolis=form.metropolis,
                )  # fmt: skip
            return measure(tuner)

        _, mailbox = self._begin(session_id, draw, lambda found: found, entry, release, yields=True)
        while isinstance(news := await mailbox.get(), Frame):
            pass
        _refuse(news)
        if news.error is not None:
            assert isinstance(news.error, Cancelled)
            return JSONResponse({"gave_way": True, "to_drawing": news.error.for_drawing})
        return JSONResponse(news.result)

    def _hold(self, session_id: str) -> tuple[OpenSession, Callable[[], None]]:
        """A session that stays open until it is released."""
        stack = contextlib.ExitStack()
        return stack.enter_context(self.shelf.using(session_id)), stack.close

    def _begin(
        self,
        session_id: str,
        draw: Callable[[], Any],
        keep: Callable[[Any], Any],
        entry: OpenSession,
        release: Callable[[], None],
        yields: bool = False,
    ) -> tuple[Job, Mailbox]:
        """Hand a job in; while it draws, its session's studio is watched."""

        def watched(watch: Watch) -> Any:
            studio = entry.session.studio
            studio.watch = watch
            try:
                return draw()
            finally:
                studio.watch = None

        mailbox = Mailbox()
        try:
            return self.desk.begin(session_id, watched, keep, mailbox, release, yields), mailbox
        except Busy:
            release()
            raise

    def _frame(self, frame: Frame, operation: Operation) -> dict[str, Any]:
        """A frame as an event; a walk shows one design after another."""
        count, total = len(frame.designs), max(1, operation.calls)
        first = 0 if count == operation.count else (frame.done - 1) * operation.count // total
        return {
            "done": frame.done, "of": total, "first": first,
            "designs": [packed(z, self.studio.num_categories) for z in frame.designs],
        }  # fmt: skip


def news_of(entry: OpenSession, made: Sequence[Node]) -> dict[str, Any]:
    """New or changed nodes, and where the session stands."""
    session = entry.session
    return {
        "nodes": nodes_of(session, made),
        "state": state_of(session, entry.version),
    }


def _refuse(end: Ended) -> None:
    """Raise what went wrong; that it was given up for something else did not."""
    if end.error is not None and not isinstance(end.error, Cancelled):
        raise end.error


def _event(name: str, values: Any) -> str:
    return f"event: {name}\ndata: {json.dumps(values)}\n\n"


def _ending(end: Frame | Ended) -> str:
    assert isinstance(end, Ended)
    if end.error is None:
        return _event("made", end.result)
    name = "cancelled" if isinstance(end.error, Cancelled) else "failed"
    return _event(name, {"error": words(end.error)})


def words(error: Exception) -> str:
    """What a person is told: errors of this package say what is allowed, others their class."""
    known = isinstance(error, ValueError | TypeError | Missing | Busy | Cancelled)
    return str(error) if known else f"unexpected {type(error).__name__}"


def status(error: Exception) -> int:
    """Of the answer, for an error."""
    return next((code for kind, code in _STATUS.items() if isinstance(error, kind)), 422)
