"""Music in voices from JSON, and images from IDX files."""

import gzip
import json

import numpy as np
import pytest
import torch

from discrete_ca.data import load, load_continuous, load_scores
from discrete_ca.data.idx import read_idx
from discrete_ca.errors import DataError
from discrete_ca.metrics import PitchCoding


@pytest.fixture
def songs(tmp_path):
    """Two voices: nine and three steps to train on, five to test on."""
    rng = np.random.default_rng(0)
    content = {
        "train": [rng.integers(50, 60, (n, 2)).tolist() for n in (9, 3)],
        "test": [[[70, 48], [-1, 48], [70, 48], [70, 48], [70, 48]]],
    }
    path = tmp_path / "songs.json"
    path.write_text(json.dumps(content))
    return path, content


def test_scores_are_windows_of_pitches(songs):
    path, content = songs
    data = load_scores(path, length=4)
    assert data.shape == (2, 4) and len(data) == 2 and data.num_categories == 70 - 48 + 2
    wanted = torch.tensor(content["train"][0])[:8].reshape(2, 4, 2).transpose(1, 2)
    assert torch.equal(PitchCoding(47, rest=0).pitches(data.states), wanted)
    assert data.name == "songs, lowest 48"
    assert len(load_scores(path, length=4, stride=1)) == 6
    test = load_scores(str(path), "test", 2)
    assert test.num_categories == data.num_categories
    assert test[0].tolist() == [[23, 0], [1, 1]]


def test_load_knows_a_score_by_its_name(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps({"train": [[[60]] * 64]}))
    assert load(tmp_path / "a.json").shape == (1, 64)
    with pytest.raises(DataError, match="settings were given that"):
        load(tmp_path / "a.json", quantize=4)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "holds a list; allowed: splits by name"),
        ('{"valid": [[[60]]]}', "unknown split 'train'"),
        ('{"train": [[[60]]]}', "no piece of train has length = 4 steps"),
        ('{"train": [[[60, 50]], [[60]]]}', "train: piece 1 has shape .1, 1.; allowed: .T, C."),
        ('{"train": [[[200]]]}', "piece 0 holds 200; allowed: 0 .. 127, -1"),
        ('{"train": [[[-1]]]}', "holds rests alone"),
        ('{"train": ["abc"]}', "holds no pitches"),
        ('{"train": 5}', "holds no pitches"),
        ("{", "could not be read: JSONDecodeError"),
    ],
)
def test_what_is_no_score_is_refused(tmp_path, content, message):
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(DataError, match=message):
        load_scores(tmp_path / "x.json", length=4)


def test_lengths_are_checked(songs):
    with pytest.raises(DataError, match="length was 0; allowed: a whole number >= 1"):
        load_scores(songs[0], length=0)


def idx(array):
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes()
    return header + array.tobytes()


@pytest.fixture
def folder(tmp_path):
    """Three images to train on, gzipped, and two to test on, not."""
    rng = np.random.default_rng(0)
    place = tmp_path / "digits"
    place.mkdir()
    for part, n in (("train", 3), ("t10k", 2)):
        arrays = {
            "images-idx3": rng.integers(0, 256, (n, 4, 6), np.uint8),
            "labels-idx1": np.arange(n, dtype=np.uint8),
        }
        for kind, array in arrays.items():
            packed, end = (gzip.compress(idx(array)), ".gz") if n == 3 else (idx(array), "")
            (place / f"{part}-{kind}-ubyte{end}").write_bytes(packed)
    return place


def test_idx_files_are_images_at_256_levels(folder):
    for split, n in (("train", 3), ("test", 2)):
        data = load(folder, split)
        assert (len(data), data.shape, data.num_categories) == (n, (4, 6), 256)
        assert data.labels.tolist() == [*range(n)]
    assert load(folder, quantize=4).num_categories == 4
    assert float(load_continuous(folder).states.min()) >= -1
    with pytest.raises(DataError, match="unknown split 'valid'"):
        load(folder, "valid")


def test_damaged_idx_files_are_refused(folder):
    (folder / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match="holds no t10k-labels-idx1-ubyte"):
        load(folder, "test")
    images = folder / "train-images-idx3-ubyte.gz"
    content = gzip.decompress(images.read_bytes())
    images.write_bytes(gzip.compress(content[:-5]))
    with pytest.raises(DataError, match="could not be read"):
        load(folder)
    (folder / "x").write_bytes(content[:2] + b"\x0d" + content[3:])
    with pytest.raises(DataError, match="the type of its values is 13; allowed: 8, bytes"):
        read_idx(folder / "x")
