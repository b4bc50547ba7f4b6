"""What a run is trained on: where its data are, and how they are read."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from discrete_ca import data
from discrete_ca.data import ContinuousData, DiscreteData, Examples, StreamedData
from discrete_ca.data.text import TEXTS
from discrete_ca.errors import ConfigError

_OF_CATEGORIES = ("num_categories", "binarize", "quantize")
_OF_ARRAYS = (
    "split", "num_categories", "binarize", "quantize", "states_key", "label_key", "in_memory",
    "streaming", "buffer", "value_range",
)  # fmt: skip


class Form(NamedTuple):
    """What a source is, as far as its settings go."""

    what: str
    settings: tuple[str, ...]
    """Of `DataConfig`, those that it has."""
    load: Callable[..., Examples] | None
    """From the source and the settings that were given; None for arrays and pictures."""


@dataclass(frozen=True)
class DataConfig:
    """What is trained on; see `discrete_ca.data.load` and `discrete_ca.data.stream`.

    Args:
        source: binarized_mnist, mnist16, moby_dick, a folder of images, of IDX or of .npy files, a
            .npy/.npz/.pt file, a folder that `datasets` saved, a name on the Hub, a .txt file
            (`discrete_ca.data.load_text`), or a .json file of music (`load_scores`).
        split: which split.
        num_categories: K; None for what the source says.
        binarize: make K = 2 by value >= this.
        quantize: make K equal bins of the range.
        states_key: the column or array of states.
        label_key: the column or array of labels. A .npy has none: labels come in one file with
            their states, np.savez("x.npz", states=x, labels=y).
        tokenizer: of text: characters (unless said), bytes, or the path of a tokenizer.json.
        length: T, of text: categories a row; 256 unless said; of music: steps; 64 unless said.
        stride: of text and music, from the start of a window to that of the next; None for T.
        pad: of text: each line begins a row, short rows are filled up and the filling is no data;
            of an array file, its array `present` says so.
        in_memory: false leaves the states on disk and reads them as they are needed.
        streaming: read a name on the Hub, or what `datasets` saved, as a stream; nothing is
            downloaded beforehand.
        buffer: examples of a stream that are shuffled together.
        held_out: examples that are not trained on; their loss is observed.
        continuous: real-valued states (see `discrete_ca.data.load_continuous`); None for what the
            kernel takes.
        value_range: lowest and highest value of the source, for `quantize`; of real-valued states,
            what becomes [-1, 1]. None for that of pictures and bytes, and of floats for [0, 1] with
            `quantize`, else as they are.

    Raises:
        ConfigError: for a buffer of less than one example, and examples to hold out of a stream.
    """

    source: str = "binarized_mnist"
    split: str = "train"
    num_categories: int | None = None
    binarize: float | None = None
    quantize: int | None = None
    states_key: str | None = None
    label_key: str | None = None
    tokenizer: str | None = None
    length: int | None = None
    stride: int | None = None
    pad: bool = False
    in_memory: bool = True
    streaming: bool = False
    buffer: int = 10_000
    held_out: int = 0
    continuous: bool | None = None
    value_range: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.buffer < 1:
            raise ConfigError(f"buffer was {self.buffer}; allowed: a whole number >= 1")
        if self.held_out < 0:
            raise ConfigError(f"held_out was {self.held_out}; allowed: >= 0")
        if self.held_out and self.streaming:
            raise ConfigError(f"held_out was {self.held_out} with streaming; allowed: 0")

    @property
    def form(self) -> Form:
        """What the source is."""
        suffix = Path(self.source).suffix.lower()
        if self.source in TEXTS or suffix == ".txt":
            split = ("split",) if self.source in TEXTS else ()
            return Form("a text", (*split, "tokenizer", "length", "stride", "pad"), data.load_text)
        if suffix == ".json":
            return Form("music", ("split", "length", "stride"), data.load_scores)
        return Form("no text", _OF_ARRAYS, None)

    def load(self) -> Examples:
        """All of the data, the examples to hold out among them.

        Raises:
            ConfigError: for settings that such a source, or such states, do not have.
            DataError: for data that cannot be used.
        """
        if not self.source:
            raise ConfigError("data.source was ''; allowed: where the data are, as --data PATH")
        given = dataclasses.asdict(self)
        del given["held_out"]
        continuous, form = bool(given.pop("continuous")), self.form
        for name, value in given.items():
            if name not in ("source", *form.settings) and value != getattr(DataConfig, name):
                raise ConfigError(
                    f"data.{name} was {value!r}, but '{self.source}' is {form.what}; allowed: "
                    f"{getattr(DataConfig, name)!r}"
                )
        if form.load is not None:
            chosen = {name: given[name] for name in form.settings if given[name] is not None}
            return form.load(self.source, **chosen)
        given = {name: given[name] for name in ("source", *form.settings)}
        if continuous:
            for name in _OF_CATEGORIES:
                if given[name] is not None:
                    raise ConfigError(
                        f"data.{name} was {given[name]}; allowed: None, data.continuous being true"
                    )
            names = ("source", "split", "states_key", "label_key", "value_range")
            return data.load_continuous(**{name: given[name] for name in names})
        if self.value_range is not None and self.quantize is None:
            raise ConfigError(
                f"data.value_range was {self.value_range}; allowed: None without data.quantize, "
                "data.continuous being false"
            )
        buffer, in_memory = given.pop("buffer"), given.pop("in_memory")
        if given.pop("streaming"):
            return data.stream(**given, buffer=buffer)
        return data.load(**given, in_memory=in_memory)

    def load_parts(self, seed: int) -> tuple[Examples, DiscreteData | ContinuousData | None]:
        """The examples to train on, and those to hold out, drawn by the seed; None for none."""
        whole = self.load()
        if self.held_out == 0 or isinstance(whole, StreamedData):
            return whole, None
        return whole.split(self.held_out, seed)
