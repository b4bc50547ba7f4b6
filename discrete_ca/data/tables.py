"""Tables of the `datasets` library: from the Hub, from disk, or made by the caller.

The library is imported when one of these is asked for, and not before.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from discrete_ca.data.images import pixels, raw_pixels, stack
from discrete_ca.data.sources import STATES_KEYS, Raw, as_tensor, choose_keys, reading
from discrete_ca.errors import DataError, unknown_name

_LIKELY = (*STATES_KEYS, "image", "img", "pixels", "input_ids")


def is_table(source: object) -> bool:
    """Whether this is a `Dataset` or `DatasetDict`; never imports the library to find out.

    Example:
        >>> is_table([1, 2])
        False
    """
    library = sys.modules.get("datasets")
    return library is not None and isinstance(source, library.Dataset | library.DatasetDict)


def hub(name: str, split: str) -> Any:
    """Load a data set of the Hub by its name, "user/name".

    Raises:
        DataError: with the reason, where that fails.
    """
    with reading(f"'{name}' is no local path, and split '{split}' of it on the Hub"):
        import datasets

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
) -> Raw:
    """Read the states and labels of a table; images become arrays of pixels.

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
        >>> table(rows, "train", None, None, "rows")[:2]
        (tensor([[0, 1],
                [2, 1]]), tensor([0, 1]))
    """
    if isinstance(source, dict):
        if split not in source:
            raise DataError(f"{where}: {unknown_name('split', split, source)}")
        source = source[split]
    elif split not in ("train", str(source.split)):
        own = "" if source.split is None else f" or '{source.split}'"
        raise DataError(f"split was '{split}'; allowed: 'train'{own}, since {where} has no others")
    states_key, label_key = choose_keys(
        source.column_names, states_key, label_key, where, likely=_LIKELY
    )
    if len(source) == 0:
        raise DataError(f"{where}: split '{split}' is empty; allowed: at least one example")
    labels = None if label_key is None else _column(source, label_key, where)
    if labels is not None and not labels.is_floating_point() and bool((labels == -1).all()):
        labels = None
    if not _is_image(source, states_key):
        return Raw(_column(source, states_key, where), labels)
    column = source.select_columns([states_key]).with_format(None)

    def picture(row: int) -> NDArray[Any]:
        image = column[row][states_key]
        if image is None:
            raise DataError("the image is missing")
        return pixels(image)

    rows = ((f"{where}, row {row}", partial(picture, row)) for row in range(len(column)))
    return raw_pixels(stack(rows), labels)


def _is_image(source: Any, key: str) -> bool:
    import datasets

    return isinstance(source.features[key], datasets.Image)


def _column(source: Any, key: str, where: str) -> Tensor:
    with reading(f"{where}, column '{key}',"):
        array = source.select_columns([key]).with_format("numpy")[:][key]
    if array.dtype == object:
        raise DataError(
            f"{where}, column '{key}': the examples differ in shape; allowed: one shape"
        )
    tensor = as_tensor(array, f"{where}: values of '{key}'")
    if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
        raise DataError(f"{where}, column '{key}': values are missing or not finite")
    return tensor
