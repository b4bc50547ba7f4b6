"""Runs as plain data: what is refused, and what is built."""

import json
import sys

import pytest
import torch

import discrete_ca as dca
from discrete_ca import runs
from discrete_ca.data import DiscreteData
from discrete_ca.errors import CheckpointError, ConfigError
from discrete_ca.runs import RunConfig, build_kernel, build_schedule
from discrete_ca.serialization import Configured

SEQUENCES = DiscreteData(torch.randint(0, 3, (20, 6)), 3, labels=torch.arange(20) % 4)
IMAGES = DiscreteData(torch.randint(0, 2, (20, 8, 12)), 2)


class Leak(dca.corruption.Corruption):
    """A user's own noise."""

    def __init__(self, num_categories):
        super().__init__(num_categories)

    def matrix(self, level):
        k = self.num_categories
        return (1 - level) * torch.eye(k, dtype=torch.float64) + level / k


class Free(Configured, torch.nn.Module):
    """A user's own network."""

    def __init__(self, num_categories, shape):
        super().__init__()
        self.logits = torch.nn.Parameter(torch.zeros(*shape, num_categories))

    def forward(self, x, b):
        return self.logits.expand(len(x), *self.logits.shape)


class Forgetful(torch.nn.Module):
    """A network that does not record its arguments."""

    def __init__(self, num_categories):
        super().__init__()
        self.layer = torch.nn.Linear(1, num_categories)


class Redraw(dca.TransitionKernel):
    """A user's own kernel."""

    def __init__(self, num_categories):
        super().__init__()
        self.logits = torch.nn.Parameter(torch.zeros(num_categories))

    def transition(self, x, level, target_level=None, label=None, known=None):
        return dca.distributions.Categorical(self.logits.expand(*x.shape, -1))


def config(**parts):
    return RunConfig.from_dict(parts)


def test_defaults_and_round_trip():
    run = config(train={"steps": 5, "betas": [0.8, 0.9]}, net={"widths": [8]}, kernel={"hold": 1})
    assert run.train.minutes is None and run.train.betas == (0.8, 0.9)
    assert run.kernel.hold == 1.0 and isinstance(run.kernel.hold, float)
    assert RunConfig.from_dict(run.to_dict()) == run
    assert RunConfig.from_dict({}).train.minutes == 8.0


def test_toml(tmp_path):
    file = tmp_path / "run.toml"
    file.write_text('[data]\nsource = "mnist16"\n[train]\nminutes = 2\n')
    run = RunConfig.from_toml(file)
    assert run.data.source == "mnist16" and run.train.minutes == 2.0
    file.write_text("[data\n")
    with pytest.raises(ConfigError, match=r"run.toml' cannot be read"):
        RunConfig.from_toml(file)
    with pytest.raises(ConfigError, match="cannot be read"):
        RunConfig.from_toml(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"trian": {}}, "unknown key 'trian'; did you mean 'train'"),
        ({"train": {"stepz": 5}}, r"unknown key 'train.stepz'; did you mean 'train.steps'"),
        ({"train": 5}, "train was 5; allowed: a table of settings"),
        ({"train": {"steps": "5"}}, "train.steps was '5'; allowed: int | None"),
        ({"train": {"steps": True}}, "train.steps was True"),
        ({"train": {"batch_size": 2.5}}, "train.batch_size was 2.5; allowed: int"),
        ({"net": {"widths": [8, "a"]}}, r"net.widths\[1\] was 'a'; allowed: int"),
        ({"net": {"widths": 8}}, "net.widths was 8; allowed: tuple"),
        ({"kernel": {"carry_over": 1}}, "kernel.carry_over was 1; allowed: bool"),
        ({"train": {"steps": 0}}, "steps was 0"),
    ],
)
def test_bad_settings_are_refused_by_name(parts, message):
    with pytest.raises(ConfigError, match=message):
        config(**parts)


def test_networks_fit_the_data():
    assert isinstance(build_kernel(config(net={"widths": [8]}), IMAGES).net, dca.nn.UNet)
    kernel = build_kernel(config(kernel={"corruption": "absorbing"}), SEQUENCES)
    assert isinstance(kernel.net, dca.nn.MLP) and kernel.net.num_states == 4
    assert isinstance(kernel.adjustment, dca.nn.AdjustmentMLP)
    assert build_kernel(config(kernel={"head": False}), SEQUENCES).adjustment is None
    colour = DiscreteData(torch.randint(0, 4, (5, 3, 8, 8)), 4)
    net = build_kernel(config(net={"widths": [8]}, kernel={"corruption": "ordinal"}), colour).net
    assert net.channels == 3
    assert build_kernel(config(net={"labels": True}), SEQUENCES).told_label


TOKENS = DiscreteData(torch.randint(0, 5, (20, 16)), 5)
VOICES = DiscreteData(torch.randint(0, 5, (20, 4, 16)), 5)


def test_networks_fit_sequences():
    for data, channels in ((TOKENS, None), (VOICES, 4)):
        kernel = build_kernel(config(), data)
        assert isinstance(kernel.net, dca.nn.Transformer) and kernel.net.channels == channels
        assert isinstance(kernel.adjustment, dca.nn.AdjustmentHead) and kernel.adjustment.dims == 1
        assert kernel.told_known
        z = dca.sample(kernel, 2, data.shape, moves=2)
        assert z.shape == (2, *data.shape)
        conv = build_kernel(config(net={"kind": "conv", "depth": 3, "width": 8}), data).net
        assert isinstance(conv, dca.nn.DilatedConv) and len(conv.blocks) == 3
        flat = build_kernel(config(net={"kind": "mlp", "depth": 1}), data).net
        assert isinstance(flat, dca.nn.MLP) and len(flat.layers) == 1
    parts = {"depth": 2, "heads": 8, "width": 32, "tied": True}
    net = build_kernel(config(net=parts), TOKENS).net
    assert (len(net.blocks), net.blocks[0].heads, net.tied) == (2, 8, True)
    assert isinstance(build_kernel(config(net={"kind": "transformer"}), SEQUENCES).net.blocks[3],
                      dca.nn.transformer.Block)  # fmt: skip


def test_large_vocabularies_have_no_head():
    data = DiscreteData(torch.zeros(4, 16).long(), 2000)
    with pytest.raises(ConfigError, match="kernel.head was true, but the data have 2000 categ"):
        build_kernel(config(), data)
    assert build_kernel(config(kernel={"head": False}), data).adjustment is None


def test_texts(tmp_path):
    (tmp_path / "x.txt").write_text("to be or not to be")
    source = str(tmp_path / "x.txt")
    data = config(data={"source": source, "length": 6}).data.load()
    assert data.shape == (6,) and data.num_categories == 7
    plain = config(data={"source": source, "length": 9, "tokenizer": "bytes"}).data.load()
    assert plain.num_categories == 256
    for parts, message in (
        ({"source": source, "binarize": 3.0}, "data.binarize was 3.0, but .* is a text"),
        ({"source": source, "split": "test"}, "data.split was 'test', but .* 'train'"),
        ({"source": "mnist16", "length": 3}, "data.length was 3, but 'mnist16' is no text"),
        ({"source": "mnist16", "tokenizer": "bytes"}, "data.tokenizer was 'bytes'"),
    ):
        with pytest.raises(ConfigError, match=message):
            config(data=parts).data.load()


def test_a_run_of_text_keeps_its_tokenizer(tmp_path):
    data = dca.data.load_text(["to be or not to be"], length=6)
    kernel = build_kernel(config(net={"kind": "mlp"}), data)
    runs.save_model(tmp_path, kernel, data)
    saved = runs.load_run(tmp_path)
    assert saved.tokenizer.to_dict() == data.tokenizer.to_dict()
    assert runs.load_run(tmp_path / "model").tokenizer.size == 7
    dca.data.Characters("abc").save(tmp_path / "model")
    with pytest.raises(CheckpointError, match="tokenizer.json' has 3 categories; allowed: 7, as"):
        runs.load_run(tmp_path)
    (tmp_path / "model/tokenizer.json").unlink()
    assert runs.load_run(tmp_path).tokenizer is None


def test_users_own_classes_get_what_they_declare():
    here = __name__
    run = config(net={"kind": f"{here}:Free"}, kernel={"corruption": f"{here}:Leak", "head": False})
    kernel = build_kernel(run, SEQUENCES)
    assert isinstance(kernel.net, Free) and isinstance(kernel.corruption, Leak)
    assert kernel.net.logits.shape == (6, 3)
    assert isinstance(build_kernel(config(kernel={"kind": f"{here}:Redraw"}), SEQUENCES), Redraw)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"kernel": {"corruption": "unifrom"}}, "unknown corruption 'unifrom'; did you mean 'uni"),
        ({"kernel": {"corruption": "no.such:Noise"}}, "'no.such:Noise' cannot be imported"),
        ({"kernel": {"corruption": "math:pie"}}, "'math:pie' cannot be imported"),
        ({"net": {"kind": "unet"}}, r"net.kind was unet, but the data have shape \(6,\)"),
        ({"net": {"kind": "cnn"}}, "unknown net 'cnn'"),
        ({"kernel": {"kind": "tests.test_runs:Leak"}}, "allowed: a TransitionKernel"),
        ({"net": {"kind": "torch.nn:Linear"}}, "net Linear: .*missing"),
        ({"net": {"kind": f"{__name__}:Forgetful"}}, "Forgetful does not record its arguments"),
        ({"net": {"kind": "builtins:dict"}}, "net dict: "),
        ({"net": {"kind": "types:SimpleNamespace"}}, "net SimpleNamespace: |allowed: a torch.nn"),
        ({"net": {"width": 0}}, "net.width was 0; allowed: >= 1"),
        ({"net": {"depth": 0}}, "net.depth was 0; allowed: >= 1"),
        ({"net": {"kind": "transformer", "width": 12}}, "net.width was 12 with net.heads = 4"),
        ({"kernel": {"corruption": f"{__name__}:Redraw"}}, "allowed: a Corruption"),
    ],
)
def test_what_cannot_be_built_is_refused_by_name(parts, message):
    with pytest.raises(ConfigError, match=message):
        build_kernel(config(**parts), SEQUENCES)


def test_networks_of_sequences_refuse_other_shapes():
    cube = DiscreteData(torch.randint(0, 2, (5, 3, 8, 8)), 2)
    with pytest.raises(
        ConfigError, match=r"net.kind was conv, but the data have shape \(3, 8, 8\)"
    ):
        build_kernel(config(net={"kind": "conv"}), cube)


def test_labels_are_refused_where_the_data_have_none():
    with pytest.raises(ConfigError, match="the data have no labels"):
        build_kernel(config(net={"labels": True}), IMAGES)


def test_recipes():
    for kind, phases in (("default", 2), ("denoising", 1), ("adjustment", 1), ("half", 2)):
        found = build_schedule(runs.RecipeConfig(kind=kind, adjust=0.4, denoising_weight=0.5))
        assert len(found.phases) == phases
    assert build_schedule(runs.RecipeConfig(adjust=0.4)).phases[1].share == 0.4
    half = build_schedule(runs.RecipeConfig(kind="half", denoising_weight=0.5))
    assert half.phases[1].objective.denoising_weight == 0.5
    with pytest.raises(ConfigError, match="unknown recipe 'denoise'; did you mean 'denoising'"):
        build_schedule(runs.RecipeConfig(kind="denoise"))


def test_a_saved_kernel_is_a_run_without_facts(tmp_path):
    build_kernel(config(), SEQUENCES).save_pretrained(tmp_path / "kernel")
    saved = runs.load_run(tmp_path / "kernel")
    assert saved.shape is None and saved.num_categories == 3 and saved.about == {}
    with pytest.raises(CheckpointError, match="is not a folder"):
        runs.load_run(tmp_path / "none")


def test_facts_that_cannot_be_read_are_refused(tmp_path):
    build_kernel(config(), SEQUENCES).save_pretrained(tmp_path / "model")
    about = runs.describe(config(), SEQUENCES, {"steps": 1})
    (tmp_path / "run.json").write_text(json.dumps(about))
    assert runs.load_run(tmp_path).shape == (6,)
    (tmp_path / "run.json").write_text('{"data": {"shape": ["a"]}}')
    with pytest.raises(CheckpointError, match="has data that cannot be read"):
        runs.load_run(tmp_path)


def test_images_that_do_not_fit_a_unet_are_refused_with_what_to_do():
    odd = DiscreteData(torch.randint(0, 2, (5, 30, 30)), 2)
    with pytest.raises(ConfigError, match="net.kind was auto.*set net.patch, or net.kind to mlp"):
        build_kernel(config(), odd)
    assert isinstance(build_kernel(config(net={"patch": 2, "widths": [8]}), odd).net, dca.nn.UNet)
    kernel = build_kernel(config(net={"kind": "mlp", "width": 8}), odd)
    assert isinstance(kernel.adjustment, dca.nn.AdjustmentHead)


def test_a_run_that_goes_on_has_its_settings(tmp_path):
    first = config(kernel={"hold": 0.5}, train={"steps": 5})
    runs.remember(tmp_path, first)
    assert runs.remembered(tmp_path) == first
    runs.remember(tmp_path, config(kernel={"hold": 0.5}, train={"steps": 9}))  # a longer budget
    with pytest.raises(ConfigError, match="kernel.hold was 0.6, but the run in .* with 0.5"):
        runs.remember(tmp_path, config(kernel={"hold": 0.6}, train={"steps": 5}))
    assert runs.remembered(tmp_path) == first
    assert runs.remembered(tmp_path / "none") is None


def test_modules_beside_the_user_are_found_and_their_faults_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [*sys.path])
    (tmp_path / "broken_noise.py").write_text("1 / 0\n")
    with pytest.raises(ConfigError, match="'broken_noise:X' cannot be imported: ZeroDivisionError"):
        build_kernel(config(kernel={"corruption": "broken_noise:X"}), SEQUENCES)
