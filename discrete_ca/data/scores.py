"""Music in voices as categories: scores of pitches, cut into windows (C, T)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from discrete_ca.data.dataset import DiscreteData
from discrete_ca.data.sources import reading, window_step
from discrete_ca.errors import DataError, unknown_name

_HIGHEST = 127  # MIDI pitch


def load_scores(
    source: str | Path, split: str = "train", length: int = 64, *, stride: int | None = None
) -> DiscreteData:
    """Load music whose voices have a pitch, or a rest, at every step of equal length.

    Category 0 is the rest, 1 the lowest pitch of the whole file, and so on up in semitones, so that
    splits have the same categories: ``metrics.PitchCoding(lowest - 1, rest=0)``.

    Args:
        source: a .json file, splits by name: each a list of pieces, a piece a list of steps, a step
            a list of C MIDI pitches, -1 for a rest (the form of the JSB chorales).
        split: which split.
        length: T, steps a window; what is left at the end of a piece is dropped.
        stride: steps from the start of a window to that of the next; None for `length`.

    Returns:
        Data of shape (C, T), named by the file and its lowest pitch.

    Raises:
        DataError: for a file that cannot be read or is not of this form, an unknown split, and
            pieces that are all too short.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "songs.json"
        >>> _ = path.write_text('{"train": [[[64, 60], [64, 60], [65, -1]]]}')
        >>> data = load_scores(path, length=2)
        >>> data, data[0].tolist()
        (DiscreteData('songs, lowest 60', N=1, shape=(2, 2), ...labels=False), [[5, 5], [1, 1]])
    """
    step = window_step(length, stride)
    path = Path(source).expanduser()
    with reading(path):
        content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict) or not content:
        raise DataError(f"{path} holds a {type(content).__name__}; allowed: splits by name")
    if split not in content:
        raise DataError(f"{path}: {unknown_name('split', split, content)}")
    pieces = {name: _pieces(found, f"{path}: {name}") for name, found in content.items()}
    every = torch.cat([piece.reshape(-1) for found in pieces.values() for piece in found])
    sounding = every[every >= 0]
    if not len(sounding):
        raise DataError(f"{path} holds rests alone; allowed: at least one pitch")
    lowest, highest = int(sounding.min()), int(sounding.max())
    windows = [p.unfold(0, length, step) for p in pieces[split] if len(p) >= length]
    if not windows:
        raise DataError(f"{path}: no piece of {split} has length = {length} steps; allowed: fewer")
    pitches = torch.cat(windows)  # (N, C, T)
    states = torch.where(pitches < 0, 0, pitches - lowest + 1)
    return DiscreteData(states, highest - lowest + 2, name=f"{path.stem}, lowest {lowest}")


def _pieces(found: Any, where: str) -> list[Tensor]:
    """Pitches (T, C) of each piece."""
    try:
        pieces = [torch.tensor(piece, dtype=torch.long) for piece in found]
    except (TypeError, ValueError) as error:
        raise DataError(f"{where} holds no pitches: {error}") from error
    for i, piece in enumerate(pieces):
        voices = pieces[0].shape[1:]
        if piece.ndim != 2 or not piece.numel() or piece.shape[1:] != voices:
            raise DataError(
                f"{where}: piece {i} has shape {tuple(piece.shape)}; allowed: (T, C), C the same "
                "in all"
            )
        if int(piece.max()) > _HIGHEST:
            raise DataError(f"{where}: piece {i} holds {int(piece.max())}; allowed: 0 .. 127, -1")
    return pieces
