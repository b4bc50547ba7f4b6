"""Real-valued data: ranges, labels, sources."""

import math

import datasets
import numpy as np
import pytest
import torch
from PIL import Image

from discrete_ca.data import ContinuousData, load, load_continuous
from discrete_ca.data.continuous import as_numbers, rescale
from discrete_ca.errors import DataError
from discrete_ca.training.batches import Batches, Indexed
from tests.helpers import seeded


def test_ranges_become_minus_one_to_one():
    values = torch.tensor([2.0, 3.0, 4.0])
    torch.testing.assert_close(rescale(values, (2, 4)), torch.tensor([-1.0, 0.0, 1.0]))
    assert as_numbers(torch.tensor([True, False]))[0].tolist() == [1.0, -1.0]
    assert as_numbers(torch.tensor([0, 255], dtype=torch.uint8))[1] == (0.0, 255.0)
    states, bounds = as_numbers(torch.tensor([7, 9]), (7, 9))
    assert states.tolist() == [-1.0, 1.0] and bounds == (7, 9)


@pytest.mark.parametrize(
    ("values", "bounds", "message"),
    [
        (torch.tensor([0, 300]), None, "values have dtype torch.int64 and value_range was None"),
        (torch.tensor([0.0, 3.0]), (0, 2), r"values lie in \[0, 3\]; allowed: value_range = \[0"),
        (torch.tensor([0.0]), (1, 1), "value_range was"),
        (torch.tensor([math.nan]), None, "values hold NaN or infinity"),
        (torch.tensor([math.inf]), (0, 1), "values hold NaN or infinity"),
    ],
)
def test_values_that_do_not_fit_are_refused(values, bounds, message):
    with pytest.raises(DataError, match=message):
        as_numbers(values, bounds)


def test_data_are_read_as_a_data_set_is():
    states = torch.randn(10, 2, 3, generator=seeded(0)).double()
    data = ContinuousData(states, labels=torch.arange(10) % 3, name="numbers")
    assert isinstance(data, Indexed)
    assert (len(data), data.shape, data.num_classes, data.num_categories) == (10, (2, 3), 3, None)
    assert data[torch.tensor([4])].dtype == torch.float32
    z, label, _ = Batches(data, 5, seed=0)(0)
    assert z.shape == (5, 2, 3) and label.shape == (5,)
    rest, held_out = data.split_off(4, seeded(1))
    together = torch.cat([rest.states, held_out.states])
    assert sorted(together.flatten().tolist()) == sorted(data.states.flatten().tolist())
    assert held_out.labels.shape == (4,) and held_out.name == "numbers"
    assert "labels=True" in repr(data)


@pytest.mark.parametrize(
    ("states", "labels", "message"),
    [
        (torch.zeros(0, 2), None, r"states have shape \(0, 2\)"),
        (torch.tensor(1.0), None, r"states have shape \(\)"),
        (torch.zeros(2, 2), torch.zeros(3).long(), r"labels have shape \(3,\)"),
        (torch.zeros(2, 2), torch.zeros(2), "dtype torch.float32"),
        (torch.full((2,), math.nan), None, "values hold NaN"),
    ],
)
def test_what_is_no_data_is_refused(states, labels, message):
    with pytest.raises(DataError, match=message):
        ContinuousData(states, labels)


@pytest.mark.parametrize("n", [0, 3])
def test_both_parts_of_a_split_have_examples(n):
    with pytest.raises(DataError, match=f"n was {n}; allowed: 1 .. 2"):
        ContinuousData(torch.zeros(3, 1)).split_off(n)


def test_arrays_of_floats_are_kept_as_they_are(tmp_path):
    points = np.random.default_rng(0).normal(size=(6, 2))
    np.savez(tmp_path / "x.npz", states=points, labels=np.arange(6))
    data = load_continuous(tmp_path / "x.npz")
    torch.testing.assert_close(data.states, torch.from_numpy(points).float())
    assert data.labels.tolist() == list(range(6)) and data.value_range is None
    scaled = load_continuous(tmp_path / "x.npz", value_range=(-10, 10))
    torch.testing.assert_close(scaled.states, data.states / 10)
    with pytest.raises(DataError, match="split was 'test'"):
        load_continuous(tmp_path / "x.npz", split="test")


def test_arrays_of_bytes_and_pictures_fill_the_range(tmp_path):
    np.save(tmp_path / "x.npy", np.array([[0, 255]], dtype=np.uint8))
    assert load_continuous(tmp_path / "x.npy").states.tolist() == [[-1.0, 1.0]]
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i, colour in enumerate([(0, 0, 0), (255, 51, 0)]):
        Image.new("RGB", (4, 4), colour).save(folder / f"{i}.png")
    data = load_continuous(folder)
    assert data.shape == (3, 4, 4) and data.value_range == (0, 255)
    torch.testing.assert_close(data.states[1, :, 0, 0], torch.tensor([1.0, -0.6, -1.0]))


def test_digits_of_16_levels(monkeypatch):
    grey, data = load("mnist16", split="test"), load_continuous("mnist16", split="test")
    rows = torch.tensor([0, 5000, 9999])
    torch.testing.assert_close(data[rows], grey[rows] / 7.5 - 1)
    assert torch.equal(data.labels, grey.labels)


def test_sources_without_a_hash_are_no_named_points():
    rows = datasets.Dataset.from_dict({"states": [[0, 1], [1, 0]]})
    found = load_continuous(datasets.DatasetDict({"train": rows}))
    assert found.states.tolist() == [[-1, 1], [1, -1]]
