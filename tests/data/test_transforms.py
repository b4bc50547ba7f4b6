from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from discrete_ca.data import binarize, quantize, transforms
from discrete_ca.errors import DataError

PIXELS = torch.arange(256).to(torch.uint8)


@pytest.mark.parametrize("levels", [2, 4, 8, 16, 32, 64, 128, 256])
def test_powers_of_two_divide_the_pixels(levels):
    assert torch.equal(quantize(PIXELS, levels), (PIXELS.long() * levels // 256).byte())


@given(levels=st.integers(2, 300), low=st.integers(-50, 50), size=st.integers(2, 400))
def test_whole_numbers_fall_in_exact_bins(levels, low, size):
    values = torch.arange(low, low + size)
    result = quantize(values, levels, value_range=(low, low + size - 1))
    assert result.tolist() == [i * levels // size for i in range(size)]


@pytest.mark.parametrize("shape", [(), (5,), (4, 4), (3, 8, 8)])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_floats_fill_the_bins_and_the_top_stays_inside(shape, dtype):
    values = torch.rand(7, *shape).to(dtype)
    result = quantize(values, 5)
    assert result.shape == values.shape and int(result.max()) <= 4
    assert torch.equal(result, (values.double() * 5).floor().clamp(max=4).byte())
    assert quantize(torch.tensor([1.0]), 5).tolist() == [4]


def test_more_levels_than_a_byte_holds():
    assert quantize(torch.tensor([0.0, 1.0]), 1000).tolist() == [0, 999]


def test_bool_quantizes_to_itself():
    assert quantize(torch.tensor([False, True]), 2).tolist() == [0, 1]


def test_two_levels_are_the_middle_threshold():
    assert torch.equal(binarize(PIXELS), (PIXELS >= 128).byte())
    assert torch.equal(binarize(PIXELS), quantize(PIXELS, 2))
    assert binarize(torch.tensor([0.49, 0.5])).tolist() == [0, 1]


def test_a_threshold_is_in_the_units_of_the_values():
    assert binarize(PIXELS, 10).sum() == 246
    assert binarize(torch.tensor([-3.0, 2.0, 9.0]), 2.0).tolist() == [0, 1, 1]
    assert binarize(torch.tensor([False, True]), 0.5).tolist() == [0, 1]


def test_pieces_make_no_difference(monkeypatch):
    values = torch.rand(37, 5)
    whole = quantize(values, 9)
    monkeypatch.setattr(transforms, "_PIECE", 8)
    assert torch.equal(quantize(values, 9), whole)


def test_stochastic_has_the_value_as_probability():
    levels = torch.arange(16).to(torch.uint8).repeat_interleave(4000)
    g = torch.Generator().manual_seed(0)
    drawn = binarize(levels, stochastic=True, value_range=(0, 15), generator=g)
    mean = drawn.reshape(16, 4000).double().mean(1)
    assert (mean - torch.arange(16) / 15).abs().max() < 4 * 0.5 / 4000**0.5
    assert mean[0] == 0 and mean[15] == 1


def test_stochastic_repeats_with_the_seed():
    values = torch.rand(500)
    one, two, other = (
        binarize(values, stochastic=True, generator=torch.Generator().manual_seed(seed))
        for seed in (1, 1, 2)
    )
    assert torch.equal(one, two) and not torch.equal(one, other)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: quantize(PIXELS, 1), "levels was 1; allowed: a whole number >= 2"),
        (lambda: quantize(PIXELS, 2.5), "levels was 2.5"),
        (lambda: quantize(PIXELS, True), "levels was True"),
        (lambda: quantize(torch.tensor([0, 3]), 2), "dtype torch.int64 and value_range was None"),
        (lambda: quantize(torch.tensor([1.5]), 2), r"lie in \[1.5, 1.5\]; allowed: .* = \[0, 1\]"),
        (lambda: quantize(torch.tensor([-1.0]), 2), r"lie in \[-1, -1\]"),
        (lambda: quantize(torch.tensor([0.0, torch.nan]), 2), "hold NaN or infinity"),
        (lambda: binarize(torch.tensor([torch.inf]), 0.5), "hold NaN or infinity"),
        (lambda: binarize(torch.tensor([torch.nan]), stochastic=True), "hold NaN or infinity"),
        (
            lambda: quantize(PIXELS, 2, value_range=(5, 5)),
            r"value_range was \(5, 5\); allowed: \(lowest, highest\)",
        ),
        (
            lambda: binarize(PIXELS, 128, stochastic=True),
            "threshold was 128 with stochastic=True; allowed: one of the two",
        ),
    ],
)
def test_refusals(call, message):
    with pytest.raises(DataError, match=message):
        call()
