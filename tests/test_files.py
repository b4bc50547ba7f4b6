"""Designs and masks are read as the data of their run were."""

import numpy as np
import pytest
import torch
from PIL import Image

from discrete_ca import data, files
from discrete_ca.errors import DataError

PIXELS = np.arange(256, dtype=np.uint8).reshape(16, 16)


@pytest.fixture
def picture(tmp_path):
    (tmp_path / "all").mkdir()
    Image.fromarray(PIXELS).save(tmp_path / "all/x.png")
    return tmp_path / "all/x.png"


@pytest.mark.parametrize(
    ("settings", "k"), [({"quantize": 4}, 4), ({"quantize": 16}, 16), ({"binarize": 200}, 2)]
)
def test_a_picture_is_transformed_as_a_folder_of_pictures(picture, settings, k):
    found = files.read_design(str(picture), (16, 16), k, settings).states
    assert torch.equal(found, data.load(picture.parent, **settings).states[0].long())


def test_grey_levels_are_categories_at_256(picture):
    found = files.read_design(str(picture), (16, 16), 256).states
    assert torch.equal(found, torch.from_numpy(PIXELS).long())


def test_digits_in_the_levels_of_the_run():
    assert int(files.read_design("test:0", (28, 28), 16).states.max()) == 15
    assert int(files.read_design("test:0", (28, 28), 2).states.max()) == 1


def test_arrays_of_categories_or_of_values(tmp_path):
    np.savez(
        tmp_path / "x.npz", a=np.array([[0, 255, 130]], dtype=np.uint8), b=np.array([[1, 0, 2]])
    )
    settings = {"quantize": 4, "states_key": "a"}
    found = files.read_design(f"{tmp_path}/x.npz", (3,), 4, settings).states
    assert found.tolist() == [0, 3, 2]
    found = files.read_design(f"{tmp_path}/x.npz", (3,), 4, {"states_key": "b"}).states
    assert found.tolist() == [1, 0, 2]


def test_masks_from_colour_pictures_and_refusals(tmp_path):
    Image.new("RGBA", (4, 2), (255, 255, 255, 255)).save(tmp_path / "m.png")
    assert files.read_mask(f"{tmp_path}/m.png", (2, 4)).all()
    assert files.read_mask(f"{tmp_path}/m.png", (3, 2, 4)).shape == (3, 2, 4)
    np.save(tmp_path / "nan.npy", np.full((2, 4), np.nan))
    np.save(tmp_path / "none.npy", np.zeros((2, 4)))
    for name, message in (("nan", "holds NaN"), ("none", "has no site to generate")):
        with pytest.raises(DataError, match=message):
            files.read_mask(f"{tmp_path}/{name}.npy", (2, 4))


def test_names_are_kept_as_given(tmp_path):
    z = torch.zeros(2, 3, dtype=torch.long)
    for name in ("X.NPY", "Y.NPZ"):
        files.write(tmp_path / name, z, 2)
        assert (tmp_path / name).exists()


@pytest.mark.parametrize("text", ["ab\ncd", "a\\nb c", "\\\\\n\r", "     "])
def test_texts_come_back_from_a_line(tmp_path, text):
    coder = data.Characters.of([text, "ab"])
    z = coder.encode(text)
    path = tmp_path / "x.txt"
    files.write(path, torch.stack([z.flip(0), z]), coder.size, tokenizer=coder)
    assert len(path.read_text().splitlines()) == 2
    found = files.read_design(f"{path}:1", (len(z),), coder.size, tokenizer=coder).states
    assert torch.equal(found, z)


def test_lines_that_do_not_fit(tmp_path):
    coder, path = data.Characters("ab"), tmp_path / "x.txt"
    path.write_text("abab\nabz\n")
    with pytest.raises(DataError, match=r"x.txt:0' has shape \(4,\); allowed: \(3,\)"):
        files.read_design(f"{path}:0", (3,), 2, tokenizer=coder)
    with pytest.raises(DataError, match="text holds 'z' at place 2"):
        files.read_design(f"{path}:1", (3,), 2, tokenizer=coder)
    with pytest.raises(DataError, match="line 2 was asked for; allowed: an index below 2"):
        files.read_design(f"{path}:2", (3,), 2, tokenizer=coder)


def test_a_design_has_the_class_and_the_padding_of_its_file(tmp_path):
    path, present = tmp_path / "x.npz", np.array([[1, 1, 0], [1, 0, 0]])
    np.savez(path, states=np.zeros((2, 3), dtype=int), labels=[4, -1], present=present)
    design, label, real = files.read_design(f"{path}:0", (3,), 2)
    assert design.tolist() == [0, 0, 0] and label == 4 and real.tolist() == [True, True, False]
    assert files.read_design(f"{path}:1", (3,), 2).label is None
    assert files.read_design("test:0", (28, 28), 2, {"source": "mine.npz"}).label is None
    np.savez(path, states=np.zeros((2, 3), dtype=int), present=present[:1])
    with pytest.raises(DataError, match=r"present of '.*x.npz:1' has shape \(1, 3\)"):
        files.read_design(f"{path}:1", (3,), 2)
