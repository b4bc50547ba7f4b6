from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from discrete_ca.data import Characters, DiscreteData
from discrete_ca.errors import DataError
from discrete_ca.training.batches import Batches, Indexed


@pytest.mark.parametrize("shape", [(), (5,), (4, 4), (3, 8, 8)])
@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int16, torch.int64, torch.uint16])
def test_any_shape_and_integer_dtype_gives_long(shape, dtype):
    x = torch.randint(0, 2, (6, *shape)).to(dtype)
    data = DiscreteData(x, 2)
    assert data.shape == shape and len(data) == 6 and data.num_categories == 2
    assert data.states.dtype == torch.long and torch.equal(data.states, x.long())
    index = torch.tensor([5, 0])
    assert data[index].dtype == torch.long and torch.equal(data[index], x.long()[index])
    assert data[2].shape == shape and data[1:3].shape == (2, *shape)


@pytest.mark.parametrize("k", [2, 256, 257, 32_768, 32_769, 2**31, 2**31 + 1])
def test_every_number_of_categories_survives_the_storage(k):
    x = torch.tensor([[0, k - 1]])
    data = DiscreteData(x, k)
    assert torch.equal(data.states, x)
    assert torch.equal(DiscreteData(x).states, x) and DiscreteData(x).num_categories == k


def test_bytes_are_stored_as_bytes():
    assert DiscreteData(torch.zeros(3, 2, dtype=torch.long), 256)._states.element_size() == 1


def test_reading_gives_a_copy():
    data = DiscreteData(torch.zeros(3, 2, dtype=torch.uint8))
    data.states.fill_(1)
    data[torch.arange(3)].fill_(1)
    assert not data.states.any()


def test_it_is_a_source_of_batches():
    data = DiscreteData(torch.arange(8).reshape(8, 1), labels=torch.arange(8))
    assert isinstance(data, Indexed)
    z, label, _ = Batches(data, 4, seed=0)(0)
    assert z.shape == (4, 1) and torch.equal(z.squeeze(1), label)


def test_labels_and_classes():
    data = DiscreteData(torch.zeros(2, 1, dtype=torch.long), labels=torch.tensor([3, 0]).byte())
    assert data.labels.dtype == torch.long and data.num_classes == 4
    assert DiscreteData(torch.zeros(2, 1, dtype=torch.long)).num_classes is None


def test_labels_have_names_where_they_are_known():
    states, labels = torch.zeros(3, 1, dtype=torch.long), torch.tensor([0, 2, 0])
    data = DiscreteData(states, labels=labels, label_names=["ant", "bee", "cow", "dog"])
    assert data.label_names == ("ant", "bee", "cow", "dog") and data.num_classes == 4
    assert data.split(1)[1].num_classes == 4  # whatever labels a part happens to hold
    assert DiscreteData(states, labels=labels).label_names is None
    with pytest.raises(
        DataError, match=r"labels hold the value 2; allowed: 0 \.\. one below the 2"
    ):
        DiscreteData(states, labels=labels, label_names=["ant", "bee"])


def test_it_is_iterable():
    assert [int(z) for z in DiscreteData(torch.arange(3))] == [0, 1, 2]


@pytest.mark.parametrize(
    ("states", "options", "message"),
    [
        (torch.zeros(2, 3), {}, "states have dtype torch.float32; allowed: integers or booleans"),
        (torch.zeros(2, dtype=torch.cfloat), {}, "states have dtype torch.complex64"),
        (torch.zeros(0, 3).long(), {}, r"states have shape \(0, 3\); allowed: at least one"),
        (torch.zeros(2, 0).long(), {}, r"states have shape \(2, 0\)"),
        (torch.tensor(1), {}, r"states have shape \(\)"),
        (torch.tensor([0, -1]), {}, "states hold the value -1; allowed: 0 and above"),
        (
            torch.tensor([0, 3]),
            {"num_categories": 3},
            r"states hold the value 3; allowed: 0 \.\. 2",
        ),
        (torch.tensor([0]), {"num_categories": 1}, "num_categories was 1; allowed: .* >= 2"),
        (torch.tensor([0]), {"num_categories": 2.5}, "num_categories was 2.5; allowed: a whole"),
        (torch.tensor([0]), {"num_categories": True}, "num_categories was True"),
        (
            torch.tensor([0, 1]),
            {"labels": torch.tensor([0])},
            r"labels have shape \(1,\); allowed: \(2,\)",
        ),
        (
            torch.tensor([[0, 1]]),
            {"present": torch.tensor([[1, 0]])},
            r"present has dtype torch.int64; allowed: torch.bool \(True = data\)",
        ),
        (
            torch.tensor([[0, 1]]),
            {"present": torch.tensor([True, False])},
            r"present has shape \(2,\); allowed: \(1, 2\)",
        ),
        (
            torch.tensor([[0, 1], [1, 1]]),
            {"present": torch.tensor([[True, False], [False, False]])},
            "present is False at every site of example 1; allowed: at least one site",
        ),
        (
            torch.tensor([[0, 1]]),
            {"tokenizer": Characters("abc")},
            "tokenizer has 3 categories; allowed: 2, as the data have",
        ),
        (torch.tensor([0, 1]), {"labels": torch.tensor([0, -1])}, "labels hold the value -1"),
        (torch.tensor([0, 1]), {"labels": torch.tensor([0.0, 1.0])}, "labels have dtype"),
    ],
)
def test_refusals(states, options, message):
    with pytest.raises(DataError, match=message):
        DiscreteData(states, **options)


@settings(max_examples=30, deadline=None)
@given(n=st.integers(2, 40), data=st.data())
def test_split_off_parts_the_examples(n, data):
    m = data.draw(st.integers(1, n - 1))
    whole = DiscreteData(torch.arange(n).reshape(n, 1), labels=torch.arange(n), name="x")
    rest, taken = whole.split_off(m, torch.Generator().manual_seed(n))
    assert (len(rest), len(taken)) == (n - m, m)
    assert torch.equal(torch.cat([rest.states, taken.states]).sort(0).values, whole.states)
    for part in (rest, taken):
        assert part.num_categories == whole.num_categories and part.name == "x"
        assert torch.equal(part.states.squeeze(1), part.labels)


def test_presence_and_tokenizer_stay_with_the_examples():
    states = torch.arange(6).reshape(3, 2) % 2
    present = torch.tensor([[True, True], [True, False], [False, True]])
    whole = DiscreteData(states, 2, torch.arange(3), present=present, tokenizer=Characters("ab"))
    for part in whole.split_off(1, torch.Generator().manual_seed(0)):
        assert part.tokenizer is whole.tokenizer
        assert torch.equal(part.present, present[part.labels])


def test_split_off_repeats_with_the_seed():
    whole = DiscreteData(torch.arange(50))
    one, two = (whole.split_off(9, torch.Generator().manual_seed(3))[1].states for _ in range(2))
    other = whole.split_off(9, torch.Generator().manual_seed(4))[1].states
    assert torch.equal(one, two) and not torch.equal(one, other)


@pytest.mark.parametrize("n", [0, -1, 5, 6])
def test_split_off_leaves_no_part_empty(n):
    with pytest.raises(DataError, match=rf"n was {n}; allowed: 1 \.\. 4, of 5 examples"):
        DiscreteData(torch.arange(5)).split_off(n)
