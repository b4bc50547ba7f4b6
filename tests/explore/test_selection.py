"""Selection among proposals gives the law that it states: by enumeration and by counting."""

import pytest
import torch

from discrete_ca import CategoricalNoiseKernel
from discrete_ca.corruption import Uniform
from discrete_ca.diagnostics import exact
from discrete_ca.errors import NonFiniteError
from discrete_ca.explore.selection import candidates_around, choose, select, selection_matrix
from tests.explore.helpers import Table, circling, reversible
from tests.helpers import Counting, Posterior, assert_counts, counts_of, random_law, seeded

LAWS = [(2, (5,)), (2, (4,)), (3, (3,)), (2, (3, 2)), (4, (2,))]


def randn(size, seed):
    return torch.randn(size, dtype=torch.float64, generator=seeded(seed))


def tilted(pi, scores, tau=1.0):
    law = pi * (scores / tau).exp()
    return law / law.sum()


def denoiser(k, shape, seed, hold=0.5):
    """The best denoiser of a random law: factorised, and so not exactly in balance."""
    noise = Uniform(k)
    return CategoricalNoiseKernel(Posterior(random_law(k, shape, seed), noise, shape), noise, hold)


def test_matrix_of_one_candidate_is_barkers_rule():
    P, _ = reversible(9, 0)
    s = randn(9, 1)
    w = s.exp()
    T = (P @ P) * w / (w[:, None] + w)
    T.fill_diagonal_(0)
    T += torch.diag(1 - T.sum(1))
    assert torch.allclose(selection_matrix(P, s, 1), T, atol=1e-12, rtol=0)


def test_matrix_of_two_candidates_by_summing_over_all_pairs():
    P, s = circling(6, 0), randn(6, 1) * 3
    w = s.exp()
    want = torch.zeros(6, 6, dtype=torch.float64)
    pairs = torch.cartesian_prod(torch.arange(6), torch.arange(6))
    for x in range(6):
        for c in range(6):
            for y1, y2 in pairs.tolist():
                chance, total = P[x, c] * P[c, y1] * P[c, y2], w[x] + w[y1] + w[y2]
                for y in (x, y1, y2):
                    want[x, y] += chance * w[y] / total
    assert torch.allclose(selection_matrix(P, s, 2), want, atol=1e-12, rtol=0)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("n", "k", "tau"), [(1, 1, 1.0), (2, 1, 0.5), (8, 3, 0.25)])
def test_in_balance_the_law_is_tilted_exactly(seed, n, k, tau):
    P, pi = reversible(16, seed)
    s = randn(16, seed)
    T = selection_matrix(torch.linalg.matrix_power(P, k), s, n, tau)
    target = tilted(pi, s, tau)
    assert exact.detailed_balance_residual(T, target) < 1e-12
    assert exact.total_variation(exact.stationary_distribution(T), target) < 1e-10
    assert exact.total_variation(pi, target) > 0.1  # there was something to do


@pytest.mark.parametrize(("seed", "law"), [*enumerate(LAWS)])
@pytest.mark.parametrize("tau", [1.0, 0.5])
def test_a_denoisers_law_is_tilted_nearly(seed, law, tau):
    """Factorised read-outs leave detailed balance; what is left shrinks as steps grow."""
    k, shape = law
    kernel = denoiser(k, shape, seed)
    P = exact.transition_matrix(kernel, shape, 0.3)
    pi = exact.stationary_distribution(P)
    read = exact.read_out_matrix(kernel, shape, 0.3).argmax(1)
    s = randn(len(pi), seed)[read]
    target = tilted(pi, s, tau)
    off, residuals = [], []
    for steps in (1, 4, 16):
        power = torch.linalg.matrix_power(P, steps)
        residuals.append(exact.detailed_balance_residual(power, pi))
        T = selection_matrix(power, s, 4, tau)
        off.append(exact.total_variation(exact.stationary_distribution(T), target))
    assert residuals[0] > 1e-3 and residuals[0] > residuals[1] > residuals[2]
    assert off[0] < 0.02 and off[1] < 0.005 and off[2] < 0.001
    assert exact.total_variation(pi, target) > 0.1


def test_out_of_balance_the_error_is_seen_and_vanishes_with_steps():
    P, s = circling(12, 3), 2 * randn(12, 4)
    pi = exact.stationary_distribution(P)
    target, off = tilted(pi, s), []
    for steps in (1, 8, 128):
        T = selection_matrix(torch.linalg.matrix_power(P, steps), s, 4)
        off.append(exact.total_variation(exact.stationary_distribution(T), target))
    assert exact.detailed_balance_residual(P, pi) > 0.3
    assert off[0] > 0.05 and off[2] < 1e-3


@pytest.mark.parametrize(("n", "metropolis"), [(1, False), (3, False), (3, True)])
def test_rounds_are_counted_as_the_matrix_says(n, metropolis):
    """20,000 chains from each of four states; rate of false alarms 1e-6."""
    shape, level, each = (2, 2), 0.3, 20_000
    kernel = denoiser(2, shape, 1)
    space = exact.states(2, shape)
    read = exact.read_out_matrix(kernel, shape, level).argmax(1)
    table = randn(16, 5)
    matrix = exact.metropolis_matrix if metropolis else exact.transition_matrix
    P = torch.linalg.matrix_power(matrix(kernel, shape, level), 2)
    T = selection_matrix(P, table[read], n, 0.5)
    for start in (0, 5, 9, 15):
        x = space[start].expand(each, *shape)
        found = select(
            kernel, x, space[read[start]].expand_as(x), lambda z: table[exact.index(z, 2)],
            level=level, candidates=n, steps=2, temperature=0.5, metropolis=metropolis,
            generator=seeded(start),
        )  # fmt: skip
        assert_counts(counts_of(exact.index(found.states, 2), 16), T[start])
        assert torch.equal(exact.index(found.designs, 2), read[exact.index(found.states, 2)])
        assert torch.equal(found.scores, table[exact.index(found.designs, 2)])


def test_read_outs_that_are_drawn_keep_their_tilted_law():
    """One round from the law itself leaves the law of (x, z) as it was, for a kernel in balance."""
    noise, level, each = Uniform(3), 0.4, 60_000
    kernel = CategoricalNoiseKernel(
        Posterior(random_law(3, (1,), 2), noise, (1,)), noise, 0.3
    )  # one site: no factorisation error
    P = exact.transition_matrix(kernel, (1,), level)
    pi = exact.stationary_distribution(P)
    assert exact.detailed_balance_residual(P, pi) < 1e-12
    table = randn(3, 0) * 2
    joint = pi[:, None] * exact.read_out_matrix(kernel, (1,), level, draw=True) * table.exp()
    joint = (joint / joint.sum()).flatten()
    start = torch.multinomial(joint, each, replacement=True, generator=seeded(0))
    found = select(
        kernel, start[:, None] // 3, start[:, None] % 3, lambda z: table[z[:, 0]], level=level,
        candidates=2, draw=True, generator=seeded(1),
    )  # fmt: skip
    assert (found.chosen > 0).double().mean() > 0.3
    assert_counts(counts_of(found.states[:, 0] * 3 + found.designs[:, 0], 9), joint)


def test_a_known_law_makes_any_kernel_exact():
    """From the tilted law of another law than the kernel's own, one round leaves it as it was."""
    P, law, s = circling(8, 1), random_law(2, (3,), 3), randn(8, 7)
    kernel, target = Table(P, 2, (3,)), tilted(law, s)
    start = torch.multinomial(target, 100_000, replacement=True, generator=seeded(0))
    x = kernel.space[start]
    told = {"log_law": lambda x: law.log()[exact.index(x, 2)]}
    for options, right in ((told, True), ({}, False)):
        found = select(
            kernel, x, x, lambda z: s[exact.index(z, 2)], level=0.1, candidates=3,
            generator=seeded(1), **options,
        )  # fmt: skip
        counts = counts_of(exact.index(found.states, 2), 8)
        if right:
            assert_counts(counts, target)
        else:
            with pytest.raises(AssertionError):
                assert_counts(counts, target)


def test_many_chains_reach_the_law():
    shape, level = (3,), 0.5
    kernel = denoiser(2, shape, 2)
    pi = exact.stationary_distribution(exact.transition_matrix(kernel, shape, level))
    read = exact.read_out_matrix(kernel, shape, level).argmax(1)
    table, g = randn(8, 8), seeded(0)
    target = torch.zeros(8, dtype=torch.float64).index_add(0, read, tilted(pi, table[read]))
    x = z = torch.zeros(10_000, *shape, dtype=torch.long)
    for _ in range(16):
        found = select(
            kernel, x, z, lambda z: table[exact.index(z, 2)], level=level, candidates=4,
            generator=g,
        )  # fmt: skip
        x, z = found.states, found.designs
    law = counts_of(exact.index(z, 2), 8).double() / len(z)
    assert exact.total_variation(law, target) < 0.02


def test_cost_is_what_it_says():
    kernel = denoiser(2, (4,), 0)
    kernel.net = Counting(kernel.net)
    x = torch.zeros(3, 4, dtype=torch.long)
    found = select(kernel, x, x, lambda z: z.sum(-1), level=0.3, candidates=5, steps=2)
    assert kernel.net.examples == 3 * found.nfe == 3 * (2 * 6 + 5)
    kernel.net.examples = 0
    found = select(
        kernel, x, x, lambda z: z.sum(-1), level=0.3, candidates=5, steps=2, metropolis=True
    )
    assert kernel.net.examples == 3 * found.nfe == 3 * (2 * 6 + 5 + 1)
    kernel.net.examples = 0
    found = select(
        kernel, x, x, lambda z: z.sum(-1), level=0.3, candidates=5, log_law=lambda x: 0.0 * x[:, 0]
    )
    assert kernel.net.examples == 3 * found.nfe


def test_known_sites_stay():
    kernel, x = denoiser(2, (4,), 0), torch.tensor([[0, 1, 1, 0]])
    known = (torch.tensor([True, True, False, False]), x[0])
    drawn = candidates_around(kernel, x, 6, 0.5, steps=3, known=known, generator=seeded())
    assert torch.equal(drawn.designs[0, :, 2:], x[:, 2:].expand(6, 2))
    assert torch.equal(drawn.states[0, :, 2:], x[:, 2:].expand(6, 2))
    assert drawn.centres.shape == (1, 4)


def test_what_is_never_wanted_is_never_taken():
    kernel, x = denoiser(2, (4,), 0), torch.zeros(50, 4, dtype=torch.long)

    def even(z):
        return torch.where(z.sum(-1) % 2 == 0, 0.0, -torch.inf)

    found = select(kernel, x, x, even, level=0.6, candidates=4, generator=seeded())
    assert bool((found.designs.sum(-1) % 2 == 0).all()) and bool((found.chosen > 0).any())
    nothing = torch.full((2, 3), -torch.inf)
    assert choose(nothing).tolist() == [0, 0]  # stays


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"temperature": 0.0}, ValueError, "temperature was 0.0; allowed: a number > 0"),
        ({"temperature": float("nan")}, ValueError, "temperature was nan"),
        ({"candidates": 0}, ValueError, "candidates was 0"),
        ({"steps": 0}, ValueError, "steps was 0"),
        ({"score": lambda z: z.sum()}, ValueError, r"score has shape \(\); allowed: \(3,\)"),
        ({"score": lambda z: z.sum(-1) / 0.0}, NonFiniteError, "score holds NaN"),
        ({"steps": 2, "log_law": lambda x: x[:, 0]}, ValueError, "steps was 2 with log_law"),
        (
            {"metropolis": True, "log_law": lambda x: x[:, 0]},
            ValueError,
            "metropolis was True with log_law; allowed: one of them",
        ),
        ({"metropolis": True, "level": 0.0}, ValueError, "metropolis was True at level 0"),
    ],
)
def test_refusals(options, error, match):
    kernel, x = denoiser(2, (4,), 0), torch.zeros(1, 4, dtype=torch.long)
    settings = {"score": lambda z: z.sum(-1), "level": 0.3, "candidates": 2, **options}
    with pytest.raises(error, match=match):
        select(kernel, x, x, **settings)


def test_matrix_refusals():
    with pytest.raises(ValueError, match="P has shape"):
        selection_matrix(torch.eye(3), torch.zeros(2), 1)
    with pytest.raises(ValueError, match="scores are not finite"):
        selection_matrix(torch.eye(2), torch.tensor([0.0, -torch.inf]), 1)
