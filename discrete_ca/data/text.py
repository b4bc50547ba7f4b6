"""Text as sequences of categories: packed into windows, or a document a row with padding."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from discrete_ca.data import embedded
from discrete_ca.data.dataset import DiscreteData, narrowest
from discrete_ca.data.sources import reading, window_step
from discrete_ca.data.tokenizers import (
    Bytes,
    Characters,
    Subwords,
    Tokenizer,
    load_tokenizer,
)
from discrete_ca.errors import DataError

TEXTS = {"moby_dick": embedded.moby_dick}
"""The texts that come with the package, by name: from a split, or None, to the text."""


def load_text(
    source: str | Path | Sequence[str],
    tokenizer: Tokenizer | str | Path = "characters",
    length: int = 256,
    *,
    split: str | None = None,
    stride: int | None = None,
    separator: str = "\n\n",
    pad: bool = False,
    name: str | None = None,
) -> DiscreteData:
    r"""Load text as sequences of `length` categories.

    Packed (the default), the documents are joined by the separator and cut into windows; what is
    left at the end is dropped. Padded, each document, or each line of a single file, begins a row
    of its own (more than one, where it is longer); short rows are filled up with the tokenizer's
    pad, and `present` says which sites are text: objectives and chains never touch the others.

    Args:
        source: a text file, a folder of .txt files (a document each), documents as a list of
            strings, or "moby_dick", which comes with the package.
        tokenizer: a `Tokenizer`; or, for convenience, "characters" (those that occur), "bytes", or
            the path of a tokenizer.json.
        length: T, categories a row.
        split: of a text that comes with the package, "train" or "test" (the last tenth); None for
            the whole. Characters are those of the whole.
        stride: categories from the start of a window to that of the next; None for `length`, less
            for windows that overlap.
        separator: stands between packed documents.
        pad: a document, or a line of a single file, a row instead of packing.
        name: what the data are called; None for the file's name.

    Returns:
        Data of shape (T,), with the `tokenizer` that decodes them.

    Raises:
        DataError: for a source that cannot be read or holds less than one row, and characters that
            the tokenizer does not have.

    Example:
        >>> data = load_text(["to be or not to be"], length=5)
        >>> data
        DiscreteData('text', N=3, shape=(5,), num_categories=7, labels=False)
        >>> [data.tokenizer.decode(row) for row in data]
        ['to be', ' or n', 'ot to']
        >>> names = load_text(["ada", "grace"], length=4, pad=True)
        >>> names.present.sum(1), names.tokenizer.decode(names[0])
        (tensor([3, 4, 1]), 'ada')
    """
    step = window_step(length, stride)
    if pad and stride is not None:
        raise DataError(f"stride was {stride} with pad=True; allowed: None")
    texts, found = _documents(source, split)
    if not pad:
        texts = [separator.join(texts)]
    elif isinstance(source, str | Path) and len(texts) == 1:
        texts = _not_empty(texts[0].split("\n"), found)
    coder = _tokenizer(tokenizer, texts if split is None else _documents(source, None)[0])
    present = None
    if pad:
        coder = coder.padded()
        states, present = _rows([coder.encode(text) for text in texts], length, coder)
    else:
        tokens = coder.encode(texts[0])
        if len(tokens) < length:
            raise DataError(f"text has {len(tokens)} tokens; allowed: at least length = {length}")
        states = tokens.to(narrowest(coder.size)).unfold(0, length, step)  # windows share memory
    return DiscreteData(states, coder.size, None, name or found, present, coder)


def _documents(source: str | Path | Sequence[str], split: str | None) -> tuple[list[str], str]:
    """The texts, and a name for them."""
    if isinstance(source, str) and source in TEXTS:
        return [TEXTS[source](split)], source
    if split is not None:
        raise DataError(f"split was '{split}'; allowed: None, but for {', '.join(TEXTS)}")
    if not isinstance(source, str | Path):
        texts = list(source)
        for text in texts:
            if not isinstance(text, str):
                raise DataError(f"source holds a {type(text).__name__}; allowed: strings")
        return _not_empty(texts, "source"), "text"
    path = Path(source).expanduser()
    try:
        found = path.exists()
    except OSError:  # a text, too long for the name of a file
        found = False
    if not found:
        raise DataError(
            f"source '{source!s:.60}' does not exist; allowed: a file, a folder of .txt files, "
            f"texts as a list, [text], or {', '.join(TEXTS)}"
        )
    files = sorted(path.glob("*.txt")) if path.is_dir() else [path]
    with reading(path):
        texts = [file.read_text(encoding="utf-8") for file in files]
    return _not_empty(texts, str(path)), path.stem


def _not_empty(texts: list[str], where: str) -> list[str]:
    texts = [text for text in texts if text]
    if not texts:
        raise DataError(f"{where} holds no text; allowed: at least one document")
    return texts


def _tokenizer(given: Tokenizer | str | Path, texts: Sequence[str]) -> Tokenizer:
    if isinstance(given, Tokenizer):
        return given
    if given == "characters":
        return Characters.of(texts)
    if given == "bytes":
        return Bytes()
    if isinstance(given, str | Path) and Path(given).suffix != ".json" and not Path(given).is_dir():
        raise DataError(
            f"tokenizer was '{given}'; allowed: characters, bytes, the path of a tokenizer.json, "
            "or a Tokenizer"
        )
    return load_tokenizer(given) if isinstance(given, str | Path) else Subwords(given)


def _rows(documents: Sequence[Tensor], length: int, coder: Tokenizer) -> tuple[Tensor, Tensor]:
    """Documents cut into rows (N, T) that are filled up with pads, and where they are text."""
    pieces = [piece for tokens in documents for piece in tokens.split(length) if len(piece)]
    states = torch.full((len(pieces), length), coder.pad or 0, dtype=narrowest(coder.size))
    present = torch.zeros(states.shape, dtype=torch.bool)
    for row, piece in enumerate(pieces):
        states[row, : len(piece)] = piece
        present[row, : len(piece)] = True
    return states, present
