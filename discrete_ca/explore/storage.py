"""A session on disk: one JSON object with its arrays beside it, sealed together.

``session.json`` holds the recipes and numbers, ``arrays-N.safetensors`` the designs. New arrays
are written first; the moment in which ``session.json`` is replaced makes the new state the saved
one, and whatever happens before leaves the old one whole. A session names no files, no places and
no code: N is a number, a kernel a checksum, an operation one of those that are registered. Sizes
are bounded.
"""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from discrete_ca.errors import CheckpointError
from discrete_ca.explore import operations
from discrete_ca.explore.studio import MAX_SITES
from discrete_ca.explore.tree import MAX_NODES, Node, Pick, Recipe, Tree
from discrete_ca.sealed import flush, read_document, read_sealed, write_sealed

SESSION_FILE, LOCK = "session.json", ".lock"
FORMAT = 1
KEPT = 2  # so that whoever reads while another saves finds the arrays that it was told of
MAX_JSON_BYTES = 64 << 20
MAX_ARRAY_BYTES = 2 << 30


@dataclass
class Record:
    """Everything about a session but its kernel.

    Args:
        kernel: the class of the kernel, for people.
        checksum: the kernel's name; see `studio.kernel_checksum`.
        shape: S.
        num_categories: K.
        num_states: V.
        seed: of the session.
        next_seed: of its next operation.
        tree: its designs.
    """

    kernel: str
    checksum: str
    shape: tuple[int, ...]
    num_categories: int
    num_states: int
    seed: int
    next_seed: int
    tree: Tree


def save(record: Record, path: str | Path) -> None:
    """Write a session into a folder; what was there before stays until the new one is whole.

    Raises:
        CheckpointError: for a place that is no folder or cannot be written.
    """
    from filelock import FileLock

    folder = Path(path)
    if folder.exists() and not folder.is_dir():
        raise CheckpointError(f"path '{folder}' is a file; allowed: a folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / LOCK):
            number = max(_numbers(folder), default=0) + 1
            values, arrays = _document(record)
            with tempfile.TemporaryDirectory(dir=folder, prefix=".saving-") as temporary:
                tensors, text = Path(temporary, "arrays"), Path(temporary, "json")
                write_sealed(tensors, arrays, text, {"format": FORMAT, "arrays": number, **values})
                os.replace(tensors, _arrays_file(folder, number))
                flush(folder)
                os.replace(text, folder / SESSION_FILE)
                flush(folder)
            for old in sorted(_numbers(folder))[:-KEPT]:
                _arrays_file(folder, old).unlink(missing_ok=True)
    except (OSError, RuntimeError) as error:  # safetensors reports a full disk as its own error
        raise CheckpointError(f"session cannot be saved in '{folder}': {error}") from error


def load(path: str | Path) -> Record:
    """Read a session that `save` wrote.

    Raises:
        CheckpointError: for files that are missing, damaged, too large, or no session.
    """
    folder = Path(path)
    _small_enough(folder / SESSION_FILE, MAX_JSON_BYTES)
    document = read_document(folder / SESSION_FILE)
    found, _ = document
    if found.get("format") != FORMAT:
        raise CheckpointError(
            f"session '{folder}' has format {found.get('format')!r}; allowed: {FORMAT}"
        )
    number = found.get("arrays")
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise CheckpointError(f"session '{folder}' has arrays {number!r:.40}; allowed: a number")
    place = _arrays_file(folder, number)
    _small_enough(place, MAX_ARRAY_BYTES)
    arrays, values = read_sealed(place, folder / SESSION_FILE, document)
    try:
        return _record(values, arrays)
    except CheckpointError as error:
        raise CheckpointError(f"session '{folder}' cannot be read: {error}") from error
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise CheckpointError(
            f"session '{folder}' cannot be read: {type(error).__name__}: {error}"
        ) from error


def _arrays_file(folder: Path, number: int) -> Path:
    return folder / f"arrays-{number}.safetensors"


def _numbers(folder: Path) -> list[int]:
    names = (place.stem.removeprefix("arrays-") for place in folder.glob("arrays-*.safetensors"))
    return [int(name) for name in names if name.isdecimal()]


def _small_enough(place: Path, most: int) -> None:
    try:
        size = place.stat().st_size
    except OSError as error:
        raise CheckpointError(f"'{place}' cannot be read: {error}") from error
    if size > most:
        raise CheckpointError(f"'{place}' has {size} bytes; allowed: at most {most}")


def _document(record: Record) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The JSON values and the arrays of a session."""
    tree, arrays = record.tree, dict[str, Tensor]()
    recipes = tree.recipes()
    number_of = {recipe: i for i, recipe in enumerate(recipes)}
    written = [
        {
            "operation": operations.encode(recipe.operation, arrays),
            "parents": list(recipe.parents), "seed": recipe.seed, "nfe": recipe.nfe,
            "seconds": recipe.seconds, "acceptance": recipe.acceptance,
        }
        for recipe in recipes
    ]  # fmt: skip
    states = [node.state for node in tree if node.state is not None]
    rows = iter(range(len(states)))
    nodes = [
        {
            "id": node.id, "recipe": number_of[node.recipe], "place": node.place,
            "state": None if node.state is None else next(rows), "level": node.level,
            "note": node.note, "stars": node.stars,
        }
        for node in tree
    ]  # fmt: skip
    dtype = _narrow(record.num_states)
    if nodes:
        arrays["designs"] = torch.stack([node.design for node in tree]).to(dtype)
        arrays["locked"] = torch.stack([node.locked for node in tree])
    if states:
        arrays["states"] = torch.stack(states).to(dtype)
    values = {
        "kernel": {"class": record.kernel, "checksum": record.checksum},
        "shape": list(record.shape), "num_categories": record.num_categories,
        "num_states": record.num_states, "seed": record.seed, "next_seed": record.next_seed,
        "next_id": tree.next_id, "recipes": written, "nodes": nodes,
        "history": [{"ids": list(p.ids), "weights": list(p.weights)} for p in tree.history],
        "place": tree.place,
    }  # fmt: skip
    return values, arrays


def _narrow(num_states: int) -> torch.dtype:
    return torch.uint8 if num_states <= 256 else torch.int32


def _record(values: Mapping[str, Any], arrays: Mapping[str, Tensor]) -> Record:
    """A session from what `_document` wrote, every part checked."""
    shape = tuple(_whole(n, "shape", 1) for n in values["shape"])
    if math.prod(shape) > MAX_SITES:
        raise CheckpointError(f"shape was {shape}; allowed: at most {MAX_SITES} cells")
    num_categories = _whole(values["num_categories"], "num_categories", 2)
    num_states = _whole(values["num_states"], "num_states", num_categories)
    written = values["nodes"]
    if len(written) > MAX_NODES or len(values["recipes"]) > MAX_NODES:
        raise CheckpointError(f"it has {len(written)} nodes; allowed: at most {MAX_NODES}")
    recipes = [
        Recipe(
            operations.decode(each["operation"], arrays),
            tuple(_whole(i, "parent") for i in each["parents"]),
            _whole(each["seed"], "seed"), _whole(each["nfe"], "nfe"), _seconds(each["seconds"]),
            _share(each.get("acceptance")),  # which the first files do not have
        )
        for each in values["recipes"]
    ]  # fmt: skip
    counts = len(written), sum(node["state"] is not None for node in written)
    designs = _stack(arrays, "designs", counts[0], shape, num_categories)
    states = _stack(arrays, "states", counts[1], shape, num_states)
    locked = _stack(arrays, "locked", counts[0], shape, 2).bool()
    tree, row = Tree(), 0
    for i, node in enumerate(written):
        recipe = recipes[_whole(node["recipe"], "recipe")]
        state, level = None, None
        if node["state"] is not None:
            state, level, row = states[row], float(node["level"]), row + 1
        place = _whole(node["place"], "place")
        if place >= recipe.operation.count:
            raise CheckpointError(f"place was {place}; allowed: below {recipe.operation.count}")
        made = Node(_whole(node["id"], "id", 1), designs[i], locked[i], recipe, place, state, level)
        tree.add(made)
        tree.annotate(made.id, str(node["note"]), _whole(node["stars"], "stars"))
    tree.next_id = _whole(values["next_id"], "next_id", tree.next_id)
    picks = [Pick(tuple(p["ids"]), tuple(p["weights"])) for p in values["history"]]
    tree.restore(picks, values["place"])
    return Record(
        str(values["kernel"]["class"]), str(values["kernel"]["checksum"]), shape, num_categories,
        num_states, _whole(values["seed"], "seed", None), _whole(values["next_seed"], "next_seed"),
        tree,
    )  # fmt: skip


def _whole(value: Any, name: str, least: int | None = 0) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise CheckpointError(f"{name} was {value!r:.40}; allowed: a whole number")
    if least is not None and value < least:
        raise CheckpointError(f"{name} was {value}; allowed: >= {least}")
    return value


def _seconds(value: Any) -> float:
    if not 0 <= value < math.inf:
        raise CheckpointError(f"seconds was {value}; allowed: >= 0")
    return float(value)


def _share(value: Any) -> float | None:
    if value is not None and not 0 <= value <= 1:
        raise CheckpointError(f"acceptance was {value!r:.40}; allowed: [0, 1] or none")
    return None if value is None else float(value)


def _stack(
    arrays: Mapping[str, Tensor], name: str, count: int, shape: tuple[int, ...], below: int
) -> Tensor:
    """One array with a row a node, checked and widened."""
    if count == 0:
        return torch.zeros((0, *shape), dtype=torch.long)
    found = arrays[name]
    if tuple(found.shape) != (count, *shape) or found.is_floating_point():
        raise CheckpointError(
            f"{name} are {found.dtype} {tuple(found.shape)}; allowed: whole numbers "
            f"{(count, *shape)}"
        )
    found = found.long()
    if int(found.min()) < 0 or int(found.max()) >= below:
        raise CheckpointError(f"{name} hold values outside 0 .. {below - 1}")
    return found
