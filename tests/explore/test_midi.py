"""MIDI files are read back by a reader of its own to the notes that were written."""

import struct

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from discrete_ca.errors import DataError
from discrete_ca.explore.midi import _delta, midi_bytes, write_midi
from tests.helpers import seeded


def chunks(content):
    while content:
        name, size = struct.unpack(">4sI", content[:8])
        yield name, content[8 : 8 + size]
        assert len(content) >= 8 + size
        content = content[8 + size :]


def quantity(track, at):
    value = 0
    while True:
        value, more, at = value << 7 | track[at] & 0x7F, track[at] & 0x80, at + 1
        if not more:
            return value, at


def read(content):
    """(division, microseconds a beat, [(channel, pitch, begin, end)] in ticks)."""
    (head, header), *tracks = chunks(content)
    assert head == b"MThd"
    kind, count, division = struct.unpack(">HHH", header)
    assert kind == 1 and count == len(tracks)
    tempo, notes = None, []
    for name, track in tracks:
        assert name == b"MTrk"
        at, now, sounding, ended = 0, 0, {}, False
        while at < len(track):
            wait, at = quantity(track, at)
            now += wait
            status, at = track[at], at + 1
            if status == 0xFF:
                kind, size = track[at], track[at + 1]
                at += 2
                if kind == 0x51:
                    tempo = int.from_bytes(track[at : at + size], "big")
                ended = kind == 0x2F
                at += size
            elif status & 0xF0 == 0x90:
                assert track[at] not in sounding and track[at + 1] > 0
                sounding[track[at]], at = now, at + 2
            else:
                assert status & 0xF0 == 0x80
                notes.append((status & 0x0F, track[at], sounding.pop(track[at]), now))
                at += 2
        assert ended and not sounding
    return division, tempo, notes


def roll(notes, voices, steps, ticks):
    """The notes as a piano roll again; the tenth channel is left out."""
    found = torch.full((voices, steps), -1)
    for channel, pitch, begin, end in notes:
        assert channel != 9 and begin % ticks == end % ticks == 0 and end > begin
        found[channel - (channel > 9), begin // ticks : end // ticks] = pitch
    return found


@given(st.integers(1, 15), st.integers(0, 40), st.integers(1, 480), st.integers(0, 9))
def test_there_and_back(voices, steps, a_beat, seed):
    pitches = torch.randint(-2, 128, (voices, steps), generator=seeded(seed))
    pitches = pitches.repeat_interleave(1 + seed % 3, 1)  # notes of several steps
    division, tempo, notes = read(midi_bytes(pitches, a_beat, 120.0))
    assert tempo == 500_000 and division % a_beat == 0 and division > 0
    assert torch.equal(
        roll(notes, voices, pitches.shape[1], division // a_beat), pitches.clamp_min(-1)
    )


def test_the_bytes_of_a_small_song():
    """Written out by hand: a crotchet of middle C, a rest, at 90 beats a minute."""
    song = midi_bytes(torch.tensor([60, 60, 60, 60, -1]))
    assert song == bytes.fromhex(
        "4d546864 00000006 0001 0002 01e0"
        "4d54726b 0000000b 00 ff5103 0a2c2b 00 ff2f00"
        "4d54726b 0000000d 00 903c48 8360 803c00 00 ff2f00"
    )
    assert song == midi_bytes(torch.tensor([[60, 60, 60, 60, -1]], dtype=torch.int32))


@pytest.mark.parametrize(("ticks", "want"), [(0, "00"), (127, "7f"), (128, "8100"), (480, "8360"),
                                             (16383, "ff7f"), (1 << 20, "c08000")])  # fmt: skip
def test_variable_lengths(ticks, want):
    assert _delta(ticks).hex() == want


def test_written_to_a_file(tmp_path):
    song = torch.tensor([[60, 62], [48, -1]])
    write_midi(tmp_path / "x.mid", song, beats_a_minute=60, velocity=100)
    assert (tmp_path / "x.mid").read_bytes() == midi_bytes(song, 4, 60, 100)


@pytest.mark.parametrize(
    ("pitches", "options", "match"),
    [
        (torch.zeros(2, 3), {}, "pitches are torch.float32"),
        (torch.zeros(2, 2, 2, dtype=torch.long), {}, r"\(2, 2, 2\); allowed"),
        (torch.zeros(16, 3, dtype=torch.long), {}, "C up to 15"),
        (torch.tensor([128]), {}, "pitches hold 128; allowed: up to 127"),
        (torch.tensor([60]), {"steps_a_beat": 481}, "steps_a_beat was 481; allowed: 1 .. 480"),
        (torch.tensor([60]), {"steps_a_beat": 0}, "steps_a_beat was 0"),
        (torch.tensor([60]), {"velocity": 128}, "velocity was 128"),
        (torch.tensor([60]), {"beats_a_minute": 3.0}, "beats_a_minute was 3.0; allowed: 4 .. 1000"),
        (torch.tensor([60]), {"beats_a_minute": float("nan")}, "beats_a_minute was nan"),
    ],
)
def test_refusals(pitches, options, match):
    with pytest.raises(ValueError, match=match):
        midi_bytes(pitches, **options)
    assert issubclass(DataError, ValueError)
