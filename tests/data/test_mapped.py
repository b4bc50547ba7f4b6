"""States that stay on disk: the same data as in memory, whatever is asked for."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch
from datasets import ClassLabel, Dataset, DatasetDict, Features, List, Value
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from discrete_ca.data import DiscreteData, MappedData, Transform, load
from discrete_ca.data.rows import ArrayRows, Chosen, ReadRows, Without
from discrete_ca.errors import DataError
from discrete_ca.training.batches import Batches

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (9, 4, 6)).astype(np.uint8)


def same(mapped, whole):
    assert isinstance(mapped, MappedData) and not isinstance(whole, MappedData)
    for name in ("num_categories", "shape", "name", "num_classes", "label_names"):
        assert getattr(mapped, name) == getattr(whole, name), name
    assert len(mapped) == len(whole) and torch.equal(mapped.states, whole.states)
    assert (mapped.labels is None) == (whole.labels is None)
    assert mapped.labels is None or torch.equal(mapped.labels.long(), whole.labels)
    index = torch.tensor([len(whole) - 1, 0, 0, 2])
    assert mapped[index].dtype == torch.long and torch.equal(mapped[index], whole[index])


@pytest.mark.parametrize("shape", [(), (5,), (4, 4), (3, 8, 8)])
@pytest.mark.parametrize("dtype", ["bool", "u1", "i2", "u4", ">i8"])
def test_npy(tmp_path, shape, dtype):
    np.save(tmp_path / "x.npy", RNG.integers(0, 2, (7, *shape)).astype(dtype))
    same(load(tmp_path / "x.npy", in_memory=False), load(tmp_path / "x.npy"))


@pytest.mark.parametrize(
    "options", [{"quantize": 4}, {"binarize": 100}, {"num_categories": 300}, {}]
)
def test_shards_in_the_order_of_their_names(tmp_path, options):
    for name, part in zip("bca", np.split(GREY, [4, 5]), strict=True):
        np.save(tmp_path / f"{name}.npy", part)
    data = load(tmp_path, in_memory=False, **options)
    same(data, load(tmp_path, **options))
    order = np.concatenate([GREY[5:], GREY[:5]])
    if not options:
        assert np.array_equal(data.states.numpy(), order)
    with pytest.raises(DataError, match="split was 'test'; allowed: 'train'"):
        load(tmp_path, split="test", in_memory=False)
    np.save(tmp_path / "d.npy", GREY[:, :2])
    with pytest.raises(DataError, match=r"array 3 has shape \(9, 2, 6\) of uint8; allowed: "):
        load(tmp_path, in_memory=False, **options)


def test_floats_in_fortran_order(tmp_path):
    np.save(tmp_path / "x.npy", np.asfortranarray(RNG.random((20, 3, 2))))
    same(
        load(tmp_path / "x.npy", quantize=5, in_memory=False), load(tmp_path / "x.npy", quantize=5)
    )


def test_tables_and_their_shards(tmp_path):
    names = ClassLabel(names=["cat", "dog", "eel"])
    features = Features({"states": List(Value("int16"), length=3), "label": names})
    rows = {"states": RNG.integers(0, 9, (20, 3)).tolist(), "label": [0, 1] * 10}
    table = Dataset.from_dict(rows, features=features)
    table.save_to_disk(tmp_path / "one", num_shards=3)
    DatasetDict(train=table, test=table.select(range(4))).save_to_disk(tmp_path / "two")
    for source, split in [
        (table, "train"),
        (tmp_path / "one", "train"),
        (tmp_path / "two", "test"),
    ]:
        data = load(source, split=split, in_memory=False)
        same(data, load(source, split=split))
        assert data.label_names == ("cat", "dog", "eel") and data.num_classes == 3
        assert data.labels.dtype == torch.uint8


def test_pictures_are_decoded_when_they_are_read(tmp_path):
    for i, array in enumerate(GREY):
        folder = tmp_path / ("ant" if i < 4 else "bee")
        folder.mkdir(exist_ok=True)
        Image.fromarray(array).save(folder / f"{i}.png")
    for options in ({}, {"quantize": 16}, {"binarize": 9}, {"num_categories": 256}):
        same(load(tmp_path, in_memory=False, **options), load(tmp_path, **options))
    data = load(tmp_path, in_memory=False)
    assert data.label_names == ("ant", "bee")
    Image.fromarray(GREY[0, :2]).save(tmp_path / "bee" / "5.png")
    (tmp_path / "bee" / "6.png").write_bytes(b"\x89PNG")
    assert data[4].shape == (4, 6)
    with pytest.raises(DataError, match=r"5.png has shape \(2, 6\) of uint8; allowed: \(4, 6\)"):
        data[5]
    with pytest.raises(DataError, match=r"6.png could not be read: UnidentifiedImageError"):
        data[torch.tensor([0, 6])]


def test_pictures_of_few_values_are_checked_when_they_are_read(tmp_path):
    for i, value in enumerate([1, 2, 7]):
        Image.new("L", (2, 2), value).save(tmp_path / f"{i}.png")
    data = load(tmp_path, num_categories=5, in_memory=False)
    assert data[torch.tensor([1, 0])].flatten(1)[:, 0].tolist() == [2, 1]
    with pytest.raises(DataError, match=r"states hold the value 7; allowed: 0 \.\. 4"):
        data[2]


def test_pictures_of_a_table():
    from datasets import Image as Picture

    features = Features({"image": Picture()})
    pictures = [Image.fromarray(array) for array in GREY]
    table = Dataset.from_dict({"image": pictures}, features=features)
    same(load(table, in_memory=False), load(table))


@pytest.mark.parametrize(
    ("array", "options", "message"),
    [
        (np.array([[0, 1], [2, 3], [-1, 0]]), {}, "x: states hold the value -1"),
        (np.array([[0, 1], [2, 3]]), {"num_categories": 3}, r"value 3; allowed: 0 \.\. 2"),
        (np.array([[0.5]]), {}, "x: states have dtype torch.float64; allowed: integers"),
        (np.array([[0.5], [np.nan]]), {"quantize": 2}, "values hold NaN or infinity"),
        (np.array([[0.5], [1.5]]), {"quantize": 2}, r"values lie in \[.*\]; allowed: value_range"),
        (np.array([["a"]]), {}, "states have dtype <U1"),
        (np.zeros((0, 2), int), {}, r"states have shape \(0,\)"),
        (np.array(3), {}, r"has shape \(\) of int64"),
        (np.array([[0]]), {"stochastic": True}, "stochastic was True for data on disk"),
        (np.array([[0]]), {"states_key": "x"}, "states_key was 'x'; allowed: None"),
    ],
)
def test_what_is_wrong_is_refused_when_it_is_opened(tmp_path, array, options, message):
    np.save(tmp_path / "x.npy", array)
    with pytest.raises(DataError, match=message):
        load(tmp_path / "x.npy", in_memory=False, **options)


def test_what_cannot_stay_on_disk_says_so(tmp_path):
    np.savez(tmp_path / "x.npz", GREY)
    for source in (tmp_path / "x.npz", "mnist16"):
        with pytest.raises(DataError, match="in_memory was False with .*; allowed: True"):
            load(source, in_memory=False)
    (tmp_path / "y.npy").write_bytes(b"\x93NUMPY")
    with pytest.raises(DataError, match="y.npy could not be read"):
        load(tmp_path / "y.npy", in_memory=False)
    with pytest.raises(DataError, match=r"labels have shape \(2,\); allowed: \(9,\)"):
        MappedData(GREY, labels=torch.tensor([0, 1]))


@settings(max_examples=60, deadline=None)
@given(data=st.data(), n=st.integers(1, 30))
def test_any_index_reads_what_it_reads_in_memory(data, n):
    states = torch.arange(3 * n).reshape(n, 3) % 7
    cuts = sorted(data.draw(st.lists(st.integers(0, n), max_size=3)))
    mapped = MappedData(ArrayRows(np.split(states.numpy(), cuts)), 7)
    whole = DiscreteData(states, 7)
    places = st.integers(-n, n - 1)
    index = data.draw(
        st.one_of(
            places,
            st.slices(n).filter(lambda s: s.step is None or s.step > 0),
            st.lists(places, min_size=1).map(torch.tensor),
            st.lists(st.booleans(), min_size=n, max_size=n).map(torch.tensor),
        )
    )
    assert torch.equal(mapped[index], whole[index])
    grid = torch.tensor([[0, n - 1], [n // 2, 0]])
    assert torch.equal(mapped[grid], whole[grid])


def test_index_refusals_and_iteration():
    data = MappedData(np.arange(3), 3)
    assert [int(z) for z in data] == [0, 1, 2]
    for index in (3, -4, torch.tensor([0, 3])):
        with pytest.raises(IndexError, match="index holds values in"):
            data[index]
    with pytest.raises(IndexError, match=r"a mask has shape \(2,\); allowed: \(3,\)"):
        data[torch.tensor([True, False])]
    with pytest.raises(IndexError, match="index has dtype float32"):
        data[torch.tensor([0.5])]


@settings(max_examples=60, deadline=None)
@given(n=st.integers(1, 40), data=st.data())
def test_parts_of_rows(n, data):
    index = np.array(sorted(data.draw(st.sets(st.integers(0, n - 1), min_size=1))))
    rows, rest = ArrayRows([np.arange(n)]), np.setdiff1d(np.arange(n), index)
    assert len(Chosen(rows, index)) == len(index) and len(Without(rows, index)) == len(rest)
    assert np.array_equal(Chosen(rows, index)[np.arange(len(index))].numpy(), index)
    if len(rest):
        assert np.array_equal(Without(rows, index)[np.arange(len(rest))].numpy(), rest)


@settings(max_examples=40, deadline=None)
@given(n=st.integers(2, 60), share=st.floats(0.05, 0.95), seed=st.integers(0, 99))
def test_splits_are_the_same_on_disk_and_in_memory(n, share, seed):
    states, labels = torch.arange(n).reshape(n, 1), torch.arange(n)
    whole = DiscreteData(states, n + 1, labels, "x")
    mapped = MappedData(states.numpy(), n + 1, labels, "x")
    count = round(share * n)
    if not 0 < count < n:
        with pytest.raises(DataError, match="held_out was .*; allowed: a share"):
            whole.split(share, seed)
        return
    for held_out in (share, count):
        parts = whole.split(held_out, seed)
        assert [len(part) for part in parts] == [n - count, count]
        assert torch.equal(torch.cat([p.states for p in parts]).sort(0).values, states)
        for one, other in zip(mapped.split(held_out, seed), parts, strict=True):
            assert one.num_categories == n + 1 and one.name == "x"
            assert torch.equal(one.states, other.states)
            assert torch.equal(one.labels.long(), other.labels)
            assert torch.equal(other.labels, other.states.squeeze(1))
            if len(one) > 1:  # a part can be parted
                a, b = one.split(1)
                assert torch.equal(torch.cat([a.states, b.states]).sort(0).values, one.states)


def test_splits_differ_by_seed_and_refuse_empty_parts():
    data = DiscreteData(torch.arange(100))
    assert not torch.equal(data.split(10)[1].states, data.split(10, seed=1)[1].states)
    for held_out in (0, 100, 1.0, -3, 2.5, 0.001):
        with pytest.raises(DataError, match=f"held_out was {held_out}; allowed: a share"):
            data.split(held_out)


def test_rows_that_a_function_reads():
    with pytest.raises(DataError, match="at least one example"):
        ReadRows(0, lambda i: GREY[i], str)
    bits = ReadRows(4, lambda i: np.array([True, i > 1]), str)
    assert bits.num_values == 2 and MappedData(bits).num_categories == 2
    data = MappedData(ReadRows(9, lambda i: GREY[i], str), transform=Transform(quantize=2))
    assert np.array_equal(data[2].numpy(), GREY[2] // 128)


MEMORY = """
    import sys
    import numpy as np, torch
    import discrete_ca as dca
    from discrete_ca.training.batches import Batches
    from discrete_ca.training.loader import loader

    def peak():
        # getrusage counts the parent's memory before exec too
        lines = dict(line.split(":") for line in open("/proc/self/status"))
        return int(lines["VmHWM"].split()[0]) * 1024

    small = dca.data.MappedData(np.zeros((64, 4000), dtype=np.uint8))
    next(loader(Batches(small, 32, 0)))
    before = peak()
    data = dca.data.load(sys.argv[1], in_memory=False)
    train, held_out = data.split(0.01)
    read = loader(Batches(train, 32, 0), workers=int(sys.argv[2]))
    for step in range(400):
        z = next(read).z
    read.close()
    assert z.shape == (32, 4000) and len(held_out) == 500
    print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="peaks of memory are counted otherwise")
@pytest.mark.parametrize("workers", [0, 2])
def test_memory_does_not_grow_with_the_data(tmp_path, workers):
    """200 MB are opened, checked, split and read 400 times; the peak grows by less than 60 MB."""
    np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.uint8, (50_000, 4000)).flush()
    command = [sys.executable, "-c", textwrap.dedent(MEMORY), str(tmp_path / "x.npy"), str(workers)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 60e6


def test_padding_on_disk_is_what_it_is_in_memory(tmp_path):
    """Batches and parts have the same `present`; steps leave padding alone."""
    states = RNG.integers(0, 3, (20, 6))
    present = np.arange(6) < RNG.integers(1, 7, (20, 1))
    for name, array in (("x", states), ("p", present)):
        np.save(tmp_path / f"{name}.npy", array)
    x, p = (np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in "xp")
    mapped = MappedData(x, 3, present=p)
    whole = DiscreteData(torch.from_numpy(states), 3, present=torch.from_numpy(present))
    index = torch.tensor([19, 0, 0, 3])
    assert torch.equal(mapped.present[index], whole.present[index])
    for ours, theirs in zip(mapped.split(5, seed=1), whole.split(5, seed=1), strict=True):
        assert torch.equal(ours.present[:], theirs.present)
        ours, theirs = (Batches(data, 4, seed=0)(2) for data in (ours, theirs))
        assert torch.equal(ours.z, theirs.z) and torch.equal(ours.present, theirs.present)
    assert MappedData(x, 3).present is None


def test_padding_that_does_not_fit_is_refused():
    states, present = np.zeros((4, 3), dtype=int), np.ones((4, 3), dtype=bool)
    with pytest.raises(DataError, match=r"present has shape \(3, 3\); allowed: \(4, 3\)"):
        MappedData(states, 2, present=present[:3])
    present[2] = False
    with pytest.raises(DataError, match="present is False at every site of example 2; allowed"):
        MappedData(states, 2, present=present)
    with pytest.raises(DataError, match="states hold the value 2; allowed: 0 .. 1"):
        MappedData(states, 2, present=2 * np.ones((4, 3), dtype=int))
