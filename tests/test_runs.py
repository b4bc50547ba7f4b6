"""Runs as plain data: what is refused, and what is built."""

import json
import sys

import numpy as np
import pytest
import torch

import discrete_ca as dca
from discrete_ca import runs
from discrete_ca.data import DiscreteData
from discrete_ca.errors import CheckpointError, ConfigError, DataError
from discrete_ca.runs import RunConfig, build_kernel, build_schedule
from discrete_ca.sealed import read_json, write_json
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
    headed = {"kernel": {"corruption": "absorbing"}, "recipe": {"kind": "head"}}
    kernel = build_kernel(config(**headed), SEQUENCES)
    assert isinstance(kernel.net, dca.nn.MLP) and kernel.net.num_states == 4
    assert isinstance(kernel.adjustment, dca.nn.AdjustmentMLP)
    assert build_kernel(config(), SEQUENCES).adjustment is None
    colour = DiscreteData(torch.randint(0, 4, (5, 3, 8, 8)), 4)
    net = build_kernel(config(net={"widths": [8]}, kernel={"corruption": "ordinal"}), colour).net
    assert net.channels == 3
    assert build_kernel(config(net={"labels": True}), SEQUENCES).told_label


TOKENS = DiscreteData(torch.randint(0, 5, (20, 16)), 5)
VOICES = DiscreteData(torch.randint(0, 5, (20, 4, 16)), 5)


def test_networks_fit_sequences():
    for data, channels in ((TOKENS, None), (VOICES, 4)):
        kernel = build_kernel(config(recipe={"kind": "head"}), data)
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
    with pytest.raises(ConfigError, match="recipe.kind was head, but the data have 2000 categ"):
        build_kernel(config(recipe={"kind": "head"}), data)
    assert build_kernel(config(), data).adjustment is None


def test_texts(tmp_path):
    (tmp_path / "x.txt").write_text("to be or not to be")
    source = str(tmp_path / "x.txt")
    data = config(data={"source": source, "length": 6}).data.load()
    assert data.shape == (6,) and data.num_categories == 7 and len(data) == 3
    assert len(config(data={"source": source, "length": 6, "stride": 2}).data.load()) == 7
    plain = config(data={"source": source, "length": 9, "tokenizer": "bytes"}).data.load()
    assert plain.num_categories == 256
    for parts, message in (
        ({"source": source, "binarize": 3.0}, "data.binarize was 3.0, but .* is a text"),
        ({"source": source, "split": "test"}, "data.split was 'test', but .* 'train'"),
        ({"source": "mnist16", "length": 3}, "data.length was 3, but 'mnist16' is no text"),
        ({"source": "mnist16", "tokenizer": "bytes"}, "data.tokenizer was 'bytes'"),
        ({"source": "mnist16", "stride": 3}, "data.stride was 3"),
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
    run = config(net={"kind": f"{here}:Free"}, kernel={"corruption": f"{here}:Leak"})
    kernel = build_kernel(run, SEQUENCES)
    assert isinstance(kernel.net, Free) and isinstance(kernel.corruption, Leak)
    assert kernel.net.logits.shape == (6, 3)
    assert isinstance(build_kernel(config(kernel={"kind": f"{here}:Redraw"}), SEQUENCES), Redraw)


def test_token_noise_has_the_frequencies_of_the_data():
    """By default half of what is forgotten is masked."""
    kernel = build_kernel(config(kernel={"corruption": "tokens"}), SEQUENCES)
    counts = torch.bincount(SEQUENCES.states.reshape(-1), minlength=3).double()
    expected = torch.cat([counts / counts.sum(), torch.ones(1).double()]) / 2
    torch.testing.assert_close(kernel.corruption.matrix(1.0)[0], expected)
    assert kernel.net.num_states == 4


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
        ({"net": {"kind": "conv", "period": 0}}, "net.period was 0; allowed: >= 1"),
        ({"net": {"kind": "conv", "stack": 4}}, "net.stack was 4, with 6 time steps"),
        ({"net": {"kind": "conv", "stack": 2, "period": 3}}, "net.stack was 2.*net.period = 3"),
        ({"kernel": {"corruption": f"{__name__}:Redraw"}}, "allowed: a Corruption"),
    ],
)
def test_what_cannot_be_built_is_refused_by_name(parts, message):
    with pytest.raises(ConfigError, match=message):
        build_kernel(config(**parts), SEQUENCES)


@pytest.mark.parametrize("kind", ["conv", "transformer"])
def test_networks_of_sequences_are_told_of_bars_and_beats(kind):
    net = {"kind": kind, "stack": 2, "period": 4, "width": 16, "depth": 1}
    made = build_kernel(config(net=net), SEQUENCES).net
    assert made.stack == 2 and made.place.shape == (2, 16)


def test_networks_of_sequences_refuse_other_shapes():
    cube = DiscreteData(torch.randint(0, 2, (5, 3, 8, 8)), 2)
    with pytest.raises(
        ConfigError, match=r"net.kind was conv, but the data have shape \(3, 8, 8\)"
    ):
        build_kernel(config(net={"kind": "conv"}), cube)


def test_labels_are_refused_where_the_data_have_none():
    with pytest.raises(ConfigError, match="the data have no labels"):
        build_kernel(config(net={"labels": True}), IMAGES)


def test_ordinal_noise_is_as_wide_as_is_said():
    noise = build_kernel(config(kernel={"corruption": "ordinal"}), IMAGES).corruption
    assert noise.scale == 0.5
    wide = {"corruption": "ordinal", "scale": 2.0}
    assert build_kernel(config(kernel=wide), IMAGES).corruption.scale == 2
    for name in ("uniform", "absorbing", "tokens"):
        with pytest.raises(ConfigError, match=f"scale was 2.0 with kernel.corruption = {name}"):
            build_kernel(config(kernel={"corruption": name, "scale": 2.0}), IMAGES)


def test_recipes():
    for kind, phases in (("head", 2), ("denoising", 1), ("adjustment", 1), ("half", 2)):
        found = build_schedule(runs.RecipeConfig(kind=kind, adjust=0.4, denoising_weight=0.5))
        assert len(found.phases) == phases
    for kind, usual in (("head", 0.3), ("half", 0.5)):
        for given, share in ((None, usual), (0.4, 0.4)):
            phases = build_schedule(runs.RecipeConfig(kind=kind, adjust=given)).phases
            assert [phase.share for phase in phases] == [1 - share, share]
    for kind in ("half", "denoising", "renoising"):
        first = build_schedule(runs.RecipeConfig(kind=kind, offset=10.0)).phases[0]
        assert first.objective.level_weight == dca.InverseLevel(10.0)
    for kind, offset in (("head", 10.0), ("half", 0.0)):
        with pytest.raises(ConfigError, match=f"offset was {offset} with recipe.kind {kind}"):
            build_schedule(runs.RecipeConfig(kind=kind, offset=offset))
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
    kernel = build_kernel(config(net={"kind": "mlp", "width": 8}, recipe={"kind": "head"}), odd)
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


ELSEWHERE = {"mnist256": ((28, 28), 256), "chorales": ((4, 64), 47)}
"""Recipes whose data do not come with the package, and what these are like."""


@pytest.mark.parametrize("name", runs.recipes())
def test_recipes_that_come_with_the_package_can_be_built(name):
    run = RunConfig.from_toml(name)
    assert runs.recipes()[name] and (run.data.source == "") == (name in ELSEWHERE)
    if name in ELSEWHERE:
        assert "--data" in runs.recipes()[name]
        with pytest.raises(ConfigError, match="data.source was ''; allowed: where the data are"):
            run.data.load()
        shape, k = ELSEWHERE[name]
        labels = torch.arange(4) if run.net.labels else None
        examples = DiscreteData(torch.randint(0, k, (4, *shape)), k, labels=labels)
    else:
        examples = run.resolved().data.load()
    kernel = build_kernel(run, examples)
    assert len(build_schedule(run.recipe).phases) == (1 if run.recipe.kind == "denoising" else 2)
    if run.kernel.kind == "categorical":
        assert (kernel.adjustment is not None) == (run.recipe.kind == "head")
    x = kernel.corrupt(examples[torch.tensor([0, 1])], 0.3)
    assert kernel.transition(x, 0.3).log_prob(x).isfinite().all()


def test_the_tokenizer_that_comes_with_a_recipe_is_that_of_the_book():
    run = RunConfig.from_toml("moby-subwords")
    examples = run.data.load()
    assert examples.num_categories == 8192
    text = dca.data.embedded.moby_dick("test")
    assert examples.tokenizer.decode(examples.tokenizer.encode(text)) == text


def test_a_tokenizer_in_a_file_starts_at_its_folder(tmp_path, monkeypatch):
    dca.data.train_bpe(["to be or not to be"] * 3, size=260).save(tmp_path)
    (tmp_path / "x.txt").write_text("to be or not to be")
    (tmp_path / "run.toml").write_text(
        '[data]\nsource = "x.txt"\ntokenizer = "tokenizer.json"\nlength = 4\n'
    )
    monkeypatch.chdir(tmp_path.parent)
    data = RunConfig.from_toml(tmp_path / "run.toml").data.load()
    assert data.tokenizer.decode(data[0]).startswith("to")


def test_a_bare_name_is_a_recipe_and_a_path_is_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="unknown recipe 'mnist-16'; did you mean 'mnist16'"):
        RunConfig.from_toml("mnist-16")
    (tmp_path / "mine").write_text("[kernel]\nhold = 0.5\n")
    (tmp_path / "mnist16").write_text("[kernel]\nhold = 0.25\n")
    assert RunConfig.from_toml("mine").kernel.hold == 0.5
    assert RunConfig.from_toml("mnist16").data.source == "mnist16"
    for path in ("./mnist16", tmp_path / "mnist16"):
        assert RunConfig.from_toml(path).kernel.hold == 0.25


def test_a_source_in_a_file_starts_at_the_folder_of_the_file(tmp_path, monkeypatch):
    (tmp_path / "configs/pictures").mkdir(parents=True)
    (tmp_path / "elsewhere/only-here").mkdir(parents=True)
    (tmp_path / "elsewhere/pictures").mkdir()  # another one, where the command is run
    monkeypatch.chdir(tmp_path / "elsewhere")

    def source(text):
        file = tmp_path / "configs/run.toml"
        file.write_text(f'[data]\nsource = "{text}"\n')
        return RunConfig.from_toml("../configs/run.toml").data.source

    beside = tmp_path.resolve() / "configs"
    assert source("pictures") == str(beside / "pictures")
    assert source("../configs/pictures") == str(beside / "pictures")
    assert source("tokens.npy") == str(beside / "tokens.npy")  # and so its absence is named
    assert source(f"{tmp_path}/x.npy") == f"{tmp_path}/x.npy"
    for name in ("mnist16", "user/name", "binarised_mnist"):
        assert source(name) == name
    with pytest.raises(
        ConfigError, match=r"data.source was 'only-here', and there is no .*configs"
    ):
        source("only-here")
    (beside / "mnist16").mkdir()
    assert source("mnist16") == "mnist16"  # what comes with the package comes first, as in `load`


@pytest.fixture
def folder(tmp_path):
    """A run that was trained on a file of this machine, and measured."""
    torch.manual_seed(0)
    place = tmp_path / "run"
    settings = config(
        data={"source": "/home/me/secret/x.npy"}, train={"steps": 5, "folder": "/home/me/run"}
    )
    build_kernel(settings, SEQUENCES).save_pretrained(place / "model")
    about = runs.describe(settings, SEQUENCES, {"steps": 5, "seconds": 1.5})
    (place / "run.json").write_text(json.dumps(about))
    (place / "eval.json").write_text('{"nfe": 33, "moves": 8, "correctors": 3}')
    return place


def test_a_run_that_was_sent_is_loaded_by_its_name(hub, folder):
    address = runs.push_run(folder, "user/name", license="mit", private=True)
    assert address == "https://huggingface.co/user/name/commit/1" and "user/name" in hub.private
    sent = {p.name: p.read_bytes() for p in hub.place("user/name").iterdir()}
    assert sent.keys() == {"README.md", "config.json", "model.safetensors", "run.json", "eval.json"}
    for name in ("config.json", "model.safetensors"):
        assert sent[name] == (folder / "model" / name).read_bytes()
    here, there = runs.load_run(folder), runs.load_run("user/name")
    assert (there.shape, there.num_categories) == (here.shape, here.num_categories) == ((6,), 3)
    for key, value in here.kernel.state_dict().items():
        assert torch.equal(there.kernel.state_dict()[key], value)
    card = sent["README.md"].decode()
    assert "license: mit" in card and "- optimizer steps: `5`" in card
    assert "| network evaluations a sample (NFE) | 33 |" in card
    assert "sample(kernel, 16, shape, moves=8, correctors=3," in card


def test_places_of_this_machine_are_not_sent(hub, folder):
    runs.push_run(folder, "user/name")
    for file in hub.place("user/name").iterdir():
        assert b"/home/me" not in file.read_bytes(), file.name
    sent = runs.load_run("user/name").about["config"]
    assert sent["data"]["source"] == "x.npy" and "folder" not in sent["train"]
    assert RunConfig.from_dict(sent).train.steps == 5
    about = json.loads((folder / "run.json").read_text())
    for source in ("mnist16", "user/data"):  # names say nothing of the machine
        about["config"]["data"]["source"] = source
        (folder / "run.json").write_text(json.dumps(about))
        runs.push_run(folder, "user/name")
        assert runs.load_run("user/name").about["config"]["data"]["source"] == source


def test_a_saved_kernel_is_sent_without_facts_and_a_card_of_its_own_is_kept(hub, folder):
    (folder / "model/README.md").write_text("# Mine\n")
    runs.push_run(folder / "model", "user/name")
    sent = {p.name for p in hub.place("user/name").iterdir()}
    assert sent == {"README.md", "config.json", "model.safetensors"}
    assert (hub.place("user/name") / "README.md").read_text() == "# Mine\n"
    with pytest.raises(
        CheckpointError, match="license was 'mit'; allowed: None, since .* as it is"
    ):
        runs.push_run(folder / "model", "user/name", license="mit")


def test_what_cannot_be_sent_is_refused_before_the_network(hub, folder, tmp_path):
    with pytest.raises(CheckpointError, match="repo_id was 'name'; allowed: 'user/name'"):
        runs.push_run(folder, "name")
    with pytest.raises(CheckpointError, match="is not a folder"):
        runs.push_run(tmp_path / "none", "user/name")
    (folder / "model/config.json").write_text("{}")
    with pytest.raises(CheckpointError, match="has format None"):
        runs.push_run(folder, "user/name")
    assert hub.calls == []


def test_data_of_a_run_may_stay_on_disk_or_be_a_stream(tmp_path):
    np.save(tmp_path / "x.npy", np.arange(20).reshape(10, 2) % 3)
    source = {"source": str(tmp_path / "x.npy"), "in_memory": False}
    data, held_out = config(data={**source, "held_out": 3}).data.load_parts(seed=0)
    assert isinstance(data, dca.data.MappedData) and (len(data), len(held_out)) == (7, 3)
    for values, message in [
        ({"buffer": 0}, "buffer was 0; allowed: a whole number >= 1"),
        ({"streaming": True, "held_out": 2}, "held_out was 2 with streaming; allowed: 0"),
    ]:
        with pytest.raises(ConfigError, match=message):
            config(data=values)
    with pytest.raises(DataError, match="allowed for a stream: the name of a data set on the Hub"):
        config(data={"source": str(tmp_path / "x.npy"), "streaming": True}).data.load()


def test_a_run_of_text_comes_back_from_the_hub_with_its_tokenizer(hub, tmp_path):
    text = dca.data.load_text(["to be or not to be " * 40], length=16)
    (tmp_path / "secret").mkdir()
    text.tokenizer.save(tmp_path / "secret")
    kernel = dca.CategoricalNoiseKernel(
        dca.nn.Transformer(text.num_categories, text.num_categories, width=8, depth=1, heads=2),
        dca.corruption.Uniform(text.num_categories),
    )
    settings = {"source": str(tmp_path / "secret/x.txt"), "tokenizer": str(tmp_path / "secret")}
    runs.save_model(tmp_path / "run", kernel, text)
    config = RunConfig.from_dict({"data": settings})
    write_json(tmp_path / "run/run.json", runs.describe(config, text, {}))
    runs.push_run(tmp_path / "run", "user/words")
    saved = runs.load_run("user/words")
    assert saved.tokenizer.decode(text[torch.arange(1)][0]) == text.tokenizer.decode(text[:1][0])
    for file in hub.place("user/words").iterdir():
        assert str(tmp_path).encode() not in file.read_bytes()


def test_settings_are_free_until_something_was_trained(tmp_path):
    first = RunConfig.from_dict({"train": {"steps": 1}})
    second = RunConfig.from_dict({"train": {"steps": 1, "batch_size": 32}})
    runs.remember(tmp_path, first)
    with pytest.raises(ConfigError, match="train.batch_size was 32, but the run in"):
        runs.remember(tmp_path, second)
    runs.remember(tmp_path, second, anew=True)
    assert runs.remembered(tmp_path) == second


def text_run(folder, best=False):
    """A finished run on text: model/ with its tokenizer, run.json, and best/ without one."""
    text = dca.data.load_text(["to be or not to be"], length=5)
    net = dca.nn.MLP(text.num_categories, text.num_categories, shape=(5,), width=8)
    kernel = dca.CategoricalNoiseKernel(net, dca.corruption.Uniform(text.num_categories))
    runs.save_model(folder, kernel, text)
    (folder / runs.RUN_FILE).write_text('{"data": {"shape": [5]}}')
    if best:
        kernel.save_pretrained(folder / "best")
    return text.tokenizer


def test_the_best_weights_of_a_text_run_are_shared_with_its_tokenizer(tmp_path):
    words = text_run(tmp_path / "run", best=True)
    (tmp_path / "shared").mkdir()
    runs.write_shared(tmp_path / "run/best", "user/name", tmp_path / "shared")
    shared = runs.load_run(tmp_path / "shared").tokenizer
    assert shared.to_dict() == words.to_dict()


def test_a_run_may_be_called_best(tmp_path):
    text_run(tmp_path / "best")
    assert runs.load_run(tmp_path / "best").shape == (5,)


@pytest.mark.parametrize(
    ("kind", "noise", "asked", "found"),
    [
        ("categorical", "uniform", None, True),
        ("categorical", "uniform", False, False),
        ("categorical", "ordinal", None, False),
        ("categorical", "ordinal", True, True),
        ("categorical", "tokens", None, False),
        ("autoregressive", "uniform", None, False),
    ],
)
def test_evidence_is_added_under_uniform_noise_unless_said(kind, noise, asked, found):
    kernel = runs.KernelConfig(kind=kind, corruption=noise, add_evidence=asked)
    examples = DiscreteData(torch.zeros(4, 5, dtype=torch.long), 3)
    recipe = runs.RecipeConfig(kind="renoising" if kind == "autoregressive" else "half")
    built = build_kernel(RunConfig(kernel=kernel, recipe=recipe), examples)
    assert getattr(built, "add_evidence", False) is found


def test_evidence_of_many_categories_is_asked_for():
    run = RunConfig()
    for k, found in ((256, True), (257, False)):
        examples = DiscreteData(torch.zeros(4, 5, dtype=torch.long), k)
        assert build_kernel(run, examples).add_evidence is found
    kernel = runs.KernelConfig(kind="autoregressive", add_evidence=True)
    with pytest.raises(ConfigError, match="kernel.add_evidence was True with kernel.kind"):
        build_kernel(RunConfig(kernel=kernel, recipe=runs.RecipeConfig("renoising")), examples)


def test_runs_that_do_not_say_were_started_without_evidence(tmp_path):
    config = RunConfig(kernel=runs.KernelConfig(add_evidence=False))
    runs.remember(tmp_path, config)
    values = read_json(tmp_path / "settings.json")
    del values["kernel"]["add_evidence"]
    write_json(tmp_path / "settings.json", values)
    found = runs.remembered(tmp_path)
    assert found == config
    runs.remember(tmp_path, found)
    with pytest.raises(ConfigError, match="kernel.add_evidence was None"):
        runs.remember(tmp_path, RunConfig())
