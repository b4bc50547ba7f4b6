from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon
from scipy.stats import entropy

from discrete_ca.metrics import jensen_shannon, kullback_leibler, law, total_variation
from tests.helpers import f64

COUNTS = st.lists(st.integers(0, 20), min_size=6, max_size=6).filter(any).map(torch.tensor)


def test_by_hand():
    p, q = f64(0.5, 0.5, 0.0), f64(0.25, 0.25, 0.5)
    assert total_variation(p, q) == 0.5
    assert kullback_leibler(p, q) == pytest.approx(math.log(2))
    assert kullback_leibler(q, p) == math.inf
    # m = (3/8, 3/8, 1/4); KL(p|m) = ln(4/3), KL(q|m) = (1/2) ln(2/3) + (1/2) ln 2
    wanted = (math.log(4 / 3) + (math.log(2 / 3) + math.log(2)) / 2) / 2
    assert jensen_shannon(p, q) == pytest.approx(wanted)


@given(COUNTS, COUNTS)
def test_against_scipy(a, b):
    p, q = law(a, 0.5), law(b, 0.5)
    assert kullback_leibler(p, q) == pytest.approx(entropy(p, q), abs=1e-12)
    wanted = jensenshannon(law(a), law(b)) ** 2
    assert jensen_shannon(law(a), law(b)) == pytest.approx(np.nan_to_num(wanted), abs=1e-12)


@given(COUNTS, COUNTS)
def test_contracts(a, b):
    p, q = law(a), law(b)
    order = torch.tensor([3, 1, 5, 0, 2, 4])
    for divergence, most in (
        (total_variation, 1), (jensen_shannon, math.log(2)), (kullback_leibler, math.inf),
    ):  # fmt: skip
        found = divergence(p, q)
        assert 0 <= found <= most + 1e-12
        assert divergence(p, p) == 0 == divergence(q, q)
        assert divergence(p[order], q[order]) == pytest.approx(found, abs=1e-12)
        if divergence is not kullback_leibler:
            assert divergence(q, p) == pytest.approx(found, abs=1e-12)
        if total_variation(p, q) > 1e-9:
            assert found > 0
    assert kullback_leibler(p, q) >= 2 * total_variation(p, q) ** 2 - 1e-12  # Pinsker


def test_laws():
    assert law(torch.tensor([[1, 2], [3, 4]])).tolist() == [[0.1, 0.2], [0.3, 0.4]]
    assert law(torch.zeros(4), smoothing=0.5).tolist() == [0.25] * 4


def test_errors():
    with pytest.raises(ValueError, match="counts sum to 0.0; allowed: more than 0"):
        law(torch.zeros(3))
    with pytest.raises(ValueError, match="smoothing was -1; allowed: >= 0"):
        law(torch.ones(3), -1)
    with pytest.raises(ValueError, match=r"p has shape \(1,\) and q \(2,\); allowed: equal"):
        jensen_shannon(f64(1), f64(0.5, 0.5))
