"""A run, served: its kernel, its sessions, an address."""

from __future__ import annotations

import contextlib
import math
import secrets
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from discrete_ca import data
from discrete_ca.data.sources import array_file
from discrete_ca.errors import ConfigError, DataError
from discrete_ca.explore import Studio
from discrete_ca.files import DIGITS
from discrete_ca.metrics import PitchCoding
from discrete_ca.runs import SavedRun
from discrete_ca.server.app import create_app
from discrete_ca.server.medium import Medium
from discrete_ca.server.safety import LOOPBACK, Guard
from discrete_ca.server.shelf import Shelf

_ANY = ("0.0.0.0", "::")
_MOST_CONNECTIONS = 512
_PADDED_LOOKED_AT = 10_000


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
    examples: Tensor | None = None,
    coding: PitchCoding | None = None,
    address: Address | None = None,
) -> Guard:
    """The application over a run, with the guard before it.

    Args:
        run: the run; see `runs.load_run`.
        name: of the run, for the page.
        folder: where sessions lie.
        shape: S, where the run does not say.
        examples: designs to begin with, (N, *S); None for the run's own data where they are there,
            else MNIST's digits where they fit.
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
    chosen, whose = (examples, "") if examples is not None else _own(run, studio)
    shelf = Shelf(folder, run.kernel, studio.shape, studio.num_categories, run.tokenizer)
    app = create_app(shelf, studio, medium, name, chosen, whose)
    return Guard(app, place.hosts, place.token, most=_most_bytes(studio))


def read_examples(source: str | Path, run: SavedRun) -> Tensor:
    """Designs to begin with, from an array file (N, *S) that the operator names.

    Raises:
        DataError: for a file that cannot be read or does not fit.
    """
    values = array_file(Path(source), None, None).values
    if run.shape is not None and tuple(values.shape[1:]) != run.shape:
        raise DataError(f"designs have shape {tuple(values.shape[1:])}; allowed: {run.shape}")
    if values.is_floating_point():
        raise DataError(f"designs hold {values.dtype}; allowed: whole numbers")
    found, most = values.long(), run.num_categories
    if found.numel() and (int(found.min()) < 0 or (most is not None and int(found.max()) >= most)):
        raise DataError(f"designs hold values outside 0 .. {(most or 0) - 1}")
    return found


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


def _own(run: SavedRun, studio: Studio) -> tuple[Sequence[Tensor], str]:
    """The run's own examples, those of a test split first, else MNIST's test digits where they fit.

    With them what they are where they are not the run's.
    """
    for split in ("test", None):
        own: Any = run.examples(split) if run.shape == studio.shape else None
        if own is not None and len(found := _whole(own)):
            return found, ""
    name = DIGITS.get(studio.num_categories)
    if name is None or studio.shape != (28, 28):
        return (), ""
    return data.load(name, split="test").states, "MNIST's test digits"  # type: ignore[return-value]


def _whole(own: Any) -> Sequence[Tensor]:
    """The examples that have no padding, which designs know nothing of: all, or the first ones."""
    if own.present is None:
        return own  # type: ignore[no-any-return]
    rows = torch.arange(min(len(own), _PADDED_LOOKED_AT))
    found: Sequence[Tensor] = own[rows[own.present[rows].flatten(1).all(1)]]
    return found


def _most_bytes(studio: Studio) -> int:
    """Bytes of the largest body: a painting of every cell, with room."""
    return (1 << 16) + 24 * math.prod(studio.shape)
