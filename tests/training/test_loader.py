"""Batches read in the background are the batches, and are there in time."""

import threading
import time

import pytest
import torch

from discrete_ca.data import DiscreteData, StreamedData
from discrete_ca.errors import ConfigError, DataError
from discrete_ca.training.batches import Batches
from discrete_ca.training.loader import loader


class Counted:
    def __init__(self, n):
        self.n = n

    def __iter__(self):
        return ({"states": [i]} for i in range(self.n))


SOURCES = {
    "data set": DiscreteData(torch.arange(50).reshape(50, 1), labels=torch.arange(50)),
    "stream": StreamedData(Counted(50), 50, buffer=24),
    "function": lambda n, g: torch.rand(n, 1, generator=g),
}


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("workers", [0, 1, 3])
@pytest.mark.parametrize("accumulation", [1, 2])
def test_what_comes_out_does_not_depend_on_the_workers(name, workers, accumulation):
    batches = Batches(SOURCES[name], 12, seed=1)
    read = loader(batches, 5, index=1, count=3, workers=workers, accumulation=accumulation)
    for step in range(5, 15):
        for i in range(accumulation):
            z, label, _ = next(read)
            expected = batches.part(step, accumulation + i, 3 * accumulation)
            assert torch.equal(z, expected[0])
            assert label is None or torch.equal(label, expected[1])
    read.close()


def test_threads_end_with_the_iterator():
    before = threading.active_count()
    for source in SOURCES.values():
        read = loader(Batches(source, 10, seed=0), workers=2)
        next(read)
        assert threading.active_count() > before
        read.close()
        assert threading.active_count() == before


@pytest.mark.parametrize("workers", [0, 2])
def test_errors_come_back_as_they_were(workers):
    def broken(n, g):
        raise DataError("states were lost")

    with pytest.raises(DataError, match="^states were lost$"):
        next(loader(Batches(broken, 4, seed=0), workers=workers))
    with pytest.raises(ConfigError, match="batch_size was 4"):
        next(loader(Batches(torch.arange(8), 4, seed=0), count=3, workers=workers))


def test_an_error_of_the_next_block_comes_when_it_is_used():
    class Broken(Counted):
        def __iter__(self):
            yield from super().__iter__()
            raise OSError("the line is down")

    read = loader(Batches(StreamedData(Broken(12), 12, buffer=8), 4, seed=0), workers=1)
    for _ in range(2):  # the first block; the second one ends early
        next(read)
    with pytest.raises(DataError, match="the line is down"):
        next(read)


@pytest.mark.parametrize("name", ["function", "stream"])
def test_reading_overlaps_with_the_step(name):
    """Reading and step take as long as each other; in turn they take twice as long."""
    seconds = 0.02

    def slow(n, g):
        time.sleep(seconds)
        return torch.zeros(n, 1)

    class Slow(Counted):
        def __iter__(self):
            for example in super().__iter__():
                time.sleep(seconds / 4)
                yield example

    source = slow if name == "function" else StreamedData(Slow(10_000), 10_000, buffer=16)

    def run(workers):
        read = loader(Batches(source, 4, seed=0), first_step=4 * workers, workers=workers)
        for _ in range(4):  # the first block is waited for
            next(read)
        begun = time.perf_counter()
        for _ in range(16):
            time.sleep(seconds)
            next(read)
        took = time.perf_counter() - begun
        read.close()
        return took

    # a busy machine may pause in one of them
    assert any(run(1) < 0.8 * run(0) for _ in range(5))
