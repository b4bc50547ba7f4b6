"""Kernels by a name on the Hub: what is sent comes back, local folders touch no network."""

import inspect
import json

import huggingface_hub
import pytest
import torch
from huggingface_hub import constants, errors

import discrete_ca as dca
from discrete_ca import runs
from discrete_ca.errors import CheckpointError
from discrete_ca.hub import check_name, is_name, local_folder, upload
from tests.hub_double import Hub, refusal
from tests.test_serialization import KERNELS, UserNet, rotate


@pytest.mark.parametrize("name", KERNELS)
def test_what_is_sent_comes_back_bit_for_bit(hub, name, tmp_path):
    kernel = KERNELS[name]()
    assert kernel.push_to_hub("user/name") == "https://huggingface.co/user/name/commit/1"
    kernel.save_pretrained(tmp_path / "here")
    for file in ("config.json", "model.safetensors"):
        sent = (hub.place("user/name") / file).read_bytes()
        assert sent == (tmp_path / "here" / file).read_bytes()
    loaded = dca.load_kernel("user/name")
    assert type(loaded) is type(kernel) and not loaded.training
    assert loaded.state_dict().keys() == kernel.state_dict().keys()
    for key, value in kernel.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], value)
    assert isinstance(type(kernel).from_pretrained("user/name"), type(kernel))


def test_local_folders_touch_no_network(hub, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    KERNELS["uniform"]().save_pretrained("user/name")  # the form of a name, and a folder
    assert isinstance(dca.load_kernel("user/name"), dca.CategoricalNoiseKernel)
    assert runs.load_run("user/name").shape is None
    (tmp_path / "user/empty").mkdir()
    for path in ("user/empty", tmp_path / "a/b", "./user/none", "none", "a/b/c", "../a/b"):
        with pytest.raises(CheckpointError, match=r"config.json' cannot be read"):
            dca.load_kernel(path)
    with pytest.raises(CheckpointError, match="revision was 'v1' and 'user/name' is local"):
        dca.load_kernel("user/name", revision="v1")
    assert hub.calls == []


def test_revisions(hub):
    first, second = KERNELS["uniform"](), KERNELS["matrix"]()
    first.push_to_hub("user/name")
    second.push_to_hub("user/name", revision="v2", message="The second")
    assert hub.message == "The second"
    assert isinstance(dca.load_kernel("user/name").corruption, dca.corruption.Uniform)
    loaded = dca.load_kernel("user/name", revision="v2")
    assert isinstance(loaded.corruption, dca.corruption.Matrix)
    assert isinstance(runs.load_run("user/name", revision="v2").kernel, dca.CategoricalNoiseKernel)
    with pytest.raises(CheckpointError, match="no folder 'user/name'.*has no revision 'v3'"):
        dca.load_kernel("user/name", revision="v3")


def test_foreign_code_needs_trust(hub):
    net = dca.nn.MLP(3, 3, shape=(4,), width=8)
    dca.CategoricalNoiseKernel(net, dca.corruption.Matrix(rotate)).push_to_hub("user/name")
    with pytest.raises(CheckpointError, match="is not part of discrete_ca; pass trust_code=True"):
        dca.load_kernel("user/name")
    loaded = dca.load_kernel("user/name", trust_code=True)
    assert torch.equal(loaded.corruption.matrix(0.5), rotate(0.5))
    dca.CategoricalNoiseKernel(UserNet(), dca.corruption.Uniform(2)).push_to_hub("user/given")
    assert isinstance(dca.load_kernel("user/given", net=UserNet()).net, UserNet)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (refusal(errors.RepositoryNotFoundError, 401), "there is none of that name, or it is priv"),
        (refusal(errors.GatedRepoError, 403), "access has to be asked for"),
        (refusal(errors.HfHubHTTPError, 500), "Client Error. Say more."),
        (errors.OfflineModeIsEnabled("offline mode is enabled"), "offline mode is enabled"),
        (errors.LocalEntryNotFoundError("no snapshot\nhere"), "the Hub cannot be reached"),
        (RuntimeError(), "RuntimeError"),
    ],
)
def test_what_fails_names_the_repository_and_the_reason(hub, error, message):
    hub.down = error
    with pytest.raises(CheckpointError, match=f"sending 'user/name' to the Hub failed: {message}"):
        KERNELS["uniform"]().push_to_hub("user/name")
    for load in (dca.load_kernel, runs.load_run):
        with pytest.raises(CheckpointError, match=f"there is no folder 'user/name'.*: {message}"):
            load("user/name")


def test_a_repository_without_a_kernel_is_refused(hub):
    hub.place("user/name").mkdir(parents=True)
    with pytest.raises(CheckpointError, match=r"'user/name' on the Hub has no config.json"):
        dca.load_kernel("user/name")
    (hub.place("user/name") / "config.json").write_text('{"model_type": "other"}')
    with pytest.raises(CheckpointError, match="user/name.* has format None; allowed: 1"):
        dca.load_kernel("user/name")


@pytest.mark.parametrize("name", ["name", "a/b/c", "user/na me", "../x", "", None, "user/"])
def test_names_that_are_none_are_refused_before_anything_is_sent(hub, name):
    with pytest.raises(CheckpointError, match="repo_id was .*; allowed: 'user/name'"):
        KERNELS["uniform"]().push_to_hub(name)
    assert hub.calls == []


@pytest.mark.parametrize(
    "name", ["user/a--b", "user/a..b", "user/x.git", "usér/x", "a" * 99 + "/b"]
)
def test_names_that_the_hub_refuses_are_refused_here(hub, name):
    assert is_name(name)
    with pytest.raises(CheckpointError, match="is no name on the Hub: "):
        check_name(name)
    with pytest.raises(CheckpointError, match="is no name on the Hub: "):
        local_folder(name)
    assert hub.calls == []


def test_an_argument_that_cannot_be_saved_is_refused_before_anything_is_sent(hub):
    net = dca.nn.MLP(3, 3, shape=(4,), width=8)
    kernel = dca.CategoricalNoiseKernel(net, dca.corruption.Matrix(lambda b: rotate(b)))
    with pytest.raises(CheckpointError, match="cannot be saved"):
        kernel.push_to_hub("user/name")
    assert hub.calls == []


def test_private_is_never_sent_to_a_public_repository(hub):
    kernel = KERNELS["uniform"]()
    kernel.push_to_hub("user/secret", private=True)
    assert "user/secret" in hub.private
    kernel.push_to_hub("user/secret", private=True)  # again, to the same
    kernel.push_to_hub("user/open")
    hub.calls.clear()
    with pytest.raises(CheckpointError, match="'user/open' is there already and is public"):
        kernel.push_to_hub("user/open", private=True)
    assert "upload_folder" not in hub.calls


def test_what_an_earlier_upload_left_is_removed_and_the_rest_stays(hub, tmp_path):
    for name in ("config.json", "run.json", "metrics.json", "eval.json", "notes.txt"):
        (tmp_path / name).write_text("{}")
    upload(tmp_path, "user/name")
    KERNELS["uniform"]().push_to_hub("user/name")
    found = sorted(p.name for p in hub.place("user/name").iterdir())
    assert found == ["README.md", "config.json", "model.safetensors", "notes.txt"]


def test_a_shape_is_told_to_the_commands(hub):
    KERNELS["uniform"]().push_to_hub("user/name", shape=(4,), license="mit")
    saved = runs.load_run("user/name")
    assert saved.shape == (4,) and saved.num_categories == 2
    assert json.loads((hub.place("user/name") / "run.json").read_text()) == {"data": {"shape": [4]}}
    card = (hub.place("user/name") / "README.md").read_text()
    assert "license: mit" in card and "shape = (4,)" in card


@pytest.mark.parametrize(
    "name", ["create_repo", "repo_info", "create_branch", "upload_folder", "snapshot_download"]
)
def test_the_client_takes_what_is_given_to_it(name):
    wanted = inspect.signature(getattr(Hub, name)).parameters.keys()
    assert wanted <= inspect.signature(getattr(huggingface_hub.HfApi, name)).parameters.keys()


def test_the_client_itself_offline(tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    kernel = KERNELS["uniform"]()
    with pytest.raises(
        CheckpointError, match="there is no folder 'user/name', .*cannot be reached"
    ):
        dca.load_kernel("user/name")
    with pytest.raises(CheckpointError, match="sending 'user/name' to the Hub failed: .*offline"):
        kernel.push_to_hub("user/name")
    cached = tmp_path / "models--user--name"
    kernel.save_pretrained(cached / "snapshots" / ("0" * 40))
    (cached / "refs").mkdir()
    (cached / "refs/main").write_text("0" * 40)
    loaded = dca.load_kernel("user/name")
    for key, value in kernel.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], value)
