"""The autoregressive kernel and ranges of holds on the command line."""

import json

import numpy as np
import pytest
import torch

import discrete_ca as dca
from discrete_ca.kernels import LinearNoise
from tests.cli.helpers import run

FAST = ["--train.steps", "3", "--train.batch-size", "8", "--train.no-progress"]
SMALL = ["--net.width", "16", "--net.depth", "1"]
WRITER = ["--kernel", "autoregressive", "--recipe", "renoising"]


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """Forty rows of five sites in three categories."""
    path = tmp_path_factory.mktemp("kernels") / "rows.npy"
    np.save(path, np.random.default_rng(0).integers(0, 3, (40, 5)))
    return path


@pytest.mark.parametrize("noise", ["uniform", "absorbing", "tokens"])
def test_the_autoregressive_kernel_all_the_way(rows, tmp_path, noise):
    place, out = tmp_path / "run", tmp_path / "x.npy"
    observed = ["--data.held-out", 8, "--train.observe-every", 3]
    words = ["--corruption", noise, *WRITER, *SMALL, *FAST, *observed]
    assert run("train", place, "--data", rows, *words) == 0
    settings = json.loads((place / "run.json").read_text())["config"]
    assert settings["kernel"]["hold"] == 0 and settings["data"]["continuous"] is False
    few = ["--moves", 2, "--out", out]
    assert run("sample", place, "--count", 3, *few) == 0
    assert np.load(out).shape == (3, 5) and np.load(out).max() < 3
    assert run("inpaint", place, "--design", f"{rows}:7", "--span", 1, 3, *few) == 0
    assert (np.load(out)[:, [0, 3, 4]] == np.load(rows)[7, [0, 3, 4]]).all()
    given = ["--design", f"{rows}:7", "--steps", 1, "--hold", 1, "--level", 0, "--out", out]
    assert run("variants", place, *given) == 0
    assert run("eval", place, "--samples", 4, "--moves", 1, "--hold", 0.5) == 0


def test_an_autoregressive_run_is_enumerated(tmp_path, capsys):
    np.save(tmp_path / "bits.npy", np.random.default_rng(0).integers(0, 2, (20, 3)))
    words = ["--data", tmp_path / "bits.npy", *WRITER, *SMALL, *FAST]
    assert run("train", tmp_path / "run", *words) == 0
    assert run("exact", tmp_path / "run", "--levels", 0.3) == 0
    assert 0 < float(capsys.readouterr().out.splitlines()[-1].split()[1]) < 1


def test_an_autoregressive_kernel_writes_pictures_too(tmp_path):
    np.save(tmp_path / "grey.npy", np.random.default_rng(0).integers(0, 2, (12, 4, 6)))
    data = ["--data", tmp_path / "grey.npy", "--net", "transformer", "--net.heads", 2]
    assert run("train", tmp_path / "run", *data, *WRITER, *SMALL, *FAST) == 0
    assert dca.load_kernel(tmp_path / "run/model").net.shape == (4, 6)


@pytest.mark.parametrize("recipe", ["head", "half", "adjustment", "renoising"])
def test_one_run_for_a_range_of_holds(rows, tmp_path, recipe):
    """A head is told where there is one, else the network; the hold at run time matters."""
    writer = ["--kernel", "autoregressive"] if recipe == "renoising" else []
    words = ["--recipe", recipe, "--recipe.holds", 0, 0.9, *writer, *SMALL, *FAST]
    assert run("train", tmp_path / "run", "--data", rows, *words) == 0
    kernel = dca.load_kernel(tmp_path / "run/model")
    told = kernel.adjustment if recipe == "head" else kernel.net
    assert "hold" in told.accepts
    assert ("hold" in kernel.net.accepts) == (recipe != "head")
    with torch.no_grad():  # three steps teach little: let what is told matter
        for parameter in told.parameters():
            parameter.normal_(std=0.3)
    kernel.hold = 0.9
    x = torch.randint(0, 3, (64, 5), generator=torch.Generator().manual_seed(0))
    y = x.roll(1, 0)
    by_default = kernel.transition(x, 0.4).log_prob(y)
    kernel.hold = 0.1
    assert torch.equal(kernel.transition(x, 0.4, hold=0.9).log_prob(y), by_default)
    read_outs = [kernel.transition(x, 0.4, hold=h).read_out.log_prob(x) for h in (0.1, 0.9)]
    same = torch.equal(*read_outs)  # whole networks may say another z, the others may not
    assert same == (recipe in ("head", "renoising"))
    out = tmp_path / "x.npy"
    drawn = []
    for hold in (0.1, 0.9):
        words = ["--count", 8, "--moves", 2, "--hold", hold, "--out", out]
        assert run("sample", tmp_path / "run", *words) == 0
        drawn.append(np.load(out))
    assert (drawn[0] != drawn[1]).any()


def test_real_numbers_have_holds_too(tmp_path, capsys):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(20, 2)))
    words = ["--kernel", "gaussian", "--recipe", "half", "--recipe.holds", 0.1, 0.9, *FAST]
    assert run("train", tmp_path / "run", "--data", tmp_path / "x.npy", *words) == 0
    kernel = dca.load_kernel(tmp_path / "run/model")
    assert kernel.told_known and "hold" in kernel.net.accepts
    assert isinstance(kernel.noise, LinearNoise) and kernel.hold == 0.8
    words[words.index(0.9)] = 1
    assert run("train", tmp_path / "other", "--data", tmp_path / "x.npy", *words) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "recipe.holds was (0.1, 1.0); allowed with real numbers: below 1" in said


REFUSED = [
    (["--kernel", "autoregressive"],
     "recipe.kind was denoising with kernel.kind autoregressive; allowed: renoising"),
    (["--recipe", "renoising"], "recipe.kind was renoising with kernel.kind categorical; allowed"),
    ([*WRITER, "--net", "mlp"], "net was a MLP; allowed: a network that writes sites one after"),
    ([*WRITER, "--net.width", "12"], "net.width was 12 with net.heads = 4"),
    ([*WRITER, "--net.depth", "0"], "net.depth was 0; allowed: >= 1"),
    (["--recipe", "head", "--recipe.holds", "0.9", "0.1"],
     "holds was (0.9, 0.1); allowed: (low, high) within [0, 1]"),
    (["--recipe", "denoising", "--recipe.holds", "0", "1"], "with recipe.kind denoising; allowed"),
    (["--kernel", "autoregresive"], "did you mean 'autoregressive'"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "message"), REFUSED)
def test_what_does_not_go_together_is_refused(rows, tmp_path, capsys, words, message):
    assert run("train", tmp_path / "run", "--data", rows, *words, *FAST) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run/settings.json").exists()


def test_a_range_in_a_file_has_two_numbers(rows, tmp_path, capsys):
    (tmp_path / "run.toml").write_text(
        f'[data]\nsource = "{rows}"\n[recipe]\nholds = [0.0, 0.5, 0.9]\n'
    )
    assert run("train", tmp_path / "run", "--config", tmp_path / "run.toml", *FAST) == 2
    assert "recipe.holds was [0.0, 0.5, 0.9]; allowed: tuple[float, float]" in (
        " ".join(capsys.readouterr().err.split())
    )
