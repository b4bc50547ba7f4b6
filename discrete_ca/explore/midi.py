"""Voices as a MIDI file: a format-1 file with one track a voice.

A writer of our own, since all that is needed is one header, one tempo and note on and off: a page
without a dependency, and the same notes are the same bytes (Standard MIDI Files 1.0).
"""

from __future__ import annotations

import struct
from itertools import groupby
from pathlib import Path

from torch import Tensor

from discrete_ca import checks
from discrete_ca.errors import DataError

_TICKS_A_BEAT = 480
_MAX_VOICES = 15  # sixteen channels, the tenth of which is percussion
_PERCUSSION = 9


def midi_bytes(
    pitches: Tensor, steps_a_beat: int = 4, beats_a_minute: float = 90.0, velocity: int = 72
) -> bytes:
    r"""The bytes of a MIDI file.

    Args:
        pitches: MIDI pitches 0 .. 127 (60 is the middle C), negative for a rest, (C, T) or (T,). A
            pitch that stays is one long note.
        steps_a_beat: how many time steps a beat lasts; 1 .. 480.
        beats_a_minute: tempo; 4 .. 1000.
        velocity: loudness, 1 .. 127.

    Raises:
        DataError: for other shapes, dtypes or pitches, or more than 15 voices.
        ValueError: for settings out of range.

    Example:
        >>> import torch
        >>> midi_bytes(torch.tensor([[60, 60, 62, -1]]))[:8]
        b'MThd\x00\x00\x00\x06'
    """
    voices = pitches[None] if pitches.ndim == 1 else pitches
    if voices.ndim != 2 or voices.is_floating_point() or not 1 <= len(voices) <= _MAX_VOICES:
        raise DataError(
            f"pitches are {pitches.dtype} {tuple(pitches.shape)}; allowed: whole numbers (C, T) or "
            f"(T,), C up to {_MAX_VOICES}"
        )
    if voices.numel() and int(voices.max()) > 127:
        raise DataError(f"pitches hold {int(voices.max())}; allowed: up to 127, negative for rests")
    if not 4 <= beats_a_minute <= 1000:
        raise ValueError(f"beats_a_minute was {beats_a_minute}; allowed: 4 .. 1000")
    for name, value, most in (
        ("steps_a_beat", steps_a_beat, _TICKS_A_BEAT), ("velocity", velocity, 127),
    ):  # fmt: skip
        if checks.positive(value, name) > most:
            raise ValueError(f"{name} was {value}; allowed: 1 .. {most}")
    ticks = _TICKS_A_BEAT // steps_a_beat
    tempo = round(60e6 / beats_a_minute).to_bytes(3, "big")
    tracks = [_delta(0) + b"\xff\x51\x03" + tempo]
    for voice, row in enumerate(voices.tolist()):
        channel = voice + (voice >= _PERCUSSION)
        tracks.append(_notes(row, channel, ticks, velocity))
    header = struct.pack(">HHH", 1, len(tracks), ticks * steps_a_beat)
    ended = (track + _delta(0) + b"\xff\x2f\x00" for track in tracks)
    return _chunk(b"MThd", header) + b"".join(_chunk(b"MTrk", track) for track in ended)


def write_midi(path: str | Path, pitches: Tensor, **settings: float) -> None:
    """Write `midi_bytes` to a file."""
    Path(path).write_bytes(midi_bytes(pitches, **settings))  # type: ignore[arg-type]


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack(">I", len(content)) + content


def _delta(ticks: int) -> bytes:
    r"""A time as a variable-length quantity: seven bits a byte, the highest bit on but in the last.

    Example:
        >>> _delta(0x80)
        b'\x81\x00'
    """
    found = [ticks & 0x7F]
    while ticks := ticks >> 7:
        found.append(ticks & 0x7F | 0x80)
    return bytes(reversed(found))


def _notes(pitches: list[int], channel: int, ticks: int, velocity: int) -> bytes:
    """On and off of each note of a voice."""
    found, waited = b"", 0
    for pitch, steps in groupby(pitches):
        length = ticks * len(list(steps))
        if pitch < 0:
            waited += length
            continue
        found += _delta(waited) + bytes((0x90 | channel, pitch, velocity))
        found += _delta(length) + bytes((0x80 | channel, pitch, 0))
        waited = 0
    return found
