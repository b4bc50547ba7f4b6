"""Random masks against their exact law, by enumeration."""

from __future__ import annotations

import math
from itertools import product

import pytest
import torch

from discrete_ca.diagnostics import exact
from discrete_ca.masks import random_masks
from tests.helpers import SHAPES, assert_counts, code, counts_of, seeded


def intervals(size):
    """P(low, high) of two sorted ends, each even on 0 .. size."""
    ends = [tuple(sorted(pair)) for pair in product(range(size + 1), repeat=2)]
    return {pair: ends.count(pair) / len(ends) for pair in ends}


def exact_law(shape, share):
    """The law over the 2^D masks: none known, scattered at an even rate, a box in or out."""
    sites = math.prod(shape)
    masks = exact.states(2, shape).bool()
    law = torch.zeros(len(masks), dtype=torch.float64)
    generated = masks.reshape(len(masks), -1).sum(-1)
    for place, count in enumerate(generated.tolist()):  # ∫ r^n (1 - r)^(D - n) dr
        law[place] += 0.5 * share / ((sites + 1) * math.comb(sites, count))
    for box in product(*(intervals(size).items() for size in shape)):
        inside = torch.zeros(shape, dtype=torch.bool)
        inside[tuple(slice(*ends) for ends, _ in box)] = True
        chance = math.prod(p for _, p in box)
        for mask in (inside, ~inside):
            law[int(code(mask[None].long(), 2))] += 0.25 * share * chance
    law[-1] += 1 - share
    return law


@pytest.mark.parametrize("shape", [(1,), (4,), (2, 3), (2, 1, 2)])
@pytest.mark.parametrize("share", [1.0, 0.4])
def test_masks_follow_their_law(shape, share):
    """Chi-square over all 2^D masks at a false-alarm rate of 1e-6."""
    masks = random_masks(torch.zeros(60_000, *shape), share, seeded(0))
    law = exact_law(shape, share)
    assert float(law.sum()) == pytest.approx(1)
    assert_counts(counts_of(code(masks.long(), 2), len(law)), law)


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_and_a_share_of_0(shape):
    z = torch.zeros(7, *shape, dtype=torch.long)
    masks = random_masks(z, 1.0, seeded(1))
    assert masks.shape == z.shape and masks.dtype == torch.bool
    assert torch.equal(masks, random_masks(z, 1.0, seeded(1)))
    assert bool(random_masks(z, 0.0).all())


def test_examples_are_masked_independently():
    masks = random_masks(torch.zeros(20_000, 3), 0.5, seeded(2))
    whole = masks.all(-1)
    pairs = whole[0::2].long() * 2 + whole[1::2].long()
    p = float(exact_law((3,), 0.5)[-1])
    law = torch.tensor([(1 - p) ** 2, p * (1 - p), p * (1 - p), p**2], dtype=torch.float64)
    assert_counts(counts_of(pairs, 4), law)
