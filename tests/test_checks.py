"""Every check: what passes, and the text of what does not."""

from __future__ import annotations

import math

import pytest
import torch

from discrete_ca import checks
from discrete_ca.errors import unknown_name

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    "level", [0.25, torch.tensor(0.25), torch.tensor([0.25] * 3), torch.tensor([0.25] * 3).double()]
)
def test_levels_become_one_an_example(level):
    b = checks.levels(level, 3, CPU)
    assert b.tolist() == [0.25] * 3
    assert b.dtype == (level.dtype if isinstance(level, torch.Tensor) else torch.float32)


def test_whole_numbers_are_levels_too():
    assert checks.levels(1, 2, CPU).tolist() == [1.0, 1.0]
    found = checks.levels(torch.tensor([0, 1]), 2, CPU)
    assert found.tolist() == [0.0, 1.0] and found.is_floating_point()


@pytest.mark.parametrize(
    ("level", "message"),
    [
        (-0.1, r"level was -0.1; allowed: \[0, 1\]"),
        (1.0001, r"level was 1.0001; allowed: \[0, 1\]"),
        (math.nan, "level was nan"),
        (math.inf, "level was inf"),
        (torch.tensor([0.5, 1.5]), r"level was tensor\(\[0.5000, 1.5000\]\); allowed: \[0, 1\]"),
        (torch.tensor([0.5, -1e-3]), "level was tensor"),
        (torch.tensor([math.nan, 0.5]), "level was tensor"),
        (torch.tensor([0.5] * 3), r"level has shape \(3,\); allowed: \(\) or \(2,\)"),
        (torch.tensor([0.5]), r"level has shape \(1,\); allowed: \(\) or \(2,\)"),
        (torch.zeros(2, 1), r"level has shape \(2, 1\); allowed: \(\) or \(2,\)"),
    ],
)
def test_levels_outside_are_refused(level, message):
    with pytest.raises(ValueError, match=message):
        checks.levels(level, 2, CPU)


def test_errors_name_the_argument():
    with pytest.raises(ValueError, match="target_level was 2"):
        checks.levels(2, 1, CPU, "target_level")


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (torch.zeros(2, 3), TypeError, r"x has dtype torch.float32; allowed: torch.int64 \(long\)"),
        (torch.zeros(2, dtype=torch.int32), TypeError, "x has dtype torch.int32"),
        (torch.zeros(2, dtype=torch.bool), TypeError, "x has dtype torch.bool"),
        (torch.tensor(0), ValueError, r"x has shape \(\); allowed: \(B, \*S\)"),
        (torch.tensor([0, 4]), ValueError, r"x holds values in \[0, 4\]; allowed: 0 .. 3"),
        (torch.tensor([-1, 3]), ValueError, r"x holds values in \[-1, 3\]; allowed: 0 .. 3"),
    ],
)
def test_states_outside_are_refused(x, error, message):
    with pytest.raises(error, match=message):
        checks.states(x, 4)


@pytest.mark.parametrize(
    "x", [torch.tensor([0, 3]), torch.zeros(2, 3, 4).long(), torch.zeros(0, 3).long()]
)
def test_states_inside_pass(x):
    checks.states(x, 4)


@pytest.mark.parametrize("value", [0, 0.0, 0.5, 1, 1.0, torch.tensor(0.5)])
def test_probabilities_pass(value):
    found = checks.probability(value, "hold")
    assert isinstance(found, float) and found == float(value)


@pytest.mark.parametrize("value", [-1e-9, 1.5, math.nan, -math.inf])
def test_probabilities_outside_are_refused(value):
    with pytest.raises(ValueError, match=rf"hold was {value}; allowed: \[0, 1\]"):
        checks.probability(value, "hold")


def test_probabilities_below_1():
    assert checks.probability(0.999, "w", below_one=True) == 0.999
    with pytest.raises(ValueError, match=r"w was 1; allowed: \[0, 1\)"):
        checks.probability(1, "w", below_one=True)


@pytest.mark.parametrize(("value", "least"), [(1, 1), (0, 0), (7.0, 1), (torch.tensor(3), 2)])
def test_whole_numbers_pass(value, least):
    found = checks.positive(value, "steps", least)
    assert type(found) is int and found == int(value)


@pytest.mark.parametrize("value", [0, -1, 1.5, True, False, math.inf, -math.inf, math.nan])
def test_what_is_no_whole_number_is_refused(value):
    with pytest.raises(ValueError, match=rf"steps was {value}; allowed: a whole number >= 1"):
        checks.positive(value, "steps")


@pytest.mark.parametrize("batched", [(True, True), (True, False), (False, True), (False, False)])
@pytest.mark.parametrize("shape", [(), (3,), (2, 4)])
def test_known_sites_are_spread_over_the_batch(shape, batched):
    x = torch.zeros(5, *shape, dtype=torch.long)
    mask, values = torch.ones(5, *shape).bool(), torch.full((5, *shape), 7)
    mask, values = (t if b else t[0] for t, b in zip((mask, values), batched, strict=True))
    found = checks.known_sites((mask, values), x)
    assert all(part.shape == x.shape for part in found)
    assert bool(found[0].all()) and bool((found[1] == 7).all())


@pytest.mark.parametrize(
    ("mask", "values", "error", "message"),
    [
        (torch.ones(3), torch.ones(3), TypeError, "known mask has dtype torch.float32"),
        (torch.ones(3).long(), torch.ones(3), TypeError, r"allowed: torch.bool \(True = generate"),
        (
            torch.ones(2).bool(),
            torch.ones(3),
            ValueError,
            r"known mask has shape \(2,\); allowed: \(2, 3\) or \(3,\)",
        ),
        (
            torch.ones(3).bool(),
            torch.ones(1, 3),
            ValueError,
            r"known values has shape \(1, 3\); allowed: \(2, 3\) or \(3,\)",
        ),
    ],
)
def test_known_sites_that_do_not_fit_are_refused(mask, values, error, message):
    with pytest.raises(error, match=message):
        checks.known_sites((mask, values), torch.zeros(2, 3))


def test_masks_of_sites_say_what_they_are():
    x = torch.zeros(2, 3)
    assert checks.sites(torch.tensor([True, False, True]), x, "present").shape == (2, 3)
    with pytest.raises(TypeError, match=r"present has dtype .*; allowed: torch.bool \(True = data"):
        checks.sites(torch.ones(3), x, "present", "data")
    with pytest.raises(ValueError, match=r"present has shape \(2,\); allowed: \(2, 3\) or \(3,\)"):
        checks.sites(torch.ones(2).bool(), x, "present")


@pytest.mark.parametrize("shape", [(), (3,), (2, 4, 5)])
def test_spread_broadcasts_over_sites(shape):
    b = torch.arange(6.0)
    found = checks.spread(b, torch.zeros(6, *shape))
    assert found.shape == (6, *(1,) * len(shape))
    assert torch.equal((found + torch.zeros(6, *shape)).reshape(6, -1)[:, 0], b)


def test_unknown_names_come_with_the_nearest():
    text = unknown_name("metric", "frechett", ["mmd", "frechet"])
    assert text == "unknown metric 'frechett'; did you mean 'frechet'? Known: frechet, mmd"
    assert unknown_name("metric", "zzz", ["mmd"]) == "unknown metric 'zzz'. Known: mmd"


@pytest.mark.parametrize("value", ["0.3", "a", [0.3], None, torch.zeros(2)])
def test_what_is_no_number_is_refused_by_name(value):
    for check in (checks.number, checks.probability, checks.positive):
        with pytest.raises(TypeError, match="hold was .*; allowed: a number"):
            check(value, "hold")
    if not isinstance(value, torch.Tensor):
        with pytest.raises(TypeError, match="level was .*; allowed: a number"):
            checks.levels(value, 2, CPU)


def test_what_is_no_tensor_is_refused_by_name():
    x = torch.zeros(2, 3, dtype=torch.long)
    with pytest.raises(TypeError, match="z was a ndarray; allowed: a torch.Tensor"):
        checks.states(x.numpy(), 2, "z")
    with pytest.raises(TypeError, match="present was a list; allowed: a torch.Tensor"):
        checks.sites([True] * 3, x, "present")
    for known in (x, (x,), None):
        with pytest.raises(TypeError, match=r"known was a .*; allowed: a pair \(mask, values\)"):
            checks.known_sites(known, x)
    with pytest.raises(TypeError, match="known values was a list; allowed: a torch.Tensor"):
        checks.known_sites((x == 0, [0, 0, 0]), x)


def test_ranges():
    assert checks.interval((0, 1), "levels") == (0.0, 1.0)
    for value in ((0.0, 0.5, 1.0), (0.5, 0.1), (0.0, 1.1), 0.5, (math.nan, 1.0)):
        with pytest.raises(ValueError, match=r"levels was .*; allowed: \(low, high\) within"):
            checks.interval(value, "levels")


def test_labels_are_whole_numbers_for_one_or_all():
    for label in (2, torch.tensor(2), torch.tensor([2, 2, 2]), torch.tensor(2, dtype=torch.int32)):
        found = checks.labels(label, 3, CPU)
        assert found.tolist() == [2, 2, 2] and found.dtype == torch.long
    for label in (2.0, "a", True, torch.ones(3)):
        with pytest.raises(TypeError, match="label .*; allowed: whole numbers"):
            checks.labels(label, 3, CPU)
    with pytest.raises(ValueError, match=r"label has shape \(2,\); allowed: \(\) or \(3,\)"):
        checks.labels(torch.zeros(2).long(), 3, CPU)
