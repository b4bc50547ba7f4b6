"""The benchmark of drifting digits in its quick form."""

import pytest

from benchmarks import digits


def test_quick_form_runs_every_method(tmp_path):
    found = digits.main(["--quick", "--folder", str(tmp_path)])
    names = [row["method"] for row in found["rows"] if row["steps"] == 2]
    assert names == list(digits.METHODS)
    real = found["rows"][0]
    assert real["method"] == "real digits" and 0.05 < real["ink"] < 0.25
    for row in found["rows"][1:]:
        assert 0 <= row["ink"] <= 1 and row["Frechet"] > 0
        assert (row["taken"] == "") == ("Metropolis" not in row["method"])


def test_a_run_is_needed(tmp_path, capsys):
    with pytest.raises(SystemExit):
        digits.main(["--folder", str(tmp_path), "--run", str(tmp_path / "none")])
    assert "which is not there; `make demo` makes one" in capsys.readouterr().err


def test_chains_that_are_told_their_label_may_be_guided(tmp_path):
    found = digits.main(["--quick", "--told", "--folder", str(tmp_path)])
    last = {row["method"]: row["NFE"] for row in found["rows"][1:]}
    assert list(last) == [*digits.METHODS, *digits.TOLD]
    assert last["denoiser"] == 2 and last["guided"] == 4  # the last of two steps
    assert found["settings"]["told"]
