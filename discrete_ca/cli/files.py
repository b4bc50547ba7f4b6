"""Designs, masks and samples on disk: .npz and .npy for everything, pictures, rows of tokens."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from discrete_ca import data, drawing
from discrete_ca.data.images import pixels
from discrete_ca.data.sources import reading
from discrete_ca.errors import ConfigError, DataError

SUFFIXES = (".npz", ".npy", ".txt", ".png", ".gif")
_PICTURES = (".png", ".gif")


def check_output(path: Path, shape: tuple[int, ...]) -> None:
    """Refuse, before any work, a place or a format that cannot hold states of this shape.

    Raises:
        ConfigError: for a suffix that is not known, a picture of what is no image, a folder.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ConfigError(f"out was {path}; allowed: a name ending in {', '.join(SUFFIXES)}")
    image = len(shape) == 2 or (len(shape) == 3 and shape[0] == 3)
    if suffix in _PICTURES and not image:
        raise ConfigError(f"out was {path}, but states have shape {shape}; allowed: .npz .npy .txt")
    if path.is_dir():
        raise ConfigError(f"out was {path}, which is a folder; allowed: a file")
    path.parent.mkdir(parents=True, exist_ok=True)


def write(path: Path, z: Tensor, num_categories: int, columns: int = 8) -> None:
    """Write states (N, *S) in the format of the suffix.

    .npz and .npy hold integers, .txt one example a line, .png a grid, .gif one frame an example.
    """
    suffix = path.suffix.lower()
    if suffix == ".png":
        drawing.grid(z, columns, num_categories).save(path)
    elif suffix == ".gif":
        drawing.save_film([drawing.grid(one[None], 1, num_categories, 8) for one in z], path)
    elif suffix == ".txt":
        rows = z.reshape(len(z), -1).tolist()
        path.write_text("".join(" ".join(map(str, row)) + "\n" for row in rows), encoding="utf-8")
    elif suffix == ".npy":
        np.save(path, z.numpy())
    else:
        np.savez_compressed(path, states=z.numpy())


def read_design(source: str, shape: tuple[int, ...], num_categories: int) -> Tensor:
    """One design of shape S.

    Args:
        source: ``test:3`` or ``train:3`` (an example of binarized MNIST), or a file: .npy, .npz,
            .txt with examples (the first, or ``file.npz:3``), or a picture whose grey levels are
            divided evenly among the categories, bright for high.
        shape: S.
        num_categories: K.

    Raises:
        DataError: for files that cannot be read or do not fit.
    """
    name, _, place = source.rpartition(":")
    if not place.isdigit() or not name:
        name, place = source, "0"
    path = Path(name)
    if name in ("test", "train") and not path.exists():
        states = data.load("binarized_mnist", split=name).states
    elif path.suffix.lower() in _PICTURES:
        states = _picture(path, num_categories)[None]
    elif path.suffix.lower() == ".txt":
        states = _rows(path)
    else:
        states = data.load(path).states
    if states.shape[1:] != shape and states.shape == shape:
        states = states[None]
    if states.shape[1:] != shape and states[0].numel() == int(np.prod(shape)):
        states = states.reshape(-1, *shape) if path.suffix.lower() == ".txt" else states
    if states.shape[1:] != shape:
        raise DataError(f"design '{source}' has shape {tuple(states.shape[1:])}; allowed: {shape}")
    if int(place) >= len(states):
        raise DataError(f"design '{source}': allowed: an index below {len(states)}")
    z = states[int(place)].long()
    if int(z.min()) < 0 or int(z.max()) >= num_categories:
        raise DataError(
            f"design '{source}' holds values in [{int(z.min())}, {int(z.max())}]; "
            f"allowed: 0 .. {num_categories - 1}"
        )
    return z


def read_mask(source: str, shape: tuple[int, ...]) -> Tensor:
    """A mask of shape S, True = generate, from a .npy/.npz file (not 0) or a picture (bright).

    Raises:
        DataError: for a file that cannot be read or does not fit.
    """
    path = Path(source)
    if path.suffix.lower() in _PICTURES:
        mask = _picture(path, 2).bool()
    else:
        mask = data.sources.array_file(path, None, None).values.bool()
    if mask.shape != shape:
        raise DataError(f"mask '{source}' has shape {tuple(mask.shape)}; allowed: {shape}")
    return mask


def _picture(path: Path, num_categories: int) -> Tensor:
    with reading(path):
        try:
            with Image.open(path) as image:
                values = torch.from_numpy(pixels(image)).float()
        except UnidentifiedImageError as error:
            raise DataError(f"{path} is not a picture that can be read") from error
    high = 1.0 if values.max() <= 1 else 255.0
    return (values / high * (num_categories - 1)).round().long()


def _rows(path: Path) -> Tensor:
    with reading(path):
        lines = path.read_text(encoding="utf-8").split("\n")
    try:
        rows = [[int(word) for word in line.split()] for line in lines if line.strip()]
    except ValueError as error:
        raise DataError(f"{path} holds something that is not a whole number: {error}") from error
    if not rows or len({len(row) for row in rows}) != 1:
        raise DataError(f"{path} has rows of different lengths or none; allowed: equal rows")
    return torch.tensor(rows)
