"""Pictures: sizes, colours, films, refusals."""

import math

import pytest
import torch
from PIL import Image

from discrete_ca import drawing
from discrete_ca.diagnostics.mixing import TradeOff


def test_a_grid_shows_each_image_in_its_place():
    images = torch.tensor([[[0, 1], [1, 0]], [[3, 3], [3, drawing.UNKNOWN]], [[2, 2], [2, 2]]])
    picture = drawing.grid(images, columns=2, num_categories=4, scale=2, gap=1)
    assert picture.size == (2 * 7, 2 * 7)

    def pixel(row, column):
        return picture.getpixel((2 * column, 2 * row))

    assert pixel(1, 1) == (0, 0, 0) and pixel(1, 2) == (85, 85, 85)  # four levels of light
    assert pixel(1, 4) == (255, 255, 255) and pixel(2, 5) == (150, 185, 235)
    assert pixel(4, 1) == (170, 170, 170)
    assert pixel(4, 4) == pixel(0, 0) == (224, 224, 228)  # the gap, and the place of a fourth


def test_colour():
    red = torch.zeros(1, 3, 2, 2, dtype=torch.long)
    red[:, 0] = 7
    assert drawing.grid(red, 1, num_categories=8, scale=1).getpixel((1, 1)) == (255, 0, 0)


def test_two_categories_are_paper_and_ink_more_are_light():
    """What a grey picture is read as is drawn as that picture."""
    ink = drawing.grid(torch.tensor([[[0, 1]]]), 1, scale=1)
    assert [ink.getpixel((i, 1)) for i in (1, 2)] == [(255,) * 3, (0,) * 3]
    grey = drawing.grid(torch.tensor([[[0, 200, 255]]]), 1, num_categories=256, scale=1)
    assert [grey.getpixel((i, 1))[0] for i in (1, 2, 3)] == [0, 200, 255]


def test_piano_rolls():
    piece = torch.tensor([[[72, 72, -1], [60, 62, 62]]])
    roll = drawing.rolls(piece, bar=2)
    assert roll.shape == (1, 3, 15, 3)  # from above 72 to below 60
    high, low = roll[0, :, 1], roll[0, :, 13]
    assert (high[:, 0] == high[:, 1]).all() and (low[:, 0] != high[:, 0]).any()
    assert high[:, 2].tolist() == [200] * 3  # a rest, on the line of a bar
    assert roll[0, :, 14, 1].tolist() == [255] * 3 and roll[0, :, 12, 1].tolist() == [236] * 3
    assert drawing.rolls(torch.full((2, 4, 8), -1)).shape == (2, 3, 3, 8)
    assert drawing.grid(roll, 1, drawing.LIGHT, scale=1).size == (5, 17)


def test_a_film_has_its_frames(tmp_path):
    frames = [drawing.grid(torch.full((1, 4, 4), i % 2), 1) for i in range(3)]
    drawing.save_film(frames, tmp_path / "film.gif")
    with Image.open(tmp_path / "film.gif") as film:
        assert film.n_frames == 3


def test_a_curve_is_drawn(tmp_path):
    points = [TradeOff(b, 0.9, 1.0 / b, 1.0 / b, 0.1, 10) for b in (0.1, 0.5)]
    drawing.plot_trade_off({"CA": points}, tmp_path / "curve.png", "Frechet distance")
    with Image.open(tmp_path / "curve.png") as picture:
        assert picture.size[0] > 500


def test_refusals(tmp_path):
    with pytest.raises(ValueError, match=r"images has shape \(4, 4\); allowed"):
        drawing.grid(torch.zeros(4, 4), 1)
    with pytest.raises(ValueError, match="columns was 0"):
        drawing.grid(torch.zeros(1, 4, 4), 0)
    with pytest.raises(ValueError, match="frames is empty"):
        drawing.save_film([], tmp_path / "film.gif")
    with pytest.raises(ValueError, match="curves is empty"):
        drawing.plot_trade_off({}, tmp_path / "curve.png", "x")


def test_real_numbers_are_drawn_as_if_they_filled_the_range():
    def bytes_of(images, num_categories=2):
        return drawing.grid(images, 1, num_categories, scale=1).tobytes()

    numbers, levels = torch.tensor([[[-1.0, 0.0, 1.0, 7.0]]]), torch.tensor([[[0, 128, 255, 255]]])
    assert bytes_of(numbers) == bytes_of(levels, 256)
    colour = [t.expand(1, 3, 1, 4) for t in (numbers, levels)]
    assert bytes_of(colour[0]) == bytes_of(colour[1], 256)
    assert bytes_of(torch.tensor([[[math.nan]]])) == bytes_of(torch.tensor([[[drawing.UNKNOWN]]]))
