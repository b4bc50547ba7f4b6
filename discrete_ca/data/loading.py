"""One way in: `load` takes a name, a path or a table and gives `DiscreteData`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from discrete_ca import hub
from discrete_ca.data import embedded, made, tables
from discrete_ca.data.dataset import DiscreteData
from discrete_ca.data.idx import idx_folder
from discrete_ca.data.images import image_folder
from discrete_ca.data.mapped import MappedData
from discrete_ca.data.rows import Rows, npy_rows
from discrete_ca.data.scores import load_scores
from discrete_ca.data.sources import Raw, array_file
from discrete_ca.data.text import TEXTS, load_text
from discrete_ca.data.transforms import Range, Transform
from discrete_ca.errors import DataError, unknown_name

_BINARY = "binarized_mnist"
POINTS = {"moons": made.moons}
"""Real-valued data that come with the package, by name: from a split to points and labels."""
NAMES = (_BINARY, "mnist16", "shapes", *TEXTS, *POINTS)
"""The data that come with the package."""

_ARRAYS = (".npy", ".npz", ".pt")
_TABLE = (
    "; a table of numbers, whose columns then share one code book 0 .. K - 1, comes in by "
    "np.save('x.npy', np.loadtxt('x.csv', dtype=int, delimiter=','))"
)
_HINTS = dict.fromkeys((".csv", ".tsv"), _TABLE)
"""What to do with files that are not read."""


def load(
    source: str | Path | Any,
    split: str = "train",
    *,
    num_categories: int | None = None,
    binarize: float | None = None,
    stochastic: bool = False,
    quantize: int | None = None,
    value_range: Range | None = None,
    states_key: str | None = None,
    label_key: str | None = None,
    in_memory: bool = True,
    generator: torch.Generator | None = None,
) -> DiscreteData:
    """Load data of discrete states.

    Args:
        source: one of

            - "binarized_mnist" (K = 2, thresholded unless `stochastic`), "mnist16" (K = 16) or
              "shapes" (K = 256, in colour), which come with the package and need no network; so
              does "moby_dick", by characters (see `load_text` for tokens and lengths), and
              "moons", points of real numbers (see `load_continuous`);
            - a `datasets.Dataset` or `DatasetDict`, a folder made by `save_to_disk`, or the name
              of a data set on the Hub, "user/name";
            - a folder of images, with subfolders as labels: (H, W) grey, (3, H, W) colour; or of
              IDX files, as the original MNIST at 256 levels;
            - a .json file of music in voices (see `load_scores`);
            - a .npy, .npz or .pt file of numbers, shape (N, *S) (floats that are whole numbers are
              categories too), or a folder of .npy files, which follow one another in the order of
              their names; labels, and an array `present` that says which sites are data and not
              padding, stand beside `states` in a .npz or .pt file.
        split: which split; a source without splits is all "train".
        num_categories: K; None for what the source or the transform says, else the largest
            value + 1.
        binarize: make K = 2 by value >= this threshold, in the source's own units (pixels in
            0 .. 255, for "binarized_mnist" grey levels in 0 .. 15 and 8 unless said otherwise).
        stochastic: make K = 2 by drawing each value once, with its place in the range as
            probability.
        quantize: make K this many equal bins of the range.
        value_range: lowest and highest value, for `quantize` and `stochastic`; None for what the
            source says ((0, 255) for bytes, (0, 1) for floats).
        states_key: the array or column of states, where its name does not tell.
        label_key: the array or column of labels, where its name does not tell.
        in_memory: read all states now; False leaves the states of tables, pictures and .npy files
            on disk and gives `MappedData`, for data larger than memory.
        generator: source of randomness, for `stochastic`.

    Raises:
        DataError: for names, splits and columns that do not exist, files that cannot be read,
            examples that differ in shape, no examples, and values that are not categories.

    Example:
        >>> data = load("binarized_mnist", split="test")
        >>> data
        DiscreteData('binarized_mnist', N=10000, shape=(28, 28), num_categories=2, labels=True)
        >>> data[torch.tensor([0, 1])].shape
        torch.Size([2, 28, 28])
    """
    if not isinstance(split, str):
        raise DataError(f"split was {split!r}; allowed: a name such as 'train'")
    transform = Transform(binarize, stochastic, quantize, value_range)
    whole = isinstance(source, str) and source in TEXTS
    if whole or _is_score(source):
        plain = transform == Transform() and num_categories is None and in_memory
        if not plain or states_key is not None or label_key is not None:
            raise DataError(
                f"settings were given that {source!r:.60} does not have; allowed: source and split"
            )
        return load_text(source, split=split) if whole else load_scores(source, split)
    raw, name = _read(source, split, states_key, label_key, in_memory)
    if name == _BINARY:
        if quantize is not None:
            raise DataError(f"quantize was {quantize} with {name}; allowed: None (see mnist16)")
        if transform.num_categories is None:
            transform = Transform(binarize=8)

    values, labels, num_values, label_names, present = raw
    if not in_memory:
        if isinstance(values, Tensor):
            raise DataError(
                f"in_memory was False with {source!r:.60}; allowed: True, since it is read whole "
                "(a .npy file, a folder of them, pictures and tables of `datasets` stay on disk)"
            )
        return MappedData(values, num_categories, labels, name, label_names, transform)
    if not isinstance(values, Tensor):
        values = values[np.arange(len(values))]
    transform = transform.within(num_values)
    states = transform(values, generator)
    if num_categories is None:
        num_categories = transform.num_categories or num_values
    return DiscreteData(states, num_categories, labels, name, present, label_names=label_names)


def _is_score(source: Any) -> bool:
    return isinstance(source, str | Path) and Path(source).suffix.lower() == ".json"


def _read(
    source: Any,
    split: str,
    states_key: str | None,
    label_key: str | None,
    in_memory: bool,
) -> tuple[Raw[Tensor | Rows], str]:
    """The source's values as they are, and its name."""
    if tables.is_table(source):
        return tables.table(source, split, states_key, label_key, "the data set"), "dataset"
    if not isinstance(source, str | Path) or not str(source):
        raise DataError(
            f"source was {source!r:.60}; allowed: a name, a path, a Dataset or a "
            "DatasetDict (and DiscreteData(tensor) for a tensor)"
        )
    if isinstance(source, str) and source in NAMES:
        _no_keys(states_key, label_key, str(source))
        if source in POINTS:
            raise DataError(f"{source} holds real numbers; allowed: with load_continuous")
        if source == "shapes":
            return Raw(*made.shapes(split), 256, made.SHAPES), str(source)
        levels, labels = embedded.mnist16(split)
        return Raw(levels, labels, 16), str(source)
    path = Path(source).expanduser()
    if path.suffix.lower() in _ARRAYS:
        if split != "train":
            raise DataError(f"split was '{split}'; allowed: 'train', since {path} has no others")
        if path.suffix.lower() == ".npy" and not in_memory:
            _no_keys(states_key, label_key, str(path))
            return Raw(npy_rows([path])), path.stem
        return array_file(path, states_key, label_key), path.stem
    if path.is_dir():
        stored = tables.on_disk(path)
        if stored is not None:
            return tables.table(stored, split, states_key, label_key, str(path)), path.name
        _no_keys(states_key, label_key, str(path))
        if (stored_bytes := idx_folder(path, split)) is not None:
            return stored_bytes, path.name
        shards = sorted(path.glob("*.npy"))
        if shards:
            if split != "train":
                raise DataError(f"split was '{split}'; allowed: 'train', as {path} has no others")
            return Raw(npy_rows(shards)), path.name
        return image_folder(path, split), path.name
    if path.exists():
        raise DataError(
            f"{path} is a file; allowed: {', '.join(_ARRAYS)}, .json (music), .txt (text, by "
            f"load_text) or a folder{_HINTS.get(path.suffix.lower(), '')}"
        )
    if isinstance(source, str) and hub.is_name(source):
        found = tables.hub(source, split)  # that split alone, and so all "train"
        return tables.table(found, "train", states_key, label_key, source), source
    raise DataError(
        f"{unknown_name('data', str(source), NAMES)}; or a file or folder that exists, or a data "
        "set of the Hub as 'user/name'"
    )


def _no_keys(states_key: str | None, label_key: str | None, where: str) -> None:
    for name, key in (("states_key", states_key), ("label_key", label_key)):
        if key is not None:
            raise DataError(f"{name} was '{key}'; allowed: None, since {where} has no columns")
