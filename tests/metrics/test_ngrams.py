from __future__ import annotations

import math
from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from discrete_ca.metrics import ngram_codes, ngram_divergences, share_seen
from tests.helpers import seeded

SEEDS = st.integers(0, 2**31)


def grams(tokens, order, present=None):
    """The n-grams of all rows as tuples."""
    found = []
    for i, row in enumerate(tokens.tolist()):
        for t in range(len(row) - order + 1):
            if present is None or all(present[i, t : t + order]):
                found.append(tuple(row[t : t + order]))
    return found


def some(seed, n=5, length=7, K=3):
    g = seeded(seed)
    tokens = torch.randint(0, K, (n, length), generator=g)
    present = torch.rand(n, length, generator=g) < 0.8
    present[0] = True
    return tokens, present


@pytest.mark.parametrize("order", [1, 2, 3, 7])
@given(SEEDS, st.booleans())
def test_codes_are_the_n_grams(order, seed, masked):
    tokens, present = some(seed)
    present = present if masked else None
    wanted = [sum(w * 3 ** (order - 1 - i) for i, w in enumerate(gram))
              for gram in grams(tokens, order, present)]  # fmt: skip
    assert ngram_codes(tokens, order, 3, present).tolist() == wanted


def test_rows_that_are_too_short_have_none():
    assert ngram_codes(torch.zeros(2, 3, dtype=torch.long), 4, 2).shape == (0,)


def test_the_largest_codes_do_not_overflow():
    tokens = torch.full((1, 4), 49_999)
    assert ngram_codes(tokens, 4, 50_000).item() == 50_000**4 - 1 < 2**63
    ones = torch.ones(1, 62, dtype=torch.long)
    assert ngram_codes(ones, 62, 2).item() == 2**62 - 1
    with pytest.raises(ValueError, match="order was 63 with num_categories = 2; allowed"):
        ngram_codes(torch.ones(1, 63, dtype=torch.long), 63, 2)
    with pytest.raises(ValueError, match=r"order was 5 .* at most 2\^63 - 1"):
        ngram_codes(tokens, 5, 50_000)


def test_divergences_by_hand():
    # Bigrams of 0 1 0: 01, 10; of 0 1 1: 01, 11. Laws (1/2, 1/2, 0) and (1/2, 0, 1/2) on 01, 10, 11
    found = ngram_divergences(torch.tensor([[0, 1, 0]]), torch.tensor([[0, 1, 1]]), 2, 2)
    assert found.total_variation == 0.5
    assert found.jensen_shannon == pytest.approx(math.log(2) / 2)
    # α = 1/2: counts (3/2, 3/2, 1/2) and (3/2, 1/2, 3/2) of 7/2, so KL = (3/7 - 1/7) ln 3
    assert found.kullback_leibler == pytest.approx(2 / 7 * math.log(3))
    rough = ngram_divergences(
        torch.tensor([[0, 1, 0]]), torch.tensor([[0, 1, 1]]), 2, 2, smoothing=0.0
    )
    assert rough.kullback_leibler == math.inf and rough.total_variation == 0.5


@pytest.mark.parametrize("order", [1, 2, 3])
@given(SEEDS, SEEDS)
def test_divergences_by_counting(order, seed, other):
    (x, in_x), (y, in_y) = some(seed), some(other, n=4, length=9)
    p, q = Counter(grams(x, order, in_x)), Counter(grams(y, order, in_y))
    both = p.keys() | q.keys()
    found = ngram_divergences(x, y, order, 3, present=in_x, reference_present=in_y)
    wanted = sum(abs(p[g] / p.total() - q[g] / q.total()) for g in both) / 2
    assert found.total_variation == pytest.approx(wanted)
    size = len(both) / 2
    wanted = sum(
        (p[g] + 0.5) / (p.total() + size)
        * math.log((p[g] + 0.5) / (p.total() + size) / ((q[g] + 0.5) / (q.total() + size)))
        for g in both
    )  # fmt: skip
    assert found.kullback_leibler == pytest.approx(wanted, abs=1e-12)
    back = ngram_divergences(y, x, order, 3, present=in_y, reference_present=in_x)
    assert back.jensen_shannon == pytest.approx(found.jensen_shannon, abs=1e-12)
    assert 0 <= found.jensen_shannon <= math.log(2) + 1e-12
    same = ngram_divergences(x, x.flip(0), order, 3)
    assert same.as_dict() == dict.fromkeys(same.as_dict(), 0.0)


def test_one_law_at_two_sizes_comes_nearer():
    def distance(n):
        x, y = (torch.randint(0, 4, (n, 16), generator=seeded(s)) for s in (0, 1))
        return ngram_divergences(x, y, 2, 4).jensen_shannon

    assert distance(1000) < distance(10) / 10


@pytest.mark.parametrize("order", [1, 2, 4])
@given(SEEDS)
def test_share_seen_by_counting(order, seed):
    (x, in_x), (y, in_y) = some(seed), some(seed + 1, n=2)
    known, wanted = set(grams(y, order, in_y)), grams(x, order, in_x)
    found = share_seen(x, y, order, 3, present=in_x, training_present=in_y)
    assert found == pytest.approx(sum(g in known for g in wanted) / len(wanted))
    assert share_seen(x, torch.cat([y, x]), order, 3) == 1.0


def test_many_categories():
    x = torch.randint(0, 50_000, (20, 64), generator=seeded())
    assert share_seen(x, x[:10], 3, 50_000) == pytest.approx(0.5, abs=1e-3)
    assert ngram_divergences(x[:10], x[10:], 3, 50_000).total_variation == pytest.approx(
        1, abs=1e-3
    )


def test_errors():
    x = torch.zeros(2, 3, dtype=torch.long)
    with pytest.raises(TypeError, match=r"tokens has dtype torch.float32"):
        ngram_codes(x.float(), 2, 3)
    with pytest.raises(ValueError, match=r"tokens have shape \(3,\); allowed: \(N, T\)"):
        ngram_codes(x[0], 2, 3)
    with pytest.raises(ValueError, match=r"tokens holds values in \[3, 3\]; allowed: 0 .. 2"):
        ngram_codes(x + 3, 2, 3)
    with pytest.raises(ValueError, match="order was 0"):
        ngram_codes(x, 0, 3)
    with pytest.raises(ValueError, match=r"present has shape \(2,\) and dtype torch.bool"):
        ngram_codes(x, 2, 3, torch.ones(2, dtype=torch.bool))
    with pytest.raises(ValueError, match="tokens hold no 4-gram; allowed: rows of at least 4"):
        share_seen(x, x, 4, 3)
    with pytest.raises(ValueError, match="reference hold no 2-gram"):
        ngram_divergences(x, x, 2, 3, reference_present=torch.zeros(2, 3, dtype=torch.bool))
