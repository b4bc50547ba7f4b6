"""The data that come with the package: MNIST at 16 grey levels in 5 MB, Moby-Dick in 0.4 MB."""

from __future__ import annotations

import hashlib
import lzma
from functools import lru_cache
from importlib import resources

import torch
from torch import Tensor

from discrete_ca.errors import DataError, unknown_name

SPLITS = {"train": slice(0, 60_000), "test": slice(60_000, 70_000)}
_TEXT_SPLITS = ("train", "test")

_IMAGES, _SIDE = 70_000, 28
_SHA256 = "69c76f9036970d5a604d554f124f38c914f2712ff3fa417392a0fcbbec75cca3"
_SHA256_OF_TEXT = "fe282a57094ed62e7144fb7c804a9748fc1c909bf3b49d06e7276015f9f67240"
_CHAPTER = "\n\nCHAPTER "
_SHARE = 0.9  # of the text, that is trained on


def mnist16(split: str) -> tuple[Tensor, Tensor]:
    """The images of a split as grey levels 0 .. 15, and their labels.

    A level is pixel // 16, so that level >= 8 is exactly pixel >= 128.

    Args:
        split: "train" (60,000) or "test" (10,000).

    Returns:
        uint8 tensors of shapes (N, 28, 28) and (N,); later calls share them, so do not write.

    Raises:
        DataError: for another split, or an asset that is truncated or altered.

    Example:
        >>> levels, labels = mnist16("test")
        >>> levels.shape, int(levels.max()), labels[:4].tolist()
        (torch.Size([10000, 28, 28]), 15, [7, 2, 1, 0])
    """
    if split not in SPLITS:
        raise DataError(unknown_name("split", split, SPLITS))
    images, labels = _asset()
    return images[SPLITS[split]], labels[SPLITS[split]]


def decode(content: bytes) -> tuple[Tensor, Tensor]:
    """All images (70000, 28, 28) and labels (70000,) of an asset in xz; its maker has the format.

    Raises:
        DataError: for an asset that is truncated or altered.

    Example:
        >>> decode(b"no xz")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        discrete_ca.errors.DataError: the embedded MNIST is damaged: ...
    """
    payload = _unpacked(content, "MNIST", _SHA256)
    stored = torch.frombuffer(bytearray(payload), dtype=torch.uint8)
    packed = stored[:-_IMAGES].reshape(_IMAGES, _SIDE // 2, _SIDE).transpose(1, 2)
    images = torch.stack([packed >> 4, packed & 15], dim=-1).reshape(_IMAGES, _SIDE, _SIDE)
    return images, stored[-_IMAGES:].clone()


def moby_dick(split: str | None = None) -> str:
    r"""Herman Melville's Moby-Dick, without the front matter.

    Args:
        split: "train", the chapters that make the first nine tenths; "test", those after them,
            which nobody reading the first has seen; None for the whole.

    Raises:
        DataError: for another split, or an asset that is truncated or altered.

    Example:
        >>> moby_dick("train")[:39], len(moby_dick("test"))
        ('CHAPTER 1. Loomings.\n\nCall me Ishmael. ', 113538)
    """
    if split is not None and split not in _TEXT_SPLITS:
        raise DataError(unknown_name("split", split, _TEXT_SPLITS))
    text = _text()
    place = text.index(_CHAPTER, int(_SHARE * len(text)))
    return {"train": text[:place], "test": text[place:].lstrip(), None: text}[split]


@lru_cache(maxsize=1)
def _asset() -> tuple[Tensor, Tensor]:
    return decode(_stored("mnist16.xz", "MNIST"))


@lru_cache(maxsize=1)
def _text() -> str:
    content = _stored("moby_dick.xz", "Moby-Dick")
    return _unpacked(content, "Moby-Dick", _SHA256_OF_TEXT).decode("utf-8")


def _stored(name: str, what: str) -> bytes:
    try:
        return (resources.files("discrete_ca.data") / "assets" / name).read_bytes()
    except OSError as error:
        raise DataError(f"the embedded {what} is missing: {error}") from error


def _unpacked(content: bytes, what: str, checksum: str) -> bytes:
    try:
        payload = lzma.decompress(content)
    except (EOFError, lzma.LZMAError) as error:
        raise DataError(f"the embedded {what} is damaged: {error}") from error
    found = hashlib.sha256(payload).hexdigest()
    if found != checksum:
        raise DataError(f"the embedded {what} is damaged: its SHA-256 is {found}, not {checksum}")
    return payload
