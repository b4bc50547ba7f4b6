"""Saving and resuming a run: sealed states, the newest whole one is taken.

``folder/states/00000120/`` holds the state after step 120. A state is written beside its place and
moved there, the newest `KEPT` are kept, and a lock keeps a second trainer out of the folder.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from discrete_ca.errors import CheckpointError
from discrete_ca.sealed import flush, read_sealed, write_sealed

STATES, LOCK = "states", ".lock"
KEPT = 2
_TENSORS, _NUMBERS = "state.safetensors", "state.json"
_SAVING = ".saving-"

log = logging.getLogger(__name__)


@dataclass
class RunState:
    """Everything a run needs to go on: plain numbers and tensors by name."""

    numbers: dict[str, Any] = field(default_factory=dict)
    tensors: dict[str, Tensor] = field(default_factory=dict)


@contextmanager
def owned(folder: Path, resume: bool) -> Iterator[None]:
    """Hold the folder of a run while it trains.

    Raises:
        CheckpointError: for a place that is no folder or cannot be written, one that another
            trainer holds, or one with a run that would be overwritten.
    """
    from filelock import FileLock, Timeout

    if folder.exists() and not folder.is_dir():
        raise CheckpointError(f"folder '{folder}' is a file; allowed: a folder")
    if not resume and saved(folder):
        raise CheckpointError(
            f"folder '{folder}' holds a run already; pass resume=True to go on with it, "
            "or name another folder"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK, timeout=0)
        lock.acquire()
    except Timeout as error:
        raise CheckpointError(f"folder '{folder}' is in use by another trainer") from error
    except OSError as error:
        raise CheckpointError(f"folder '{folder}' cannot be written: {error}") from error
    try:
        for left in folder.glob(f"{STATES}/{_SAVING}*"):  # by a run killed while it saved
            shutil.rmtree(left, ignore_errors=True)
        yield
    finally:
        lock.release()


def saved(folder: Path) -> list[Path]:
    """The states in a folder, the newest first."""
    places = (folder / STATES).glob("[0-9]*") if (folder / STATES).is_dir() else ()
    return sorted((place for place in places if place.name.isdigit()), reverse=True)


def save_state(folder: Path, state: RunState, step: int) -> None:
    """Write the state after `step`; what was there before stays until the new one is whole.

    Raises:
        CheckpointError: for a disk that is full or a folder that cannot be written.
    """
    place = folder / STATES / f"{step:08d}"
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=place.parent, prefix=_SAVING))
        try:
            write_sealed(temporary / _TENSORS, state.tensors, temporary / _NUMBERS, state.numbers)
            flush(temporary)
            if place.exists():  # the same step once more: a run that was extended
                shutil.rmtree(place)
            os.replace(temporary, place)
            flush(place.parent)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except (OSError, RuntimeError) as error:  # safetensors reports a full disk as its own error
        raise CheckpointError(f"step {step} cannot be saved in '{folder}': {error}") from error
    for old in saved(folder)[KEPT:]:
        shutil.rmtree(old, ignore_errors=True)


def load_state(folder: Path) -> RunState | None:
    """The newest whole state of a run; None where there is none. What is passed over is logged.

    Raises:
        CheckpointError: where there are states and none is whole.
    """
    passed_over = []
    for place in saved(folder):
        try:
            tensors, numbers = read_sealed(place / _TENSORS, place / _NUMBERS)
        except CheckpointError as error:
            passed_over.append(str(error))
            continue
        for reason in passed_over:
            log.warning("passed over: %s", reason)
        return RunState(numbers, tensors)
    if passed_over:
        raise CheckpointError(f"no state in '{folder}' is whole: {'; '.join(passed_over)}")
    return None
