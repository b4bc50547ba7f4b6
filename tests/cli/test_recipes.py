"""The four commands, and eval, on recipes in a tiny form."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from discrete_ca.data import load, load_continuous, load_scores, load_text
from discrete_ca.explore import midi_bytes
from discrete_ca.metrics import PitchCoding, chorale_metrics
from discrete_ca.runs import load_run
from tests.cli.helpers import run
from tests.helpers import walks

TINY = [
    "--net.widths", "8", "--net.head-width", "8", "--net.width", "16", "--net.depth", "1",
    "--train.steps", "2", "--train.batch-size", "4", "--train.no-progress", "--data.held-out", "0",
]  # fmt: skip
FEW = ["--moves", "1", "--correctors", "1"]


@pytest.fixture(scope="module")
def songs(tmp_path_factory):
    """Twenty pieces of four voices that walk at random, a third of them to test on."""
    path = tmp_path_factory.mktemp("recipes") / "songs.json"
    pieces = walks(20)
    path.write_text(json.dumps({"train": pieces[:13], "test": pieces[13:]}))
    return path


WHERE = {
    "colour": ["--box", 0, 4, 0, 8],
    "moby-characters": ["--span", 8, 20],
    "chorales": ["--box", 1, 4, 0, 64],
    "toys": ["--span", 0, 1],
}


@pytest.mark.parametrize("name", WHERE)
def test_a_recipe_all_the_way(name, songs, tmp_path):
    """Designs are examples of the test split, and so is what samples are measured against."""
    place, out = tmp_path / "run", tmp_path / "out.npz"
    source = ["--data", songs] if name == "chorales" else []
    assert run("train", place, "--config", name, *source, *TINY) == 0
    assert run("sample", place, "--count", 2, *FEW, "--out", out) == 0
    assert (
        run("variants", place, "--design", "test:3", "--count", 2, "--steps", 1, "--out", out) == 0
    )
    assert run("inpaint", place, "--design", "test:3", *WHERE[name], *FEW, "--out", out) == 0
    filled = np.load(out)["states"]
    test = {
        "colour": lambda: load("shapes", "test"),
        "moby-characters": lambda: load_text("moby_dick", length=64, split="test"),
        "chorales": lambda: load_scores(songs, "test"),
        "toys": lambda: load_continuous("moons", "test"),
    }[name]()
    same = (filled == test[3].numpy()).all(0)
    bounds = WHERE[name][1:]
    known = np.ones(same.shape, bool)
    known[(..., *(slice(*bounds[i : i + 2]) for i in range(0, len(bounds), 2)))] = False
    assert same[known].all()
    assert run("eval", place, "--split", "test", "--samples", 5, *FEW) == 0
    report = json.loads((place / "eval.json").read_text())
    assert "test: " in report["reference"] and report["samples"] == 5


def test_a_run_of_music_knows_its_pitches(songs, tmp_path, monkeypatch):
    """Nobody has to say which pitch a category means: samples are played, drawn and measured."""
    monkeypatch.chdir(tmp_path)
    assert run("train", "run", "--config", "chorales", "--data", songs, *TINY) == 0
    assert run("sample", "run", "--count", 2, *FEW) == 0
    song = (tmp_path / "out.mid").read_bytes()
    assert run("sample", "run", "--count", 2, *FEW, "--out", "out.npz") == 0
    z = torch.from_numpy(np.load("out.npz")["states"])
    coding = PitchCoding.of_scores(load_scores(songs).name)
    assert song == midi_bytes(torch.cat([*coding.pitches(z)], 1))
    assert run("sample", "run", "--count", 2, *FEW, "--out", "out.png") == 0
    with Image.open("out.png") as roll:
        assert roll.width > 2 * 64 and roll.height > 20
    assert run("eval", "run", "--split", "test", "--samples", 5, *FEW) == 0
    report = json.loads((tmp_path / "run/eval.json").read_text())
    want = chorale_metrics(*[coding.pitches(load_scores(songs, "test").states)] * 2)
    assert report["leaps_floor"] == want.leaps == 0 and report["chords_seen_floor"] > 0.02
    saved = load_run("run")
    assert saved.coding() == coding
    assert saved.coding(40) == PitchCoding(40, 0) and saved.coding(rest=3).lowest == coding.lowest
