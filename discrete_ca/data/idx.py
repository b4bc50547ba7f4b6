"""IDX files, the format of the original MNIST: a header of sizes, then bytes, often gzipped."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from discrete_ca.data.sources import Raw, reading
from discrete_ca.errors import DataError, unknown_name

_PARTS = {"train": "train", "test": "t10k"}
_IMAGES, _LABELS = "images-idx3-ubyte", "labels-idx1-ubyte"
_BYTES = 8  # the code of unsigned bytes, in the third place


def read_idx(path: Path) -> NDArray[np.uint8]:
    """The unsigned bytes of an IDX file, gzipped or not, in the shape that its header gives.

    Raises:
        DataError: for a file that is damaged or holds no unsigned bytes.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "x-idx1-ubyte"
        >>> _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 2, 5, 6]))
        >>> read_idx(path)
        array([5, 6], dtype=uint8)
    """
    with reading(path):
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
        if content[2] != _BYTES:
            raise DataError(f"the type of its values is {content[2]}; allowed: {_BYTES}, bytes")
        shape = np.frombuffer(content, ">i4", content[3], offset=4)
        values = np.frombuffer(content, np.uint8, offset=4 + 4 * content[3])
        return values.reshape(shape)


def idx_folder(folder: Path, split: str) -> Raw[Tensor] | None:
    """Images (N, H, W) and labels (N,) of a folder of IDX files; None where it holds none.

    Args:
        folder: with train-images-idx3-ubyte, train-labels-idx1-ubyte and their t10k- twins, each
            with or without .gz.
        split: "train" or "test".

    Raises:
        DataError: for another split, a file that is missing or damaged, or other numbers of labels.
    """
    if not any(folder.glob(f"*-{_IMAGES}*")):
        return None
    if split not in _PARTS:
        raise DataError(f"{folder}: {unknown_name('split', split, _PARTS)}")
    images, labels = (
        torch.from_numpy(read_idx(_file(folder, f"{_PARTS[split]}-{name}")).copy())
        for name in (_IMAGES, _LABELS)
    )
    return Raw(images, labels, 256)


def _file(folder: Path, name: str) -> Path:
    for found in (folder / name, folder / f"{name}.gz"):
        if found.exists():
            return found
    raise DataError(f"{folder} holds no {name}; allowed: the four files of such a data set")
