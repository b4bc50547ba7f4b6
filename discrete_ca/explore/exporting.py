"""Designs as files that other programs read: .png .gif .mid .txt .npz .npy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from torch import Tensor

from discrete_ca import drawing, files
from discrete_ca.data import Tokenizer
from discrete_ca.errors import ConfigError
from discrete_ca.explore.midi import write_midi

MIDI = (".mid", ".midi")


def check(path: str | Path, shape: tuple[int, ...]) -> None:
    """Refuse, before any work, a place or a format that cannot hold designs of this shape.

    Raises:
        ConfigError: likewise.
    """
    place = Path(path)
    if place.suffix.lower() not in MIDI:
        files.check_output(place, shape, MIDI[:1])
    elif len(shape) not in (1, 2):
        raise ConfigError(f"path was {place}, but designs have shape {shape}; allowed: (C, T)")
    elif place.is_dir():
        raise ConfigError(f"path was {place}, which is a folder; allowed: a file")


def export(
    path: str | Path,
    designs: Tensor,
    num_categories: int | None,
    *,
    tokenizer: Tokenizer | None = None,
    pitches: Callable[[Tensor], Tensor] | None = None,
    present: Tensor | None = None,
    **settings: float,
) -> None:
    """Write designs (N, *S) in the format of the suffix.

    A grid as .png, a film with a design a frame as .gif, text or numbers a line as .txt, integers
    as .npz and .npy; as .mid, designs (C, T) or (T,) one after another. Music is drawn as piano
    rolls.

    Args:
        path: the file.
        designs: clean categories, (N, *S).
        num_categories: K; None for real numbers.
        tokenizer: makes text of them, for .txt.
        pitches: of music, categories to MIDI pitches with negative ones for rests; None where they
            are MIDI pitches already.
        present: which sites are data and not padding, boolean, of shape S or (N, *S), which .npz
            keeps; None where nothing pads. What a tokenizer pads with is none.
        settings: for .mid, `steps_a_beat`, `beats_a_minute` and `velocity`.

    Raises:
        ConfigError: for a suffix that is not known or cannot hold such designs.
        DataError: for pitches that MIDI does not have.

    Example:
        >>> import tempfile, torch
        >>> path = Path(tempfile.mkdtemp(), "song.mid")
        >>> export(path, torch.tensor([[[60, 60, 64], [48, 48, 52]]]), 128)
        >>> path.stat().st_size
        91
    """
    place, shape = Path(path), tuple(designs.shape[1:])
    check(place, shape)
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.suffix.lower() in MIDI:
        voices = designs if pitches is None else pitches(designs)
        song = voices.movedim(0, -2).flatten(-2)  # designs one after another in time
        write_midi(place, song, **settings)
        return
    if settings:
        raise ConfigError(f"{', '.join(settings)} was given for {place}; allowed with .mid alone")
    if pitches is not None and place.suffix.lower() in files.DRAWN and len(shape) == 2:
        designs, num_categories = drawing.rolls(pitches(designs)), drawing.LIGHT
    if present is not None and tokenizer is not None and tokenizer.pad is not None:
        present = present & (designs != tokenizer.pad)  # a chain may end a row sooner
    files.write(place, designs, num_categories, tokenizer=tokenizer, present=present)
