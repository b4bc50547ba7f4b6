"""The benchmark of drifting digits in its quick form."""

from argparse import Namespace
from copy import deepcopy

import pytest
import torch

from benchmarks import digits
from discrete_ca.demo import demo_kernel
from tests.helpers import seeded


def test_quick_form_runs_every_method(tmp_path):
    found = digits.main(["--quick", "--folder", str(tmp_path)])
    names = [row["method"] for row in found["rows"] if row["steps"] == 2]
    assert names == list(digits.METHODS)
    real = found["rows"][0]
    assert real["method"] == "real digits" and 0.05 < real["ink"] < 0.25
    for row in found["rows"][1:]:
        assert 0 <= row["ink"] <= 1 and row["Frechet"] > 0
        assert ("taken" in row) == ("Metropolis" in row["method"]) and "seed" not in row


def test_correlation_leaves_out_what_a_class_has_in_common():
    g = seeded()
    labels = torch.tensor([0, 1]).repeat(500)
    z = torch.rand(1000, 4, 5, generator=g) + 10 * labels[:, None, None]
    other = torch.rand(1000, 4, 5, generator=g) + 10 * labels[:, None, None]
    assert digits.correlation(z, z, labels) == pytest.approx(1)
    assert digits.correlation(z, -z, labels) == pytest.approx(-1)
    assert abs(digits.correlation(z, other, labels)) < 0.03  # 20,000 pairs: four deviations
    assert digits.correlation(z, (z + other) / 2, labels) == pytest.approx(0.5**0.5, abs=0.03)


def test_chains_are_walked_once(tmp_path, monkeypatch):
    run, kernel, other = tmp_path / "run", demo_kernel(), demo_kernel()
    run.mkdir()
    monkeypatch.setattr(digits.runs, "load_run", lambda _: Namespace(kernel=deepcopy(kernel)))
    words = ["--run", str(run), "--folder", str(tmp_path), "--chains", "4", "--at", "1"]
    words += ["--levels", "0.3", "--holds", "0.8", "--methods", "denoiser", "--seeds", "0"]
    first = digits.main(words)["rows"]
    monkeypatch.setattr(digits.Bench, "_walked", lambda *_: iter(()))
    again = digits.main([*words, "1"])["rows"]  # the second seed is asked for, and has nothing
    assert again[1] == first[1]
    assert first[0]["Frechet"] != again[0]["Frechet"]  # real digits are those of both seeds
    monkeypatch.setattr(digits.runs, "load_run", lambda _: Namespace(kernel=other))
    assert len(digits.main(words)["rows"]) == 1  # another model has rows of its own


def test_a_run_is_needed(tmp_path, capsys):
    with pytest.raises(SystemExit):
        digits.main(["--folder", str(tmp_path), "--run", str(tmp_path / "none")])
    assert "which is not there; `make demo` makes one" in capsys.readouterr().err


def test_adjusted_chains_need_a_head(tmp_path, capsys, monkeypatch):
    (tmp_path / "run").mkdir()
    monkeypatch.setattr(digits.runs, "load_run", lambda _: Namespace(kernel=demo_kernel()))
    monkeypatch.setattr(digits.Bench, "_walked", lambda *_: iter([{"steps": 1, "Frechet": 1.0}]))
    words = ["--run", str(tmp_path / "run"), "--folder", str(tmp_path), "--chains", "4"]
    found = digits.main(words)["rows"]
    assert {row["method"] for row in found} == {
        "real digits", "denoiser", "denoiser, Metropolis",
    }  # fmt: skip
    with pytest.raises(SystemExit):
        digits.main([*words, "--methods", "adjusted"])
    assert "methods had 'adjusted', but the run has no head" in capsys.readouterr().err


def test_chains_that_are_told_their_label_may_be_guided(tmp_path):
    found = digits.main(["--quick", "--told", "--folder", str(tmp_path)])
    last = {row["method"]: row["NFE"] for row in found["rows"][1:]}
    assert list(last) == [*digits.METHODS, *digits.TOLD]
    assert last["denoiser"] == 2 and last["guided"] == 4  # the last of two steps
    assert found["settings"]["told"]
