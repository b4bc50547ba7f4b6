from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from discrete_ca.metrics import floor, frechet_distance, halves, rows, with_floor
from tests.helpers import seeded


@given(st.integers(2, 40), st.integers(0, 2**31))
def test_halves_are_a_partition_in_order(n, seed):
    real = torch.arange(n) * 10
    first, second = halves(real, seeded(seed))
    assert (len(first), len(second)) == (n // 2, n - n // 2)
    assert torch.equal(torch.cat([first, second]).sort().values, real)
    assert (first.diff() > 0).all() and (second.diff() > 0).all()
    again = halves(real, seeded(seed))
    assert torch.equal(first, again[0]) and torch.equal(second, again[1])


def test_halves_are_random():
    x = torch.arange(99)
    assert not torch.equal(halves(x, seeded(0))[0], halves(x, seeded(1))[0])


def test_the_floor_is_taken_on_as_many_different_real_examples():
    seen = []

    def measures(x):
        seen.append(x)
        return {"count": float(len(x))}

    real = torch.arange(20)
    assert floor(measures, real, 8, seeded()) == {"count": 8.0}
    assert len(seen[0].unique()) == 8 and set(seen[0].tolist()) <= set(range(20))


def test_each_measure_stands_beside_its_floor():
    def measures(x):
        return {"precision": float(x.double().mean()), "mine": float(len(x))}

    report = with_floor(measures, torch.zeros(3, 2), torch.ones(5, 2), seeded())
    assert [*report] == ["precision", "precision_floor", "mine", "mine_floor"]
    assert rows(report) == [
        ("precision (principal components, k = 3)", "0.0%", "100.0%"),
        ("mine", "3.0", "3.0"),
    ]


def test_perfect_samples_are_at_the_floor():
    # A Frechet distance between Gaussian fits of 200 and 2,000 draws in 4 dimensions: its mean is
    # near 0.1 and both numbers are draws of one law.
    def draw(n, seed):
        return torch.randn(n, 4, generator=seeded(seed), dtype=torch.float64)

    reference, real = draw(2000, 0), draw(2000, 1)
    report = with_floor(
        lambda x: {"far": frechet_distance(x, reference)}, draw(200, 2), real, seeded()
    )
    assert 0.2 < report["far"] / report["far_floor"] < 5
    other = with_floor(
        lambda x: {"far": frechet_distance(x, reference)}, draw(200, 2) + 1, real, seeded()
    )
    assert other["far"] > 10 * other["far_floor"]


def test_errors():
    with pytest.raises(ValueError, match="size was 3; allowed: 1 .. 2, the real examples"):
        floor(lambda x: {}, torch.zeros(2, 4), 3)
    with pytest.raises(ValueError, match=r"real has shape \(1, 4\); allowed: \(N, \*S\), N >= 2"):
        halves(torch.zeros(1, 4))
