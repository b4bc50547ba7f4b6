"""Images: one file or picture to an array, and a folder of them to a data set."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from discrete_ca.data.sources import Raw, as_tensor, reading
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


def image_folder(folder: Path, split: str) -> Raw:
    """All images of a folder, in the order of their paths.

    Images that lie in subfolders get these as labels, numbered in alphabetical order. Where the
    subfolders are splits (`train`, `test`, `val`, ...), the one named is read.

    Args:
        folder: the folder.
        split: the split's subfolder; without such subfolders all images are "train".

    Returns:
        Values (N, H, W) or (N, 3, H, W), uint8 (bool where each image is bilevel).

    Raises:
        DataError: for an unknown split, no images, images both beside and within subfolders,
            different sizes or kinds, or a damaged file.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> folder = Path(tempfile.mkdtemp())
        >>> for name in ("cat", "dog"):
        ...     (folder / name).mkdir()
        ...     Image.new("L", (3, 2)).save(folder / name / "1.png")
        >>> values, labels, _ = image_folder(folder, "train")
        >>> values.shape, labels
        (torch.Size([2, 2, 3]), tensor([0, 1]))
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
    return raw_pixels(stack((str(path), _reader(path)) for path in paths), labels)


def raw_pixels(values: Tensor, labels: Tensor | None) -> Raw:
    """Stacked pixels with their number of categories: 2 for bools, 256 for bytes."""
    return Raw(values, labels, 2 if values.dtype == torch.bool else 256)


def stack(images: Iterable[tuple[str, Callable[[], NDArray[Any]]]]) -> Tensor:
    """Named arrays of one size and kind as one tensor (N, *S).

    Raises:
        DataError: for arrays that differ in shape or dtype, or cannot be read.

    Example:
        >>> stack([("a", lambda: np.zeros((2, 3)))]).shape
        torch.Size([1, 2, 3])
    """
    arrays: list[NDArray[Any]] = []
    first = ""
    for name, read in images:
        with reading(name):
            array = read()
        if not arrays:
            first = name
        elif (array.shape, array.dtype) != (arrays[0].shape, arrays[0].dtype):
            raise DataError(
                f"{name} has shape {array.shape} of {array.dtype}; allowed: "
                f"{arrays[0].shape} of {arrays[0].dtype}, as {first} has"
            )
        arrays.append(array)
    if not arrays:
        raise DataError("states have shape (0,); allowed: at least one example")
    return as_tensor(np.stack(arrays), "states")


def _reader(path: Path) -> Callable[[], NDArray[Any]]:
    def read() -> NDArray[Any]:
        from PIL import Image

        with Image.open(path) as image:
            return pixels(image)

    return read


def _subfolders(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def _images(paths: Iterable[Path]) -> list[Path]:
    return sorted(p for p in paths if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))
