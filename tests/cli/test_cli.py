"""The command line as a person uses it: train, then everything on what was trained."""

import json
import signal

import numpy as np
import pytest
import torch
from datasets import ClassLabel, Dataset, Features, List, Value
from PIL import Image

import discrete_ca as dca
from discrete_ca import runs
from discrete_ca.cli import main
from discrete_ca.runs import recipes
from tests.cli.helpers import run

FAST = ["--train.steps", "4", "--train.batch-size", "8", "--train.no-progress"]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with two runs: of images (a folder of PNGs), and of token sequences (.npy)."""
    folder = tmp_path_factory.mktemp("cli")
    g = np.random.default_rng(0)
    (folder / "pictures").mkdir()
    for i in range(12):
        image = Image.fromarray(g.integers(0, 256, (8, 12), dtype=np.uint8))
        image.save(folder / "pictures" / f"{i}.png")
    np.save(folder / "tokens.npy", g.integers(0, 3, (40, 5)))
    (folder / "images.toml").write_text(
        f'[data]\nsource = "{folder}/pictures"\nbinarize = 128\n'
        "[net]\nwidths = [8]\nhead_width = 8\n"
    )
    images = ["train", str(folder / "images"), "--config", str(folder / "images.toml"), *FAST]
    assert main(images) == 0
    tokens = ["train", str(folder / "sequences"), "--data", str(folder / "tokens.npy"), *FAST]
    assert main([*tokens, "--corruption", "absorbing"]) == 0
    (folder / "model-only/model").mkdir(parents=True)
    return folder


def test_token_noise_is_trained_and_run(place, tmp_path):
    folder = tmp_path / "noisy"
    data = ["--data", place / "tokens.npy", "--corruption", "tokens"]
    assert run("train", folder, *data, *FAST) == 0
    assert run("sample", folder, "--count", "3", "--moves", "4", "--out", tmp_path / "s.npy") == 0
    assert np.load(tmp_path / "s.npy").shape == (3, 5)
    assert run("exact", folder, "--levels", "0.3") == 0


def test_a_run_says_what_it_is(place, capsys):
    about = json.loads((place / "images/run.json").read_text())
    assert about["data"] == {
        "name": "pictures", "count": 12, "shape": [8, 12], "num_categories": 2
    }  # fmt: skip
    assert about["training"]["steps"] == 4
    assert run("info", place / "images") == 0
    said = capsys.readouterr().out
    assert "CategoricalNoiseKernel" in said and "shape: [8, 12]" in said
    assert f"discrete-ca sample {place / 'images'}" in said
    assert "--box 4 8 0 12" in said
    assert run("info", place / "sequences") == 0
    assert "--span 0 2" in capsys.readouterr().out


def test_labels_that_are_not_used_are_said(place, tmp_path, capsys):
    np.savez(tmp_path / "x.npz", states=np.load(place / "tokens.npy"), labels=np.arange(40) % 3)
    words = ("--data", tmp_path / "x.npz", "--net.width", 8, *FAST)
    for name, told in (("a", ()), ("b", ("--net.labels",))):
        assert run("train", tmp_path / name, *words, *told) == 0
        assert ("labels are not used: --net.labels" in capsys.readouterr().out) == (not told)
        assert run("info", tmp_path / name) == 0
        said = capsys.readouterr().out
        assert "num_classes: 3" in said and ("not told the labels" in said) == (not told)


def test_floats_of_any_range_become_categories(place, tmp_path, capsys):
    x = np.load(place / "tokens.npy").astype(np.float32)
    np.save(tmp_path / "whole.npy", x)
    np.save(tmp_path / "wide.npy", 10 * x)
    words = ("--net.width", 8, *FAST)
    assert run("train", tmp_path / "a", "--data", tmp_path / "whole.npy", *words) == 0
    assert "num_categories=3" in capsys.readouterr().out
    words = ("--data", tmp_path / "wide.npy", "--data.quantize", 3, *words)
    assert run("train", tmp_path / "b", *words) == 2
    assert "or another value_range that holds them" in capsys.readouterr().err
    assert run("train", tmp_path / "b", *words, "--data.value-range", 0, 20) == 0
    assert "num_categories=3" in capsys.readouterr().out
    design = ("--design", tmp_path / "wide.npy", "--out", tmp_path / "y.npy")
    assert run("variants", tmp_path / "b", *design, "--level", 0, "--steps", 1, "--count", 2) == 0
    assert (np.load(tmp_path / "y.npy") == x[0]).all()


@pytest.mark.parametrize("suffix", ["npz", "npy", "txt", "png", "gif"])
def test_samples_in_every_format(place, tmp_path, suffix):
    out = tmp_path / f"new/x.{suffix}"
    words = (
        "sample",
        place / "images",
        "--count",
        3,
        "--moves",
        2,
        "--correctors",
        0,
        "--out",
        out,
    )
    assert run(*words) == 0
    first = out.read_bytes()
    assert run(*words) == 0 and out.read_bytes() == first  # the seed is the same
    if suffix == "npz":
        assert np.load(out)["states"].shape == (3, 8, 12)
    if suffix == "txt":
        assert [len(line.split()) for line in out.read_text().splitlines()] == [96] * 3


def test_variants_of_what_was_sampled(place, tmp_path, capsys):
    words = ("sample", place / "images", "--count", 2, "--moves", 2, "--out", tmp_path / "x.npz")
    assert run(*words) == 0
    words = ("variants", place / "images", "--design", f"{tmp_path}/x.npz:1", "--count", 3)
    words = (*words, "--level", 0.4, "--steps", 2, "--hold", 0.5, "--seed", 7)
    assert run(*words, "--out", tmp_path / "y.npz") == 0
    kernel = dca.load_kernel(place / "images/model")
    kernel.hold = 0.5
    z = torch.from_numpy(np.load(tmp_path / "x.npz")["states"])[1]
    g = torch.Generator().manual_seed(7)
    wanted = dca.variants(kernel, z, 3, level=0.4, steps=2, generator=g)
    assert (np.load(tmp_path / "y.npz")["states"] == wanted.numpy()).all()
    share = float((wanted != z).double().mean())
    assert f"{share:.1%} of the sites differ" in capsys.readouterr().out


def test_designs_of_the_runs_own_data(place, tmp_path, capsys):
    words = ("variants", place / "sequences", "--level", 0, "--steps", 1, "--count", 1)
    assert run(*words, "--design", "train:3", "--out", tmp_path / "y.npy") == 0
    assert (np.load(tmp_path / "y.npy") == np.load(place / "tokens.npy")[3]).all()
    assert run(*words, "--design", "train:40", "--out", tmp_path / "y.npy") == 2
    assert "an index below 40" in capsys.readouterr().err
    assert run(*words, "--design", "none.png", "--out", tmp_path / "y.npy") == 2
    assert capsys.readouterr().err == "error: none.png does not exist\n"


def test_inpainting_keeps_what_is_known(place, tmp_path):
    np.save(tmp_path / "design.npy", np.tile(np.arange(12) % 2, (1, 8, 1)))
    words = ("inpaint", place / "images", "--design", tmp_path / "design.npy", "--count", 2)
    words = (*words, "--moves", 2, "--out", tmp_path / "y.npy")
    assert run(*words, "--box", 2, 5, 3, 12) == 0
    y, design = np.load(tmp_path / "y.npy"), np.load(tmp_path / "design.npy")[0]
    known = np.ones((8, 12), bool)
    known[2:5, 3:12] = False
    assert (y[:, known] == design[known]).all()
    Image.fromarray((~known * 255).astype(np.uint8)).save(tmp_path / "mask.png")
    before = y
    assert run(*words, "--mask", tmp_path / "mask.png") == 0
    assert (np.load(tmp_path / "y.npy") == before).all()


def test_tokens_from_a_text_file(place, tmp_path):
    (tmp_path / "design.txt").write_text("0 1 2 1 0\n2 2 2 2 2\n")
    words = ("inpaint", place / "sequences", "--design", f"{tmp_path}/design.txt:1", "--span", 1, 3)
    assert run(*words, "--count", 3, "--moves", 2, "--out", tmp_path / "y.txt") == 0
    rows = [line.split() for line in (tmp_path / "y.txt").read_text().splitlines()]
    assert len(rows) == 3
    assert all(row[0] == row[3] == row[4] == "2" for row in rows)


def test_a_run_of_text_speaks_text(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "poem.txt").write_text("tyger tyger\nburning bright\n" * 8)
    words = ("train", "run", "--data", "poem.txt", "--data.length", 8, "--net.width", 16, *FAST)
    assert run(*words) == 0
    alphabet = set("tyger\\nburning bright")
    words = ("--moves", 2, "--correctors", 0, "--count", 3)
    assert run("sample", "run", *words, "--out", "x.txt") == 0
    lines = (tmp_path / "x.txt").read_text().splitlines()
    assert len(lines) == 3 and set("".join(lines)) <= alphabet
    assert run("sample", "run", *words, "--shape", 20, "--out", "long.npy") == 0
    assert np.load("long.npy").shape == (3, 20)
    (tmp_path / "design.txt").write_text("tyger ty\nbright\\nt\n")
    words = ("inpaint", "run", "--design", "design.txt:1", "--span", 0, 2, "--moves", 2)
    assert run(*words, "--out", "filled.txt") == 0
    filled = (tmp_path / "filled.txt").read_text().splitlines()
    assert len(filled) == 8 and all(line.endswith("ight\\nt") for line in filled)
    (tmp_path / "design.txt").write_text("TYGER TY\n")
    assert run("variants", "run", "--design", "design.txt") == 2
    assert "text holds 'T' at place 0" in capsys.readouterr().err


def test_exact_enumerates_a_small_run(place, capsys):
    assert run("exact", place / "sequences", "--levels", 0.3) == 0
    number = float(capsys.readouterr().out.splitlines()[-1].split()[1])
    saved = dca.load_kernel(place / "sequences/model").double()
    exact = dca.diagnostics.exact
    tokens = torch.from_numpy(np.load(place / "tokens.npy"))
    law = torch.bincount((tokens * 3 ** torch.arange(4, -1, -1)).sum(1), minlength=243) / 40
    P = exact.transition_matrix(saved, (5,), 0.3)
    target = exact.noisy_law(law.double(), saved.corruption, (5,), 0.3)
    wanted = exact.total_variation(exact.stationary_distribution(P), target)
    assert number == pytest.approx(wanted, abs=1e-4)


def test_a_dry_run_writes_nothing(tmp_path, capsys):
    words = ("train", tmp_path / "dry", "--net.widths", 8, "--net.head-width", 8, "--dry-run")
    assert run(*words, "--train.minutes", 1, "--train.batch-size", 4) == 0
    said = capsys.readouterr().out
    assert '"source": "binarized_mnist"' in said and "ms a step" in said
    assert not (tmp_path / "dry").exists()


def test_flags_change_what_the_file_says(tmp_path, capsys):
    (tmp_path / "run.toml").write_text("[train]\nminutes = 2\nseed = 5\n[kernel]\nhold = 0.5\n")
    words = ("train", tmp_path / "dry", "--config", tmp_path / "run.toml", "--train.steps", 7)
    extra = ("--train.lr", "1e-3", "--net.widths", 8, "--net.head-width", 8, "--dry-run")
    assert run(*words, *extra, "--train.batch-size", 4) == 0
    text = capsys.readouterr().out
    found = json.loads(text[text.index("{") : text.rindex("}") + 1])
    assert found["train"]["steps"] == 7 and found["train"]["minutes"] is None
    assert found["train"]["learning_rate"] == 1e-3 and found["train"]["seed"] == 5
    assert found["kernel"]["hold"] == 0.5


REFUSED = [
    (("sample", "{place}/none"), "run '{place}/none' is not a folder"),
    (("sample", "{place}/images", "--out", "x.jpg"), "out was x.jpg; allowed: a name ending"),
    (
        ("sample", "{place}/sequences", "--out", "x.png"),
        "states have shape (5,); allowed: .npz .npy .txt",
    ),
    (("sample", "{place}/images", "--shape", "-3", "8"), "shape was (-3, 8); allowed: numbers"),
    (("variants", "{place}/sequences", "--design", "test:0"), "allowed with MNIST digits: K = 2"),
    (("variants", "{place}/sequences", "--design", "o.txt", "--out", "./o.txt"), "which is read"),
    (("inpaint", "{place}/images", "--mask", "{place}/images.toml"), "allowed: .npy, .npz, .pt"),
    (("train", "{place}/model-only", *FAST), "holds a finished run"),
    (("sample", "{place}/images", "--hold", "2"), "hold was 2.0; allowed: [0, 1]"),
    (("sample", "{place}/images", "--count", "0"), "count was 0"),
    (("sample", "{place}/images", "--label", "1"), "label was given"),
    (("variants", "{place}/images", "--design", "test:0"), "has shape (28, 28); allowed: (8, 12)"),
    (("variants", "{place}/images", "--design", "none.npy"), "none.npy"),
    (("inpaint", "{place}/images"), "nothing says which sites to draw"),
    (("inpaint", "{place}/images", "--box", "2", "2", "0", "4"), "--box was (2, 2, 0, 4)"),
    (("inpaint", "{place}/images", "--box", "0", "9", "0", "4"), "--box was (0, 9, 0, 4)"),
    (("eval", "{place}/images", "--kind", "tokens"), "data of shape (8, 12), K = 2; allowed: (T,)"),
    (("eval", "{place}/images", "--kind", "image"), "unknown kind 'image'; did you mean 'images'"),
    (("eval", "{place}/images", "--split", "train"), "which the run was trained on"),
    (("eval", "{place}/images", "--samples", "3"), "samples was 3; allowed: a whole number >= 4"),
    (("train", "{place}/images", *FAST), "holds a finished run; allowed: a new folder (in Python"),
    (("train", "{place}/new", "--config", "{place}/none.toml"), "none.toml' cannot be read"),
    (("train", "{place}/new", "--config"), "--config was given without a file"),
    (("train", "{place}/new", "--data", "binarised_mnist"), "did you mean 'binarized_mnist'"),
    (("train", "{place}/new", "--net", "cnn"), "unknown net 'cnn'"),
    (("train", "{place}/new", "--config", "mnist-16"), "recipe 'mnist-16'; did you mean 'mnist16'"),
    (("push", "{place}/images", "name"), "repo_id was 'name'; allowed: 'user/name'"),
    (("push", "{place}/none", "user/name", "--dry-run"), "run '{place}/none' is not a folder"),
]


@pytest.mark.parametrize(("words", "message"), REFUSED)
def test_what_is_refused_is_named_in_one_line(place, words, message, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert main([word.format(place=place) for word in words]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and said.count("\n") == 1
    assert message.format(place=place) in said
    assert not (place / "new").exists()


MISTYPED = [
    ("sampel", "did you mean sample? (discrete-ca --help"),
    ("train x --train.step 3", "--train.step, 3; did you mean --train.steps? (discrete-ca train"),
    ("train x --batch-size 3", "did you mean --train.batch-size?"),
    ("sample x --n 4", "did you mean --count?"),
    ("sample x --design y", "options: --design y"),
    ("train x --train.batch-size 0", "error: batch_size was 0; allowed: a whole number >= 1"),
    ("train x --train.steps few", "--train.steps"),
    ("inpaint x --box 1 2", "--box"),
    ("train", "PATH"),
    ("", "train, sample"),
]


@pytest.mark.parametrize(("words", "message"), MISTYPED)
def test_mistyped_arguments_are_named_in_one_line(words, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(words.split()) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and said.count("\n") == 1
    assert message in said and "tyro" not in said and "│" not in said


def test_help_is_shown(capsys):
    assert main(["--help"]) == 0
    assert "train" in capsys.readouterr().out


def test_debug_shows_the_traceback(tmp_path):
    with pytest.raises(dca.errors.CheckpointError):
        main(["info", str(tmp_path / "none"), "--debug"])


def test_an_interrupted_run_goes_on_with_resume(tmp_path, monkeypatch, capsys):
    np.save(tmp_path / "tokens.npy", np.zeros((20, 3), dtype=np.int64))
    words = ("train", tmp_path / "run", "--data", tmp_path / "tokens.npy", *FAST)
    update = dca.Trainer._update

    def interrupting(self, *batch):
        if self.step == 2:
            signal.raise_signal(signal.SIGINT)
        return update(self, *batch)

    monkeypatch.setattr(dca.Trainer, "_update", interrupting)
    assert run(*words) == 130
    said = capsys.readouterr().err
    assert "interrupted: step 3 is saved in" in said and "go on with --resume" in said
    assert not (tmp_path / "run/run.json").exists()
    monkeypatch.undo()
    assert run(*words) == 2  # it is there already
    assert "pass --resume" in capsys.readouterr().err
    assert run(*words, "--resume", "--kernel.hold", 0.1) == 2
    assert "kernel.hold was 0.1, but the run in" in capsys.readouterr().err
    assert run("train", tmp_path / "run", "--resume") == 0  # its settings are remembered
    assert json.loads((tmp_path / "run/run.json").read_text())["training"]["steps"] == 4


def test_a_fault_of_the_program_is_one_line_too(monkeypatch, capsys):
    def faulty(given):
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr("discrete_ca.cli._parse", faulty)
    assert main(["info", "x"]) == 1
    assert capsys.readouterr().err == (
        "error: unexpected ZeroDivisionError('by zero'); --debug shows where\n"
    )


def test_samples_of_a_sequence_are_text_unless_said(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run("sample", place / "sequences", "--count", 2, "--moves", 2) == 0
    assert len((tmp_path / "out.txt").read_text().splitlines()) == 2


def test_data_on_disk_and_streams(place, tmp_path, capsys):
    on_disk = ("--data", place / "tokens.npy", "--data.no-in-memory", "--data.held-out", 4)
    assert run("train", tmp_path / "a", *on_disk, *FAST, "--train.workers", 1) == 0
    assert "MappedData('tokens', N=36" in capsys.readouterr().out
    rows = {"states": np.load(place / "tokens.npy").tolist(), "label": [0, 1] * 20}
    features = Features(
        {"states": List(Value("int64"), length=5), "label": ClassLabel(names=["a", "b"])}
    )
    Dataset.from_dict(rows, features=features).save_to_disk(tmp_path / "rows")
    stream = ("--data", tmp_path / "rows", "--data.streaming", "--data.num-categories", 3)
    words = ("train", tmp_path / "b", *stream, *FAST, "--train.observe-every", 2, "--net.labels")
    assert run(*words) == 0
    assert "StreamedData('rows', shape=(5,)" in capsys.readouterr().out
    assert json.loads((tmp_path / "b/run.json").read_text())["data"]["count"] is None
    assert run("info", tmp_path / "b") == 0
    assert run("sample", tmp_path / "b", "--label", 1, "--out", tmp_path / "y.npy") == 0
    assert run("train", tmp_path / "c", *stream, *FAST) == 0
    assert run("exact", tmp_path / "c") == 2
    assert "was trained on a stream, whose law is not known" in capsys.readouterr().err
    assert run("train", tmp_path / "d", *stream, *FAST, "--data.held-out", 4) == 2
    assert "held_out was 4 with streaming; allowed: 0" in " ".join(capsys.readouterr().err.split())


def test_metropolis_steps(place, tmp_path, capsys):
    words = ("sample", place / "images", "--metropolis", "--moves", 3, "--out", tmp_path / "x.npy")
    assert run(*words) == 0
    assert "13 network evaluations each" in capsys.readouterr().out
    assert run("eval", place / "images", "--samples", 4, "--moves", 2, "--metropolis") == 0
    assert "Metropolis steps taken" in capsys.readouterr().out
    assert run("sample", place / "sequences", *words[2:]) == 2
    assert "rules out categories by a state" in capsys.readouterr().err


def test_exact_refuses_kernels_that_are_told_labels(tmp_path, capsys):
    np.savez(tmp_path / "x.npz", states=np.zeros((20, 3), dtype=int), labels=np.arange(20) % 2)
    words = ("train", tmp_path / "run", "--data", tmp_path / "x.npz", "--net.labels", *FAST)
    assert run(*words) == 0
    assert run("exact", tmp_path / "run") == 2
    assert "is told labels" in capsys.readouterr().err
    guided = (
        "sample",
        tmp_path / "run",
        "--guidance",
        2,
        "--moves",
        4,
        "--out",
        tmp_path / "y.npy",
    )
    assert run(*guided) == 2
    assert "guidance was 2.0; allowed: 0 without --label" in capsys.readouterr().err
    assert run(*guided, "--label", 1, "--correctors", 1) == 0
    assert "18 network evaluations each" in capsys.readouterr().out


def test_a_design_is_told_its_own_class(tmp_path, capsys):
    np.savez(tmp_path / "x.npz", states=np.eye(20, 3, dtype=int), labels=np.arange(20) % 2)
    words = ("train", tmp_path / "run", "--data", tmp_path / "x.npz", "--net.labels", *FAST)
    assert run(*words) == 0

    def drawn(design, *label):
        out = tmp_path / "y.npy"
        words = ("variants", tmp_path / "run", "--design", f"{tmp_path}/{design}", *label)
        assert run(*words, "--level", 0.9, "--count", 64, "--out", out) == 0
        said = " ".join(capsys.readouterr().out.split())
        return np.load(out).tolist(), "of class 1, which is told (--label -1: none)" in said

    found, said = drawn("x.npz:3")
    assert said and drawn("x.npz:3", "--label", 1) == (found, False)
    assert drawn("x.npz:3", "--label", -1) != (found, False)
    np.save(tmp_path / "bare.npy", np.eye(20, 3, dtype=int))
    assert drawn("bare.npy:3") == drawn("x.npz:3", "--label", -1)
    guided = ("variants", tmp_path / "run", "--guidance", 1, "--out", tmp_path / "z.npy")
    assert run(*guided, "--design", f"{tmp_path}/x.npz:3") == 0
    assert run(*guided, "--design", f"{tmp_path}/bare.npy:3") == 2
    assert "guidance was 1.0; allowed: 0 without --label" in capsys.readouterr().err


def test_eval_measures_guided_samples(place, tmp_path, capsys):
    rows = np.random.default_rng(0).integers(0, 3, (40, 4))
    np.savez(tmp_path / "x.npz", states=rows, labels=np.arange(40) % 2)
    folder = tmp_path / "run"
    assert run("train", folder, "--data", tmp_path / "x.npz", "--net.labels", *FAST) == 0
    words = ("--samples", 20, "--moves", 4, "--correctors", 1)
    found = {}
    for guidance in (0, 3):
        assert run("eval", folder, *words, "--guidance", guidance) == 0
        found[guidance] = json.loads((folder / "eval.json").read_text())
    assert "guidance by the labels, g" in capsys.readouterr().out
    assert found[3]["nfe"] == 2 * found[0]["nfe"] == 18
    assert found[3]["guidance"] == 3 and "guidance" not in found[0]
    assert found[3]["divergence_2"] != found[0]["divergence_2"]  # they are other samples
    assert found[3]["divergence_2_floor"] == found[0]["divergence_2_floor"]
    kept = (folder / "eval.json").read_bytes()
    assert run("eval", folder, *words, "--guidance", -1) == 2
    assert "guidance was -1.0; allowed: a number >= 0" in capsys.readouterr().err
    assert (folder / "eval.json").read_bytes() == kept
    assert run("eval", place / "sequences", *words, "--guidance", 2) == 2
    assert "guidance was 2.0; allowed: 0 where no label is told" in capsys.readouterr().err


def test_recipes_are_listed_and_taken_by_name(tmp_path, capsys):
    assert run("recipes") == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [*recipes()]
    words = ("train", tmp_path / "dry", "--config", "mnist16", "--dry-run", "--kernel.hold", 0.5)
    small = ("--net.widths", 8, "--net.head-width", 8, "--train.batch-size", 4)
    assert run(*words, *small) == 0
    said = capsys.readouterr().out
    assert '"source": "mnist16"' in said and '"hold": 0.5' in said


def test_a_dry_run_of_push_says_what_would_be_sent(place, hub, capsys):
    assert run("push", place / "images", "user/name", "--dry-run", "--license", "mit") == 0
    said = capsys.readouterr().out
    for name in ("README.md", "config.json", "model.safetensors", "run.json"):
        assert f"bytes  {name}" in said
    assert "license: mit" in said and "mask[..., 4:, :] = True" in said
    assert hub.calls == []


def test_commands_take_a_name_on_the_hub(place, hub, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run("push", place / "sequences", "user/name", "--private") == 0
    assert "Sent to https://huggingface.co/user/name/commit/1" in capsys.readouterr().out
    assert "user/name" in hub.private
    assert run("info", "user/name") == 0
    assert "discrete-ca inpaint user/name --design FILE:0 --span 0 2" in capsys.readouterr().out
    words = ("sample", "--count", 2, "--moves", 2, "--out")
    assert run(words[0], "user/name", *words[1:], "x.npy") == 0
    assert run(words[0], place / "sequences", *words[1:], "y.npy") == 0
    assert (tmp_path / "x.npy").read_bytes() == (tmp_path / "y.npy").read_bytes()
    assert run("sample", "user/none") == 2
    assert "there is no folder 'user/none'" in capsys.readouterr().err


def test_eval_writes_beside_a_run_and_only_tells_of_the_hub(hub, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    net = dca.nn.UNet(2, 2, widths=(8,), head_width=8)
    kernel = dca.CategoricalNoiseKernel(net, dca.corruption.Uniform(2))
    kernel.save_pretrained(tmp_path / "run")
    (tmp_path / "run/run.json").write_text('{"data": {"shape": [28, 28]}}')
    kernel.push_to_hub("user/name", shape=(28, 28))
    settings = ("--samples", 40, "--moves", 2, "--correctors", 0)
    for name in ("run", "user/name"):
        assert run("eval", name, *settings) == 0
        said = capsys.readouterr().out
        assert "judge's confident share (>= 0.9)" in said and "NFE" in said
    report = json.loads((tmp_path / "run/eval.json").read_text())
    budget = {name: report[name] for name in ("samples", "moves", "correctors", "nfe")}
    assert budget == {"samples": 40, "moves": 2, "correctors": 0, "nfe": 3}
    assert not (tmp_path / "user").exists()


def test_eval_takes_the_measures_that_suit(place, tmp_path, capsys):
    settings = ("--samples", 20, "--moves", 2, "--correctors", 0)
    assert run("eval", place / "images", *settings) == 0
    said = capsys.readouterr().out
    assert said.splitlines()[0].split() == ["measure", "samples", "real"]
    assert "precision" in said and "half of what was trained on: 6" in said
    assert "6 were measured: as many as there are real examples" in said
    report = json.loads((place / "images/eval.json").read_text())
    assert report["samples"] == 6 and report["nfe"] == 3  # no more than there are real ones
    assert report.keys() >= {"mmd_hamming", "mmd_hamming_floor", "recall", "recall_floor"}
    assert run("eval", place / "sequences", *settings) == 0
    report = json.loads((place / "sequences/eval.json").read_text())
    assert report["samples"] == 20 and "share_of_copies_test" in report
    assert "3-grams that real examples have" in capsys.readouterr().out
    assert report.keys() >= {"divergence_2", "divergence_2_floor", "cross_entropy_5", "seen_3"}
    assert run("eval", place / "sequences", *settings) == 0  # the seed is the same
    again = json.loads((place / "sequences/eval.json").read_text())
    assert {**again, "seconds": 0} == {**report, "seconds": 0}


def test_eval_of_music_with_held_out_scores(tmp_path, capsys):
    g = np.random.default_rng(0)
    np.save(tmp_path / "scores.npy", g.integers(0, 30, (24, 4, 6)))
    words = ("train", tmp_path / "run", "--data", tmp_path / "scores.npy", "--net", "mlp")
    assert run(*words, "--data.held-out", 8, "--train.observe-every", 0, *FAST) == 0
    settings = ("--samples", 8, "--moves", 2, "--correctors", 0, "--lowest", 47, "--rest", 0)
    assert run("eval", tmp_path / "run", *settings) == 0
    said = capsys.readouterr().out
    assert "parallel fifths a bar of 16 steps" in said and "held out: 8" in said
    report = json.loads((tmp_path / "run/eval.json").read_text())
    assert report["share_of_copies_test"] == 0.0 and 0 < report["held_floor"] < 0.2
    assert run("eval", tmp_path / "run", *settings, "--kind", "images") == 0
    assert "precision" in json.loads((tmp_path / "run/eval.json").read_text())


def test_a_run_goes_on_wherever_its_folder_stands_and_whatever_was_left(
    place, tmp_path, monkeypatch, capsys
):
    folder = tmp_path / "left"
    data = ["--data", place / "tokens.npy", "--corruption", "absorbing"]
    with monkeypatch.context() as patched:
        patched.setattr("discrete_ca.runs.folder.describe", None)
        patched.setattr("discrete_ca.runs.describe", lambda *given: 1 / 0)
        assert run("train", folder, *data, *FAST) != 0  # cut off after model/ was written
    assert (folder / "model").is_dir() and not (folder / "run.json").exists()
    assert run("train", folder, *data, *FAST) == 2
    assert "holds a finished run" in capsys.readouterr().err
    assert run("train", "--train.steps", "6", folder, "--resume") == 0
    assert json.loads((folder / "run.json").read_text())["training"]["steps"] == 6
    assert run("train", folder, "--resume") == 2


class Blur(dca.corruption.Corruption):
    """Remembers at level 1 where it came from."""

    def matrix(self, level):
        eye = torch.eye(self.num_categories, dtype=torch.float64)
        return (1 - level / 4) * eye + level / 4 * eye.roll(1, 1)


def test_runs_without_an_exact_start_are_watched_without_samples(place, tmp_path):
    folder = tmp_path / "blurred"
    noise = ["--corruption", "tests.cli.test_cli:Blur", "--train.observe-every", "2"]
    images = ["--config", place / "images.toml"]
    assert run("train", folder, *images, *noise, *FAST) == 0
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert any("changed/0.3" in row for row in rows) and not (folder / "observed").exists()


def test_runs_that_are_not_there_or_have_not_ended_are_named(place, tmp_path, capsys):
    assert run("train", tmp_path / "nowhere", "--resume") == 2
    assert "holds no run to go on with" in capsys.readouterr().err
    assert not (tmp_path / "nowhere").exists()
    runs.remember(tmp_path / "begun", runs.RunConfig())
    assert run("sample", tmp_path / "begun") == 2
    assert "has not ended; go on with it: discrete-ca train" in capsys.readouterr().err


def test_the_best_weights_of_a_run_are_run_by_their_folder(place, tmp_path):
    folder = tmp_path / "run"
    best = ["--data.held-out", "4", "--train.observe-every", "2", "--train.best", "held_out"]
    assert run("train", folder, "--data", place / "tokens.npy", *best, *FAST) == 0
    assert run("sample", folder / "best", "--count", "3", "--out", tmp_path / "s.npy") == 0
    assert np.load(tmp_path / "s.npy").shape == (3, 5)
