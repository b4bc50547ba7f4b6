"""The examples under docs/ run as they are and do what they say."""

import importlib.util
from pathlib import Path

import pytest

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
    assert 0 <= run("colour", steps=4, folder=str(tmp_path)) < 255
    assert {path.name for path in tmp_path.iterdir()} == {"samples.png", "inpaint.png"}


def test_examples_are_short():
    for path in EXAMPLES.glob("*.py"):
        assert len(path.read_text().splitlines()) < 80, path.name
