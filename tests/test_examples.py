"""The examples under docs/ run as they are and do what they say."""

import importlib.util
import json
from pathlib import Path

import pytest

from tests.helpers import walks

EXAMPLES = Path(__file__).parents[1] / "docs/examples"


def run(name, **options):
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main(**options)


@pytest.mark.parametrize(
    ("name", "options", "low", "high"),
    [("custom_corruption", {"steps": 150}, 0.7, 1.0), ("custom_kernel", {}, 0.8, 1.0)],
)
def test_example(name, options, low, high):
    assert low <= run(name, **options) <= high


def test_text(tmp_path, capsys):
    """By chance, 12 % of the pairs of letters occur in the passage."""
    assert 0.3 <= run("text", length=16, steps=200, width=32) <= 1.0
    assert "filled in, 'r Ty' in the text" in capsys.readouterr().out
    (tmp_path / "own.txt").write_text("abc" * 40)
    assert 0.0 <= run("text", data=str(tmp_path / "own.txt"), length=8, steps=4, width=8) <= 1.0
    assert "filled in, 'ca' in the text" in capsys.readouterr().out


def test_explore(tmp_path, capsys):
    """A wish for a twentieth of an open half, met within three of a hundred."""
    assert abs(run("explore", out=str(tmp_path), steps=120, n=2) - 0.05) < 0.03
    assert "designs for" in capsys.readouterr().out
    assert (tmp_path / "walk.gif").exists() and (tmp_path / "session/session.json").exists()


def test_the_gaussian_example_draws_its_points(tmp_path):
    assert 0 <= run("gaussian", folder=str(tmp_path)) <= 0.15
    assert (tmp_path / "gaussian.png").stat().st_size > 1000


def test_the_colour_example_in_a_tiny_form(tmp_path):
    assert 0 <= run("colour", steps=4, folder=str(tmp_path)) <= 1
    assert {path.name for path in tmp_path.iterdir()} == {"samples.png", "inpaint.png"}


TINY = {"minutes": 0.001, "width": 16}


def test_the_book_in_a_tiny_form(capsys):
    found = run("book", length=16, **TINY)
    assert found["divergence_3"] > found["divergence_3_floor"]
    assert "filled in, " in capsys.readouterr().out
    found = run("book", length=16, subwords=True, **TINY)
    assert found["divergence_1"] > found["divergence_1_floor"]


def test_the_grey_digits_in_a_tiny_form(tmp_path):
    assert 0 < run("grey", minutes=0.001, folder=str(tmp_path)) < 1
    assert {path.name for path in tmp_path.iterdir()} == {"grey-samples.png", "grey-variants.png"}


def test_the_chorales_in_a_tiny_form(tmp_path):
    """Random walks in place of the chorales, which do not come with the package."""
    pieces = walks(42)
    (tmp_path / "x.json").write_text(json.dumps({"train": pieces[:40], "test": pieces[40:]}))
    found = run("chorales", data=str(tmp_path / "x.json"), folder=str(tmp_path), **TINY)
    assert found["chords_seen"] <= 1
    assert (tmp_path / "chorales-samples.png").stat().st_size > 1000
    assert (tmp_path / "chorales-harmonised.mid").read_bytes()[:4] == b"MThd"


def test_examples_are_short():
    for path in EXAMPLES.glob("*.py"):
        assert len(path.read_text().splitlines()) < 80, path.name
