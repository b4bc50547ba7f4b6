"""The sessions of one folder: by ids that the server gives out, each whole on disk at every moment.

A client names an id, never a place. A session that several requests use is one object, and what
changed is on disk before anybody is told; if it cannot be written, the session is what it was.
"""

from __future__ import annotations

import copy
import re
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from discrete_ca.data import Tokenizer
from discrete_ca.errors import CheckpointError
from discrete_ca.explore import Session
from discrete_ca.explore.storage import SESSION_FILE
from discrete_ca.kernels import TransitionKernel

MOST_SESSIONS = 1000
"""How many sessions a folder may hold."""
_OPEN = 64
_ID = re.compile(r"[0-9a-f]{16}")


class Missing(LookupError):
    """A session that is not there."""


class OpenSession:
    """A session in use.

    Args:
        id: its name.
        session: the session.
        folder: where it lies.

    Attributes:
        lock: held while the tree is read or changed, never while a chain runs.
        version: grows with every change.
        users: how many requests and jobs use it.
        broken: that it could not be written, and is to be read again.
    """

    def __init__(self, id: str, session: Session, folder: Path) -> None:
        self.id, self.session, self.folder = id, session, folder
        self.lock, self.version, self.users, self.broken = threading.RLock(), 0, 0, False

    @contextmanager
    def changing(self) -> Iterator[Session]:
        """Change the session; at the end it is on disk.

        Raises:
            CheckpointError: where it cannot be written; it is then read from disk again.
        """
        with self.lock:
            if self.broken:
                raise CheckpointError("the session could not be saved; load it again")
            yield self.session
            try:
                self.session.save(self.folder)
            except CheckpointError:
                self.broken = True
                raise
            self.version += 1


class Shelf:
    """Sessions over one kernel in one folder, which one server at a time has.

    Args:
        folder: where they lie; made if it is not there.
        kernel: the kernel that they share.
        shape: S.
        num_categories: K.
        tokenizer: what makes text of designs.

    Raises:
        CheckpointError: for a folder that another server has, or that cannot be written.
    """

    def __init__(
        self,
        folder: str | Path,
        kernel: TransitionKernel,
        shape: tuple[int, ...],
        num_categories: int | None = None,
        tokenizer: Tokenizer | None = None,
    ) -> None:
        self.folder = Path(folder)
        self._kernel, self._tokenizer = kernel.eval(), tokenizer
        self._new = lambda seed: Session(
            self._own_kernel(), shape, num_categories, seed=seed, tokenizer=tokenizer
        )
        self._lock = threading.Lock()
        self._open: dict[str, OpenSession] = {}
        self._server = FileLock(self.folder / ".server")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._server.acquire(timeout=0)
        except Timeout as error:
            raise CheckpointError(
                f"folder '{self.folder}' is served by another process; allowed: one at a time"
            ) from error
        except OSError as error:
            raise CheckpointError(f"folder '{self.folder}' cannot be used: {error}") from error

    def close(self) -> None:
        """Let another server have the folder."""
        self._server.release()

    def _own_kernel(self) -> TransitionKernel:
        """The kernel with settings of its own, such as the hold; the weights are shared."""
        return copy.copy(self._kernel)

    def listing(self) -> list[dict[str, Any]]:
        """Ids of the sessions and when they were saved (seconds since 1970), the latest first."""
        found = []
        for place in self.folder.iterdir():
            if _ID.fullmatch(place.name):
                try:
                    found.append(
                        {"id": place.name, "saved": (place / SESSION_FILE).stat().st_mtime}
                    )
                except OSError:  # one that is being made, or was taken away
                    continue
        return sorted(found, key=lambda each: -each["saved"])

    def new(self, seed: int | None = None) -> str:
        """Make a session; its id.

        Raises:
            ValueError: for a full folder.
        """
        if len(self.listing()) >= MOST_SESSIONS:
            raise ValueError(
                f"the folder holds {MOST_SESSIONS} sessions; allowed: {MOST_SESSIONS} (delete some)"
            )
        name = secrets.token_hex(8)
        session = self._new(secrets.randbits(31) if seed is None else seed)
        session.save(self.folder / name)
        with self._lock:
            self._open[name] = OpenSession(name, session, self.folder / name)
        return name

    @contextmanager
    def using(self, id: str) -> Iterator[OpenSession]:
        """A session by its id; while it is used it stays the same object.

        Raises:
            Missing: for one that is not there.
            CheckpointError: for one that cannot be read, or that another kernel made.
        """
        with self._lock:
            found = self._open.pop(id, None)
            if found is None or (found.broken and not found.users):
                found = self._load(id)
            self._open[id] = found  # the latest last
            found.users += 1
            self._drop_some()
        try:
            yield found
        finally:
            with self._lock:
                found.users -= 1

    def _load(self, id: str) -> OpenSession:
        place = self.folder / id
        if not _ID.fullmatch(id) or not (place / SESSION_FILE).exists():
            raise Missing(f"session was '{id:.40}'; allowed: one in the list of sessions")
        session = Session.load(place, self._own_kernel(), self._tokenizer)
        return OpenSession(id, session, place)

    def _drop_some(self) -> None:
        idle = [each for each in self._open.values() if not each.users]
        for each in idle[: max(0, len(self._open) - _OPEN)]:
            del self._open[each.id]
