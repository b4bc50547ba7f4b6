"""What the designs of a run are to a person: pictures, text, music, or plain rows of categories.

The one place where the server asks; everything else serves every kind alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from discrete_ca import files, metropolis
from discrete_ca.data import Tokenizer
from discrete_ca.errors import ConfigError, DataError
from discrete_ca.explore import Studio
from discrete_ca.kernels import CategoricalNoiseKernel
from discrete_ca.metrics import PitchCoding
from discrete_ca.nn.embeddings import ConditionEmbedding
from discrete_ca.server.examples import Examples

_MOST_TOKENS = 1 << 16


@dataclass(frozen=True)
class Medium:
    """How designs are shown and written.

    Args:
        kind: "image", "text", "music" or "rows".
        formats: suffixes that designs can be exported to.
        tokens: what each category reads as, for text; None otherwise.
        pitches: the MIDI pitch of each category, -1 for a rest, for music; None otherwise.
        tokenizer: makes categories of a text that was typed in.
    """

    kind: str
    formats: tuple[str, ...]
    tokens: tuple[str, ...] | None = None
    pitches: tuple[int, ...] | None = None
    tokenizer: Tokenizer | None = None

    @classmethod
    def of(
        cls,
        shape: tuple[int, ...],
        num_categories: int,
        tokenizer: Tokenizer | None = None,
        coding: PitchCoding | None = None,
    ) -> Medium:
        """The medium of designs of a shape.

        Args:
            shape: S.
            num_categories: K.
            tokenizer: of text.
            coding: of music, with designs (voices, steps).

        Raises:
            ConfigError: for a coding with designs that are no voices, or pitches MIDI has not.

        Example:
            >>> Medium.of((28, 28), 2).kind, Medium.of((16,), 5).kind
            ('image', 'rows')
        """
        if coding is not None:
            if len(shape) != 2:
                raise ConfigError(f"pitches were given for designs {shape}; allowed: (C, T)")
            pitches = coding.pitches(torch.arange(num_categories)).tolist()
            if max(pitches) > 127:
                raise ConfigError(f"the highest pitch was {max(pitches)}; allowed: up to 127")
            return cls("music", ("mid", "png", "npz", "txt"), pitches=tuple(pitches))
        if tokenizer is not None:
            tokens = tuple(tokenizer.decode([k]) for k in range(min(num_categories, _MOST_TOKENS)))
            return cls("text", ("txt", "npz"), tokens=tokens, tokenizer=tokenizer)
        if files.is_image(shape):
            return cls("image", ("png", "gif", "npz"))
        return cls("rows", ("txt", "npz"))

    def midi_pitches(self, z: Tensor) -> Tensor:
        """Categories to MIDI pitches, negative for rests."""
        assert self.pitches is not None
        return torch.tensor(self.pitches)[z]

    def padding(self, z: Tensor) -> Tensor:
        """The cells that are padding and no data, a mask of the same shape."""
        pad = None if self.tokenizer is None else self.tokenizer.pad
        return torch.zeros_like(z, dtype=torch.bool) if pad is None else z == pad

    def written(self, text: str, shape: tuple[int, ...]) -> Tensor:
        """The categories of a text, cut to the length of a design, (T,).

        Raises:
            DataError: for a run that is not of text, or a text that is too short where nothing
                pads.
        """
        if self.tokenizer is None:
            raise DataError(f"a text was given, but designs are {self.kind}; allowed: categories")
        found, wanted = self.tokenizer.encode(text), shape[0]
        if len(found) < wanted:
            if self.tokenizer.pad is None:
                raise DataError(f"the text has {len(found)} tokens; allowed: at least {wanted}")
            rest = torch.full((wanted - len(found),), self.tokenizer.pad)
            found = torch.cat([found, rest])
        return found[:wanted]


def facts(name: str, studio: Studio, medium: Medium, examples: Examples) -> dict[str, Any]:
    """What the page has to know of a model."""
    kernel = studio.kernel
    labels = 0
    if kernel.told_label:
        told = (m for m in kernel.modules() if isinstance(m, ConditionEmbedding))
        labels = next((m.num_classes or 0 for m in told), 0)
    return {
        "name": name,
        "kernel": type(kernel).__name__,
        "kind": medium.kind,
        "shape": list(studio.shape),
        "num_categories": studio.num_categories,
        "hold": studio.hold(None),
        "labels": labels,
        "label_names": None if examples.label_names is None else list(examples.label_names),
        "guidance": labels > 0 and isinstance(kernel, CategoricalNoiseKernel),
        "metropolis": metropolis.refusal(kernel) is None,
        "starts_from_noise": bool(getattr(getattr(kernel, "corruption", None), "forgets", False)),
        "examples": len(examples),
        "examples_of": examples.whose or "the data",
        "formats": list(medium.formats),
        "tokens": None if medium.tokens is None else list(medium.tokens),
        "pitches": None if medium.pitches is None else list(medium.pitches),
    }
