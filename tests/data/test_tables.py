"""Tables of the `datasets` library; nothing here reaches the network."""

from __future__ import annotations

import datasets
import numpy as np
import pytest
import torch
from datasets import Array2D, ClassLabel, Dataset, DatasetDict, Features, List, Value
from PIL import Image

from discrete_ca.data import load
from discrete_ca.errors import DataError

ROWS = {"tokens": [[0, 1, 2], [2, 1, 0]], "label": [1, 0]}
TABLE = Dataset.from_dict(ROWS)


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a test asked for the network")

    monkeypatch.setattr(datasets, "load_dataset", refuse)


def images(arrays, **columns):
    pictures = [Image.fromarray(array) for array in arrays]
    features = {"image": datasets.Image(), **{key: Value("int64") for key in columns}}
    return Dataset.from_dict({"image": pictures, **columns}, features=Features(features))


def test_a_dataset():
    data = load(TABLE)
    assert data.states.tolist() == ROWS["tokens"] and data.labels.tolist() == [1, 0]
    assert data.num_categories == 3 and data.name == "dataset"


def test_columns_are_told_by_name():
    table = Dataset.from_dict({"a": [[1], [0]], "b": [[0], [0]], "c": [4, 5]})
    data = load(table, states_key="a", label_key="c")
    assert data.states.tolist() == [[1], [0]] and data.labels.tolist() == [4, 5]
    assert load(table.rename_column("b", "states")).states.tolist() == [[0], [0]]


def test_a_dict_of_splits():
    splits = DatasetDict(train=TABLE, test=TABLE.select([1]))
    assert len(load(splits)) == 2 and len(load(splits, split="test")) == 1
    with pytest.raises(DataError, match="unknown split 'tset'; did you mean 'test'"):
        load(splits, split="tset")


def test_a_lone_dataset_answers_to_its_own_split():
    table = Dataset.from_dict(ROWS, split="test")
    assert len(load(table)) == len(load(table, split="test")) == 2
    with pytest.raises(DataError, match="split was 'val'; allowed: 'train' or 'test', since"):
        load(table, split="val")
    with pytest.raises(DataError, match="split was 'val'; allowed: 'train', since"):
        load(TABLE, split="val")


@pytest.mark.parametrize("shape", [(), (5,), (4, 4), (3, 8, 8)])
def test_site_shapes(shape):
    states = np.random.default_rng(0).integers(0, 4, (6, *shape))
    data = load(Dataset.from_dict({"states": states.tolist()}))
    assert data.shape == shape and np.array_equal(data.states.numpy(), states)


def test_arrays_class_labels_and_bools():
    features = Features(
        {"states": Array2D((2, 2), "uint8"), "label": ClassLabel(names=["cat", "dog"])}
    )
    states = np.arange(8).reshape(2, 2, 2)
    data = load(Dataset.from_dict({"states": states, "label": ["dog", "cat"]}, features=features))
    assert np.array_equal(data.states.numpy(), states) and data.labels.tolist() == [1, 0]
    flags = load(Dataset.from_dict({"x": [[True, False]]}))
    assert flags.num_categories == 2 and flags.states.tolist() == [[1, 0]]


def test_a_table_with_a_format_reads_the_same():
    table = TABLE.with_format("torch")
    assert load(table).states.tolist() == ROWS["tokens"]
    assert table.format["type"] == "torch"


def test_all_labels_minus_one_are_none():
    table = Dataset.from_dict({"x": [[0], [1]], "label": [-1, -1]})
    assert load(table).labels is None
    with pytest.raises(DataError, match="labels hold the value -1"):
        load(Dataset.from_dict({"x": [[0], [1]], "label": [-1, 0]}))


def test_images():
    grey = np.arange(24, dtype=np.uint8).reshape(2, 3, 4) * 10
    data = load(images(grey, label=[3, 4]))
    assert data.shape == (3, 4) and data.num_categories == 256 and data.labels.tolist() == [3, 4]
    assert np.array_equal(data.states.numpy(), grey)
    assert load(images(grey), binarize=128).num_categories == 2
    colour = np.arange(72, dtype=np.uint8).reshape(2, 3, 4, 3)
    data = load(images(colour).with_format("numpy"), quantize=8)
    assert np.array_equal(data.states.numpy(), colour.transpose(0, 3, 1, 2) // 32)


def test_image_refusals():
    grey = np.zeros((3, 4), np.uint8)
    with pytest.raises(DataError, match=r"row 1 has shape \(2, 4\) of uint8; allowed: \(3, 4\)"):
        load(images([grey, grey[:2]]))
    broken = Dataset.from_dict(
        {"image": [{"bytes": b"\x89PNG", "path": None}]},
        features=Features({"image": datasets.Image()}),
    )
    with pytest.raises(DataError, match="row 0 could not be read: UnidentifiedImageError"):
        load(broken)
    missing = Dataset.from_dict({"image": [None]}, features=Features({"image": datasets.Image()}))
    with pytest.raises(DataError, match="row 0: the image is missing"):
        load(missing)


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        (ROWS, {"states_key": "token"}, "unknown states_key 'token'; did you mean 'tokens'"),
        (ROWS, {"label_key": "labels"}, "unknown label_key 'labels'; did you mean 'label'"),
        ({"a": [1], "b": [2]}, {}, "holds a, b; allowed: one named states or data or image"),
        ({"label": [1]}, {}, "holds label; allowed"),
        ({"x": [[1], [1, 2]]}, {}, "column 'x': the examples differ in shape"),
        ({"x": [[[1], [1, 2]], [[1], [1, 2]]]}, {}, "column 'x': the examples differ in shape"),
        ({"x": [0.5, 0.1]}, {}, "states have dtype torch.float32"),
        ({"x": [1, None]}, {}, "column 'x': values are missing or not finite"),
        ({"x": ["a", "b"]}, {}, "values of 'x' have dtype <U1"),
        ({"x": [[0], [-2]]}, {}, "states hold the value -2"),
        ({"x": [[0], [2]]}, {"num_categories": 2}, "states hold the value 2"),
        ({"x": [[0], [1]], "label": ["a", "b"]}, {}, "values of 'label' have dtype <U1"),
        ({"x": [[0], [1]], "label": [0.5, 1.0]}, {}, "labels have dtype torch.float32"),
    ],
)
def test_refusals(columns, options, message):
    with pytest.raises(DataError, match=message):
        load(Dataset.from_dict(columns), **options)


def test_an_empty_split_is_refused():
    with pytest.raises(DataError, match="split 'train' is empty; allowed: at least one"):
        load(Dataset.from_dict({"x": []}, features=Features({"x": List(Value("int64"))})))


def test_folders_of_save_to_disk(tmp_path):
    TABLE.save_to_disk(tmp_path / "one")
    DatasetDict(train=TABLE, test=TABLE.select([0])).save_to_disk(tmp_path / "two")
    one = load(tmp_path / "one")
    assert one.name == "one" and one.states.tolist() == ROWS["tokens"]
    assert len(load(str(tmp_path / "two"), split="test")) == 1
    with pytest.raises(DataError, match="unknown split 'x'"):
        load(tmp_path / "two", split="x")
    for file in (tmp_path / "one").glob("*.arrow"):
        file.write_bytes(file.read_bytes()[:50])
    with pytest.raises(DataError, match="one could not be read: "):
        load(tmp_path / "one")


def test_the_hub(monkeypatch):
    asked = []

    def load_dataset(name, split):
        asked.append((name, split))
        return Dataset.from_dict(ROWS, split=split)

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    data = load("user/name.with-dots", split="test")
    assert asked == [("user/name.with-dots", "test")]
    assert data.name == "user/name.with-dots" and data.states.tolist() == ROWS["tokens"]
    assert torch.equal(load("user/name", split="train[:50%]").labels, data.labels)


def test_a_failure_of_the_hub_has_its_reason(monkeypatch):
    def load_dataset(name, split):
        raise ConnectionError("no route")

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    message = "'user/name' is no local path, and split 'train' of it on the Hub could not be read: "
    with pytest.raises(DataError, match=message + "ConnectionError: no route"):
        load("user/name")
