"""Steps that move one colour of a pattern: what moves, and that pairs are refused exactly."""

import pytest
import torch

from benchmarks import structured_holds
from benchmarks.laws import random_law
from benchmarks.tabular import optimum
from discrete_ca.corruption import Uniform
from discrete_ca.diagnostics import exact


@pytest.fixture
def kernel():
    return optimum(random_law(0, sites=4), Uniform(2), 0.3, 0.0)


@pytest.mark.parametrize("metropolis", [False, True])
def test_sites_of_other_colours_stay(kernel, metropolis):
    colour = torch.tensor([True, False, True, False])
    P = structured_holds.matrix(kernel, (4,), 0.3, 0.0, metropolis, colour)
    x = exact.states(2, (4,))
    moved = (x[:, None] != x[None])[..., ~colour].any(-1)
    assert float(P[moved].abs().max()) == 0.0
    assert torch.allclose(P.sum(1), torch.ones(16, dtype=torch.float64), atol=1e-12, rtol=0)


def test_every_site_is_a_random_hold(kernel):
    every = torch.ones(4, dtype=torch.bool)
    for metropolis in (False, True):
        P = structured_holds.matrix(kernel, (4,), 0.3, 0.4, metropolis, every)
        assert torch.allclose(P, structured_holds.matrix(kernel, (4,), 0.3, 0.4, metropolis))
    assert torch.allclose(P, exact.metropolis_matrix(kernel, (4,), 0.3, hold=0.4))


def test_metropolis_steps_of_one_site_are_exact(kernel):
    """The read-outs say exactly how probable a change of one site is, of several only nearly."""
    p = exact.noisy_law(random_law(0, sites=4).p, Uniform(2), (4,), 0.3)
    for sites, right in (([0], True), ([0, 1, 2, 3], False)):
        colour = torch.zeros(4, dtype=torch.bool)
        colour[sites] = True
        P = structured_holds.matrix(kernel, (4,), 0.3, 0.0, True, colour)
        assert (exact.detailed_balance_residual(P, p) < 1e-12) == right


def test_relaxation_is_that_of_the_second_eigenvalue():
    P = torch.tensor([[0.75, 0.25], [0.25, 0.75]], dtype=torch.float64)  # 1 and 1/2
    assert structured_holds.relaxation(P, 3) == pytest.approx(3 / 0.6931471805599453)


def test_patterns_colour_every_site_once():
    found = structured_holds.patterns((3, 3))
    assert {name: int(c.max()) + 1 for name, c in found.items()} == {
        "checkerboard": 2, "four sublattices": 4, "rows": 3,
    }  # fmt: skip
    board = found["checkerboard"]
    assert bool((board[1:] != board[:-1]).all() and (board[:, 1:] != board[:, :-1]).all())


def test_the_quick_form(tmp_path):
    found = structured_holds.main(["--quick", "--folder", str(tmp_path)])
    rows = {(r["pattern"], r["h"], r["Metropolis"]): r for r in found["rows"]}
    board, rows_of = rows["checkerboard", 0.0, ""], rows["rows", 0.0, ""]
    assert board["TV"] < board["random, plain: TV"]  # better than chance at equal relaxation
    assert rows_of["TV"] > rows_of["random, plain: TV"]
    assert rows["checkerboard", 0.0, "yes"]["TV"] < board["TV"] / 5
