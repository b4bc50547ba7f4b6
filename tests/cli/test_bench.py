"""The command bench, ``python -m benchmarks``, and which modules are benchmarks."""

import importlib
import json
import runpy
import sys
from pathlib import Path

import pytest
import torch

import benchmarks
from benchmarks import NAMES, PARTS, cost
from tests.cli.helpers import run

EVERY = [*NAMES, *PARTS]


@pytest.fixture(autouse=True)
def arguments(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["pytest", "--not-of-a-benchmark"])
    monkeypatch.setattr(sys, "path", [*sys.path])


def test_what_makes_a_report_is_a_benchmark():
    folder = Path(benchmarks.__file__).parent
    found = {
        ".".join(path.relative_to(folder).with_suffix("").parts): path.read_text(encoding="utf-8")
        for path in folder.rglob("*.py")
    }
    makes = {name: text for name, text in found.items() if "report.parser(" in text}
    assert {*makes, "peers"} == {*EVERY}  # peers asks its parts
    assert all("\ndef main(argv: " in text for text in makes.values())


def test_without_a_name_they_are_listed(capsys):
    assert run("bench") == 0
    lines = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    assert [name for name, _ in lines] == sorted(EVERY)
    for name in ("text", "peers", "peers.exact"):
        about = importlib.import_module(f"benchmarks.{name}").__doc__.partition("\n")[0]
        assert [name, about] in lines


@pytest.mark.parametrize("name", ["text", "peers", "peers.networks"])
def test_what_stands_after_a_name_is_the_benchmarks(name, monkeypatch):
    given = []
    monkeypatch.setattr(f"benchmarks.{name}.main", given.append)
    words = ["--quick", "--data", "a b", "--config=x", "--help"]  # no option of the command line's
    assert run("bench", name) == 0 and run("bench", name, *words) == 0
    assert given == [[], words]


def test_help_after_a_name_is_the_benchmarks_own(capsys):
    assert run("bench", "text", "--help") == 0
    said = capsys.readouterr().out
    assert said.startswith("usage: discrete-ca bench text") and "Moby-Dick" in said
    assert run("bench", "--help") == 0
    assert "List the benchmarks" in capsys.readouterr().out
    assert run("bench", "text", "--nope") == 2
    assert "discrete-ca bench text: error: unrecognized" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["pages", "laws", "peers.cases", "peer"])
def test_what_is_no_benchmark_is_refused(name, capsys):
    assert run("bench", name) == 2
    said = capsys.readouterr().err
    assert f"unknown benchmark '{name}'" in said and all(each in said for each in EVERY)
    assert name != "peer" or "did you mean 'peers'" in said


@pytest.mark.parametrize("words", [(), ("text", "--quick")])
def test_without_the_folder_it_says_where_to_run_it(words, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "benchmarks", None)
    assert run("bench", *words) == 2
    said = capsys.readouterr().err
    assert "needs the folder benchmarks/" in said and "checkout" in said


def test_all_are_run_in_turn_with_what_is_given(monkeypatch):
    pytest.importorskip("fastapi")
    ran = []
    for name in NAMES:
        monkeypatch.setattr(
            f"benchmarks.{name}.main", lambda argv, name=name: ran.append((name, argv))
        )
    monkeypatch.setattr(sys, "argv", ["benchmarks", "--quick"])
    runpy.run_module("benchmarks", run_name="__main__")
    assert ran == [(name, ["--quick"]) for name in NAMES]


def test_the_quick_form_of_the_costs(tmp_path, monkeypatch):
    monkeypatch.setattr(cost, "BATCH", 2)
    assert run("bench", "cost", "--quick", "--folder", tmp_path) == 0
    (row,) = json.loads((tmp_path / "quick/cost.json").read_text(encoding="utf-8"))["rows"]
    case = row.pop("case")
    assert case == "images, K = 2" and len(row) == 9 and all(value > 0 for value in row.values())


@pytest.mark.parametrize(
    ("name", "work"), [("fuzz", "fuzz"), ("routes", "fuzz"), ("serving", "stress")]
)
def test_quick_forms_whose_work_other_tests_do(name, work, tmp_path, monkeypatch):
    pytest.importorskip("fastapi")
    module = importlib.import_module(f"benchmarks.{name}")
    given = []
    monkeypatch.setattr(module, work, lambda *words, **_: given.append(words) or {"found": 0})
    threads = torch.get_num_threads()
    assert run("bench", name, "--quick", "--folder", tmp_path) == 0
    torch.set_num_threads(threads)
    written = json.loads((tmp_path / f"quick/{name}.json").read_text(encoding="utf-8"))
    assert len(given) == 1 and written["rows"] == [{"found": 0}]
    assert written["command"] == f"python -m benchmarks.{name} --quick"


def test_peers_are_their_parts(monkeypatch):
    ran = []
    for name in PARTS:
        monkeypatch.setattr(f"benchmarks.{name}.main", lambda argv: ran.append(argv))
    assert run("bench", "peers", "--quick") == 0
    assert ran == [["--quick"]] * len(PARTS)
