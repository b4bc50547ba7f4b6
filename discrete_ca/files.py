"""Designs, masks and samples on disk: .npz and .npy for everything, pictures, rows of tokens."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from discrete_ca import checks, data, drawing
from discrete_ca.data import ContinuousData, DiscreteData, Tokenizer, transforms
from discrete_ca.data.continuous import as_numbers
from discrete_ca.data.images import SUFFIXES as PICTURES
from discrete_ca.data.images import pixels
from discrete_ca.data.loading import POINTS
from discrete_ca.data.sources import PRESENT_KEY, array_file, reading
from discrete_ca.data.text import TEXTS
from discrete_ca.errors import ConfigError, DataError

DIGITS = {2: "binarized_mnist", 16: "mnist16"}
"""MNIST's digits that come with the package, by their number of categories."""
_OF_DIGITS = (None, *DIGITS.values())  # sources of data whose classes are digits
SUFFIXES = (".npz", ".npy", ".txt", ".png", ".gif")
DRAWN = (".png", ".gif")
"""Those that are pictures."""
_NAMES = {int: "a whole number", float: "a number"}


def is_image(shape: tuple[int, ...]) -> bool:
    """Whether states of this shape can be drawn: grey (H, W) or colour (3, H, W)."""
    return len(shape) == 2 or (len(shape) == 3 and shape[0] == 3)


def split_index(source: str) -> tuple[str, int]:
    """``name:3`` as the name and 3; a name alone has index 0.

    Example:
        >>> split_index("x.npz:3"), split_index("x.npz")
        (('x.npz', 3), ('x.npz', 0))
    """
    name, _, place = source.rpartition(":")
    return (name, int(place)) if name and place.isdigit() else (source, 0)


def check_output(path: Path, shape: tuple[int, ...], others: tuple[str, ...] = ()) -> None:
    """Refuse, before any work, a place or a format that cannot hold states of this shape.

    Args:
        path: the place.
        shape: S.
        others: suffixes that the caller writes itself, to be named.

    Raises:
        ConfigError: for a suffix that is not known, a picture of what is no image, a folder.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        allowed = ", ".join((*SUFFIXES, *others))
        raise ConfigError(f"out was {path}; allowed: a name ending in {allowed}")
    if suffix in DRAWN and not is_image(shape):
        raise ConfigError(f"out was {path}, but states have shape {shape}; allowed: .npz .npy .txt")
    if path.is_dir():
        raise ConfigError(f"out was {path}, which is a folder; allowed: a file")


def write(
    path: Path,
    z: Tensor,
    num_categories: int | None,
    columns: int = 8,
    tokenizer: Tokenizer | None = None,
    present: Tensor | None = None,
) -> None:
    r"""Write states (N, *S) in the format of the suffix.

    .npz and .npy hold integers (floats, where there are no categories), .txt one example a line (as
    text where there is a tokenizer, line breaks written as \n), .png a grid, .gif one frame an
    example. .npz alone keeps which sites are data and not padding, `present` of shape S or
    (N, *S), as an array of that name.
    """
    num_categories = 2 if num_categories is None else num_categories  # floats are drawn by value
    path.parent.mkdir(parents=True, exist_ok=True)
    suffix = path.suffix.lower()
    if suffix == ".png":
        drawing.grid(z, min(columns, len(z)), num_categories).save(path)
    elif suffix == ".gif":
        drawing.save_film([drawing.grid(one[None], 1, num_categories, 8) for one in z], path)
    elif suffix == ".txt" and tokenizer is not None:
        texts = [_escaped(tokenizer.decode(row)) for row in z]
        path.write_text("".join(text + "\n" for text in texts), encoding="utf-8")
    elif suffix == ".txt":
        rows = z.reshape(len(z), -1).tolist()
        path.write_text("".join(" ".join(map(str, row)) + "\n" for row in rows), encoding="utf-8")
    else:
        with path.open("wb") as file:  # given a name, numpy adds suffixes of its own
            if suffix == ".npy":
                np.save(file, z.numpy())
            else:
                arrays: dict[str, Any] = {"states": z.numpy()}
                if present is not None:
                    arrays[PRESENT_KEY] = present.expand(z.shape).numpy()
                np.savez_compressed(file, **arrays)


class Design(NamedTuple):
    """A design that was read."""

    states: Tensor
    """Categories, long, or numbers; S."""
    label: int | None
    """Its class, where its data say one."""
    present: Tensor | None
    """Which sites are data and not padding, boolean, S; None where nothing pads."""


def read_design(
    source: str,
    shape: tuple[int, ...],
    num_categories: int | None,
    settings: Mapping[str, Any] | None = None,
    tokenizer: Tokenizer | None = None,
) -> Design:
    """One design of shape S, read as the data of its run were.

    What a digit of MNIST shows is no class where `settings` name other data.

    Args:
        source: ``test:3`` or ``train:3``, of the run's own data where they have splits, else an
            MNIST digit; or a file: .npy, .npz, .pt, .txt with examples (the first, or
            ``file.npz:3``), or a picture, bright for high. Whole numbers below K are categories
            already. An array file may hold labels and an array `present`.
        shape: S.
        num_categories: K; None for real-valued states.
        settings: `source`, `binarize`, `quantize`, `value_range` and `states_key` of the run's
            data; without `binarize` and `quantize` a picture's grey levels are divided evenly
            among the categories.
        tokenizer: makes categories of a .txt file, one example a line, as `write` writes them; one
            that pads says by its category which sites do.

    Raises:
        DataError: for files that cannot be read or do not fit.

    Example:
        >>> read_design("test:0", (28, 28), 2).label
        7
    """
    name, place = split_index(source)
    path, settings = Path(name), settings or {}
    if name in ("test", "train") and not path.exists():
        found = _of_split(source, name, shape, num_categories, settings, tokenizer)
        states, labels, present = found.states, found.labels, None
        if found.name in DIGITS.values() and settings.get("source") not in _OF_DIGITS:
            labels = None
    elif tokenizer is not None and path.suffix.lower() == ".txt":
        states, labels, present = _line(path, place, tokenizer), None, None
        place, missing = 0, shape[-1] - states.shape[1]
        if tokenizer.pad is not None and missing > 0:
            states = torch.nn.functional.pad(states, (0, missing), value=tokenizer.pad)
    else:
        states, labels, present = _examples(path, shape, num_categories, settings)
    if states.shape[1:] != shape:
        raise DataError(f"design '{source}' has shape {tuple(states.shape[1:])}; allowed: {shape}")
    if place >= len(states):
        raise DataError(f"design '{source}': allowed: an index below {len(states)}")
    z = states[place]
    if num_categories is not None:
        z = z.long()
        if z.numel() and (int(z.min()) < 0 or int(z.max()) >= num_categories):
            raise DataError(
                f"design '{source}' holds values in [{int(z.min())}, {int(z.max())}]; "
                f"allowed: 0 .. {num_categories - 1}"
            )
    if tokenizer is not None:
        real = None if tokenizer.pad is None else z != tokenizer.pad
    else:
        real = None if present is None else _present(present, source, place, shape)
    return Design(z, class_of(labels, place), real)


def class_of(labels: Tensor | None, place: int) -> int | None:
    """What labels (N,) say of one example; None for what is no class, such as a number below 0.

    Example:
        >>> class_of(torch.tensor([3, -1]), 0), class_of(torch.tensor([3, -1]), 1)
        (3, None)
    """
    if labels is None or labels.ndim != 1 or labels.is_floating_point() or place >= len(labels):
        return None
    label = int(labels[place])
    return label if 0 <= label <= checks.MAX_LABEL else None


def _present(present: Tensor, source: str, place: int, shape: tuple[int, ...]) -> Tensor:
    found = present[None] if present.shape == shape else present
    if found.shape[1:] != shape or place >= len(found):
        raise DataError(f"present of '{source}' has shape {tuple(found.shape)}; allowed: (N, *S)")
    return found[place]


def _of_split(
    source: str,
    split: str,
    shape: tuple[int, ...],
    num_categories: int | None,
    settings: Mapping[str, Any],
    tokenizer: Tokenizer | None,
) -> DiscreteData | ContinuousData:
    """Examples of a split of the run's data, where these have splits; else MNIST digits."""
    own = str(settings.get("source", ""))
    if own in TEXTS and tokenizer is not None:
        return data.load_text(own, tokenizer, shape[-1], split=split)
    if own in POINTS:
        return data.load_continuous(own, split)
    if Path(own).suffix.lower() == ".json":
        return data.load_scores(own, split, shape[-1])
    if own == "shapes" or (own and num_categories == 256 and Path(own).is_dir()):
        return data.load(own, split)
    return _digits(source, split, num_categories)


def _digits(source: str, split: str, num_categories: int | None) -> DiscreteData | ContinuousData:
    if num_categories is None:
        return data.load_continuous("mnist16", split=split)
    if num_categories not in DIGITS:
        raise DataError(
            f"design was '{source}' and K = {num_categories}; allowed with MNIST digits: "
            "K = 2 or 16; else train:0, where the run's data are there, or a file"
        )
    return data.load(DIGITS[num_categories], split=split)


def _examples(
    path: Path, shape: tuple[int, ...], num_categories: int | None, settings: Mapping[str, Any]
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """The examples of a file, (N, *S), as categories or numbers; labels; what is not padding."""
    suffix, labels, present = path.suffix.lower(), None, None
    if suffix == ".txt":
        states = _rows(path, int if num_categories is not None else float)
    elif suffix in PICTURES:
        states = _picture(path)[None]
    else:
        raw = array_file(path, settings.get("states_key"), None)
        states, labels, present = raw.values, raw.labels, raw.present
    if tuple(states.shape) == shape:
        states = states[None]
    if num_categories is None:
        bounds = settings.get("value_range")
        states, _ = as_numbers(states, None if bounds is None else tuple(bounds))
    else:
        states = _categories(states, num_categories, settings, suffix in PICTURES)
    if suffix == ".txt" and states.shape[1] == math.prod(shape):
        states = states.reshape(-1, *shape)
    return states, labels, present


def _categories(
    values: Tensor, num_categories: int, settings: Mapping[str, Any], picture: bool
) -> Tensor:
    """Values as categories, as `data.load` makes them."""
    if values.dtype == torch.bool:
        return values.long()
    whole = not values.is_floating_point()
    if whole and not picture and values.numel() and int(values.max()) < num_categories:
        return values
    if settings.get("binarize") is not None:
        return transforms.binarize(values, settings["binarize"])
    if settings.get("quantize") is not None:
        bounds = settings.get("value_range") or ((0, 255) if picture else None)
        return transforms.quantize(values, settings["quantize"], value_range=bounds)
    if picture:
        return (values / 255 * (num_categories - 1)).round().long()
    values = transforms.whole_numbers(values)
    if values.is_floating_point():
        raise DataError(f"the design holds {values.dtype}; allowed: whole numbers")
    return values


def read_mask(source: str, shape: tuple[int, ...]) -> Tensor:
    """A mask of shape S, True = generate, from a .npy/.npz file (not 0) or a picture (bright).

    Raises:
        DataError: for a file that cannot be read or does not fit, or a mask without any site.
    """
    path = Path(source)
    if path.suffix.lower() in PICTURES:
        mask = _picture(path, grey=True) > 0
        if mask.shape != shape and mask.shape == shape[1:]:
            mask = mask.expand(shape)
    elif path.suffix.lower() in (".npy", ".npz", ".pt"):
        values = array_file(path, None, None).values
        if values.is_floating_point() and bool(values.isnan().any()):
            raise DataError(f"mask '{source}' holds NaN; allowed: 0 and 1")
        mask = values != 0
    else:
        raise DataError(f"mask was '{source}'; allowed: .npy, .npz, .pt or a picture")
    if mask.shape != shape:
        raise DataError(f"mask '{source}' has shape {tuple(mask.shape)}; allowed: {shape}")
    if not bool(mask.any()):
        raise DataError(f"mask '{source}' has no site to generate; allowed: at least one")
    return mask


def _picture(path: Path, grey: bool = False) -> Tensor:
    """A picture's values, 0 .. 255, or bools where it is bilevel."""
    with reading(path):
        try:
            with Image.open(path) as image:
                return torch.from_numpy(pixels(image.convert("L") if grey else image))
        except UnidentifiedImageError as error:
            raise DataError(f"{path} is not a picture that can be read") from error


_ESCAPES = {"\\": "\\", "n": "\n", "r": "\r"}


def _escaped(text: str) -> str:
    for letter, character in _ESCAPES.items():
        text = text.replace(character, "\\" + letter)
    return text


def _line(path: Path, place: int, tokenizer: Tokenizer) -> Tensor:
    """The categories of one line of text, (1, T)."""
    with reading(path):
        lines = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
        if place >= len(lines):
            raise DataError(f"line {place} was asked for; allowed: an index below {len(lines)}")
        text = re.sub(r"\\([\\nr])", lambda found: _ESCAPES[found[1]], lines[place])
        return tokenizer.encode(text)[None]


def _rows(path: Path, number: type[int] | type[float]) -> Tensor:
    with reading(path):
        lines = path.read_text(encoding="utf-8").split("\n")
    try:
        rows = [[number(word) for word in line.split()] for line in lines if line.strip()]
    except ValueError as error:
        raise DataError(f"{path} holds something that is not {_NAMES[number]}: {error}") from error
    if not rows or len({len(row) for row in rows}) != 1:
        raise DataError(f"{path} has rows of different lengths or none; allowed: equal rows")
    return torch.tensor(rows)
