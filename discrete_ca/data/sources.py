"""What every source of data gives, and the files of arrays among them: .npy, .npz and .pt."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from discrete_ca.errors import DataError, unknown_name

STATES_KEYS = ("states", "data")
LABEL_KEYS = ("labels", "label")
PRESENT_KEY = "present"


Values = TypeVar("Values", covariant=True)  # a tensor, or Rows that are still where they were


class Raw(NamedTuple, Generic[Values]):
    """Values as they were stored, before they are made discrete."""

    values: Values
    """Numbers, shape (N, *S), in memory or where they are."""
    labels: Tensor | None = None
    """Labels, shape (N,), or None."""
    num_categories: int | None = None
    """One more than the largest value that the format allows, where it says so."""
    label_names: tuple[str, ...] | None = None
    """What the labels are called, where the source says so."""
    present: Tensor | None = None
    """Which sites are data and not padding, booleans (N, *S), where the source says so."""


@contextmanager
def reading(what: object) -> Iterator[None]:
    """Turn whatever a reader raises on a damaged file into a DataError with the reason.

    Example:
        >>> with reading("x.npy"):
        ...     raise EOFError("no data left")
        Traceback (most recent call last):
        discrete_ca.errors.DataError: x.npy could not be read: EOFError: no data left
    """
    try:
        yield
    except DataError as error:
        raise DataError(f"{what}: {error}") from error
    except FileNotFoundError as error:
        raise DataError(f"{what} does not exist") from error
    except UnicodeDecodeError as error:
        raise DataError(
            f"{what} is not in UTF-8: byte {error.object[error.start]:#x} at place {error.start}; "
            "allowed: UTF-8 (iconv -f LATIN1 -t UTF-8 makes it of an older text)"
        ) from error
    except Exception as error:  # readers of damaged files raise anything, SyntaxError included
        reason = f"{type(error).__name__}: {error}".rstrip(": \n")
        raise DataError(f"{what} could not be read: {reason}") from error


def as_tensor(array: NDArray[Any], name: str) -> Tensor:
    """A numeric array as a tensor of a dtype that torch computes with.

    Raises:
        DataError: for arrays of objects, text, times or complex numbers.

    Example:
        >>> as_tensor(np.array(["a", "b"]), "names")
        Traceback (most recent call last):
        discrete_ca.errors.DataError: names have dtype <U1; allowed: integers, booleans or floats...
    """
    if array.dtype.kind not in "buif":
        names = "; np.unique(names, return_inverse=True)[1] numbers names"
        raise DataError(
            f"{name} have dtype {array.dtype}; allowed: integers, booleans or floats"
            f"{names if array.dtype.kind in 'USO' else ''}"
        )
    if array.dtype.kind == "u" and array.dtype.itemsize > 1:
        return torch.from_numpy(array.astype(np.int64))
    dtype = np.dtype(np.float64) if array.dtype.itemsize > 8 else array.dtype.newbyteorder("=")
    return torch.from_numpy(np.array(array, dtype=dtype))


def array_file(path: Path, states_key: str | None, label_key: str | None) -> Raw[Tensor]:
    """Read .npy (one array), .npz (named arrays) or .pt (a tensor, or a dict of tensors).

    Nothing is unpickled but the tensors of a .pt file, by ``weights_only=True``.

    Args:
        path: the file.
        states_key: the array with the states; None for `states`, `data` or the only one that is
            not the labels.
        label_key: the array with the labels; None for `labels` or `label` where there is one.

    An array `present` beside them, 0 and 1, says which sites are data and not padding.

    Raises:
        DataError: for a damaged file, missing arrays, or dtypes that are no numbers.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "x.npz"
        >>> np.savez(path, data=np.zeros((4, 2), dtype=np.int64), labels=np.arange(4))
        >>> values, labels, *_ = array_file(path, None, None)
        >>> values.shape, labels
        (torch.Size([4, 2]), tensor([0, 1, 2, 3]))
    """
    with reading(path):
        if path.suffix.lower() == ".pt":
            content = torch.load(path, map_location="cpu", weights_only=True)
        else:
            with path.open("rb") as file:  # numpy leaves a damaged .npz open
                content = np.load(file, allow_pickle=False)
                if not isinstance(content, np.ndarray):
                    content = {name: content[name] for name in content.files}
    if not isinstance(content, Mapping):
        if states_key is not None or label_key is not None:
            raise DataError(
                f"states_key and label_key were {states_key!r} and {label_key!r}; "
                f"allowed: None, since {path} holds one array without a name; labels come in one "
                "file with their states: np.savez('x.npz', states=x, labels=y)"
            )
        return Raw(_number(content, "states"))
    present = None
    if PRESENT_KEY in content and PRESENT_KEY not in (states_key, label_key):
        present = _number(content[PRESENT_KEY], PRESENT_KEY) != 0
    names = [name for name in content if present is None or name != PRESENT_KEY]
    states_key, label_key = choose_keys(names, states_key, label_key, str(path))
    labels = None if label_key is None else _number(content[label_key], f"labels '{label_key}'")
    states = _number(content[states_key], f"states '{states_key}'")
    return Raw(states, labels, present=present)


def choose_keys(
    names: list[str],
    states_key: str | None,
    label_key: str | None,
    where: str,
    likely: tuple[str, ...] = STATES_KEYS,
) -> tuple[str, str | None]:
    """Which of the named arrays or columns are the states and which the labels.

    Raises:
        DataError: for a key that is not there, or where several could be the states.

    Example:
        >>> choose_keys(["image", "label"], None, None, "x")
        ('image', 'label')
    """
    for kind, key in (("states_key", states_key), ("label_key", label_key)):
        if key is not None and key not in names:
            raise DataError(f"{where}: {unknown_name(kind, key, map(str, names))}")
    if label_key is None:
        label_key = next((key for key in LABEL_KEYS if key in names and key != states_key), None)
    if states_key is None:
        rest = [name for name in names if name != label_key]
        named = [key for key in likely if key in rest]
        if not named and len(rest) != 1:
            raise DataError(
                f"{where} holds {', '.join(map(str, names)) or 'nothing'}; allowed: one named "
                f"{' or '.join(likely)}, or states_key to say which holds the states"
            )
        states_key = (named or rest)[0]
    return states_key, label_key


def _number(value: object, name: str) -> Tensor:
    if isinstance(value, Tensor):
        wide = value.dtype in (torch.uint16, torch.uint32, torch.uint64)
        return value.detach().long() if wide else value.detach()
    if isinstance(value, np.ndarray):
        return as_tensor(value, name)
    raise DataError(f"{name} are a {type(value).__name__}; allowed: an array or a tensor")


def window_step(length: int, stride: int | None) -> int:
    """Steps from a window to the next; None for its length. Both are checked.

    Raises:
        DataError: for a length or stride below 1.

    Example:
        >>> window_step(8, None), window_step(8, 2)
        (8, 2)
    """
    step = length if stride is None else stride
    for key, value in (("length", length), ("stride", step)):
        if isinstance(value, bool) or value < 1:
            raise DataError(f"{key} was {value}; allowed: a whole number >= 1")
    return step
