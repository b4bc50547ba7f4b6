"""Inverse CDFs with crafted uniforms: what no count of draws could show."""

from __future__ import annotations

import math

import pytest
import torch

from discrete_ca import draws, logits
from discrete_ca.errors import NonFiniteError
from tests.helpers import assert_counts, counts_of, f64, seeded

LAST = 1 - 2.0**-53  # the largest uniform there is


@pytest.fixture
def crafted(monkeypatch):
    """`crafted(*u)` makes the next uniforms these, in order, repeated to fill the shape."""

    def craft(*u):
        values = f64(*u)

        def uniform(shape, device, generator=None):
            count = math.prod(shape)
            return values.repeat(-(-count // len(values)))[:count].reshape(tuple(shape))

        monkeypatch.setattr(draws, "uniform", uniform)

    return craft


def draw_each(log_weights, u, crafted):
    crafted(*u)
    return draws.categorical(log_weights.expand(len(u), -1)).tolist()


def test_boundaries_of_the_inverse_cdf(crafted):
    """Index i for u in [c_i, c_{i+1}): four equal weights have exact cumulative sums."""
    quarters = (0.0, math.nextafter(0.25, 0), 0.25, 0.5, math.nextafter(0.75, 0), 0.75, LAST)
    assert draw_each(torch.zeros(4), quarters, crafted) == [0, 0, 1, 2, 2, 3, 3]
    halves = (0.0, math.nextafter(0.5, 0), 0.5, LAST)
    assert draw_each(torch.zeros(2), halves, crafted) == [0, 0, 1, 1]
    assert draw_each(torch.zeros(1), halves, crafted) == [0, 0, 0, 0]


@pytest.mark.parametrize("u", [0.0, 0.3, 0.5, LAST])
@pytest.mark.parametrize(
    "possible",
    [[0], [1], [2], [3], [0, 1], [1, 2], [0, 3], [1, 3]],
)
def test_what_is_excluded_is_never_drawn(possible, u, crafted):
    log_weights = torch.full((4,), -math.inf)
    log_weights[possible] = torch.tensor([0.3, -40.0])[: len(possible)]
    assert draw_each(log_weights, (u,), crafted)[0] in possible
    if u == 0:
        assert draw_each(log_weights, (u,), crafted) == possible[:1]


@pytest.mark.parametrize("u", [0.0, 0.5, LAST])
@pytest.mark.parametrize("possible", [0, 1])
def test_what_is_excluded_of_two_is_never_drawn(possible, u, crafted):
    log_weights = torch.full((2,), -math.inf)
    log_weights[possible] = -3.7
    assert draw_each(log_weights, (u,), crafted) == [possible]


@pytest.mark.parametrize("u", [0.0, 0.3, 0.5, LAST])
@pytest.mark.parametrize("k", [17, 40, 300, 5000])
def test_what_is_excluded_of_many_is_never_drawn(k, u, crafted):
    """Rows of every kind at once: one or two possible categories, wherever they stand."""
    places = [0, 1, 15, 16, k // 2, k - 2, k - 1]
    pairs = [(i, j) for i in places for j in places if i <= j]
    log_weights = torch.full((len(pairs), k), -math.inf)
    for row, (i, j) in enumerate(pairs):
        log_weights[row, i], log_weights[row, j] = 0.3, -40.0
    crafted(u)
    drawn = draws.categorical(log_weights).tolist()
    assert all(index in pair for index, pair in zip(drawn, pairs, strict=True))
    if u == 0:
        assert drawn == [i for i, _ in pairs]


@pytest.mark.parametrize("place", [17, 31, 40, 63])
def test_a_tail_below_a_rounding_of_the_rest_draws_nothing_else(place, crafted):
    """1 + 1.5e-16 rounds up to 1 + 2.2e-16: what falls there is the tail, not its neighbours."""
    log_weights = torch.full((64,), -math.inf, dtype=torch.float64)
    log_weights[0], log_weights[place] = 0.0, math.log(1.5e-16)
    assert draw_each(log_weights, (0.0, 0.5, LAST), crafted) == [0, 0, place]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("place", [7, 150, 299])
def test_a_tail_of_1e_12_in_the_middle_of_many(place, dtype, crafted):
    """The uniforms that draw it are an interval of length 1e-12, between its neighbours'."""
    log_weights = torch.zeros(300, dtype=dtype)
    log_weights[place] = math.log(299e-12)
    steps = place / 299 + torch.linspace(-3e-12, 3e-12, 1201).double()  # 200 a length of 1e-12
    drawn = draw_each(log_weights, steps[steps < 1].tolist(), crafted)
    assert drawn == sorted(drawn)
    assert abs(drawn.count(place) - 200) <= 3
    assert set(drawn) <= {place - 1, place, place + 1}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("k", [2, 3, 100])
def test_tails_down_to_1e_12_have_their_frequency(k, dtype, crafted):
    """A first category of probability 1e-12 takes exactly the uniforms below 1e-12."""
    log_weights = torch.zeros(k, dtype=dtype)
    log_weights[0] = math.log((k - 1) * 1e-12)
    below, above = (1e-12 * (1 + sign * 1e-5) for sign in (-1, 1))
    assert draw_each(log_weights, (0.0, below, above, 1e-11), crafted) == [0, 0, 1, 1]
    # The same tail as the last category, where float64 resolves it to one part in 1e4.
    log_weights = log_weights.flip(0)
    assert draw_each(log_weights, (1 - 1.01e-12, 1 - 0.99e-12), crafted) == [k - 2, k - 1]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("k", [2, 3])
def test_half_precision_logits_keep_their_tails(k, dtype, crafted):
    """exp(-17.5) = 2.5e-8 is 0 in float16; the draw is that of the same numbers in float64."""
    logits = torch.tensor([-17.5, 0.3125, -0.7109375], dtype=dtype)[:k]
    law = logits.double().softmax(-1)
    edges = law.cumsum(-1)[:-1].tolist()
    u = [edge * (1 + sign * 1e-5) for edge in edges for sign in (-1, 1)]
    assert draw_each(logits, u, crafted) == [0, 1, 1, 2][: len(u)]


def test_two_categories_take_the_same_draws_as_the_general_path(crafted):
    g = seeded(0)
    u = torch.rand(5000, dtype=torch.float64, generator=g)
    logits = 5 * torch.randn(5000, 2, dtype=torch.float64, generator=g)
    crafted(*u.tolist())
    two = draws.categorical(logits)
    padded = torch.cat([logits, torch.full((5000, 1), -math.inf)], -1)
    assert torch.equal(two, draws.categorical(padded))
    first = logits.softmax(-1)[:, 0]
    clear = (u - first).abs() > 1e-12
    assert torch.equal(two[clear], (u >= first).long()[clear])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("k", [2, 3, 15, 16, 17, 37, 256, 257, 1000])
def test_a_grid_of_uniforms_gives_every_category_its_share(k, dtype, crafted):
    """n evenly spaced uniforms: shares to within 1 / n, and categories in their order."""
    n = 5000
    logits = 2 * torch.randn(k, dtype=dtype, generator=seeded(1))
    crafted(*((torch.arange(n) + 0.5) / n).tolist())
    drawn = draws.categorical(logits.expand(n, -1))
    share = counts_of(drawn, k) / n
    rounding = 1e-6 if dtype == torch.float32 else 1e-12
    law = logits.double().softmax(-1)
    edges = (share.double().cumsum(-1) - law.cumsum(-1)).abs().max()
    assert float(edges) <= 0.5001 / n + rounding
    assert torch.equal(drawn, drawn.sort().values)


@pytest.mark.parametrize("piece", [1, 7, 50])
@pytest.mark.parametrize("k", [2, 5, 40])
def test_pieces_draw_the_same_as_one(k, piece, monkeypatch):
    log_weights = torch.randn(13, 11, k, generator=seeded(2))
    whole = draws.categorical(log_weights, seeded(3))
    monkeypatch.setattr(logits, "PIECE", piece)
    assert torch.equal(draws.categorical(log_weights, seeded(3)), whole)


@pytest.mark.parametrize("shape", [(), (3,), (2, 3, 4)])
@pytest.mark.parametrize("k", [1, 2, 6, 33])
def test_shapes_and_constants_of_rows(shape, k):
    logits = torch.randn(*shape, k, generator=seeded(4))
    drawn = draws.categorical(logits, seeded(5))
    assert drawn.shape == shape and drawn.dtype == torch.long
    shifted = logits.double() + 1000
    assert torch.equal(draws.categorical(shifted, seeded(5)), drawn)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("k", [1, 2, 5, 17, 300])
def test_weights_are_drawn_from_as_their_logarithms_are(k, dtype):
    weights = torch.rand(2000, k, dtype=dtype, generator=seeded(12))
    weights[weights < 0.2] = 0.0
    weights[:, 0] += 0.1
    found = draws.weighted(weights.reshape(40, 50, k), seeded(13)).flatten()
    of_logs = draws.categorical(weights.log(), seeded(13))
    assert bool((weights.gather(-1, found[:, None]) > 0).all())
    edges = weights.double().cumsum(-1) / weights.double().sum(-1, keepdim=True)
    u = draws.uniform((2000,), torch.device("cpu"), seeded(13))
    clear = ((edges - u[:, None]).abs() > 1e-6).all(-1)
    assert float(clear.double().mean()) > 0.99 and torch.equal(found[clear], of_logs[clear])


@pytest.mark.parametrize("u", [0.0, 0.5, LAST])
@pytest.mark.parametrize("place", [0, 1, 20, 39])
def test_weights_of_0_are_never_drawn(place, u, crafted):
    weights = torch.zeros(1, 40)
    weights[0, place] = 3e-7
    crafted(u)
    assert draws.weighted(weights).tolist() == [place]


@pytest.mark.parametrize("bad", [[0.0, 0.0], [1.0, math.nan], [math.inf, 1.0], [2.0, -1.0]])
def test_weights_that_are_no_law_are_refused(bad):
    with pytest.raises(NonFiniteError, match="allowed: non-negative"):
        draws.weighted(torch.tensor([[1.0, 1.0], bad]))


def test_draws_leave_logits_and_gradients_alone():
    logits = torch.randn(4, 3, requires_grad=True)
    before = logits.detach().clone()
    assert not draws.categorical(logits).requires_grad
    assert torch.equal(logits.detach(), before)


@pytest.mark.parametrize("k", [2, 3, 40])
def test_views_are_drawn_from_like_copies(k):
    logits = torch.randn(k, 5, 6, generator=seeded(6)).movedim(0, -1)
    again = draws.categorical(logits.contiguous(), seeded(7))
    assert torch.equal(draws.categorical(logits, seeded(7)), again)


def test_frequencies():
    """Chi-square at a false-alarm rate of 1e-6."""
    law = f64(0.5, 0.3, 0.15, 0.05, 0.0)
    drawn = draws.categorical(law.log().expand(50_000, -1), seeded(8))
    assert_counts(counts_of(drawn, 5), law)


def test_uniforms_have_53_bits_and_never_reach_1():
    u = draws.uniform((100_000,), torch.device("cpu"), seeded(9))
    assert u.dtype == torch.float64 and 0 <= float(u.min()) and float(u.max()) < 1
    bits = u * 2**53
    assert torch.equal(bits, bits.floor())
    assert bool((bits % 2 == 1).any())
    assert_counts(torch.histc(u, 20, 0, 1), torch.full((20,), 0.05, dtype=torch.float64))


def test_seeds_reproduce():
    cpu = torch.device("cpu")
    assert torch.equal(draws.uniform((2, 3), cpu, seeded(1)), draws.uniform((2, 3), cpu, seeded(1)))
    one, two = (draws.uniform((50,), cpu, seeded(s)) for s in (1, 2))
    assert not torch.equal(one, two)
    torch.manual_seed(0)
    first = draws.categorical(torch.zeros(30, 4))
    torch.manual_seed(0)
    assert torch.equal(draws.categorical(torch.zeros(30, 4)), first)


def test_one_generator_gives_one_stream():
    g = seeded(3)
    first, second = (draws.categorical(torch.zeros(30, 4), g) for _ in range(2))
    assert not torch.equal(first, second)


@pytest.mark.parametrize("n", [7, 10, 600, 1000])
def test_strata_have_their_shares_but_for_rounding(n):
    strata = torch.randint(0, 10, (600,), generator=seeded(3))
    found = draws.stratified(strata, n, seeded())
    wanted = counts_of(strata, 10).double() * n / len(strata)
    assert found.shape == (n,) and bool(
        ((counts_of(strata[found], 10) - wanted).abs() < 1 + 1e-9).all()
    )
    again, other = (draws.stratified(strata, n, seeded(seed)) for seed in (0, 1))
    assert torch.equal(found, again) and not torch.equal(found, other)
    if n == len(strata):
        assert torch.equal(found.sort().values, torch.arange(n))  # each once


def test_a_rare_stratum_is_drawn_as_often_as_it_should():
    """One of a hundred, one draw at a time: the rounding is by chance; false alarm 1e-6."""
    strata = (torch.arange(100) == 37).long()
    g = seeded()
    found = torch.cat([draws.stratified(strata, 1, g) for _ in range(20_000)])
    assert_counts(counts_of(strata[found], 2), f64(0.99, 0.01))
    assert_counts(counts_of(found, 100), torch.full((100,), 0.01, dtype=torch.float64))
