"""The benchmark of the recipes, in its quick form, on what comes with the package and like it."""

import json

import pytest
import torch

import discrete_ca as dca
from benchmarks import real_data
from discrete_ca import runs
from discrete_ca.data import made
from tests.helpers import walks


def test_rows_say_what_was_spent_and_what_came_of_it(tmp_path):
    words = ["--quick", "--folder", str(tmp_path), "--only", "colour", "toys", "moby-characters"]
    found = real_data.main([*words, "chorales"])  # whose data are not there
    assert [row["data"] for row in found["rows"]] == ["colour", "moby-characters", "toys"]
    for row in found["rows"]:
        assert row["steps"] == 2 and row["denoiser's steps"] >= 1 and row["NFE"] == 3
        assert row["samples"] == 8 and row["chain"] != row["real data (floor)"]
    colour, book, _ = found["rows"]
    assert colour["real data (floor)"] == 1 and colour["chain"] == 0 and colour["hold"] == 0.8
    folder = tmp_path / "quick"
    assert len((folder / "moby-characters/chain/samples.txt").read_text().splitlines()) == 8
    assert (folder / "colour/denoiser/samples.png").stat().st_size > 100
    saved = runs.load_run(folder / "colour/denoiser")
    assert saved.kernel.adjustment is None and saved.num_categories == 256
    assert runs.load_run(folder / "moby-characters/chain").tokenizer is not None
    raw = [json.loads(line) for line in (folder / "real_data.jsonl").read_text().splitlines()]
    assert raw[2]["chain"]["divergence_3"] == book["chain"]


def test_music_is_measured_as_pitches(tmp_path):
    pieces = walks(24)
    place = tmp_path / "songs.json"
    place.write_text(json.dumps({"train": pieces[:16], "test": pieces[16:]}))
    words = ["--quick", "--folder", str(tmp_path), "--only", "chorales", "--chorales", str(place)]
    (row,) = real_data.main(words)["rows"]
    assert "chord changes" in row["measure"] and row["chain"] > row["real data (floor)"] > 0


def test_whole_shapes_are_told_from_others():
    every = made.every_shape().long()
    noisy = (every + torch.randint(-16, 17, every.shape)).clamp(0, 255)
    blank = made.PAPER[:, None, None].expand(4, 3, 8, 8)
    assert real_data.whole_shapes(noisy) == 1 and real_data.whole_shapes(blank) == 0


def test_steps_are_weighed_by_what_they_cost():
    """Half of the time each: three steps of cost 1 go with one of cost 3."""
    schedule = dca.Schedule.half_and_half()
    assert real_data._mean_cost(schedule, [1.0, 3.0], by_time=True) == pytest.approx(1.5)
    assert real_data._mean_cost(schedule, [1.0, 3.0], by_time=False) == pytest.approx(2.0)
