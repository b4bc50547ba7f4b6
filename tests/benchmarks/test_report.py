"""What reports make of the rows of several seeds, and the command that makes a report."""

import json
import sys

import pytest

from benchmarks import report


def test_seeds_become_a_mean_and_a_range():
    row = {"method": "a", "known words": 0.5, "shown": []}
    rows = [{**row, "seed": seed, "loss": value} for seed, value in enumerate((2.0, 3.0))]
    rows.append({"method": "b", "seed": 0, "loss": 1.0})
    first, second = report.spread(
        rows, ["loss"], ["known words", "taken"], left_out=("seed", "shown")
    )
    assert first == {"method": "a", "loss": 2.5, "loss range": "2.000 to 3.000", "known words": 0.5}
    assert second == {"method": "b", "loss": 1.0, "loss range": "1.000 to 1.000"}


@pytest.mark.parametrize("folder", ["--folder {}", "--folder={}", "--fold {}"])
@pytest.mark.parametrize("quick", ["", "--quick"])
def test_a_report_says_the_command_that_makes_it(folder, quick, tmp_path, monkeypatch):
    parser = report.parser("About.", quick="less")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--methods", nargs="+")
    words = [*quick.split(), "--steps", "-3", *folder.format(tmp_path).split()]
    words += ["--methods", "a, hold 0", "b"]
    want = " ".join(["python -m benchmarks.peers.exact", *quick.split(), "--steps -3 --methods"])
    given = report.parse(parser, words)
    given.steps = 7  # as a quick form does
    found = report.write("peers.exact", [{"TV": 0.5}], given.folder, laws=["random"])
    assert found["command"] == want + " 'a, hold 0' b"
    (path,) = tmp_path.rglob("peers.exact.json")
    assert json.loads(path.read_text(encoding="utf-8")) == found
    assert path.parent.name == ("quick" if quick else tmp_path.name)
    monkeypatch.setattr(sys, "argv", ["text.py", *words])
    assert report.parse(parser, None).folder.words == given.folder.words


def test_a_report_of_no_command_line_names_none(tmp_path):
    found = report.write("cost", [{"seconds": 1.0}], str(tmp_path))
    assert list(found) == ["benchmark", "settings", "environment", "rows"]
