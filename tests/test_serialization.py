"""Saving and loading: round trips, and refusals that harm nothing."""

import json

import pytest
import torch
from torch import nn

import discrete_ca as dca
from discrete_ca import serialization
from discrete_ca.errors import CheckpointError
from discrete_ca.kernels import VariancePreserving
from discrete_ca.sealed import read_sealed, write_sealed


def rotate(level):
    """A corruption by a function of a module."""
    eye = torch.eye(3, dtype=torch.float64)
    return (1 - level) * eye + level * eye.roll(1, 1)


def mlp(states=2, categories=2):
    return dca.nn.MLP(categories, states, shape=(4,), width=8)


def tokens():
    frequencies = torch.tensor([0.6, 0.3, 0.1])
    near = dca.corruption.near_ordinal(3)
    return dca.corruption.TokenNoise(3, 0.4, 0.1, frequencies, near, alpha=0.7)


G = torch.tensor([[-1.0, 1.0, 0.0], [0.5, -1.0, 0.5], [0.0, 1.0, -1.0]])
KERNELS = {
    "uniform": lambda: dca.CategoricalNoiseKernel(mlp(), dca.corruption.Uniform(2), hold=0.3),
    "lag": lambda: dca.CategoricalNoiseKernel.with_lag(mlp(3), dca.corruption.Absorbing(2), 0.9),
    "ordinal, head": lambda: dca.CategoricalNoiseKernel(
        mlp(3, 3), dca.corruption.Ordinal(3, 0.7), adjustment=dca.nn.AdjustmentHead(3, dims=1)
    ),
    "matrix": lambda: dca.CategoricalNoiseKernel(
        mlp(3, 3), dca.corruption.Matrix(torch.full((3, 3), 1 / 3))
    ),
    "generator": lambda: dca.CategoricalNoiseKernel(
        mlp(3, 3), dca.corruption.Matrix(generator=G, time=2.0)
    ),
    "sparse": lambda: dca.CategoricalNoiseKernel(
        mlp(3, 3), dca.corruption.Matrix(dca.corruption.near_ordinal(3))
    ),
    "tokens": lambda: dca.CategoricalNoiseKernel(mlp(4, 3), tokens()),
}


@pytest.mark.parametrize("name", KERNELS)
def test_round_trip(name, tmp_path):
    torch.manual_seed(0)
    kernel = KERNELS[name]()
    kernel.save_pretrained(tmp_path / "model")
    assert sorted(p.name for p in (tmp_path / "model").iterdir()) == [
        "config.json",
        "model.safetensors",
    ]
    loaded = dca.load_kernel(tmp_path / "model")
    assert type(loaded) is type(kernel) and not loaded.training
    x = torch.randint(0, kernel.corruption.num_categories, (5, 4))
    y = torch.randint(0, kernel.corruption.num_categories, (5, 4))
    for target in (None, 0.5):
        a, b = (k.transition(x, 0.3, target).log_prob(y) for k in (kernel, loaded))
        assert torch.equal(a, b)
    loaded.save_pretrained(tmp_path / "again")
    for file in ("config.json", "model.safetensors"):
        assert (tmp_path / "model" / file).read_bytes() == (tmp_path / "again" / file).read_bytes()


def test_gaussian_and_float64_round_trip(tmp_path):
    net = dca.nn.MLP(2, 2, shape=(4,), width=8)

    kernel = dca.GaussianNoiseKernel(net, VariancePreserving(), hold=0.5).double()
    kernel.save_pretrained(tmp_path)
    loaded = dca.GaussianNoiseKernel.from_pretrained(tmp_path)
    assert isinstance(loaded.noise, VariancePreserving) and loaded.hold == 0.5
    assert next(loaded.parameters()).dtype == torch.float64
    default = dca.GaussianNoiseKernel(net)
    default.save_pretrained(tmp_path / "default")
    assert type(dca.load_kernel(tmp_path / "default").noise).__name__ == "LinearNoise"


def test_weights_in_float64_are_loaded_to_the_last_bit(tmp_path):
    kernel = dca.CategoricalNoiseKernel(mlp(), dca.corruption.Uniform(2)).double()
    with torch.no_grad():
        for weight in kernel.parameters():
            weight.add_(torch.randn_like(weight))  # more digits than float32 has
    kernel.save_pretrained(tmp_path)
    found = dca.load_kernel(tmp_path).state_dict()
    assert all(torch.equal(found[name], weight) for name, weight in kernel.state_dict().items())


def test_functions_need_trust(tmp_path):
    kernel = dca.CategoricalNoiseKernel(mlp(3, 3), dca.corruption.Matrix(rotate))
    kernel.save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="is not part of discrete_ca; pass trust_code=True"):
        dca.load_kernel(tmp_path)
    loaded = dca.load_kernel(tmp_path, trust_code=True)
    assert torch.equal(loaded.corruption.matrix(0.5), rotate(0.5))


class UserNet(nn.Module):
    """A network that records nothing."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(1, 2)

    def forward(self, x, b):
        return self.layer(x.unsqueeze(-1).float())


def test_a_network_that_records_nothing_is_given_again(tmp_path):
    kernel = dca.CategoricalNoiseKernel(UserNet(), dca.corruption.Uniform(2))
    kernel.save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="did not record its arguments"):
        dca.load_kernel(tmp_path, trust_code=True)
    loaded = dca.load_kernel(tmp_path, net=UserNet())
    assert torch.equal(loaded.net.layer.weight, kernel.net.layer.weight)
    with pytest.raises(CheckpointError, match=r"arguments \['nett'\] are not among the saved"):
        dca.load_kernel(tmp_path, nett=UserNet())


def test_an_argument_that_cannot_be_saved_is_refused_and_nothing_is_lost(tmp_path):
    KERNELS["uniform"]().save_pretrained(tmp_path)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    unnamed = dca.CategoricalNoiseKernel(mlp(3, 3), dca.corruption.Matrix(lambda b: rotate(b)))
    with pytest.raises(CheckpointError, match=r"argument 'kernel.corruption.source' is a function"):
        unnamed.save_pretrained(tmp_path)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before
    (tmp_path / "file").write_text("mine")
    with pytest.raises(CheckpointError, match="is a file; allowed: a folder"):
        KERNELS["uniform"]().save_pretrained(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_checkpoint_of_another_class_is_refused(tmp_path):
    KERNELS["uniform"]().save_pretrained(tmp_path)
    message = "holds a CategoricalNoiseKernel; allowed here: GaussianNoiseKernel"
    with pytest.raises(CheckpointError, match=message):
        dca.GaussianNoiseKernel.from_pretrained(tmp_path)


def change(folder, **values):
    """Another config, sealed as its own: what a stranger's checkpoint may hold."""
    tensors, config = read_sealed(folder / "model.safetensors", folder / "config.json")
    config.update(values)
    write_sealed(folder / "model.safetensors", tensors, folder / "config.json", config)


def test_damage_is_refused_by_name(tmp_path):
    def fresh(name):
        KERNELS["uniform"]().save_pretrained(tmp_path / name)
        return tmp_path / name

    with pytest.raises(CheckpointError, match=r"config.json' cannot be read"):
        dca.load_kernel(tmp_path / "nowhere")

    folder = fresh("truncated weights")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(CheckpointError, match=r"model.safetensors' cannot be read"):
        dca.load_kernel(folder)

    folder = fresh("broken JSON")
    (folder / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"config.json' cannot be read"):
        dca.load_kernel(folder)
    (folder / "config.json").write_text("[]")
    with pytest.raises(CheckpointError, match="holds a list; allowed: a JSON object"):
        dca.load_kernel(folder)

    folder = fresh("format")
    change(folder, format=2)
    with pytest.raises(CheckpointError, match="has format 2; allowed: 1"):
        dca.load_kernel(folder)

    folder = fresh("no kernel")
    change(folder, **{"class": "discrete_ca.corruption.linear:Uniform",
                      "args": {"num_categories": 2}})  # fmt: skip
    with pytest.raises(CheckpointError, match="do not fit|holds a Uniform; allowed: a kernel"):
        dca.load_kernel(folder)

    folder = fresh("unknown class")
    change(folder, **{"class": "discrete_ca.kernels:Nothing"})
    with pytest.raises(CheckpointError, match="class 'discrete_ca.kernels:Nothing' cannot be"):
        dca.load_kernel(folder)

    folder = fresh("not loadable")
    change(folder, **{"class": "discrete_ca.serialization:load_module"})
    with pytest.raises(CheckpointError, match="is not one that can be loaded"):
        dca.load_kernel(folder)

    folder = fresh("unknown argument")
    config = json.loads((folder / "config.json").read_text())
    change(folder, args={**config["args"], "holdd": 0.5})
    with pytest.raises(CheckpointError, match="refused its arguments"):
        dca.load_kernel(folder)

    folder = fresh("no class")
    change(folder, args={**config["args"], "net": {"what": 1}})
    with pytest.raises(CheckpointError, match="an entry without a class"):
        dca.load_kernel(folder)

    folder = fresh("other weights")
    change(folder, args={**config["args"],
                         "net": {"class": "discrete_ca.nn.mlp:MLP",
                                 "args": {"num_categories": 2, "num_states": 2,
                                          "shape": [4], "width": 9}}})  # fmt: skip
    with pytest.raises(CheckpointError, match="do not fit"):
        dca.load_kernel(folder)

    KERNELS["matrix"]().save_pretrained(tmp_path / "tensor")
    folder = tmp_path / "tensor"
    (folder / "model.safetensors").write_bytes((fresh("x") / "model.safetensors").read_bytes())
    with pytest.raises(CheckpointError, match="belongs to another checkpoint"):
        dca.load_kernel(folder)
    others, _ = read_sealed(fresh("y") / "model.safetensors", fresh("y") / "config.json")
    config = json.loads((folder / "config.json").read_text())
    write_sealed(folder / "model.safetensors", others, folder / "config.json", config)
    with pytest.raises(CheckpointError, match="tensor 'kernel.corruption.source' is missing"):
        dca.load_kernel(folder)


def test_configured_records_the_outermost_arguments():
    class Base(serialization.Configured):
        def __init__(self, a, b=2):
            self.total = a + b

    class Derived(Base):
        def __init__(self, a):
            super().__init__(a, b=3)

    assert Derived(1).config == {"a": 1}
    assert Base(1).config == {"a": 1, "b": 2}


def test_names_reached_through_an_import_of_ours_need_trust():
    for name in ("discrete_ca.serialization:os.system", "discrete_ca.sealed:json.loads"):
        with pytest.raises(CheckpointError, match="is not part of discrete_ca"):
            serialization.resolve(name)
    assert serialization.resolve("discrete_ca.corruption:Uniform") is dca.corruption.Uniform


def test_what_was_changed_after_construction_is_saved(tmp_path):
    kernel = KERNELS["uniform"]()
    kernel.hold = 0.25
    kernel.adjustment = dca.nn.AdjustmentHead(2, dims=1)
    kernel.save_pretrained(tmp_path)
    loaded = dca.load_kernel(tmp_path)
    assert loaded.hold == 0.25
    assert isinstance(loaded.adjustment, dca.nn.AdjustmentHead)


def test_a_kernel_without_a_constructor_is_saved(tmp_path):
    class Still(dca.TransitionKernel):
        def transition(self, x, level, target_level=None, label=None, known=None):
            raise NotImplementedError

    Still().save_pretrained(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["args"] == {}


def test_sparse_arguments_are_their_indices_and_values(tmp_path):
    KERNELS["tokens"]().save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    described = config["args"]["corruption"]["args"]["near"]
    assert described == {"tensor": "kernel.corruption.near", "sparse": [3, 3]}
    tensors, _ = read_sealed(tmp_path / "model.safetensors", tmp_path / "config.json")
    assert tensors["argument:kernel.corruption.near.indices"].shape == (2, 4)
    assert tensors["argument:kernel.corruption.near.values"].tolist() == [1.0, 0.5, 0.5, 1.0]
    loaded = dca.load_kernel(tmp_path).corruption
    assert torch.equal(loaded.matrix(0.4), tokens().matrix(0.4))


@pytest.mark.filterwarnings("ignore:Sparse C:UserWarning")  # torch calls the layout a beta
def test_sparse_rows_are_saved_as_entries():
    kept = {}
    sparse = torch.eye(3).to_sparse_csr()
    described = serialization.describe(sparse, kept, "s")
    found = serialization.build(described, kept)
    assert found.layout is torch.sparse_coo and torch.equal(found.to_dense(), torch.eye(3))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ({"sparse": [2, 2]}, "tensor 's' is no sparse tensor"),
        ({"sparse": [-1, 3]}, "tensor 's' is no sparse tensor"),
        ({"sparse": "x"}, "tensor 's' is no sparse tensor"),
        ({"sparse": [3]}, "tensor 's' is no sparse tensor"),
        ({"tensor": "t"}, "tensor 't' is missing from model.safetensors"),
        ({"sparse": None}, "tensor 's' is missing from model.safetensors"),
    ],
)
def test_damaged_sparse_arguments_are_refused(damage, message):
    kept = {}
    described = serialization.describe(torch.eye(3).to_sparse(), kept, "s")
    with pytest.raises(CheckpointError, match=message):
        serialization.build({**described, **damage}, kept)


def test_a_constructor_may_call_itself_what_it_likes():
    class Named(serialization.Configured):
        def __init__(this, factor):
            this.factor = factor

    assert Named(3).config == {"factor": 3}


def test_a_kernel_is_not_put_before_that_of_a_run(tmp_path):
    kernel = dca.CategoricalNoiseKernel(dca.nn.MLP(2, 2, shape=(3,)), dca.corruption.Uniform(2))
    kernel.save_pretrained(tmp_path / "run" / "model")
    with pytest.raises(CheckpointError, match="holds a run; allowed: another folder, or .*model"):
        kernel.save_pretrained(tmp_path / "run")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["model"]
