"""The four commands, and eval, on recipes in a tiny form."""

import json

import numpy as np
import pytest

from discrete_ca.cli import main
from discrete_ca.data import load, load_continuous, load_scores, load_text
from tests.helpers import walks

TINY = [
    "--net.widths", "8", "--net.head-width", "8", "--net.width", "16", "--net.depth", "1",
    "--train.steps", "2", "--train.batch-size", "4", "--train.no-progress", "--data.held-out", "0",
]  # fmt: skip
FEW = ["--moves", "1", "--correctors", "1"]


def run(*words):
    return main([str(word) for word in words])


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
