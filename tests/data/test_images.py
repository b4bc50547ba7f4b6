"""Folders of images."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from discrete_ca.data import load
from discrete_ca.errors import DataError

GREY = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
COLOUR = np.arange(36, dtype=np.uint8).reshape(3, 4, 3) * 7


def save(array, path, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)


def test_grey(tmp_path):
    for name in ("b.png", "a.PNG", "c.bmp"):
        save(GREY + ord(name[0]) - ord("a"), tmp_path / name)
    (tmp_path / "notes.txt").write_text("not an image")
    (tmp_path / ".hidden.png").write_text("not an image")
    data = load(tmp_path)
    assert (data.shape, data.num_categories, data.labels) == ((3, 4), 256, None)
    assert data.name == tmp_path.name
    assert torch.equal(data.states, torch.from_numpy(np.stack([GREY, GREY + 1, GREY + 2])).long())


def test_colour_has_its_channels_first(tmp_path):
    save(COLOUR, tmp_path / "a.png")
    data = load(str(tmp_path))
    assert data.shape == (3, 3, 4) and data.num_categories == 256
    assert torch.equal(data[0], torch.from_numpy(COLOUR).long().permute(2, 0, 1))


@pytest.mark.parametrize("suffix", ["jpg", "jpeg", "webp", "gif", "tif", "tiff", "ppm", "bmp"])
def test_formats(tmp_path, suffix):
    save(COLOUR, tmp_path / f"a.{suffix}")
    assert load(tmp_path).shape == (3, 3, 4)


@pytest.mark.parametrize(
    ("mode", "shape"),
    [
        ("L", (3, 4)),
        ("LA", (3, 4)),
        ("1", (3, 4)),
        ("RGB", (3, 3, 4)),
        ("RGBA", (3, 3, 4)),
        ("P", (3, 3, 4)),
    ],
)
def test_modes(tmp_path, mode, shape):
    Image.fromarray(COLOUR).convert(mode).save(tmp_path / "a.png")
    data = load(tmp_path)
    assert data.shape == shape and data.num_categories == (2 if mode == "1" else 256)


def test_subfolders_are_labels(tmp_path):
    for label, name in enumerate(("ant", "bee", "cow")):
        for i in range(label + 1):
            save(GREY + label, tmp_path / name / f"{i}.png")
    (tmp_path / ".cache").mkdir()
    (tmp_path / "empty").mkdir()
    data = load(tmp_path)
    assert data.labels.tolist() == [0, 1, 1, 2, 2, 2] and data.num_classes == 3
    assert data.states[:, 0, 0].tolist() == data.labels.tolist()


def test_split_folders(tmp_path):
    for split, n in (("train", 3), ("test", 2)):
        for name in ("ant", "bee"):
            for i in range(n):
                save(GREY, tmp_path / split / name / f"{i}.png")
    assert load(tmp_path).labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert load(tmp_path, split="test").labels.tolist() == [0, 0, 1, 1]
    with pytest.raises(DataError, match="unknown split 'tets'; did you mean 'test'"):
        load(tmp_path, split="tets")


def test_binarize_and_quantize(tmp_path):
    save(GREY, tmp_path / "a.png")
    assert torch.equal(load(tmp_path, binarize=100)[0], torch.from_numpy(GREY >= 100).long())
    assert torch.equal(load(tmp_path, quantize=16)[0], torch.from_numpy(GREY // 16).long())
    drawn = load(tmp_path, stochastic=True, generator=torch.Generator().manual_seed(0))
    assert drawn.num_categories == 2 and drawn[0][0, 0] == 0


def test_refusals(tmp_path):
    with pytest.raises(DataError, match=r"holds no images; allowed suffixes: \.bmp, \.gif"):
        load(tmp_path)
    save(GREY, tmp_path / "a.png")
    with pytest.raises(DataError, match=r"split was 'test'; allowed: 'train', since .* no splits"):
        load(tmp_path, split="test")
    with pytest.raises(DataError, match="label_key was 'label'; allowed: None"):
        load(tmp_path, label_key="label")
    save(GREY, tmp_path / "class" / "a.png")
    with pytest.raises(DataError, match="images both beside and within subfolders"):
        load(tmp_path)


@pytest.mark.parametrize("other", [GREY[:2], COLOUR, GREY > 100])
def test_images_that_differ_in_size_or_kind(tmp_path, other):
    save(GREY, tmp_path / "a.png")
    save(other, tmp_path / "b.png")
    with pytest.raises(DataError, match=r"b\.png has shape .*; allowed: \(3, 4\) of uint8, as .*a"):
        load(tmp_path)


def test_deep_images_are_refused(tmp_path):
    save(GREY.astype(np.uint16), tmp_path / "a.png")
    with pytest.raises(DataError, match=r"a\.png: image mode is I.*; allowed: 8 bits a channel"):
        load(tmp_path)


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "bmp", "webp"])
def test_truncated_images(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3)).astype(np.uint8)
    save(noise, path)
    content = path.read_bytes()
    for broken in (content[: len(content) // 2], content[:10], b""):
        path.write_bytes(broken)
        with pytest.raises(DataError, match=rf"a\.{suffix} could not be read: \w+"):
            load(tmp_path)
