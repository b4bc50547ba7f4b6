from __future__ import annotations

import pytest
import torch

from discrete_ca.metrics import GARBAGE, garbage


def bars(num=40):
    z = torch.zeros(num, 28, 28, dtype=torch.long)
    for row in range(num):
        z[row, 4:24, 2 + row % 20 : 6 + row % 20] = 1
    return z


@pytest.mark.parametrize("make", GARBAGE.values(), ids=GARBAGE)
def test_states_and_the_same_bytes_for_the_same_seed(make):
    z = bars()
    before = z.clone()
    first, second, other = (make(z, torch.Generator().manual_seed(s)) for s in (0, 0, 1))
    assert first.shape == z.shape and first.dtype == torch.long
    assert set(first.unique().tolist()) <= {0, 1}
    assert torch.equal(first, second) and not torch.equal(first, other)
    assert torch.equal(z, before)


@pytest.mark.parametrize("name", ["shuffled pixels", "shuffled blocks", "blobs"])
def test_ink_is_kept(name):
    z = bars()
    made = GARBAGE[name](z, torch.Generator().manual_seed(0))
    assert torch.equal(made.sum((1, 2)), z.sum((1, 2)))
    assert not torch.equal(made, z)


def test_blocks_move_whole():
    z = torch.arange(16).reshape(1, 4, 4)
    made = garbage.shuffled_blocks(z, torch.Generator().manual_seed(0), across=2)
    corners = made[0, ::2, ::2].flatten().tolist()
    assert sorted(corners) == [0, 2, 8, 10] and made.flatten().unique().numel() == 16
    with pytest.raises(ValueError, match="across was 3; allowed: divisors of 4 and 4"):
        garbage.shuffled_blocks(z, across=3)


def test_flips_at_the_rate_asked_for():
    z = bars(200)
    made = garbage.flipped_pixels(z, torch.Generator().manual_seed(0), 0.2, 0.2)
    assert float((made != z).double().mean()) == pytest.approx(0.2, abs=0.01)


def test_halves_come_from_two_images():
    z = torch.arange(10)[:, None, None].expand(10, 4, 6)
    made = garbage.joined_halves(z, torch.Generator().manual_seed(0))
    for row, image in enumerate(made):
        assert len(image.unique()) <= 2 and row in image
        assert (image == image[0]).all() or (image == image[:, :1]).all()
