"""The examples under docs/ run as they are and do what they say."""

import importlib.util
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "docs/examples"


def run(name, **settings):
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main(**settings)


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [("custom_corruption", 0.8, 1.0), ("custom_kernel", 0.8, 1.0)],
)
def test_example(name, low, high):
    assert low <= run(name) <= high


def test_the_gaussian_example_draws_its_points(tmp_path):
    assert 0 <= run("gaussian", folder=str(tmp_path)) <= 0.15
    assert (tmp_path / "gaussian.png").stat().st_size > 1000


def test_the_colour_example_in_a_tiny_form(tmp_path):
    assert 0 <= run("colour", steps=4, folder=str(tmp_path)) < 255
    assert {path.name for path in tmp_path.iterdir()} == {"samples.png", "inpaint.png"}


def test_examples_are_short():
    for path in EXAMPLES.glob("*.py"):
        assert len(path.read_text().splitlines()) < 80, path.name
