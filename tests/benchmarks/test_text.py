"""The benchmark of text: its quick form, what it chooses, and what it makes of rows and of text."""

import json
from argparse import Namespace

import pytest
import torch

from benchmarks import pages, text
from benchmarks.peers.settings import Sampler, Setting


def test_quick_form_runs_every_method_and_sampler(tmp_path, capsys):
    found = text.main(["--quick", "--folder", str(tmp_path)])
    rows = found["rows"]
    last = [row["sampler"] for row in rows if row.get("steps") == 2]
    assert last == list(text.METHODS)
    names = [each.name for each in text.samplers([0.8])]
    drawn = [row for row in rows if row["part"] == "samples"]
    assert [row["sampler"] for row in drawn] == names
    assert len(names) == len(text.PEERS) + len(text.CHAINS)
    assert all(1 < row["NFE"] <= 4 for row in drawn)
    floor = rows[0]
    assert floor["sampler"] == "real text" and floor["distinct 4-grams"] > 0.5
    for row in rows[1:]:
        assert row[text.CROSS] > floor[text.CROSS] and 0 < row[text.DIVERGENCE] < 0.7
        assert ("taken" in row) == ("Metropolis" in row["sampler"] and row.get("steps", 0) > 0)
        assert "shown" not in row and "seed" not in row
    written = json.loads((tmp_path / "quick/text.json").read_text(encoding="utf-8"))
    assert written["rows"] == rows
    page = "".join(pages.text(rows))
    assert "### Chains at b = 0.3, hold 0.8" in page and "| ReMDM at one level |" in page
    assert all(f"| {name} |" in page for name in ("real text", *names))


def test_rows_are_measured_once(tmp_path):
    given = Namespace(quick=False, folder=str(tmp_path), steps=2, count=8, at=[0, 1])
    about = {"part": "chains", "seed": 0}
    made = text.Bench(given).kept.rows(about, lambda: iter([{"steps": 1, "shown": ["a"]}]))
    assert made == [{**about, "budget": [2, 8, [0, 1]], "steps": 1, "shown": ["a"]}]
    later = text.Bench(given).kept
    assert later.rows(about, lambda: pytest.fail("measured again")) == made
    assert later.rows({**about, "seed": 1}, lambda: iter([{"steps": 2}])) != made
    for name, value in (
        ("steps", 3),
        ("count", 9),
        ("at", [0, 2]),
    ):  # another budget: measured anew
        other = text.Bench(Namespace(**{**vars(given), name: value})).kept
        assert other.rows(about, lambda: iter([{"steps": 7}]))[0]["steps"] == 7


def test_the_setting_is_that_of_the_least_divergence(tmp_path, monkeypatch):
    bench = text.Bench(Namespace(quick=False, folder=str(tmp_path), steps=2, count=8, at=[0]))
    monkeypatch.setattr(bench, "kernel", lambda noise, head, seed: seed)
    real = bench.tuning[torch.arange(text.TUNING_COUNT)]

    def dull(kernel, count, shape, nfe, generator):
        assert (kernel, count, shape) == (text.TUNING_SEED, len(real), (64,))
        return torch.zeros_like(real), nfe

    settings = [Setting("dull", dull), Setting("text", lambda *_: (real, 4))]
    assert bench.setting(Sampler("any", "uniform", settings), 4).text == "text"


def test_settings_that_need_more_evaluations_are_not_tried(tmp_path, monkeypatch):
    bench = text.Bench(Namespace(quick=False, folder=str(tmp_path), steps=2, count=8, at=[0]))
    monkeypatch.setattr(bench, "kernel", lambda noise, head, seed: seed)
    real = bench.tuning[torch.arange(text.TUNING_COUNT)]
    drawn = []

    def best(kernel, count, shape, nfe, generator):
        drawn.append(nfe)
        return real, nfe

    settings = [Setting("dull", lambda *_: (torch.zeros_like(real), 4)), Setting("text", best, 5)]
    chosen = [bench.setting(Sampler("any", "uniform", settings), nfe).text for nfe in (4, 5)]
    assert chosen == ["dull", "text"] and drawn == [5]
    # other settings, such as those of another hold, are not what was tried
    assert bench.setting(Sampler("any", "uniform", [Setting("new", best)]), 4).text == "new"


def test_evaluations_that_a_sampler_has_no_setting_for_are_refused_at_once(capsys, monkeypatch):
    monkeypatch.setattr(text, "Bench", lambda given: pytest.fail("work was started"))
    with pytest.raises(SystemExit):
        text.main(["--nfe", "32", "2"])
    said = capsys.readouterr().err
    assert "--nfe: was 2; allowed: 3 or more, which 'chain, denoiser, Metropolis' needs" in said
