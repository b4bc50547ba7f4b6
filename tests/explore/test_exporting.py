"""Designs in the formats of other programs."""

import pytest
import torch
from PIL import Image

from discrete_ca.data import Characters, load
from discrete_ca.errors import ConfigError
from discrete_ca.explore.exporting import export
from discrete_ca.explore.midi import midi_bytes


def test_designs_are_played_one_after_another(tmp_path):
    designs = torch.tensor([[[60, 62], [48, 50]], [[64, 65], [52, 53]]])
    export(tmp_path / "x.mid", designs, 128)
    want = midi_bytes(torch.tensor([[60, 62, 64, 65], [48, 50, 52, 53]]))
    assert (tmp_path / "x.mid").read_bytes() == want
    export(tmp_path / "x.MIDI", designs[:, 0] - 60, 8, pitches=lambda z: z + 60)
    assert (tmp_path / "x.MIDI").read_bytes() == midi_bytes(torch.tensor([60, 62, 64, 65]))


def test_arrays_keep_what_pads(tmp_path):
    designs, place = torch.tensor([[0, 1, 2], [1, 2, 2]]), tmp_path / "x.npz"
    export(place, designs, 3)
    assert load(place).present is None  # nothing was said of padding
    export(place, designs, 3, present=torch.tensor([True, True, False]))
    assert load(place).present.tolist() == [[True, True, False]] * 2
    words = Characters("ab", pad=True)  # the chain itself ended the second row sooner
    export(place, designs, 3, tokenizer=words, present=torch.tensor([True, True, False]))
    assert load(place).present.tolist() == [[True, True, False], [True, False, False]]


def test_text_film_and_picture(tmp_path):
    export(tmp_path / "x.txt", torch.tensor([[0, 1], [1, 1]]), 2, tokenizer=Characters("ab"))
    assert (tmp_path / "x.txt").read_text() == "ab\nbb\n"
    frames = torch.stack([torch.zeros(4, 4), torch.eye(4), torch.ones(4, 4)]).long()
    export(tmp_path / "x.gif", frames, 2)
    export(tmp_path / "x.png", frames, 2)
    with Image.open(tmp_path / "x.gif") as film, Image.open(tmp_path / "x.png") as picture:
        assert film.n_frames == 3 and picture.width > picture.height


def test_refusals(tmp_path):
    for name, shape in (("x", (2, 3)), ("x.mid", (2, 3, 3, 3)), ("x.png", (2, 3))):
        with pytest.raises(ConfigError, match="allowed"):
            export(tmp_path / name, torch.zeros(shape, dtype=torch.long), 2)
    assert [*tmp_path.iterdir()] == []
