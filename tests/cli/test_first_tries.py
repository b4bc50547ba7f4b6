"""What strangers stumbled over at their first try."""

import json
import sys

import numpy as np

import discrete_ca as dca
from discrete_ca.data import tokenizers
from tests.cli.helpers import run

TINY = ("--train.steps", "2", "--train.batch-size", "4", "--net.width", "8", "--net.depth", "1")


def test_a_run_is_loaded_like_the_kernel_in_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", np.random.default_rng(0).integers(0, 2, (40, 5)))
    assert run("train", "run", "--data", "x.npy", *TINY) == 0
    whole, part = dca.load_kernel("run"), dca.load_kernel("run/model")
    assert all((a == b).all() for a, b in zip(whole.parameters(), part.parameters(), strict=True))
    found = []
    for words in ((), ("--hold", "0.5"), ("--metropolis",)):  # the floor is of the same examples
        assert run("eval", "run", "--samples", 12, "--moves", 2, "--seed", 3, *words) == 0
        report = json.loads((tmp_path / "run/eval.json").read_text(encoding="utf-8"))
        found.append({name: report[name] for name in report if name.endswith("_floor")})
        assert report.get("hold") == (0.5 if "--hold" in words else None)
    assert found[0] and found[0] == found[1] == found[2]


def test_a_few_files_are_trained_on_with_the_default_batch(tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", np.random.default_rng(0).integers(0, 2, (6, 5)))
    assert run("train", "run", "--data", "x.npy", "--train.steps", 2, "--net.width", 8) == 0
    assert "the data have 6 examples, fewer than batch_size = 64" in caplog.text
    settings = json.loads((tmp_path / "run/settings.json").read_text(encoding="utf-8"))
    assert settings["train"]["batch_size"] == 64
    about = json.loads((tmp_path / "run/run.json").read_text(encoding="utf-8"))
    assert about["config"]["train"]["batch_size"] == 64 and about["training"]["steps"] == 2


def test_own_noise_in_the_folder_is_found_again(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [path for path in sys.path if path])
    (tmp_path / "sticky_noise.py").write_text(
        "from discrete_ca.corruption import Uniform\n\nclass Sticky(Uniform):\n    '''Mine.'''\n"
    )
    np.save("x.npy", np.random.default_rng(0).integers(0, 2, (40, 5)))
    own = ("--corruption", "sticky_noise:Sticky")
    assert run("train", "run", "--data", "x.npy", *own, *TINY) == 0
    monkeypatch.setattr("sys.path", [p for p in sys.path if p != str(tmp_path)])
    monkeypatch.delitem(sys.modules, "sticky_noise")
    assert run("sample", "run", "--count", 2, "--moves", 2, "--out", "z.npy") == 2
    assert run("sample", "run", "--count", 2, "--moves", 2, "--out", "z.npy", "--trust-code") == 0


def test_the_packages_own_data_are_told_from_a_folder(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "moby_dick").mkdir()
    words = ("--data", "moby_dick", "--data.length", 8, "--dry-run", *TINY)
    assert run("train", "run", *words) == 0
    assert "what lies here is ./moby_dick" in capsys.readouterr().out


def test_a_recipe_that_needs_data_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", np.zeros((4, 2)))
    assert run("train", "run", "--config", "mnist256", "--dry-run") == 2
    assert "data.source was ''; allowed: where the data are, as --data PATH" in (
        capsys.readouterr().err
    )


def test_a_library_that_is_missing_is_refused_in_a_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def missing():
        raise tokenizers.MissingLibraryError("subwords need the library tokenizers")

    monkeypatch.setattr(tokenizers, "_tokenizers", missing)
    assert run("train", "run", "--config", "moby-subwords", "--dry-run") == 2
    assert capsys.readouterr().err == "error: subwords need the library tokenizers\n"
