"""A safetensors file and the JSON beside it, sealed: checksums of both stand in the tensors' file.

Nothing is pickled. A file that was damaged, cut off, or taken from another place is refused by
name; one without checksums, which something else wrote, is read as it is.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from discrete_ca.errors import CheckpointError

Document = tuple[dict[str, Any], bytes]
"""A JSON object, and the bytes that it was read from."""
_SEAL = "sha256"  # one entry: safetensors orders several at random


def tensors_checksum(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, dtypes, shapes and bytes.

    Example:
        >>> tensors_checksum({"a": torch.zeros(2)}) == tensors_checksum({"b": torch.zeros(2)})
        False
    """
    found = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        found.update(repr((name, str(tensor.dtype), tuple(tensor.shape))).encode())
        found.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


def write_sealed(
    tensors_file: Path, tensors: Mapping[str, Tensor], json_file: Path, values: Mapping[str, Any]
) -> None:
    """Write both files, through to the disk."""
    text = _as_json(values)
    whole = {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
    seal = f"{tensors_checksum(whole)} {hashlib.sha256(text).hexdigest()}"
    save_file(whole, tensors_file, {_SEAL: seal})
    json_file.write_bytes(text)
    for place in (tensors_file, json_file):
        flush(place)


def _as_json(values: Mapping[str, Any]) -> bytes:
    return (json.dumps(values, indent=2) + "\n").encode()


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write an object as JSON that people can read."""
    path.write_bytes(_as_json(values))


def flush(place: Path) -> None:
    """Let a file, or a folder's entries, reach the disk before what comes next."""
    if os.name == "nt" and place.is_dir():
        return
    handle = os.open(place, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file.

    Raises:
        CheckpointError: for a missing file, broken JSON or anything but an object.
    """
    return read_document(path)[0]


def read_document(path: Path) -> Document:
    """The JSON object in a file, and the bytes that it was read from.

    Raises:
        CheckpointError: as `read_json`.
    """
    try:
        content = path.read_bytes()
        found = json.loads(content.decode("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"'{path}' cannot be read: {error}") from error
    if not isinstance(found, dict):
        raise CheckpointError(f"'{path}' holds a {type(found).__name__}; allowed: a JSON object")
    return found, content


def read_sealed(
    tensors_file: Path, json_file: Path, document: Document | None = None
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the JSON object.

    Args:
        tensors_file: holds the tensors, and the seal.
        json_file: holds the JSON object.
        document: what was read from `json_file` already; None reads it.

    Raises:
        CheckpointError: for files that are missing, damaged, or not the ones that were sealed.
    """
    values, content = read_document(json_file) if document is None else document
    try:
        with safe_open(tensors_file, framework="pt") as file:
            seal = (file.metadata() or {}).get(_SEAL)
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except (SafetensorError, OSError, ValueError, KeyError, RuntimeError) as error:
        raise CheckpointError(f"'{tensors_file}' cannot be read: {error}") from error
    if seal is None:
        return tensors, values
    of_tensors, _, of_json = seal.partition(" ")
    if of_tensors != tensors_checksum(tensors):
        raise CheckpointError(f"'{tensors_file}' was changed or damaged after it was saved")
    if of_json != hashlib.sha256(content).hexdigest():
        raise CheckpointError(
            f"'{json_file}' is not the one that was saved with '{tensors_file}': it was changed, "
            "damaged, or belongs to another checkpoint"
        )
    return tensors, values
