from __future__ import annotations

import itertools
import math
from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from discrete_ca.metrics import NGramModel
from tests.helpers import LargestStorage, seeded
from tests.metrics.test_ngrams import grams, some

SEEDS = st.integers(0, 2**31)


def witten_bell(tokens, K, present=None):
    """p(token | history) straight from the definition, as a function of two arguments."""
    rows = {n: Counter(grams(tokens, n, present)) for n in range(1, tokens.shape[1] + 1)}

    def p(token, history, order):
        lower = p(token, history[1:], order - 1) if order > 1 else 1 / K
        followers = {g[-1]: c for g, c in rows[order].items() if g[:-1] == history}
        total, kinds = sum(followers.values()), len(followers)
        if not total:
            return lower
        return (followers.get(token, 0) + kinds * lower) / (total + kinds)

    return lambda token, history: p(token, history, len(history) + 1)


def test_by_hand():
    # 0 1 0 1: p(w) = (2 + 2 · 1/2) / (4 + 2) = 1/2, p(1 | 0) = (2 + 1 · 1/2) / (2 + 1) = 5/6,
    # p(0 | 1) = (1 + 1 · 1/2) / (1 + 1) = 3/4
    model = NGramModel(2, 2).fit(torch.tensor([[0, 1, 0, 1]]))
    found = model.log_probs(torch.tensor([[0, 1, 0], [1, 1, 1]])).exp()
    wanted = torch.tensor([[1 / 2, 5 / 6, 3 / 4], [1 / 2, 1 / 4, 1 / 4]], dtype=torch.float64)
    torch.testing.assert_close(found, wanted)
    nats, bits = model.cross_entropy(torch.tensor([[0, 1, 0]]))
    assert nats == pytest.approx(-math.log(1 / 2 * 5 / 6 * 3 / 4) / 3)
    assert bits == pytest.approx(-math.log2(1 / 2 * 5 / 6 * 3 / 4) / 3)


@pytest.mark.parametrize("order", [1, 2, 3, 5])
@given(SEEDS, st.booleans())
def test_agrees_with_the_definition(order, seed, masked):
    (text, in_text), (x, in_x) = some(seed, n=3, length=6), some(seed + 1, n=2, length=6)
    if not masked:
        in_text = in_x = None
    p = witten_bell(text, 3, in_text)
    found = NGramModel(order, 3).fit(text, in_text).log_probs(x, in_x)
    for i, row in enumerate(x.tolist()):
        for t, token in enumerate(row):
            if in_x is not None and not in_x[i, t]:
                assert found[i, t] == 0
                continue
            start = t
            while start > 0 and t - start < order - 1 and (in_x is None or in_x[i, start - 1]):
                start -= 1
            assert found[i, t].exp() == pytest.approx(p(token, tuple(row[start:t])), rel=1e-12)


@pytest.mark.parametrize("order", [1, 2, 4])
@given(SEEDS)
def test_it_sums_to_one_after_every_history(order, seed):
    text, present = some(seed, n=3, length=6, K=4)
    model = NGramModel(order, 4).fit(text, present)
    for length in range(order + 2):  # seen, unseen and empty ones
        rows = itertools.product(range(4), repeat=length)
        history = torch.tensor([*rows], dtype=torch.long).reshape(4**length, length)
        total = model.next_log_probs(history[:: len(history) // 64 + 1]).exp().sum(1)
        torch.testing.assert_close(total, torch.ones_like(total), rtol=0, atol=1e-12)


def test_fifty_thousand_categories():
    K = 50_000
    text = torch.randint(0, 60, (40, 50), generator=seeded()) * 833
    model = NGramModel(3, K).fit(text)
    with LargestStorage() as largest:
        total = model.next_log_probs(text[:2, :2]).exp().sum(1)
    torch.testing.assert_close(total, torch.ones(2).double(), rtol=0, atol=1e-9)
    assert largest.bytes < 10_000_000
    assert model.cross_entropy(text).nats < model.cross_entropy(text * 0 + 7).nats


def test_nothing_seen_is_uniform():
    x = torch.randint(0, 5, (3, 4), generator=seeded())
    for model in (NGramModel(3, 5), NGramModel(3, 5).fit(x, torch.zeros(3, 4, dtype=torch.bool))):
        assert model.cross_entropy(x).nats == pytest.approx(math.log(5))


def test_much_text_of_a_chain_gives_its_entropy():
    # A chain that stays with 0.9: 0.325 nats a token
    flips = torch.rand(400, 50, generator=seeded()) < 0.1
    x = flips.long().cumsum(1) % 2
    model = NGramModel(2, 2).fit(x[:200])
    entropy = -(0.9 * math.log(0.9) + 0.1 * math.log(0.1))
    assert model.cross_entropy(x[200:]).nats == pytest.approx(entropy, abs=0.03)
    assert model.cross_entropy(1 - x[200:].cumsum(1) % 2).nats > 1.5 * entropy


@given(SEEDS)
def test_rows_may_come_in_any_order(seed):
    text, present = some(seed)
    x, _ = some(seed + 1)
    order = torch.randperm(len(text), generator=seeded(seed))
    found = NGramModel(3, 3).fit(text, present).cross_entropy(x)
    again = NGramModel(3, 3).fit(text[order], present[order]).cross_entropy(x[order])
    assert again == pytest.approx(found, rel=1e-12)
    assert found.nats > 0 and found.bits == pytest.approx(found.nats / math.log(2))


def test_fitting_again_forgets():
    first, second = torch.zeros(1, 5, dtype=torch.long), torch.ones(1, 5, dtype=torch.long)
    model = NGramModel(2, 2).fit(first).fit(second)
    assert model.cross_entropy(first) == NGramModel(2, 2).fit(second).cross_entropy(first)


def test_errors():
    x = torch.zeros(2, 3, dtype=torch.long)
    with pytest.raises(ValueError, match="order was 0"):
        NGramModel(0, 2)
    with pytest.raises(ValueError, match="order was 5 with num_categories = 50000"):
        NGramModel(5, 50_000)
    model = NGramModel(2, 2)
    with pytest.raises(ValueError, match=r"tokens holds values in \[2, 2\]"):
        model.fit(x + 2)
    with pytest.raises(ValueError, match=r"history have shape \(3,\)"):
        model.next_log_probs(x[0])
    with pytest.raises(ValueError, match="tokens hold none that is present"):
        model.cross_entropy(x, torch.zeros(2, 3, dtype=torch.bool))
