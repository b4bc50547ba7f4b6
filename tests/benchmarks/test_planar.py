"""The planar benchmark: its table, its picture, and which rows of an earlier run it takes."""

import json
import math

import pytest

from benchmarks import pages, planar


def test_a_table_of_all_methods(tmp_path):
    words = ["--quick", "--folder", str(tmp_path)]
    part = planar.main([*words, "--methods", planar.LIMIT])["raw"]
    found = planar.main([*words, "--resume"])
    assert found["raw"][: len(part)] == part
    methods = {row["method"] for row in found["rows"]}
    assert planar.REAL in methods and planar.LIMIT in methods and len(methods) == 1 + 2 * 3
    assert planar.LIMIT + planar.REFUSING in methods
    steps = {row["steps"] for row in found["rows"] if row["method"] == planar.LIMIT}
    assert steps == {0, 2, 6}
    annealed = [row for row in found["rows"] if row["steps"] == planar.ANNEALED]
    assert len(annealed) == 2 * 2 and all("states" not in row for row in annealed)
    assert all("plane" in row for row in found["rows"])
    for name in {row["method"] for row in found["raw"]} - {planar.REAL}:
        # with Metropolis steps the same start, and other states from there
        walked = [
            row for row in found["raw"] if row["method"] == name and row["steps"] != "annealed"
        ]
        plain, refused = ([r for r in walked if r["metropolis"] == told] for told in (False, True))
        same = [a["states"] == b["states"] for a, b in zip(plain, refused, strict=True)]
        assert same == [row["steps"] == 0 for row in refused]
    written = json.loads((tmp_path / "quick/planar.json").read_text())
    assert written["rows"] == found["rows"] and written["settings"]["hold"] == 0.5
    assert (tmp_path / "quick/planar.png").stat().st_size > 5000
    text = "".join(pages.planar(found["rows"]))
    assert "### States at b = 0.1" in text and "| limit: denoising, 6 steps |" in text


def test_the_table_has_the_deviation_over_seeds():
    about = {"method": "a", "law": "moons", "b": 0.1, "steps": 10, "training seconds": 2.0}
    rows = [
        {**about, "metropolis": told, "seed": seed, "states": value, "plane": 10 * value}
        for told, values in ((False, (1.0, 2.0, 6.0)), (True, (4.0, 4.0, 4.0)))
        for seed, value in enumerate(values)
    ]
    rows.append({**about, "method": "b", "metropolis": False, "seed": 0, "states": 7.0})
    plain, refusing, alone = planar.summarise(rows)
    assert refusing["method"] == "a" + planar.REFUSING and refusing["states sd"] == 0
    assert plain["runs"] == 3 and plain["states"] == 3 and plain["plane"] == 30
    assert plain["states sd"] == pytest.approx(math.sqrt(7))  # of (1, 2, 6): (4 + 1 + 9) / 2
    assert plain["plane sd"] == pytest.approx(10 * math.sqrt(7))
    assert alone["runs"] == 1 and alone["states sd"] == 0 and "plane" not in alone
    text = "".join(pages.planar([plain, refusing, alone]))
    assert "| a, 10 steps | 3.00 ± 2.65 | 3.00 |" in text and "| b, 10 steps | 7.00 |" in text


def test_rows_of_another_budget_are_not_taken(tmp_path, monkeypatch):
    words = ["--quick", "--folder", str(tmp_path), "--methods", planar.LIMIT, "--resume"]
    fast = planar.main([*words, "--hold", "0"])
    slow = planar.main([*words, "--hold", "0.9"])
    assert slow["settings"]["hold"] == 0.9 and all(row["hold"] == 0.9 for row in slow["raw"])
    assert len(slow["rows"]) == len(fast["rows"]) and slow["rows"] != fast["rows"]
    other = planar.main([*words, "--hold", "0.9", "--first-seed", "3"])
    assert {row["seed"] for row in other["raw"] if row["method"] == planar.LIMIT} == {3}
    measured = []
    monkeypatch.setattr(planar, "run", lambda method, *_, **__: measured.append(method) or [])
    assert planar.main([*words, "--hold", "0"])["rows"] == fast["rows"]
    assert measured == []
    monkeypatch.undo()
    anew = planar.main([*words[:-1], "--hold", "0.9"])
    assert anew["rows"] == slow["rows"]
    assert len((tmp_path / "quick/planar.jsonl").read_text().splitlines()) == len(anew["raw"])
