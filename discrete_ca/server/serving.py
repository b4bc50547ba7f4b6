"""A run, served: its kernel, its sessions, an address."""

from __future__ import annotations

import contextlib
import math
import secrets
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from discrete_ca.data import DiscreteData
from discrete_ca.errors import ConfigError
from discrete_ca.explore import Studio
from discrete_ca.metrics import PitchCoding
from discrete_ca.runs import SavedRun
from discrete_ca.server.app import create_app
from discrete_ca.server.examples import Examples, own_examples
from discrete_ca.server.medium import Medium
from discrete_ca.server.safety import LOOPBACK, Guard
from discrete_ca.server.shelf import Shelf

_ANY = ("0.0.0.0", "::")
_MOST_CONNECTIONS = 512


@dataclass(frozen=True)
class Address:
    """Where a server listens and who may ask.

    Args:
        host: the interface; only this machine unless said.
        port: the port; 0 for a free one.
        token: what the page must know; None for one by chance where the host is not this machine.

    Raises:
        ConfigError: for a port that is none.
    """

    host: str = "127.0.0.1"
    port: int = 8017
    token: str | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.port < 1 << 16:
            raise ConfigError(f"port was {self.port}; allowed: 0 .. 65535")
        if self.token is not None and len(self.token) < 16:
            raise ConfigError("token is short; allowed: 16 characters or more")
        if self.token is None and self.host not in LOOPBACK:
            object.__setattr__(self, "token", secrets.token_urlsafe(24))

    @property
    def hosts(self) -> frozenset[str] | None:
        """Names under which the server may be asked; None for any, where it listens to all."""
        return None if self.host in _ANY else LOOPBACK | {self.host}

    def url(self, port: int) -> str:
        """What to open; the token stands after the #, which browsers do not send."""
        shown = "127.0.0.1" if self.host in _ANY else self.host
        shown = f"[{shown}]" if ":" in shown else shown
        return f"http://{shown}:{port}/" + (f"#token={self.token}" if self.token else "")


def application(
    run: SavedRun,
    name: str,
    folder: str | Path,
    *,
    shape: tuple[int, ...] | None = None,
    examples: Tensor | DiscreteData | None = None,
    coding: PitchCoding | None = None,
    address: Address | None = None,
) -> Guard:
    """The application over a run, with the guard before it.

    Args:
        run: the run; see `runs.load_run`.
        name: of the run, for the page.
        folder: where sessions lie.
        shape: S, where the run does not say.
        examples: designs to begin with, (N, *S), or data, whose labels are their classes; None for
            the run's own data where they are there, else MNIST's digits where they fit.
        coding: which pitch a category means, for designs that are voices (C, T).
        address: who may ask; None for this machine.

    Raises:
        ConfigError: for a run without a shape or without categories, or pitches that do not fit.
        CheckpointError: for a folder that cannot be used.
    """
    found, place = shape or run.shape, address or Address()
    if run.continuous:
        raise ConfigError(f"run '{name}' is of real numbers; allowed: categories")
    if found is None:
        raise ConfigError(f"run '{name}' does not say the shape of its data; pass --shape")
    studio = Studio(run.kernel.eval(), tuple(found), run.num_categories)
    medium = Medium.of(studio.shape, studio.num_categories, run.tokenizer, coding)
    chosen = (
        own_examples(run, studio.shape, studio.num_categories)
        if examples is None
        else Examples.of(examples)
    )
    shelf = Shelf(folder, run.kernel, studio.shape, studio.num_categories, run.tokenizer)
    app = create_app(shelf, studio, medium, name, chosen)
    return Guard(app, place.hosts, place.token, most=_most_bytes(studio))


def serve(app: Any, address: Address, tell: Callable[[str], None] = print) -> None:
    """Serve until interrupted; `tell` is given the address to open once it listens.

    Raises:
        ConfigError: for a host or port that cannot be had.
    """
    import uvicorn

    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    with socket.socket(family) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((address.host, address.port))
        except OSError as error:
            raise ConfigError(
                f"{address.host}:{address.port} cannot be had ({error}); allowed: another --port"
            ) from error
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, ws="none",
            limit_concurrency=_MOST_CONNECTIONS, server_header=False,
            timeout_graceful_shutdown=2,
        )  # fmt: skip
        listening.listen(128)
        tell(address.url(listening.getsockname()[1]))
        with contextlib.suppress(KeyboardInterrupt):  # uvicorn raises it again after its end
            uvicorn.Server(config).run(sockets=[listening])


def _most_bytes(studio: Studio) -> int:
    """Bytes of the largest body: a painting of every cell, with room."""
    return (1 << 16) + 24 * math.prod(studio.shape)
