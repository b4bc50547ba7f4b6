"""Streams: a function of the place, resumed exactly, in constant memory."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import textwrap

import datasets
import numpy as np
import pytest
import torch
from datasets import ClassLabel, Dataset, DatasetDict, Features, IterableDataset, List, Value
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from discrete_ca.data import StreamedData, Transform, stream, streams
from discrete_ca.errors import DataError
from discrete_ca.training.batches import Batches

N = 23
ROWS = {"states": [[i, i + 1] for i in range(N)], "label": [i % 3 for i in range(N)]}
TABLE = Dataset.from_dict(ROWS)


class Plain:
    """A stream without a state, which counts what was read of it."""

    def __init__(self, n=N):
        self.n, self.read = n, 0

    def __iter__(self):
        for i in range(self.n):
            self.read += 1
            yield {"states": np.array([i, i + 1]), "label": i % 3}


def generated(n):
    yield from ({"states": [i, i + 1], "label": i % 3} for i in range(n))


SOURCES = {
    "plain": Plain,
    "table": lambda: TABLE.to_iterable_dataset(num_shards=3),
    "numpy": lambda: TABLE.to_iterable_dataset(num_shards=2).with_format("numpy"),
    "torch": lambda: TABLE.to_iterable_dataset().with_format("torch"),
    "generator": lambda: IterableDataset.from_generator(generated, gen_kwargs={"n": N}),
    "mapped": lambda: TABLE.to_iterable_dataset(num_shards=3).map(lambda row: row),
    "filtered": lambda: TABLE.to_iterable_dataset().filter(lambda row: True),
    "shuffled": lambda: TABLE.to_iterable_dataset(num_shards=4).shuffle(seed=3, buffer_size=5),
    "shards shuffled": lambda: TABLE.to_iterable_dataset(num_shards=4).shuffle(3, buffer_size=1),
}
ORDERED = [name for name in SOURCES if "shuffled" not in name]


def opened(name, **options):
    return StreamedData(SOURCES[name](), num_categories=N + 1, **options)


@pytest.mark.parametrize("name", SOURCES)
def test_passes_follow_one_another(name):
    """Each has every example once; `datasets` takes shards in another order from the second on."""
    states, labels = opened(name).take(0, 3 * N)
    assert torch.equal(states[:, 0] + 1, states[:, 1]) and states.dtype == torch.uint8
    assert torch.equal(states[:, 0] % 3, labels)
    for one in states[:, 0].split(N):
        assert torch.equal(one.sort().values.long(), torch.arange(N))
    if "shuffled" not in name:
        assert torch.equal(states[:N, 0].long(), torch.arange(N))


WHOLE = StreamedData(SOURCES["table"](), N + 1).take(0, 150)[0]


@settings(max_examples=25, deadline=None)
@given(places=st.lists(st.tuples(st.integers(0, 90), st.integers(1, 30)), min_size=1, max_size=5))
def test_what_is_taken_depends_on_the_place_alone(places):
    data = opened("table")
    for start, count in places:
        assert torch.equal(data.take(start, count)[0], WHOLE[start : start + count])


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize(("cut", "chunk"), [(0, 3), (1, 3), (4, 3), (5, 1), (5, 256), (13, 3)])
def test_a_run_that_was_cut_goes_on_bit_for_bit(name, cut, chunk, caplog, monkeypatch):
    """Batches of 4 in blocks of 2: with the mark, without it, and through JSON."""
    monkeypatch.setattr(streams, "_NUMBERS", chunk)
    whole = Batches(opened(name, buffer=9), 4, seed=0)
    first = Batches(opened(name, buffer=9), 4, seed=0)
    for step in range(cut):
        first(step)
    state = json.loads(json.dumps(first.state(cut)))
    assert (state != {}) == (cut > 0)
    for mark in (state, {}):
        again = Batches(opened(name, buffer=9), 4, seed=0)
        again.restore(mark)
        for step in range(cut, cut + 5):
            found, want = again(step), whole(step)
            assert torch.equal(found.z, want.z) and torch.equal(found.label, want.label)
    believed = not any("is not what it was" in r.message for r in caplog.records)
    assert believed or "shuffled" in name


@pytest.mark.parametrize("chunk", [1, 3, 256])
@pytest.mark.parametrize("name", [n for n in ORDERED if n != "plain"])
def test_a_mark_saves_reading_what_came_before(name, chunk, monkeypatch):
    monkeypatch.setattr(streams, "_NUMBERS", chunk)
    first = opened(name)
    first.take(16, 4)
    mark = json.loads(json.dumps(first.mark(16)))
    assert 16 - chunk < mark["place"]["position"] <= 16
    read = []
    again = opened(name)
    some = again._passes.some

    def counted(most):
        columns = some(most)
        read.append(len(columns[0]))
        return columns

    monkeypatch.setattr(again._passes, "some", counted)
    again.restore(mark)
    assert again.take(20, 2)[0][:, 0].tolist() == [20, 21]
    before = 16 - mark["place"]["position"]  # twice over: once to compare, once to stay
    assert sum(read) == 2 * before + 4 + 4 + 2


def test_a_mark_of_other_data_is_not_believed(caplog):
    first = opened("table")
    first.take(8, 4)
    mark = first.mark(8)
    for wrong in (
        {**mark, "digest": "0"},
        {**mark, "place": {**mark["place"], "state": {"examples_iterable": 7, "epoch": 0}}},
        {**mark, "place": {**mark["place"], "position": 2}},
        {**mark, "count": 50},
    ):
        again = opened("table")
        again.restore(wrong)
        with caplog.at_level(logging.WARNING):
            caplog.clear()
            assert again.take(12, 2)[0][:, 0].tolist() == [12, 13]
        assert "not what it was; read from the start" in caplog.text


def test_marks_of_recent_blocks_are_kept():
    data = opened("table")
    for start in range(0, 60, 10):
        data.take(start, 10)
    assert data.mark(50)["start"] == data.mark(55)["start"] == 50
    assert data.mark(30)["start"] == 30 and data.mark(5) == {}


def test_a_known_length_spares_whole_passes():
    source = Plain()
    data = StreamedData(source, N + 1)
    data.take(N, 1)  # one pass, and the first example of the next
    read = source.read
    assert data.take(100 * N + 2, 1)[0].tolist() == [[2, 3]]
    assert source.read - read == 3


def test_a_block_is_read_once():
    source = Plain()
    batches = Batches(StreamedData(source, N + 1, buffer=8), 4, seed=0)
    opening, read = source.read, []
    for step in (0, 1, 0, 2, 3, 1):
        batches(step)
        read.append(source.read - opening)
    assert read == [8, 8, 8, 16, 16, 16]


def test_sources(tmp_path, monkeypatch):
    TABLE.save_to_disk(tmp_path / "one")
    splits = DatasetDict(train=TABLE, test=TABLE.select(range(4, 9)))
    splits.save_to_disk(tmp_path / "two")
    cases = [
        ((tmp_path / "one",), 0, "one"), ((str(tmp_path / "two"), "test"), 4, "two"),
        ((TABLE,), 0, "stream"), ((splits, "test"), 4, "stream"),
        ((TABLE.to_iterable_dataset(),), 0, "stream"), ((Plain(),), 0, "stream"),
    ]  # fmt: skip
    for arguments, first, name in cases:
        data = stream(*arguments, num_categories=30, label_key="label")
        assert data.take(0, 1)[0].tolist() == [[first, first + 1]] and data.name == name

    def load_dataset(name, split, streaming):
        assert (name, split, streaming) == ("user/name", "test", True)
        return TABLE.to_iterable_dataset()

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    assert stream("user/name", "test", num_categories=30).name == "user/name"


def test_values_become_categories():
    rows = Dataset.from_dict({"x": [[0.15, 0.65], [0.95, 0.25]]})
    data = stream(rows, quantize=10)
    assert data.num_categories == 10 and data.shape == (2,)
    assert data.take(0, 2)[0].tolist() == [[1, 6], [9, 2]]
    assert stream(rows, binarize=0.5).take(1, 1)[0].tolist() == [[1, 0]]
    flags = stream(Dataset.from_dict({"x": [[True], [False]]}))
    assert flags.num_categories == 2 and flags.take(0, 2)[0].tolist() == [[1], [0]]


def test_pictures_and_class_names():
    grey = np.random.default_rng(0).integers(0, 256, (5, 3, 4)).astype(np.uint8)
    features = Features({"image": datasets.Image(), "label": ClassLabel(names=["a", "b"])})
    pictures = [Image.fromarray(array) for array in grey]
    table = Dataset.from_dict({"image": pictures, "label": [0, 1, 0, 1, 1]}, features=features)
    data = stream(table)
    assert data.num_categories == 256 and data.shape == (3, 4)
    assert data.label_names == ("a", "b") and data.num_classes == 2
    states, labels = data.take(1, 5)
    assert np.array_equal(states.numpy(), grey[[1, 2, 3, 4, 0]])
    assert labels.tolist() == [1, 0, 1, 1, 0]
    assert np.array_equal(stream(table, quantize=16).take(0, 5)[0].numpy(), grey // 16)
    assert "StreamedData('stream', shape=(3, 4), num_categories=256, labels=True)" == repr(data)


@pytest.mark.parametrize("shape", [(), (5,), (4, 4), (3, 8, 8)])
def test_site_shapes(shape):
    states = np.random.default_rng(0).integers(0, 300, (6, *shape))
    data = stream(Dataset.from_dict({"states": states.tolist()}), num_categories=300)
    assert data.shape == shape and data.num_classes is None
    found, labels = data.take(4, 4)
    assert labels is None and np.array_equal(found.numpy(), states[[4, 5, 0, 1]])


def rows_of(*values, **columns):
    return Dataset.from_dict({"x": list(values), **columns})


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        (TABLE, {}, "num_categories was None for a stream; allowed"),
        (TABLE, {"num_categories": 30, "buffer": 0}, "buffer was 0; allowed"),
        (TABLE, {"num_categories": 30, "states_key": "state"}, "did you mean 'states'"),
        (TABLE, {"num_categories": 30, "split": "test"}, "split was 'test'; allowed: 'train'"),
        (DatasetDict(a=TABLE), {"split": "b"}, "unknown split 'b'"),
        (rows_of([0.5]), {"num_categories": 2}, "states have dtype torch.float"),
        (rows_of(["a"]), {"num_categories": 2}, "states have dtype <U1"),
        (rows_of([3]), {"num_categories": 3}, "states hold the value 3"),
        (Plain(0), {"num_categories": 3}, "it gives no examples; allowed: at least one"),
        (iter([]), {"num_categories": 3}, "source was a list_iterator; allowed"),
        (7, {"num_categories": 3}, "source was a int; allowed"),
        ("nowhere", {"num_categories": 3}, "source was 'nowhere'; allowed for a stream"),
        (TABLE, {"quantize": 2, "binarize": 1}, "binarize and quantize were given together"),
    ],
)
def test_refusals(source, options, message):
    with pytest.raises(DataError, match=message):
        stream(source, **options)


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        (
            rows_of([0], [1], [5]),
            {},
            r"before example 3: states hold the value 5; allowed: 0 \.\. 2",
        ),
        (rows_of([0], [1, 2]), {}, r"the examples differ in shape: \[\(1,\), \(2,\)\]"),
        (rows_of([0], [-1]), {}, "states hold the value -1"),
        (rows_of([0], None), {}, "example|the image is missing"),
        (rows_of([0], [1], label=[0, -1]), {"label_key": "label"}, "labels hold the value -1"),
        (rows_of([0.5], [2.0]), {"quantize": 3}, r"values lie in .*; allowed: value_range"),
    ],
)
def test_bad_examples_are_named_when_they_are_read(source, options, message):
    data = stream(source, num_categories=3, **options)
    with pytest.raises(DataError, match=message):
        data.take(0, 3)


def test_stochastic_is_refused_and_all_labels_minus_one_are_none():
    with pytest.raises(DataError, match="stochastic was True for a stream"):
        StreamedData(Plain(), N, transform=Transform(stochastic=True))
    data = stream(rows_of([0], [1], label=[-1, -1]), num_categories=2)
    assert data.take(0, 2)[1] is None


def test_an_error_is_not_the_end_of_a_pass():
    """A line that was down once, and a line that stays down."""

    class Line(Plain):
        falls = 1

        def __iter__(self):
            for i, example in enumerate(super().__iter__()):
                if i == 12 and self.falls:
                    self.falls -= 1
                    raise OSError("the line is down")
                yield example

    source = Line()
    data = StreamedData(source, N + 1)
    message = "stream, from example 8 of pass 0, could not be read: OSError: the line is down"
    data.take(0, 8)
    with pytest.raises(DataError, match=message):
        data.take(8, 8)
    assert data.take(8, 2 * N)[0][:, 0].tolist() == [(8 + i) % N for i in range(2 * N)]
    source.falls = 2
    for _ in range(2):
        with pytest.raises(DataError, match="the line is down"):
            data.take(3 * N, N)


def test_trying_again_after_an_error_does_not_read_from_the_start():
    lines = iter([N, 13, N, N])  # what each opening of the source gives before it fails

    def falling():
        last = next(lines)
        for i, row in enumerate(generated(N)):
            if i == last:
                raise OSError("the line is down")
            yield row

    source = IterableDataset.from_generator(falling)
    data = StreamedData(source, N + 1, buffer=4)
    data.take(0, 4)
    data.take(4, 4)
    with pytest.raises(DataError, match="the line is down"):
        data.take(8, 8)
    assert data._hint == data.mark(4)
    assert data.take(8, 8)[0][:, 0].tolist() == list(range(8, 16))


def test_passes_of_different_lengths_are_refused():
    source = Plain(5)
    data = StreamedData(source, 9)
    data.take(0, 6)
    source.n = 4
    with pytest.raises(DataError, match="pass 2 gave 4 examples; allowed: 5, as in each pass"):
        data.take(6, 20)


def test_a_stream_that_can_be_read_once_is_refused_at_its_end():
    class Once:
        def __init__(self):
            self.rows = iter([{"states": [0]}, {"states": [1]}, {"states": [0]}])

        def __iter__(self):
            return self.rows

    data = StreamedData(Once(), 2)
    with pytest.raises(DataError, match="gave 0 examples; allowed: 2, as in each pass"):
        data.take(0, 4)


MEMORY = """
    import numpy as np
    import discrete_ca as dca
    from discrete_ca.training.batches import Batches
    from discrete_ca.training.loader import loader

    def peak():
        lines = dict(line.split(":") for line in open("/proc/self/status"))
        return int(lines["VmHWM"].split()[0]) * 1024

    class Long:
        def __iter__(self):
            for i in range(100_000):
                yield {"states": np.full(4000, i % 7, dtype=np.uint8)}

    def read(steps):
        data = dca.data.StreamedData(Long(), 7, buffer=1024)
        batches = loader(Batches(data, 128, 0), workers=1)
        for step in range(steps):
            z = next(batches).z
        batches.close()

    read(16)
    before = peak()
    read(400)
    print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="peaks of memory are counted otherwise")
def test_memory_does_not_grow_with_the_stream():
    """205 MB come by in blocks of 4 MB; after two blocks the peak grows by less than 60 MB."""
    command = [sys.executable, "-c", textwrap.dedent(MEMORY)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 60e6


def test_an_empty_table():
    empty = Dataset.from_dict({"x": []}, features=Features({"x": List(Value("int64"))}))
    with pytest.raises(DataError, match="split 'train' is empty; allowed: at least one"):
        stream(empty, num_categories=2)
