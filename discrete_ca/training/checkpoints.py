"""Saving and resuming a run: safetensors and JSON, written beside their place and moved there."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from discrete_ca.errors import CheckpointError
from discrete_ca.serialization import read_json, read_tensors

STATE = "state"


@dataclass
class RunState:
    """Everything a run needs to go on: plain numbers and tensors by name."""

    numbers: dict[str, Any] = field(default_factory=dict)
    tensors: dict[str, Tensor] = field(default_factory=dict)


def save_state(folder: Path, state: RunState) -> None:
    """Write the state to ``folder/state``; an older one is replaced only by a whole one."""
    folder.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder, prefix=".saving-"))
    old = folder / f".old-{STATE}"
    try:
        tensors = {k: v.detach().cpu().contiguous() for k, v in state.tensors.items()}
        save_file(tensors, temporary / "state.safetensors")
        text = json.dumps(state.numbers, indent=2)
        (temporary / "state.json").write_text(text + "\n", encoding="utf-8")
        for place in (*temporary.iterdir(), temporary):
            _flush(place)
        if (folder / STATE).exists():
            shutil.rmtree(old, ignore_errors=True)  # left by a run killed before its last line
            os.replace(folder / STATE, old)
        os.replace(temporary, folder / STATE)
        _flush(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _flush(place: Path) -> None:
    """Let a file or a folder's entries reach the disk before what comes next."""
    if os.name == "nt" and place.is_dir():
        return
    handle = os.open(place, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def load_state(folder: Path) -> RunState | None:
    """The saved state of a run; None where there is none.

    Raises:
        CheckpointError: for a state that is there and cannot be read.
    """
    place = folder / STATE
    if not place.exists():
        place = folder / f".old-{STATE}"  # killed between two renames
    if not place.exists():
        return None
    return RunState(read_json(place / "state.json"), read_tensors(place / "state.safetensors"))


def check_folder(folder: Path, resume: bool) -> None:
    """Refuse a folder that is a file, or that holds a run which would be overwritten.

    Raises:
        CheckpointError: naming the folder and what to do.
    """
    if folder.exists() and not folder.is_dir():
        raise CheckpointError(f"folder '{folder}' is a file; allowed: a folder")
    if not resume and any((folder / name).exists() for name in (STATE, f".old-{STATE}")):
        raise CheckpointError(
            f"folder '{folder}' holds a run already; pass resume=True to go on with it, "
            "or name another folder"
        )
