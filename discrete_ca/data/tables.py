"""Tables of the `datasets` library: from the Hub, from disk, or made by the caller.

The library is imported when one of these is asked for, and not before.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from discrete_ca.data.dataset import narrowest
from discrete_ca.data.images import pixels
from discrete_ca.data.rows import ReadRows, Rows
from discrete_ca.data.sources import STATES_KEYS, Raw, as_tensor, choose_keys, reading
from discrete_ca.errors import DataError, unknown_name
from discrete_ca.hub import is_name

_PIECE = 1 << 16  # labels read at a time
LIKELY = (*STATES_KEYS, "image", "img", "pixels", "input_ids")


def is_table(source: object) -> bool:
    """Whether this is a `Dataset` or `DatasetDict`; never imports the library to find out.

    Example:
        >>> is_table([1, 2])
        False
    """
    library = sys.modules.get("datasets")
    return library is not None and isinstance(source, library.Dataset | library.DatasetDict)


def hub(name: str, split: str, streaming: bool = False) -> Any:
    """Load a data set of the Hub by its name, "user/name", or open it as a stream.

    Raises:
        DataError: with the reason, where that fails.
    """
    with reading(f"'{name}' is no local path, and split '{split}' of it on the Hub"):
        import datasets

        if streaming:
            return datasets.load_dataset(name, split=split, streaming=True)
        return datasets.load_dataset(name, split=split)


def on_disk(folder: Path) -> Any | None:
    """Load a folder that `save_to_disk` made; None for any other folder.

    Raises:
        DataError: for such a folder that is damaged.
    """
    if not any((folder / name).is_file() for name in ("state.json", "dataset_dict.json")):
        return None
    with reading(folder):
        import datasets

        return datasets.load_from_disk(str(folder))


def table(
    source: Any,
    split: str,
    states_key: str | None,
    label_key: str | None,
    where: str,
) -> Raw[Rows]:
    """The states of a table, to be read, and its labels; images become arrays of pixels.

    Args:
        source: a `Dataset`, or a `DatasetDict` of splits.
        split: the split; a lone `Dataset` answers to its own name and to "train".
        states_key: the column of states; None for one with a usual name (`states`, `data`,
            `image`, `img`, `pixels`, `input_ids`), or the only one.
        label_key: the column of labels; None for `labels` or `label` where there is one. Labels
            that are all -1, the Hub's mark of a split without labels, count as none.
        where: what the table is called in errors.

    Raises:
        DataError: for an unknown split, missing columns, no rows, or rows that differ in shape.

    Example:
        >>> from datasets import Dataset
        >>> rows = Dataset.from_dict({"tokens": [[0, 1], [2, 1]], "label": [0, 1]})
        >>> values, labels, *_ = table(rows, "train", None, None, "rows")
        >>> values[np.arange(2)].tolist(), labels.tolist()
        ([[0, 1], [2, 1]], [0, 1])
    """
    source = choose_split(source, split, where)
    states_key, label_key = choose_keys(
        source.column_names, states_key, label_key, where, likely=LIKELY
    )
    if len(source) == 0:
        raise DataError(f"{where}: split '{split}' is empty; allowed: at least one example")
    labels = None if label_key is None else _labels(Column(source, label_key, where))
    names = None if labels is None else label_names(source.features, label_key)
    if not is_image(source.features, states_key):
        return Raw(Column(source, states_key, where), labels, None, names)
    column = source.select_columns([states_key]).with_format(None)

    def picture(row: int) -> NDArray[Any]:
        return as_pixels(column[row][states_key])

    rows = ReadRows(len(column), picture, lambda row: f"{where}, row {row}")
    return Raw(rows, labels, rows.num_values, names)


def choose_split(source: Any, split: str, where: str) -> Any:
    """One split of a dict of them; a lone table answers to its own name and to "train".

    Raises:
        DataError: for a split that is not there.
    """
    if isinstance(source, dict):
        if split not in source:
            raise DataError(f"{where}: {unknown_name('split', split, source)}")
        return source[split]
    if split not in ("train", str(source.split)):
        own = "" if source.split is None else f" or '{source.split}'"
        raise DataError(f"split was '{split}'; allowed: 'train'{own}, since {where} has no others")
    return source


def streamed(source: Any, split: str) -> tuple[Any, str]:
    """What can be gone through example by example, again and again, and its name.

    Raises:
        DataError: for sources that cannot, and splits that do not exist.
    """
    if isinstance(source, str | Path):
        path = Path(source).expanduser()
        found, name = on_disk(path) if path.is_dir() else None, path.name
        if found is None and isinstance(source, str) and is_name(source):
            return hub(source, split, streaming=True), source
        if found is None:
            raise DataError(
                f"source was {source!r:.60}; allowed for a stream: the name of a data set on the "
                "Hub, an IterableDataset, or a folder made by save_to_disk"
            )
    else:
        found, name = source, "stream"
    if isinstance(found, dict) or hasattr(found, "split"):
        found = choose_split(found, split, name)
    if hasattr(found, "to_iterable_dataset"):
        if len(found) == 0:
            raise DataError(f"{name}: split '{split}' is empty; allowed: at least one example")
        found = found.to_iterable_dataset()
    if not hasattr(found, "__iter__") or hasattr(found, "__next__"):
        raise DataError(
            f"source was a {type(found).__name__}; allowed for a stream: what can be iterated over "
            "again and again"
        )
    return found, name


class Column:
    """A column of numbers as rows, read where the table keeps it.

    Example:
        >>> from datasets import Dataset
        >>> column = Column(Dataset.from_dict({"x": [[1, 2], [3, 4], [5, 6]]}), "x", "rows")
        >>> column[np.array([0, 2])]
        tensor([[1, 2],
                [5, 6]])
    """

    num_values = None

    def __init__(self, source: Any, key: str, where: str) -> None:
        self._column = source.select_columns([key]).with_format("numpy")
        self._key, self._name, self._where = key, where, f"{where}, column '{key}'"

    def __len__(self) -> int:
        return len(self._column)

    def __getitem__(self, index: NDArray[np.int64]) -> Tensor:
        first, last = int(index[0]), int(index[-1]) + 1
        whole = last - first == len(index)  # a slice is read faster
        with reading(f"{self._where},"):
            array = self._column[slice(first, last) if whole else index][self._key]
        if array.dtype == object:
            raise DataError(f"{self._where}: the examples differ in shape; allowed: one shape")
        tensor = as_tensor(array, f"{self._name}: values of '{self._key}'")
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise DataError(f"{self._where}: values are missing or not finite")
        return tensor


def _labels(column: Column) -> Tensor | None:
    """The labels, narrow where they can be; None where all of them are -1."""
    pieces = []
    for start in range(0, len(column), _PIECE):
        piece = column[np.arange(start, min(start + _PIECE, len(column)))]
        if not piece.is_floating_point() and piece.ndim == 1 and int(piece.min()) >= 0:
            piece = piece.to(narrowest(int(piece.max()) + 1))
        pieces.append(piece)
    labels = torch.cat(pieces)
    absent = not labels.is_floating_point() and bool((labels == -1).all())
    return None if absent else labels


def label_names(features: Any, key: str | None) -> tuple[str, ...] | None:
    """The names of a column's classes, where it has them."""
    names = getattr((features or {}).get(key), "names", None)
    return None if names is None else tuple(names)


def is_image(features: Any, key: str) -> bool:
    """Whether a column holds pictures."""
    import datasets

    return isinstance((features or {}).get(key), datasets.Image)


def as_pixels(image: Any) -> NDArray[Any]:
    """The pixels of a table's picture.

    Raises:
        DataError: for none.
    """
    if image is None:
        raise DataError("the image is missing")
    return pixels(image)
