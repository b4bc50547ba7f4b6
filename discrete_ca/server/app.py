"""The routes: a session's tree as JSON, drawings as streams (`drawings`), the page.

What is refused is ``{"error": why}``.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

import torch
from fastapi import APIRouter, Body, FastAPI, Query, Request
from fastapi import Path as InPath
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from torch import Tensor

from discrete_ca.explore import Node, Session, Studio, proposals
from discrete_ca.explore.knobs import Tuner
from discrete_ca.server import forms
from discrete_ca.server.drawings import Drawings, news_of, status, words
from discrete_ca.server.examples import Examples
from discrete_ca.server.jobs import Busy, Desk
from discrete_ca.server.medium import Medium, facts
from discrete_ca.server.packing import nodes_of, packed, state_of
from discrete_ca.server.shelf import Missing, Shelf

MEDIA = {
    "png": "image/png", "gif": "image/gif", "mid": "audio/midi", "npz": "application/zip",
    "txt": "text/plain; charset=utf-8",
}  # fmt: skip
_MEASURED = 4  # runs behind an expected change: a hint, within a share of a second
Id = Annotated[str, InPath(pattern="^[0-9a-f]{16}$")]
NodeId = Annotated[int, InPath(ge=1, le=2**53)]
_REFUSED: dict[int | str, dict[str, Any]] = {
    status: {"description": text}
    for status, text in (
        (400, "not JSON"), (404, "not there"), (409, "not possible now"), (413, "too large"),
        (415, "not JSON"), (422, "not allowed"), (503, "too busy"),
    )
}  # fmt: skip


def create_app(
    shelf: Shelf,
    studio: Studio,
    medium: Medium,
    name: str,
    examples: Examples | None = None,
    desk: Desk | None = None,
) -> FastAPI:
    """The application, without the guard that stands before it (`safety.Guard`).

    Args:
        shelf: the sessions.
        studio: the kernel and its space, for what the page is told of them.
        medium: what designs are.
        name: of the run.
        examples: designs to begin with; None for none.
        desk: where drawings are handed in.
    """
    workers = Desk() if desk is None else desk

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(workers.stop)
        shelf.close()

    app = FastAPI(
        title="discrete_ca explore", docs_url=None, redoc_url=None,
        openapi_url="/api/openapi.json", lifespan=lifespan,
    )  # fmt: skip
    served = Served(shelf, studio, medium, name, examples or Examples(), workers)
    app.include_router(served.router())
    app.mount("/", StaticFiles(directory=str(static_folder()), html=True))
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http_error)
    for kind in (Missing, Busy, ValueError, TypeError):
        app.add_exception_handler(kind, _refuse)
    return app


def static_folder() -> Path:
    """Where the page lies."""
    return Path(str(resources.files("discrete_ca.server") / "static"))


class Served:
    """What the routes do, over one shelf of sessions."""

    def __init__(
        self,
        shelf: Shelf,
        studio: Studio,
        medium: Medium,
        name: str,
        examples: Examples,
        desk: Desk,
    ) -> None:
        self.shelf, self.studio, self.medium = shelf, studio, medium
        self.name, self.examples, self.desk = name, examples, desk
        self.drawings = Drawings(shelf, studio, desk)

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(prefix="/api", responses=_REFUSED)
        one = "/sessions/{session_id}"
        for method, path, endpoint in (
            ("GET", "/model", self.model),
            ("GET", "/examples/{first}", self.example),
            ("GET", "/sessions", self.sessions),
            ("POST", "/sessions", self.new),
            ("GET", one, self.state),
            ("GET", one + "/nodes", self.nodes),
            ("PATCH", one + "/nodes/{node_id}", self.annotate),
            ("DELETE", one + "/nodes/{node_id}", self.discard),
            ("POST", one + "/begin", self.begin),
            ("POST", one + "/paint", self.paint),
            ("POST", one + "/lock", self.lock),
            ("POST", one + "/unlock", self.unlock),
            ("POST", one + "/pick", self.pick),
            ("POST", one + "/undo", self.undo),
            ("POST", one + "/redo", self.redo),
            ("GET", one + "/export", self.export),
            ("POST", one + "/noise", self.noise),
            ("POST", one + "/variants", self.variants),
            ("POST", one + "/walk", self.walk),
            ("POST", one + "/inpaint", self.inpaint),
            ("POST", one + "/blend", self.blend),
            ("POST", one + "/expect", self.expect),
            ("POST", one + "/wish", self.wish),
            ("POST", one + "/cancel", self.cancel),
        ):
            router.add_api_route(path, endpoint, methods=[method])
        return router

    # -- looking ----------------------------------------------------------------------------------

    def model(self) -> dict[str, Any]:
        """What is served: the kind of design, its shape, what can be set."""
        return facts(self.name, self.studio, self.medium, self.examples)

    def example(
        self,
        first: Annotated[int, InPath(ge=0, le=2**53)],
        count: Annotated[int, Query(ge=1, le=64)] = 24,
    ) -> dict[str, Any]:
        """Designs of the run's data, from one on, and their classes, null for one without."""
        places = range(first, min(first + count, len(self.examples)))
        return {
            "first": first, "of": len(self.examples),
            "designs": [packed(self.examples[i], self.studio.num_categories) for i in places],
            "labels": [self.examples.label(i) for i in places],
        }  # fmt: skip

    def sessions(self) -> list[dict[str, Any]]:
        """The sessions, the latest first."""
        return self.shelf.listing()

    def new(self, form: Annotated[forms.NewSession, Body()]) -> dict[str, Any]:
        """Make a session."""
        return {"id": self.shelf.new(form.seed)}

    def state(self, session_id: Id) -> dict[str, Any]:
        """Where a session stands."""
        with self.shelf.using(session_id) as entry, entry.lock:
            return state_of(entry.session, entry.version)

    def nodes(
        self,
        session_id: Id,
        after: Annotated[int, Query(ge=0, le=2**53)] = 0,
        count: Annotated[int, Query(ge=1, le=forms.MOST_NODES)] = forms.MOST_NODES,
    ) -> dict[str, Any]:
        """Nodes with their designs, by id, after one; `more` says whether others follow."""
        with self.shelf.using(session_id) as entry, entry.lock:
            found = [node for node in entry.session.tree if node.id > after]
            nodes = nodes_of(entry.session, found[:count])
        return {"nodes": nodes, "more": len(found) > count}

    # -- by hand ----------------------------------------------------------------------------------

    def begin(self, session_id: Id, form: Annotated[forms.Begin, Body()]) -> dict[str, Any]:
        """Begin with a design: given, of the data, of a text, or blank."""
        shape, ways = self.studio.shape, (form.design, form.example, form.text)
        label = None
        if sum(way is not None for way in ways) + form.blank != 1:
            raise ValueError("allowed: one of design, example, text, blank")
        if form.example is not None:
            if form.example >= len(self.examples):
                raise ValueError(f"example was {form.example}; allowed: below {len(self.examples)}")
            design, label = self.examples[form.example], self.examples.label(form.example)
        elif form.text is not None:
            design = self.medium.written(form.text, shape)
        elif form.design is not None:
            design = self._categories(form.design)
        else:
            design = torch.zeros(shape, dtype=torch.long)
        locked = self._mask(form.locked) | self.medium.padding(design)
        return self._change(session_id, lambda session: [session.start(design, locked, label)])

    def paint(self, session_id: Id, form: Annotated[forms.Paint, Body()]) -> dict[str, Any]:
        """Give cells categories, and lock them where they are held."""
        if len(form.values) not in (1, len(form.cells)):
            raise ValueError(
                f"values has {len(form.values)}; allowed: 1, or {len(form.cells)} as cells has"
            )
        cells = self._mask(form.cells)
        values = torch.zeros(self.studio.shape, dtype=torch.long)
        values.view(-1)[torch.tensor(form.cells)] = torch.tensor(form.values)
        return self._change(
            session_id,
            lambda session: [session.paint(cells, values, form.held, node=form.node)],
        )

    def lock(self, session_id: Id, form: Annotated[forms.OnCells, Body()]) -> dict[str, Any]:
        """Lock cells: no draw changes them."""
        cells = self._mask(form.cells)
        return self._change(session_id, lambda session: [session.lock(cells, form.node)])

    def unlock(self, session_id: Id, form: Annotated[forms.OnCells, Body()]) -> dict[str, Any]:
        """Let cells change again."""
        cells = self._mask(form.cells)
        return self._change(session_id, lambda session: [session.unlock(cells, form.node)])

    def pick(self, session_id: Id, form: Annotated[forms.Pick, Body()]) -> dict[str, Any]:
        """Stand at one design or several."""
        return self._change(session_id, lambda session: [session.pick(*form.nodes)][:0])

    def undo(self, session_id: Id) -> dict[str, Any]:
        """Back to where one stood before; nothing is deleted."""
        return self._change(session_id, lambda session: [session.undo()][:0])

    def redo(self, session_id: Id) -> dict[str, Any]:
        """Forward again."""
        return self._change(session_id, lambda session: [session.redo()][:0])

    def annotate(
        self, session_id: Id, node_id: NodeId, form: Annotated[forms.Annotation, Body()]
    ) -> dict[str, Any]:
        """Write a note or stars on a design."""
        return self._change(
            session_id, lambda session: [session.tree.annotate(node_id, form.note, form.stars)]
        )

    def discard(self, session_id: Id, node_id: NodeId) -> dict[str, Any]:
        """Delete a design with everything that was made from it."""
        gone: list[int] = []

        def do(session: Session) -> list[Node]:
            gone.extend(session.discard(node_id))
            return []

        return {**self._change(session_id, do), "gone": gone}

    def export(
        self,
        session_id: Id,
        nodes: Annotated[str, Query(pattern="^[0-9]+(,[0-9]+)*$", max_length=2048)],
        format: Annotated[str, Query(pattern="^[a-z]{3}$")],
    ) -> Response:
        """Designs as a file, in the order in which they are named."""
        if format not in self.medium.formats:
            raise ValueError(f"format was {format}; allowed: {', '.join(self.medium.formats)}")
        ids = [int(i) for i in nodes.split(",")]
        if len(ids) > forms.MOST_NODES:
            raise ValueError(f"nodes names {len(ids)}; allowed: {forms.MOST_NODES}")
        more = {"pitches": self.medium.midi_pitches} if self.medium.pitches else {}
        with tempfile.TemporaryDirectory(dir=self.shelf.folder, prefix=".export-") as folder:
            place = Path(folder, f"designs.{format}")
            with self.shelf.using(session_id) as entry:
                with entry.lock:
                    chosen = [entry.session.node(i) for i in ids]
                entry.session.export(place, chosen, **more)  # type: ignore[arg-type]
            content = place.read_bytes()
        label = f"design-{ids[0]}" if len(ids) == 1 else f"designs-{ids[0]}-{ids[-1]}"
        return Response(
            content, media_type=MEDIA[format],
            headers={"content-disposition": f'attachment; filename="{label}.{format}"'},
        )  # fmt: skip

    # -- drawing ----------------------------------------------------------------------------------

    async def noise(self, session_id: Id, form: Annotated[forms.FromNoise, Body()]) -> Response:
        """New designs from noise."""
        return await self.drawings.draw(session_id, proposals.FromNoise, form, [])

    async def variants(self, session_id: Id, form: Annotated[forms.Near, Body()]) -> Response:
        """Neighbours of a design."""
        return await self.drawings.draw(session_id, proposals.Variants, form, [form.node])

    async def walk(self, session_id: Id, form: Annotated[forms.Near, Body()]) -> Response:
        """A strip of designs along one chain."""
        if form.n * form.steps > forms.MOST_STEPS:
            raise ValueError(
                f"n times steps was {form.n * form.steps}; allowed: {forms.MOST_STEPS}"
            )
        return await self.drawings.draw(session_id, proposals.Walk, form, [form.node])

    async def inpaint(self, session_id: Id, form: Annotated[forms.Inpaint, Body()]) -> Response:
        """Cells of a design drawn anew, given the rest."""
        mask = self._mask(form.cells)
        return await self.drawings.draw(session_id, proposals.Inpaint, form, [form.node], mask=mask)

    async def blend(self, session_id: Id, form: Annotated[forms.Blend, Body()]) -> Response:
        """Designs between several."""
        return await self.drawings.draw(session_id, proposals.Blend, form, form.nodes)

    async def expect(self, session_id: Id, form: Annotated[forms.Expect, Body()]) -> Response:
        """How much variants at these settings would change, measured on a few."""
        hold = self.studio.hold(form.hold)

        def measure(tuner: Tuner) -> dict[str, Any]:
            return {"changed": tuner.changed(form.level, hold)}

        return await self.drawings.measure(session_id, form, _MEASURED, measure)

    async def wish(self, session_id: Id, form: Annotated[forms.Wish, Body()]) -> Response:
        """The level and hold whose variants change about so much."""

        def measure(tuner: Tuner) -> dict[str, Any]:
            found = tuner.for_change(form.change, hold=form.hold, tolerance=0.02, rounds=6)
            return {"level": found.level, "hold": found.hold, "changed": found.changed}

        return await self.drawings.measure(session_id, form, _MEASURED, measure)

    def cancel(self, session_id: Id) -> dict[str, Any]:
        """Give up what the session draws."""
        return {"cancelled": self.desk.cancel(session_id)}

    # -- helpers ----------------------------------------------------------------------------------

    def _mask(self, cells: Sequence[int]) -> Tensor:
        """Cells, counted row by row, as a mask of shape S."""
        mask = torch.zeros(self.studio.shape, dtype=torch.bool)
        if cells and max(cells) >= mask.numel():
            raise ValueError(f"cells hold {max(cells)}; allowed: below {mask.numel()}")
        mask.view(-1)[torch.tensor(cells, dtype=torch.long)] = True
        return mask

    def _categories(self, values: Sequence[int]) -> Tensor:
        """Categories, row by row, as a design."""
        count = torch.Size(self.studio.shape).numel()
        if len(values) != count:
            raise ValueError(f"design has {len(values)} cells; allowed: {count}")
        return torch.tensor(values, dtype=torch.long).reshape(self.studio.shape)

    def _change(self, session_id: str, do: Callable[[Session], list[Node]]) -> dict[str, Any]:
        """Change a session by hand; it is on disk before the answer."""
        with self.shelf.using(session_id) as entry, entry.lock:
            with entry.changing() as session:
                made = do(session)
            return news_of(entry, made)


def _refuse(_: Request, error: Exception) -> Response:
    headers = {"retry-after": "1"} if isinstance(error, Busy) else None
    return JSONResponse({"error": words(error)}, status(error), headers)


def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:]) or "body"
    return JSONResponse({"error": f"{where}: {first['msg']}"}, 422)


def _http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": str(error.detail)}, error.status_code, error.headers)
