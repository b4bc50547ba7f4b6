"""Which settings the tables of the peers choose, and which rows of an earlier run they take."""

import json
from functools import partial

import pytest
import torch
from torch import nn

from benchmarks.peers import cases, exact, networks
from benchmarks.peers.settings import Sampler, Setting
from benchmarks.peers.training import Job, fit

BUDGETS = (3, 7)
DISTANCES = {3: {"a": 1.0, "b": 2.0, "c": 3.0}, 7: {"a": 2.0, "b": 1.0, "c": 3.0}}
"""What the settings come to with the networks of each budget: a is best of the smaller's."""


class Weight(nn.Module):
    """A network that is its job's budget."""

    def __init__(self, steps):
        super().__init__()
        self.steps = nn.Parameter(torch.tensor(float(steps)))


class Numbers:
    """Samples that are their own tuning distance; beside test digits the worst is the best."""

    def __init__(self, count, most=None):
        self.real = torch.zeros(count)

    def looks(self, z):
        return {"Frechet": 10.0 - float(z.mean())}

    def tuning_distance(self, z):
        return float(z.mean())


@pytest.fixture
def drawn(monkeypatch):
    """One sampler of three settings over networks that need no training; lists what it drew."""
    found = []

    def draw(text, kernel, count, shape, nfe, generator):
        budget = int(kernel.steps)
        found.append((text, budget, count, nfe, generator.initial_seed()))
        return torch.full((count,), DISTANCES[budget][text]), nfe

    settings = [Setting(text, partial(draw, text)) for text in ("c", "a", "b")]
    case = cases.Case("numbers", (), BUDGETS, Numbers)
    monkeypatch.setattr(networks, "CASES", {"numbers": case})
    monkeypatch.setattr(networks, "examples", lambda *_: None)
    monkeypatch.setattr(networks, "fit", lambda job, *_: Weight(job.steps))
    monkeypatch.setattr(networks, "peers", lambda: iter([Sampler("one", "uniform", settings)]))
    monkeypatch.setattr(networks, "chains", lambda head: iter(()))
    return found


def run(folder, *asked):
    return networks.main(["--folder", str(folder), "--count", "4", "--nfe", "8", "512", *asked])


def test_the_setting_is_the_nearest_to_training_digits_with_the_largest_budget(
    drawn, tmp_path, capsys
):
    rows = run(tmp_path)["rows"]
    assert [row.get("setting") for row in rows] == [None, "b", "b", "b", "b"]
    assert [row["budget (steps)"] for row in rows] == ["", 7, 7, 3, 3]
    tuned = [each for each in drawn if each[-1] == networks.TUNING_SEED]
    assert {(budget, nfe) for _, budget, _, nfe, _ in tuned} == {(7, 8), (7, 128)}
    assert len(tuned) == 6 and len(drawn) == 10


def test_rows_of_an_earlier_run_are_taken_and_their_settings_found_again(drawn, tmp_path, capsys):
    first = run(tmp_path, "--budgets", "7")["rows"]
    drawn.clear()
    both = run(tmp_path)["rows"]
    assert both[: len(first)] == first
    assert [each[:2] for each in drawn] == [("b", 3), ("b", 3)]  # chosen once, measured anew
    assert set(both[1]) == {
        "data", "budget (steps)", "sampler", "at most NFE", "Frechet", "samples a second", "NFE",
        "setting",
    }  # fmt: skip


def test_a_smaller_largest_budget_chooses_for_itself(drawn, tmp_path, capsys):
    assert [row.get("setting") for row in run(tmp_path, "--budgets", "3")["rows"]][1:] == ["a", "a"]
    assert {row.get("setting") for row in run(tmp_path)["rows"]} == {None, "b"}


def test_another_count_or_other_weights_are_measured_anew(drawn, tmp_path, monkeypatch, capsys):
    run(tmp_path)
    drawn.clear()
    report = networks.main(["--folder", str(tmp_path), "--count", "8", "--nfe", "8", "512"])
    assert report["settings"]["samples"] == 8 and len(report["rows"]) == 5
    assert len(drawn) == 10 and {count for _, _, count, _, _ in drawn} == {8}
    drawn.clear()
    monkeypatch.setattr(networks, "fit", lambda job, *_: Weight(job.steps + 0.5))
    run(tmp_path)
    assert len(drawn) == 10


def test_rows_that_say_no_count_are_measured_anew(drawn, tmp_path, capsys):
    old = {"data": "numbers", "budget (steps)": 7, "sampler": "one", "at most NFE": 8}
    place = tmp_path / "peers.networks.jsonl"
    place.write_text(json.dumps({**old, "Frechet": -1.0, "setting": "c"}) + "\n", encoding="utf-8")
    assert all(row["Frechet"] > 0 for row in run(tmp_path)["rows"])


@pytest.mark.parametrize(("module", "value", "least"), [(networks, 1, 2), (exact, 0, 1)])
def test_too_few_evaluations_are_refused_before_any_work(module, value, least, tmp_path, capsys):
    with pytest.raises(SystemExit):
        module.main(["--folder", str(tmp_path), "--nfe", "8", str(value)])
    assert f"argument --nfe: was {value}; allowed: {least} or more" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_exact_table_chooses_the_setting_nearest_to_the_tuning_laws():
    def law(tuned, measured, subject, nfe):
        p = subject.law.p.clone()
        shift = tuned if subject is tuning else measured
        p[0], p[1] = p[0] + shift, p[1] - shift
        return p, nfe

    tuning, subject = (exact.Subject(exact.random_law(seed, sites=3)) for seed in (0, 1))
    tried = {"far": (0.3, 0.0), "near": (0.1, 0.2), "between": (0.2, 0.1)}
    settings = [exact.Setting(text, partial(law, *shifts)) for text, shifts in tried.items()]
    (row,) = exact.best_row(settings, [tuning], [subject], 8)
    assert row["setting"] == "near" and row["TV"] == pytest.approx(0.2)


def test_the_exact_tables_rows_hold_for_the_settings_they_chose_among(
    tmp_path, monkeypatch, capsys
):
    asked = []

    def law(shift, subject, nfe):
        asked.append(shift)
        return subject.law.p + shift * torch.tensor([1.0, -1.0, 0, 0, 0, 0, 0, 0]), nfe

    def run(*shifts):
        settings = [exact.Setting(f"{shift:g}", partial(law, shift)) for shift in shifts]
        monkeypatch.setattr(exact, "choices", lambda: iter([("one", settings)]))
        return exact.main(["--folder", str(tmp_path), "--laws", "small", "--nfe", "2"])["rows"]

    def laws():
        return [exact.random_law(0, sites=3)]

    monkeypatch.setattr(exact, "LAWS", {"small": (laws, laws)})
    first = run(0.2, 0.3)
    assert first[0]["setting"] == "0.2" and "among" not in first[0]
    asked.clear()
    assert run(0.2, 0.3) == first and not asked
    assert run(0.1, 0.2, 0.3)[0]["setting"] == "0.1"


def test_a_network_of_other_sizes_is_refused_by_the_name_of_its_file(tmp_path):
    examples = cases.DiscreteData(torch.randint(2, (8, 28, 28)), 2)
    job = Job("binarized-mnist", "uniform", 1)
    torch.save(job.kernel(examples).state_dict(), tmp_path / f"{job.name}.pt")
    fit(job, examples, tmp_path)
    with pytest.raises(
        ValueError, match=f"{job.name}.pt holds a network of other sizes; remove it"
    ):
        fit(job, examples, tmp_path, small=True)
