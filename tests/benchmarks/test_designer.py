"""Simulated designers: the person, the rounds, what candidates cost, and the quick form."""

import dataclasses
import json
import math

import pytest
import torch

import discrete_ca as dca
from benchmarks import designer, people
from discrete_ca.metrics.copies import nearest_distance
from discrete_ca.metrics.distances import hamming
from tests.helpers import Counting, Smooth, seeded

SHAPE = (8, 8)


def task_of(design, target, near=0):
    count = len(target)
    return people.Task(
        target, torch.zeros(count, dtype=torch.long), design, torch.zeros_like(design).bool(),
        torch.full((count,), near), torch.ones(count),
    )  # fmt: skip


def bits(*shape, seed=0):
    return torch.randint(0, 2, shape, generator=seeded(seed))


def headed(net):
    head = dca.nn.AdjustmentHead(2, dims=2)
    return dca.CategoricalNoiseKernel(net, dca.corruption.Uniform(2), 0.8, adjustment=head).double()


def assert_in_training_set(designs, labels):
    train = people.digits("train")
    away, place = hamming(designs.flatten(1), train.states.flatten(1)).min(1)
    assert bool((away == 0).all()) and torch.equal(train.labels[place], labels)


@dataclasses.dataclass(frozen=True)
class Flips(people.Method):
    """Shows the present design with one wrong cell repaired."""

    level: float = 0.8
    fall: float = 0.5

    def propose(self, kernel, task, generator):
        wrong = (task.design != task.target).flatten(1)
        first = wrong.cumsum(1) == 1
        return torch.where(first.reshape(task.design.shape), task.target, task.design)[:, None]


def test_quick_form_tells_every_arm_and_tunes_on_other_targets(tmp_path):
    found = designer.main(["--quick", "--folder", str(tmp_path)])
    arms = [(row["painting"], row["candidates from"]) for row in found["rows"]]
    assert arms == [("no", name) for name in designer.WITHOUT_PAINTING] + [
        ("yes", name) for name in designer.WITH_PAINTING
    ]
    for row in found["rows"]:
        assert row["mean rounds"] <= 3 and row["rounds, median (95 %)"]
    lines = (tmp_path / "quick/designer.jsonl").read_text().splitlines()
    raw = [json.loads(line) for line in lines]
    assert [each["split"] for each in raw] == ["train"] * 12 + ["test"] * 8
    assert (tmp_path / "quick/designer.json").exists()


def test_targets_and_thresholds_are_what_they_are_said_to_be():
    task = people.tasks("test", 5, 50, seed=3)
    again, more = people.tasks("test", 5, 50, seed=3), people.tasks("test", 5, 3000, seed=3)
    assert torch.equal(task.design, again.design) and torch.equal(task.target, more.target)
    assert bool((more.near <= task.near).all()) and bool((more.near < task.near).any())
    assert bool((nearest_distance(task.target, people.digits("test").states) == 0).all())
    assert_in_training_set(task.design, task.label)


def test_painting_repairs_wrong_cells_alone_where_they_show_most_and_locks_them():
    target = torch.zeros(2, *SHAPE, dtype=torch.long)
    design = target.clone()
    design[0, 2:5, 2:5], design[0, 7, 7], design[1, 0, 0] = 1, 1, 1
    painted = people.paint(task_of(design, target), cells=3)
    repaired = design != painted.design
    assert repaired.flatten(1).sum(1).tolist() == [3, 1]
    assert torch.equal(painted.locked, repaired)
    assert repaired[0, 3, 3] and not repaired[0, 7, 7]
    after = people.paint(painted, cells=3)
    assert bool((after.locked | ~painted.locked).all()) and after.locked[0].sum() == 6


def test_a_person_picks_what_is_near_and_keeps_what_is_nearer():
    target = bits(200, *SHAPE)
    far, near = bits(200, *SHAPE, seed=1), target.clone()
    near[:, 0, 0] = 1 - near[:, 0, 0]
    shown = torch.stack([far, near, far], 1)
    picked = people.pick(task_of(bits(200, *SHAPE, seed=2), target), shown, seeded())
    assert (picked == 2).double().mean() > 0.95
    assert (people.pick(task_of(target, target), shown[:, :1], seeded()) == 0).double().mean() > 0.9
    tie = people.pick(task_of(far, target), far[:, None].expand(-1, 3, -1, -1), seeded())
    assert torch.bincount(tie, minlength=4).min() > 25  # of 200: no place is preferred


def test_odds_of_a_pick_are_those_stated():
    """One wrong cell in the middle shows as nine ninths of a cell: s differs by 1."""
    target = torch.zeros(20_000, *SHAPE, dtype=torch.long)
    wrong = target.clone()
    wrong[:, 4, 4] = 1
    share = (people.pick(task_of(wrong, target), target[:, None], seeded()) == 1).double().mean()
    assert float(share) == pytest.approx(1 / (1 + math.exp(-1 / people.TEMPERATURE)), abs=0.015)


def test_rounds_are_counted_until_the_design_is_near_or_people_give_up():
    target = torch.zeros(4, *SHAPE, dtype=torch.long)
    design = target.clone()
    for row, wrong in enumerate((2, 5, 7, 40)):
        design[row].flatten()[:wrong] = 1
    task = task_of(design, target, near=2)

    def rounds(bound, painting=False, method=Flips()):
        return people.rounds_needed(method, None, task, painting, bound, seeded()).tolist()

    found = rounds(40)
    assert found[0] == 0 and 3 <= found[1] and 5 <= found[2] and found[3] > found[2]
    assert rounds(4)[2:] == [torch.inf, torch.inf]
    assert rounds(12, True, people.Nothing()) == [0, 1, 2, 10]  # four cells a round


def test_the_level_falls_when_the_present_design_is_kept_and_only_then():
    target = bits(300, *SHAPE)
    task = task_of(bits(300, *SHAPE, seed=1), target).replace(level=torch.full((300,), 0.8))
    after = people.one_round(Flips(), None, task, False, seeded())
    kept = (after.design == task.design).flatten(1).all(1)
    assert 0 < kept.sum() < 300
    assert torch.equal(after.level, torch.where(kept, 0.4, 0.8))
    low = people.one_round(
        Flips(), None, task.replace(level=0.06 + 0 * task.level), False, seeded()
    )
    assert float(low.level.min()) == pytest.approx(people.LOWEST_LEVEL)


@pytest.mark.parametrize(
    "method", [people.Chain(0.5, 0.8), people.DenoisersChain(0.5, 0.8),
               *(people.Resampling(count, 0.0) for count in designer.COUNTS)],
)  # fmt: skip
def test_candidates_cost_the_same_and_leave_what_is_locked(method):
    net = Counting(Smooth(2, 2))
    task = people.paint(task_of(bits(3, *SHAPE), bits(3, *SHAPE, seed=1)), 20)
    with torch.no_grad():
        found = method.propose(headed(net), task, seeded())
    assert net.examples == people.NFE * 3 == method.nfe * 3
    locked = task.locked[:, None].expand_as(found)
    assert bool((found == task.design[:, None])[locked].all())
    assert bool((found != task.design[:, None])[~locked].any())


def test_the_chains_differ_by_the_head_alone():
    kernel, task = headed(Smooth(2, 2)), task_of(bits(3, *SHAPE), bits(3, *SHAPE, seed=1))
    task = task.replace(level=torch.full((3,), 0.5))  # at level 1 a head fades out
    chain, denoisers = people.Chain(0.5, 0.8), people.DenoisersChain(0.5, 0.8)

    def same():
        return torch.equal(*(each.propose(kernel, task, seeded()) for each in (chain, denoisers)))

    with torch.no_grad():
        assert same()  # a new head changes nothing
        for weights in kernel.adjustment.parameters():
            weights.add_(torch.randn(weights.shape, generator=seeded()))
        assert not same() and kernel.adjustment is not None


def test_the_class_is_told_where_the_network_takes_it():
    task = task_of(bits(3, *SHAPE), bits(3, *SHAPE, seed=1))
    for classes, told in ((4, task.label), (None, None)):
        net = dca.nn.UNet(2, 2, widths=(8,), blocks=1, head_width=8, num_classes=classes)
        assert people._conditions(headed(net), task)["label"] is told


def test_real_digits_are_of_the_class():
    task = people.tasks("test", 4, 10, seed=0)
    found = people.RealDigits().propose(None, task, seeded())
    assert found.shape == (4, people.SHOWN, 28, 28)
    assert_in_training_set(found[:, 0], task.label)
    assert bool((found[:, 0] != found[:, 1]).any())


def test_intervals_hold_the_truth_and_say_what_lies_beyond_the_bound():
    values = torch.randn(400, generator=seeded(), dtype=torch.float64)
    value, low, high = designer.interval(values, designer.middle, 0)
    assert low < 0 < high and low < value < high and 0.1 < high - low < 0.4
    half = torch.tensor([1.0] * 3 + [torch.inf] * 4)
    value, low, high = designer.interval(half, designer.middle, 0)
    assert designer.words(value, 24) == "> 24" and designer.words(low, 24) == "1"


def test_tuning_takes_the_fewest_rounds_in_the_mean_and_one_setting_for_both_chains():
    slow, quick = designer.Found([2.0, torch.inf], 0.0), designer.Found([3.0, 3.5], 0.0)
    assert (slow.mean(4), quick.mean(4)) == (3.5, 3.25)
    job = designer.Job("", "resampling", people.Resampling(8, 0.0), True, "train", 2, 1, 4, 0)
    other = job._replace(method=people.Resampling(4, 0.0))
    assert designer.tuned([job, other], iter([slow, quick])) == {("resampling", True): other.method}
    both = [
        job._replace(name=name, method=kind(level, 0.8))
        for name, kind in zip(designer.CHAINS, (people.Chain, people.DenoisersChain), strict=True)
        for level in (0.5, 0.8)
    ]
    found = [designer.Found([rounds], 0.0) for rounds in (2.0, 1.0, 1.0, 4.0)]
    chosen = designer.tuned(both, iter(found))
    assert {method.level for method in chosen.values()} == {0.5} and len(chosen) == 2
