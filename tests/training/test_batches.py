"""Batches as a function of the step, and their parts."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import discrete_ca as dca
from discrete_ca import draws
from discrete_ca.data import DiscreteData, MappedData, StreamedData
from discrete_ca.errors import ConfigError
from discrete_ca.training.batches import Batches


def numbers(n):
    return torch.arange(n).reshape(n, 1)


class Counted:
    """A stream 0, 1, .., n - 1 with its number as label."""

    def __init__(self, n):
        self.n = n

    def __iter__(self):
        return ({"states": [i], "label": i} for i in range(self.n))


SOURCES = {
    "tensor": numbers,
    "in memory": lambda n: DiscreteData(numbers(n), labels=torch.arange(n)),
    "mapped": lambda n: MappedData(numbers(n).numpy(), labels=torch.arange(n)),
}


def joined(parts):
    z, labels, _ = zip(*parts, strict=True)
    return torch.cat(z), None if labels[0] is None else torch.cat(labels)


@pytest.mark.parametrize("name", SOURCES)
@settings(max_examples=30, deadline=None)
@given(
    size=st.integers(1, 6),
    count=st.integers(1, 5),
    more=st.integers(0, 40),
    epoch=st.integers(0, 3),
    seed=st.integers(0, 1000),
)
def test_parts_of_an_epoch_are_the_data_less_the_tail(name, size, count, more, epoch, seed):
    size *= count
    n = size + more
    batches = Batches(SOURCES[name](n), size, seed)
    steps = n // size
    parts = [
        batches.part(epoch * steps + step, i, count) for step in range(steps) for i in range(count)
    ]
    assert all(len(part.z) == size // count for part in parts)
    z, labels = joined(parts)
    assert z.dtype == torch.long and z.unique().numel() == len(z) == n - n % size
    whole = [batches(epoch * steps + step) for step in range(steps)]
    assert torch.equal(z, joined(whole)[0])
    if name != "tensor":
        assert labels.dtype == torch.long and torch.equal(labels, z.squeeze(1))


@pytest.mark.parametrize("name", SOURCES)
@settings(max_examples=20, deadline=None)
@given(n=st.integers(1, 9), more=st.integers(1, 20), step=st.integers(0, 50))
def test_a_batch_larger_than_the_data_has_each_as_often_as_any_other(name, n, more, step):
    size = 2 * (n + more)
    batches = Batches(SOURCES[name](n), size, seed=1)
    z, labels, _ = batches(step)
    often = z.flatten().bincount(minlength=n)
    assert len(z) == size == int(often.sum())
    assert int(often.max()) - int(often.min()) <= 1
    if name != "tensor":
        assert torch.equal(labels, z.squeeze(1))
    assert torch.equal(z, joined([batches.part(step, i, 2) for i in range(2)])[0])
    assert torch.equal(z, Batches(SOURCES[name](n), size, seed=1)(step).z)


def test_which_come_once_more_is_another_at_each_step():
    batches = Batches(numbers(5), 6, seed=0)
    often = torch.stack([batches(step).z.flatten().bincount(minlength=5) for step in range(400)])
    assert (often.sum(1) == 6).all()
    assert torch.allclose(often.double().mean(0), torch.full((5,), 1.2).double(), atol=0.08)


@settings(max_examples=30, deadline=None)
@given(
    n=st.integers(1, 30), size=st.integers(1, 4), count=st.integers(1, 3), buffer=st.integers(1, 20)
)
def test_blocks_of_a_stream_are_its_examples_shuffled(n, size, count, buffer):
    size *= count
    batches = Batches(StreamedData(Counted(n), n + 1, buffer=buffer), size, seed=3)
    assert batches.block == max(1, buffer // size)
    for number in range(3):
        steps = range(number * batches.block, (number + 1) * batches.block)
        z, labels = joined([batches.part(s, i, count) for s in steps for i in range(count)])
        first = number * batches.block * size
        came = torch.arange(first, first + batches.block * size) % n
        assert torch.equal(z.squeeze(1).sort().values, came.sort().values)
        assert torch.equal(labels, z.squeeze(1))
        assert torch.equal(z, joined([batches(s) for s in steps])[0])


def test_blocks_have_orders_of_their_own():
    batches = Batches(StreamedData(Counted(64), 64, buffer=32), 32, seed=0)
    one, two, again = (batches(step)[0] for step in (0, 1, 2))
    assert not torch.equal(one, two - 32) and not torch.equal(one, again)
    assert not torch.equal(one.flatten(), torch.arange(32))


def test_parts_of_a_function_have_generators_of_their_own():
    def draw(n, g):
        return torch.rand(n, 2, generator=g), torch.arange(n)

    batches = Batches(draw, 6, seed=5)
    z, label, _ = batches.part(7, 1, 3)
    assert torch.equal(z, torch.rand(2, 2, generator=draws.keyed(5, "data", 7, 1)))
    assert torch.equal(label, torch.arange(2))
    assert torch.equal(batches(7)[0], torch.rand(6, 2, generator=draws.keyed(5, "data", 7)))


@pytest.mark.parametrize("source", [numbers(40), lambda n, g: torch.zeros(n, 1)])
def test_refused_parts(source):
    batches = Batches(source, 10, seed=0)
    with pytest.raises(ConfigError, match="batch_size was 10; allowed: a multiple of 4 parts"):
        batches.part(0, 0, 4)
    with pytest.raises(ConfigError, match=r"index was 2; allowed: 0 \.\. 1"):
        batches.part(0, 2, 2)


def test_only_streams_have_a_state():
    for source in (numbers(8), SOURCES["mapped"](8), lambda n, g: torch.zeros(n, 1)):
        batches = Batches(source, 4, seed=0)
        batches(0)
        assert batches.state(1) == {}
        batches.restore({})


def test_padding_reaches_the_objective():
    """Padded sites count nothing: the same losses whatever stands there for the network."""
    states = torch.randint(0, 3, (12, 4), generator=torch.Generator().manual_seed(0))
    present = torch.ones(12, 4, dtype=torch.bool)
    present[::2, 2:] = False
    data = dca.DiscreteData(states.masked_fill(~present, 3), 4, present=present)
    batch = Batches(data, 4, seed=0).part(1, 1, 2)
    assert torch.equal(batch.present, batch.z != 3)
    seen = []

    class Watch(dca.Denoising):
        def losses(self, kernel, z, x, b, given, generator):
            seen.append((given.known[0], z))
            return super().losses(kernel, z, x, b, given, generator)

    kernel = dca.CategoricalNoiseKernel(dca.nn.MLP(4, 4, shape=(4,)), dca.corruption.Uniform(4))
    config = dca.TrainConfig(steps=3, batch_size=4, progress=False)
    dca.Trainer(kernel, Watch(), data, config).fit()
    assert len(seen) == 3
    assert all(torch.equal(mask, z != 3) for mask, z in seen)


def test_an_array_that_is_mapped_is_read_batch_by_batch(tmp_path):
    np.save(tmp_path / "x.npy", numbers(20).numpy())
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    found, want = Batches(mapped, 4, seed=0), Batches(numbers(20), 4, seed=0)
    assert isinstance(found.source, MappedData)
    assert torch.equal(found(3).z, want(3).z)
