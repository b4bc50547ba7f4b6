"""Text to categories and back: characters, bytes, and subwords of a ``tokenizer.json``.

Subwords are those of the `tokenizers` library (``pip install discrete_ca[text]``), which is
imported when they are used; its ``tokenizer.json`` is what `transformers` reads and writes too.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from discrete_ca.errors import DataError, MissingLibraryError, unknown_name
from discrete_ca.sealed import write_json
from discrete_ca.serialization import TOKENIZER_FILE

_PAD = "<pad>"


class Tokenizer(ABC):
    """Text to categories 0 .. size - 1 and back.

    Attributes:
        size: the number of categories, K.
        pad: the category that fills short rows up and stands for no text; None without one.
    """

    size: int
    pad: int | None

    @abstractmethod
    def encode(self, text: str) -> Tensor:
        """The categories of a text, long, (T,)."""

    @abstractmethod
    def padded(self) -> Tokenizer:
        """The same with a `pad`; itself where it has one."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Plain values that `from_dict` makes the same tokenizer of."""

    @abstractmethod
    def _text(self, ids: list[int]) -> str:
        """The text of checked categories, none of them a pad."""

    def decode(self, ids: Tensor | Sequence[int]) -> str:
        """The text of categories (T,); pads are left out.

        Raises:
            DataError: for values that are no categories of this tokenizer.
        """
        found = torch.as_tensor(ids).reshape(-1).tolist()
        for value in found:
            if not 0 <= value < self.size:
                raise DataError(
                    f"ids hold the value {value}; allowed: 0 .. {self.size - 1}, the tokenizer "
                    f"having {self.size} categories"
                )
        return self._text([int(value) for value in found if value != self.pad])

    def save(self, folder: str | Path) -> None:
        """Write tokenizer.json into a folder."""
        write_json(Path(folder, TOKENIZER_FILE), self.to_dict())


class Characters(Tokenizer):
    """Every character is a category; the alphabet is fixed.

    Args:
        alphabet: the characters, category by category.
        pad: whether one more category pads.

    Raises:
        DataError: for a character that occurs twice, or fewer than two categories.

    Example:
        >>> letters = Characters.of(["banana"])
        >>> letters.alphabet, letters.encode("nab"), letters.decode([1, 0])
        ('abn', tensor([2, 0, 1]), 'ba')
    """

    def __init__(self, alphabet: str, pad: bool = False) -> None:
        if len(set(alphabet)) != len(alphabet):
            raise DataError(f"alphabet was {alphabet!r:.60}; allowed: every character once")
        self.alphabet = alphabet
        self.size = len(alphabet) + pad
        self.pad = len(alphabet) if pad else None
        if self.size < 2:
            raise DataError(f"alphabet was {alphabet!r}; allowed: at least two categories")
        codes = _code_points(alphabet)
        self._order = np.argsort(codes)
        self._sorted = codes[self._order]

    @classmethod
    def of(cls, texts: Iterable[str]) -> Characters:
        """The characters of some texts, in the order of their code points."""
        return cls("".join(sorted(set().union(*texts))))

    def encode(self, text: str) -> Tensor:
        """The categories of a text, long, (T,).

        Raises:
            DataError: for a character outside the alphabet.
        """
        codes = _code_points(text)
        place = np.searchsorted(self._sorted, codes).clip(max=len(self._sorted) - 1)
        strange = self._sorted[place] != codes
        if strange.any():
            where = int(strange.argmax())
            raise DataError(
                f"text holds {text[where]!r} at place {where}; allowed: the "
                f"{len(self.alphabet)} characters {self.alphabet[:40]!r}"
            )
        return torch.from_numpy(self._order[place])

    def padded(self) -> Characters:
        """The same with one more category that pads."""
        return self if self.pad is not None else Characters(self.alphabet, pad=True)

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"kind": "characters", "alphabet": self.alphabet, "pad": self.pad is not None}

    def _text(self, ids: list[int]) -> str:
        return "".join(self.alphabet[i] for i in ids)


class Bytes(Tokenizer):
    """The bytes of UTF-8: 256 categories for every language.

    Args:
        pad: whether one more category pads.

    Example:
        >>> Bytes().encode("hé"), Bytes().decode([104, 195, 169])
        (tensor([104, 195, 169]), 'hé')
    """

    def __init__(self, pad: bool = False) -> None:
        self.size = 256 + pad
        self.pad = 256 if pad else None

    def encode(self, text: str) -> Tensor:
        """The categories of a text, long, (T,)."""
        content = np.frombuffer(text.encode("utf-8", "surrogatepass"), dtype=np.uint8)
        return torch.from_numpy(content.astype(np.int64))

    def padded(self) -> Bytes:
        """The same with one more category that pads."""
        return Bytes(pad=True)

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"kind": "bytes", "pad": self.pad is not None}

    def _text(self, ids: list[int]) -> str:
        return bytes(ids).decode("utf-8", "replace")


class Subwords(Tokenizer):
    """The tokens of a ``tokenizer.json``: BPE, WordPiece, unigram.

    Special tokens are encoded where they stand in the text and are decoded as they are written;
    none is put in. The pad is the one that the file pads with, where it says so.

    Args:
        library: a `tokenizers.Tokenizer`, or a fast tokenizer of `transformers`.

    Raises:
        DataError: for anything else.

    Example:
        >>> words = train_bpe(["to be or not to be"] * 3, size=270)
        >>> ids = words.encode("not to be")
        >>> len(ids) < len("not to be"), words.decode(ids)
        (True, 'not to be')
    """

    def __init__(self, library: Any) -> None:
        library = getattr(library, "backend_tokenizer", library)  # of transformers
        if not hasattr(library, "to_str"):
            raise DataError(
                f"tokenizer was a {type(library).__name__}; allowed: a tokenizers.Tokenizer"
            )
        self.library = _tokenizers().Tokenizer.from_str(library.to_str())  # settings of our own
        padding = self.library.padding
        self.pad = None if padding is None else int(padding["pad_id"])
        self.library.no_padding()
        self.library.no_truncation()
        self.size = max(self.library.get_vocab(with_added_tokens=True).values()) + 1

    def encode(self, text: str) -> Tensor:
        """The categories of a text, long, (T,)."""
        ids = self.library.encode(text, add_special_tokens=False).ids
        return torch.tensor(ids, dtype=torch.long)

    def padded(self) -> Subwords:
        """The same with one more token that pads."""
        if self.pad is not None:
            return self
        library = _tokenizers().Tokenizer.from_str(self.library.to_str())
        library.add_special_tokens([_PAD])
        library.enable_padding(pad_id=library.token_to_id(_PAD), pad_token=_PAD)
        return Subwords(library)

    def to_dict(self) -> dict[str, Any]:
        """What tokenizer.json holds."""
        library = _tokenizers().Tokenizer.from_str(self.library.to_str())
        if self.pad is not None:
            library.enable_padding(pad_id=self.pad, pad_token=library.id_to_token(self.pad))
        found: dict[str, Any] = json.loads(library.to_str())
        return found

    def _text(self, ids: list[int]) -> str:
        text: str = self.library.decode(ids, skip_special_tokens=False)
        return text


def from_dict(values: dict[str, Any]) -> Tokenizer:
    """The tokenizer that `to_dict` wrote, or that a ``tokenizer.json`` holds.

    Raises:
        DataError: for anything else.

    Example:
        >>> from_dict({"kind": "characters", "alphabet": "ab", "pad": True}).size
        3
    """
    kind = values.get("kind", "subwords")
    try:
        if kind == "characters":
            return Characters(str(values["alphabet"]), bool(values["pad"]))
        if kind == "bytes":
            return Bytes(bool(values["pad"]))
        if kind == "subwords":
            return Subwords(_tokenizers().Tokenizer.from_str(json.dumps(values)))
    except (ImportError, DataError):
        raise
    except Exception as error:  # the library raises a bare Exception
        raise DataError(f"tokenizer cannot be read: {error!r}") from error
    raise DataError(unknown_name("kind of tokenizer", str(kind), ["characters", "bytes"]))


def load_tokenizer(path: str | Path) -> Tokenizer:
    """The tokenizer in a ``tokenizer.json``, or in a folder that holds one.

    Raises:
        DataError: for a file that is missing or cannot be read.

    Example:
        >>> import tempfile
        >>> folder = tempfile.mkdtemp()
        >>> Characters("ab").save(folder)
        >>> load_tokenizer(folder).decode([1, 1, 0])
        'bba'
    """
    place = Path(path)
    place = place / TOKENIZER_FILE if place.is_dir() else place
    try:
        values = json.loads(place.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"tokenizer '{place}' cannot be read: {error}") from error
    if not isinstance(values, dict):
        raise DataError(f"tokenizer '{place}' holds a {type(values).__name__}; allowed: an object")
    return from_dict(values)


def train_bpe(texts: Sequence[str], size: int) -> Subwords:
    """A byte-level BPE learned from texts, which decodes every text to itself.

    (Sennrich et al. 2016, arXiv 1508.07909; on bytes as in GPT-2.)

    Args:
        texts: the texts.
        size: categories, at least 256; fewer are made where the texts have no more pairs.

    Raises:
        DataError: for fewer categories.
    """
    if size < 256:
        raise DataError(f"size was {size}; allowed: >= 256, one for each byte")
    library = _tokenizers()
    bpe = library.Tokenizer(library.models.BPE())
    bpe.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = library.decoders.ByteLevel()
    trainer = library.trainers.BpeTrainer(
        vocab_size=size,
        initial_alphabet=sorted(library.pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    bpe.train_from_iterator(_lines(texts), trainer)
    return Subwords(bpe)


def _lines(texts: Sequence[str]) -> Iterator[str]:
    for text in texts:
        yield from text.splitlines(keepends=True)


def _code_points(text: str) -> np.ndarray[Any, np.dtype[np.int64]]:
    found = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
    return found.astype(np.int64)


def _tokenizers() -> Any:
    try:
        import tokenizers
    except ImportError as error:
        raise MissingLibraryError(
            "subwords need the library tokenizers: pip install 'discrete_ca[text]'"
        ) from error
    return tokenizers
