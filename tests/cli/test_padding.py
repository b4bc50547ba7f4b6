"""Rows of different lengths on the command line: what fills them up is never drawn nor changed."""

import json

import numpy as np

from discrete_ca.data import load
from tests.cli.helpers import run

TINY = [
    "--net.kind", "transformer", "--net.width", "16", "--net.depth", "1", "--train.steps", "2",
    "--train.batch-size", "4", "--train.no-progress", "--data.held-out", "4",
    "--train.observe-every", "2",
]  # fmt: skip
FEW = ["--moves", "2", "--correctors", "1"]
LINES = ["ada", "grace", "edsger", "alan"] * 4


def test_lines_of_text(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "names.txt").write_text("\n".join(LINES) + "\n\n")
    assert run("train", "run", "--data", "names.txt", "--data.pad", "--data.length", 8, *TINY) == 0
    about = json.loads((tmp_path / "run/run.json").read_text())
    assert about["data"]["padded"] and about["data"]["count"] == 12
    row = json.loads((tmp_path / "run/metrics.jsonl").read_text().splitlines()[-1])
    assert 0 < row["changed/0.6"] < 1 and row["held_out"] > 0  # observed, padding left out
    assert run("sample", "run", "--count", 30, *FEW) == 0
    lengths = [len(line) for line in (tmp_path / "out.txt").read_text().splitlines()]
    assert max(lengths) == 6 and len(lengths) == 30 and len(set(lengths)) > 1
    # a pad that the chain did draw is no text, so that a line may be shorter than its place
    assert run("variants", "run", "--design", "names.txt:1", "--out", "out.npz") == 0
    near, pad = np.load("out.npz")["states"], about["data"]["num_categories"] - 1
    assert (near[:, 5:] == pad).all()
    assert (load("out.npz").present.numpy() == (near != pad)).all()  # what pads is known again
    assert run("inpaint", "run", "--design", "names.txt:1", "--span", 1, 3, *FEW) == 0
    assert all(line[0] == "g" for line in (tmp_path / "out.txt").read_text().splitlines())
    assert run("inpaint", "run", "--design", "names.txt:1", "--span", 4, 7, *FEW) == 2
    assert "mask has 2 sites of padding" in capsys.readouterr().err
    assert run("eval", "run", "--samples", 4, *FEW) == 0


def test_arrays_with_a_mask(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    states = rng.integers(0, 3, (24, 8))
    present = np.arange(8) < rng.integers(1, 8, (24, 1))
    states[~present] = 0
    np.savez("rows.npz", states=states, present=present)
    data = load("rows.npz")
    assert (data.present.numpy() == present).all() and data.num_categories == 3
    assert run("train", "run", "--data", "rows.npz", *TINY) == 0
    assert run("sample", "run", "--count", 20, *FEW, "--out", "out.npy") == 0
    drawn = np.load("out.npy")
    longest = drawn.shape[1] - (drawn[:, ::-1] != 0).argmax(1)
    assert (drawn[:, 7] == 0).all() and len(set(longest)) > 1
    place = int((present.sum(1) == 5).argmax())
    design = f"rows.npz:{place}"
    assert run("variants", "run", "--design", design, "--level", 0.9, "--out", "out.npy") == 0
    assert (np.load("out.npy")[:, 5:] == 0).all()
    assert run("inpaint", "run", "--design", design, "--span", 0, 8, *FEW) == 2
    assert "mask has 3 sites of padding" in capsys.readouterr().err
    own = f"train:{place}"  # the run's own example pads as it does in its file
    assert run("inpaint", "run", "--design", own, "--span", 4, 6, *FEW) == 2
    assert "mask has 1 sites of padding" in capsys.readouterr().err
    assert run("sample", "run", "--count", 20, *FEW, "--out", "out.npz") == 0
    again = load("out.npz")  # reads as the data did
    assert (again[:].numpy() == drawn).all() and not again.present.all()
    lengths = again.present.sum(1)
    assert (again.present == (np.arange(8) < lengths.numpy()[:, None])).all()
    assert (again[:][~again.present] == 0).all() and {*lengths.tolist()} <= {*present.sum(1)}
    row = int((lengths < 8).int().argmax())
    words = ("--design", f"out.npz:{row}", "--out", "near.npz")
    assert run("variants", "run", *words, "--level", 0.9, "--count", 3) == 0
    assert (load("near.npz").present == again.present[row]).all()
    assert run("inpaint", "run", *words, "--span", 0, 1, *FEW) == 0
    assert (load("near.npz").present == again.present[row]).all()
    np.savez("rows.npz", states=states)
    assert run("sample", "run", "--count", 2, *FEW) == 2
    assert "no padding any more" in capsys.readouterr().err


def test_padding_that_does_not_fit(tmp_path, capsys):
    place = tmp_path / "rows.npz"
    np.savez(place, states=np.zeros((4, 3), int), present=np.ones((4, 2), bool))
    assert run("train", tmp_path / "run", "--data", place, *TINY) == 2
    assert "present has shape (4, 2); allowed: (4, 3)" in capsys.readouterr().err
    np.savez(place, states=np.zeros((4, 3)), present=np.ones((4, 3), bool))
    words = ["--kernel", "gaussian", "--recipe", "half", "--net", "mlp", "--train.steps", "1"]
    assert run("train", tmp_path / "run", "--data", place, *words) == 2
    assert "says which sites are present" in capsys.readouterr().err
