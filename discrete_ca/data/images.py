"""Images: one file or picture to an array, and a folder of them to a data set."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from discrete_ca.data.rows import ReadRows, Rows
from discrete_ca.data.sources import Raw
from discrete_ca.errors import DataError, unknown_name

SUFFIXES = frozenset(
    {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
)

_SPLIT_FOLDERS = frozenset({"train", "test", "val", "valid", "validation"})
_GREY, _COLOUR, _DEEP = ("L", "LA", "La"), "RGB", ("I", "F")


def pixels(image: Any) -> NDArray[Any]:
    """An opened picture as an array: grey (H, W), colour (3, H, W), bilevel (H, W) of bools.

    Transparency is dropped, and palettes and other colour spaces become RGB.

    Raises:
        DataError: for more than 8 bits a channel.

    Example:
        >>> from PIL import Image
        >>> pixels(Image.new("RGBA", (5, 4))).shape
        (3, 4, 5)
    """
    mode = image.mode
    if mode.startswith(_DEEP):
        raise DataError(f"image mode is {mode}; allowed: 8 bits a channel (L, RGB) or 1 bit")
    if mode == "1":
        return np.array(image)
    if mode in _GREY:
        return np.array(image.convert("L"))
    return np.array(image.convert(_COLOUR)).transpose(2, 0, 1)


def image_folder(folder: Path, split: str) -> Raw[Rows]:
    """All images of a folder, in the order of their paths.

    Images that lie in subfolders get these as labels, numbered in alphabetical order. Where the
    subfolders are splits (`train`, `test`, `val`, ...), the one named is read.

    Args:
        folder: the folder.
        split: the split's subfolder; without such subfolders all images are "train".

    Returns:
        Rows of values (N, H, W) or (N, 3, H, W), uint8 (bool where each image is bilevel), which
        are decoded when they are read.

    Raises:
        DataError: for an unknown split, no images, images both beside and within subfolders; when
            they are read, for different sizes or kinds, or a damaged file.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> folder = Path(tempfile.mkdtemp())
        >>> for name in ("cat", "dog"):
        ...     (folder / name).mkdir()
        ...     Image.new("L", (3, 2)).save(folder / name / "1.png")
        >>> raw = image_folder(folder, "train")
        >>> raw.values[np.array([0, 1])].shape, raw.labels, raw.label_names
        (torch.Size([2, 2, 3]), tensor([0, 1]), ('cat', 'dog'))
    """
    folders = _subfolders(folder)
    splits = {path.name: path for path in folders}
    if splits and splits.keys() <= _SPLIT_FOLDERS:
        if split not in splits:
            raise DataError(f"{folder}: {unknown_name('split', split, splits)}")
        folder = splits[split]
        folders = _subfolders(folder)
    elif split != "train":
        raise DataError(f"split was '{split}'; allowed: 'train', since {folder} has no splits")

    loose = _images(folder.glob("*"))
    classes = {path: _images(path.rglob("*")) for path in folders}
    classes = {path: images for path, images in classes.items() if images}
    if loose and classes:
        raise DataError(
            f"{folder} has images both beside and within subfolders; allowed: one of the two"
        )
    paths = loose or [path for images in classes.values() for path in images]
    if not paths:
        raise DataError(
            f"{folder} holds no images; allowed suffixes: {', '.join(sorted(SUFFIXES))}"
        )
    counts = torch.tensor([len(images) for images in classes.values()])
    labels = torch.arange(len(classes)).repeat_interleave(counts) if classes else None
    rows = ReadRows(len(paths), lambda row: _picture(paths[row]), lambda row: str(paths[row]))
    names = tuple(path.name for path in classes) or None
    return Raw(rows, labels, rows.num_values, names)


def _picture(path: Path) -> NDArray[Any]:
    from PIL import Image

    with Image.open(path) as image:
        return pixels(image)


def _subfolders(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def _images(paths: Iterable[Path]) -> list[Path]:
    return sorted(p for p in paths if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))
