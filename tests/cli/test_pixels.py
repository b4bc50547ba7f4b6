"""The command line on colour pictures, many grey levels and real-valued data."""

import json

import numpy as np
import pytest
from PIL import Image

import discrete_ca as dca
from tests.cli.helpers import run

FAST = ["--train.steps", "2", "--train.batch-size", "4", "--train.no-progress"]
SMALL = ["--net.widths", "8", "--net.head-width", "8"]
FEW = ["--moves", "2", "--correctors", "1"]


def opened(path):
    with Image.open(path) as image:
        return np.asarray(image)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Twelve coloured pictures of 8 x 8 in two classes."""
    folder = tmp_path_factory.mktemp("pixels") / "pictures"
    g = np.random.default_rng(0)
    for i in range(12):
        place = folder / ("disc", "square")[i % 2]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(g.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(place / f"{i}.png")
    return folder


COLOUR = {
    "16 levels": ["--data.quantize", "16", "--corruption", "ordinal", "--net.labels"],
    "256 levels": ["--corruption", "ordinal", "--net.components", "2", "--recipe", "half"],
    "real": ["--kernel", "gaussian", "--recipe", "half", "--kernel.noise", "preserving"],
}  # fmt: skip


@pytest.mark.parametrize("form", COLOUR)
def test_colour_pictures_all_the_way(pictures, tmp_path, form):
    place, design = tmp_path / "run", pictures / "disc/4.png"
    observed = ["--data.held-out", "4", "--train.observe-every", "2"]
    assert run("train", place, "--data", pictures, *COLOUR[form], *SMALL, *FAST, *observed) == 0
    assert sorted(p.name for p in (place / "observed").iterdir())[-1].endswith(".png")
    rows = [json.loads(line) for line in (place / "metrics.jsonl").read_text().splitlines()]
    assert all(np.isfinite(row["held_out"]) for row in rows if "held_out" in row)
    label = ["--label", "1"] if "labels" in str(COLOUR[form]) else []
    png = tmp_path / "samples.png"
    assert run("sample", place, "--count", 3, *FEW, *label, "--out", png) == 0
    assert opened(png).shape[2] == 3
    npz = tmp_path / "x.npz"
    given = ["--design", design, *label, "--out", npz]
    assert run("variants", place, *given, "--count", 2, "--steps", 1) == 0
    assert run("inpaint", place, *given, "--box", 0, 4, 0, 8, "--count", 2, *FEW) == 0
    filled = np.load(npz)["states"]
    assert filled.shape == (2, 3, 8, 8)
    pixels = opened(design).transpose(2, 0, 1)[:, 4:]
    expected = {
        "16 levels": pixels // 16, "256 levels": pixels, "real": pixels / 255 * 2 - 1
    }[form]  # fmt: skip
    assert np.allclose(filled[:, :, 4:], expected, atol=1e-6)
    again = ["--design", f"{npz}:1", *label, "--out", tmp_path / "film.gif"]
    assert run("variants", place, *again, "--count", 2, "--steps", 1) == 0
    assert run("info", place) == 0


def test_points_of_real_numbers(tmp_path, capsys):
    points = np.random.default_rng(1).normal(size=(40, 2)).astype(np.float32)
    np.save(tmp_path / "points.npy", points)
    data, place = tmp_path / "points.npy", tmp_path / "run"
    settings = ["--data", data, "--kernel", "gaussian", "--recipe", "half", *FAST]
    assert run("train", place, *settings, "--train.observe-every", "2") == 0
    about = json.loads((place / "run.json").read_text())
    assert about["config"]["data"]["continuous"] is True
    assert about["data"]["num_categories"] is None
    out = tmp_path / "points.txt"
    assert run("sample", place, "--count", 5, *FEW, "--out", out) == 0
    assert np.loadtxt(out).shape == (5, 2)
    capsys.readouterr()
    assert run("variants", place, "--design", f"{data}:3", "--hold", "0.2", "--out", out) == 0
    assert "from the design at a site (root mean square)" in capsys.readouterr().out
    found = tmp_path / "filled.npy"
    given = ["--design", f"{out}:0", "--span", 0, 1, "--out", found, *FEW]
    assert run("inpaint", place, *given) == 0
    kept = np.load(found)[:, 1]
    assert np.allclose(kept, np.loadtxt(out)[0, 1]) and len(kept) == 8
    again = tmp_path / "again.npy"
    for name in (found, again):
        assert run("sample", place, "--count", 4, *FEW, "--out", name, "--seed", 3) == 0
    assert found.read_bytes() == again.read_bytes()
    assert run("train", place, *settings, "--resume") == 2  # it is finished


def test_a_kernel_of_the_users_own_over_real_numbers(tmp_path, monkeypatch):
    (tmp_path / "drift.py").write_text(
        "import torch\nimport discrete_ca as dca\n"
        "class Drift(dca.TransitionKernel):\n"
        "    def __init__(self, shape):\n"
        "        super().__init__()\n"
        "        self.mean = torch.nn.Parameter(torch.zeros(shape))\n"
        "    def transition(self, x, level, target_level=None, label=None, known=None):\n"
        "        mean = self.mean + 0.5 * x\n"
        "        return dca.distributions.Normal(mean, torch.ones_like(mean))\n"
    )
    np.save(tmp_path / "x.npy", np.zeros((8, 3)))
    monkeypatch.chdir(tmp_path)
    words = ["--kernel", "drift:Drift", "--data.continuous", "True", "--recipe", "adjustment"]
    assert run("train", "run", "--data", "x.npy", *words, *FAST) == 0
    design = ["--design", "x.npy:0", "--trust-code", "--out", "out.npy", "--steps", 2]
    assert run("variants", "run", *design) == 0
    assert np.load("out.npy").dtype.kind == "f"


def test_256_grey_levels_from_arrays(tmp_path):
    np.save(tmp_path / "grey.npy", np.random.default_rng(2).random((8, 8, 8)))
    words = ["--data", tmp_path / "grey.npy", "--data.quantize", 256, "--corruption", "ordinal"]
    words += ["--net.components", 1, "--recipe", "denoising", *SMALL, *FAST]
    assert run("train", tmp_path / "run", *words) == 0
    assert run("sample", tmp_path / "run", "--count", 2, *FEW, "--out", tmp_path / "s.npy") == 0
    found = np.load(tmp_path / "s.npy")
    assert found.dtype == np.int64 and 0 <= found.min() and found.max() < 256
    design = ["--design", f"{tmp_path / 'grey.npy'}:2", "--out", tmp_path / "v.png"]
    assert run("variants", tmp_path / "run", *design, "--count", 2, "--steps", 1) == 0


REFUSED = [
    (["--kernel", "gaussian", "--recipe", "head"],
     "recipe.kind was head with kernel.kind gaussian; allowed: denoising, half"),
    (["--kernel", "gaussian", "--recipe", "half", "--data.continuous", "False"],
     "kernel.kind was gaussian, but data.continuous was false"),
    (["--data.continuous", "True"], "kernel.kind was categorical, but data.continuous was true"),
    (["--kernel", "gaussian", "--recipe", "half", "--kernel.noise", "linaer"],
     "did you mean 'linear'"),
    (["--kernel", "gaussian", "--recipe", "half", "--data.quantize", "4"],
     "data.quantize was 4; allowed: None, data.continuous being true"),
    (["--data.value-range", "0", "1"],
     "data.value_range was (0.0, 1.0); allowed: None without data.quantize"),
    (["--net.components", "-1"], "net.components was -1; allowed: >= 0"),
    (["--kernel", "gauss"], "did you mean 'gaussian'"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "message"), REFUSED)
def test_what_does_not_go_together_is_refused(pictures, tmp_path, capsys, words, message):
    assert run("train", tmp_path / "run", "--data", pictures, *words, *SMALL, *FAST) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run/run.json").exists()


def test_digits_of_grey_levels_are_measured_in_black_and_white(tmp_path):
    kernel = dca.GaussianNoiseKernel(dca.nn.UNet(2, None, widths=(8,), head_width=8))
    kernel.save_pretrained(tmp_path / "run/model")
    about = {"data": {"name": "mnist16", "shape": [28, 28]}}
    (tmp_path / "run/run.json").write_text(json.dumps(about))
    words = ["--samples", 4, "--moves", 1, "--correctors", 0]
    assert run("eval", tmp_path / "run", *words) == 0
    report = json.loads((tmp_path / "run/eval.json").read_text())
    assert 0 <= report["confident_share"] <= 1 and report["share_of_copies"] == 0
    assert "test" in report["reference"]
