"""Model cards: true of the kernel, and the code on them runs."""

import re
import shlex

import pytest
import torch
from huggingface_hub import ModelCard as HubCard

import discrete_ca as dca
from discrete_ca.card import ModelCard, shown
from discrete_ca.cli import main
from tests.helpers import SHAPES
from tests.test_serialization import UserNet, rotate


def kernel_of(shape, noise=None, **settings):
    noise = noise or dca.corruption.Uniform(3)
    net = dca.nn.MLP(3, noise.num_states, shape, width=8, **settings)
    return dca.CategoricalNoiseKernel(net, noise)


def about(shape, **settings):
    return {"data": {"shape": list(shape), "num_categories": 3}, **settings}


def run_code(text):
    """Run the Python of a card; what it made."""
    made = {}
    exec(re.search(r"```python\n(.*?)```", text, re.DOTALL).group(1), made)
    return made


@pytest.mark.parametrize("shape", SHAPES)
def test_the_code_on_a_card_runs_at_any_shape(hub, shape):
    kernel = kernel_of(shape)
    kernel.push_to_hub("user/name", shape=shape)
    made = run_code((hub.place("user/name") / "README.md").read_text())
    assert made["x"].shape == (16, *shape) and made["near"].shape == (8, *shape)
    if shape:
        filled, mask, design = made["filled"], made["mask"], made["design"]
        assert 0 < int(mask.sum()) < mask.numel()
        assert torch.equal(filled[:, ~mask], design[~mask].expand(8, -1))
    else:
        assert "filled" not in made


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("label", [False, True])
def test_the_commands_on_a_card_run_at_any_shape(hub, shape, label, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    kernel = kernel_of(shape, num_classes=2 if label else None)
    kernel.push_to_hub("user/name", shape=shape)
    card = ModelCard(kernel, "user/name", about(shape))
    torch.save(torch.zeros(2, *shape, dtype=torch.long), "x.pt")
    assert len(card.commands()) == (3 if shape else 2)
    for line in card.commands():
        assert ("--label" in line) == (label and " sample " in line)
        words = shlex.split(line.replace("FILE", "x.pt"))[1:]
        assert main([*words, "--count", "2", "--out", "y.npy"]) == 0, line


def test_labels_moves_and_correctors_are_those_that_were_measured(hub):
    kernel = kernel_of((5,), num_classes=2)
    kernel.push_to_hub("user/name", shape=(5,))
    card = ModelCard(kernel, "user/name", about((5,)), [{"moves": 3, "correctors": 2, "nfe": 10}])
    assert "sample(kernel, 16, shape, moves=3, correctors=2, label=0," in card.usage()
    assert run_code(str(card))["filled"].shape == (8, 5)


def test_a_kernel_that_cannot_be_sampled_says_nothing_of_it(hub):
    kernel = kernel_of((4,), dca.corruption.Matrix(rotate))  # remembers at level 1
    kernel.push_to_hub("user/name", shape=(4,))
    card = ModelCard(kernel, "user/name", about((4,)))
    assert [line.split()[1] for line in card.commands()] == ["variants"]
    usage = card.usage()
    assert "dca.sample" not in usage and "inpaint" not in usage
    assert 'load_kernel("user/name", trust_code=True)' in usage
    assert "Loading imports tests.test_serialization, which" in str(card)
    code = usage.replace("design = ...", "design = torch.zeros(shape, dtype=torch.long)")
    assert run_code(f"```python\n{code}\n```")["near"].shape == (8, 4)


def test_arguments_that_are_given_again_are_named():
    kernel = dca.CategoricalNoiseKernel(UserNet(), dca.corruption.Uniform(2))
    usage = ModelCard(kernel, "user/name", about((4,))).usage()
    assert "net = ...  # a tests.test_serialization:UserNet, made as it was" in usage
    assert 'load_kernel("user/name", net=net)' in usage  # and no trust is needed


def test_without_a_shape_there_is_a_place_for_it():
    card = ModelCard(kernel_of((4,)), "user/name")
    assert "shape = ...  # S, of one example" in card.usage()
    assert card.commands() == ["discrete-ca sample user/name --count 64 --shape S"]
    assert card.facts().keys() == {"kernel"} and "None were taken." in str(card)


def test_a_kernel_over_real_numbers_has_commands():
    kernel = dca.GaussianNoiseKernel(dca.nn.MLP(2, None, (4,)))
    card = ModelCard(kernel, "x", {"data": {"shape": [4], "num_categories": None}})
    assert card.num_categories is None and "num_categories" not in card.facts()["data"]
    assert card.commands()[0] == "discrete-ca sample x --count 64"
    digits = ModelCard(kernel, "x", {"data": {"shape": [28, 28]}}).commands()
    assert digits[1] == "discrete-ca variants x --design test:0 --level 0.3"


class Stays(dca.TransitionKernel):
    """A kernel that says nothing of its states."""

    def transition(self, x, level, target_level=None, label=None, known=None):
        raise NotImplementedError


def test_a_kernel_that_says_nothing_of_its_states_has_no_commands():
    card = ModelCard(Stays(), "user/name", {"data": {"shape": [4]}})
    assert card.commands() == []
    assert "```console" not in str(card)


def test_embedded_digits_are_designs():
    net = dca.nn.UNet(2, 2, widths=(8,), head_width=8)
    kernel = dca.CategoricalNoiseKernel(net, dca.corruption.Uniform(2))
    facts = {"data": {"shape": [28, 28], "num_categories": 2}}
    assert "--design test:0 --box 14 28 0 28" in ModelCard(kernel, "x", facts).commands()[2]


@pytest.mark.parametrize(
    ("source", "shape"), [("mnist16", (28, 28)), ("shapes", (3, 32, 32)), ("mine.npz", (28, 28)),
                          ("mine.npz", (3, 32, 32))],
)  # fmt: skip
def test_samples_are_told_a_class_and_designs_have_their_own(source, shape):
    net = dca.nn.UNet(16, 16, widths=(8,), head_width=8, num_classes=10)
    kernel = dca.CategoricalNoiseKernel(net, dca.corruption.Uniform(16))
    facts = {"data": {"shape": shape}, "config": {"data": {"source": source}}}
    sample, *others = ModelCard(kernel, "x", facts).commands()
    assert sample.endswith("--count 64 --label 0") and len(others) == 2
    assert not any("--label" in line for line in others)
    embedded = shape == (28, 28) or source != "mine.npz"
    assert all(("test:0" in line) == embedded for line in others)


def test_metadata_and_facts():
    config = {
        "data": {"source": "/home/me/x.npy", "binarize": 128.0, "quantize": None},
        "recipe": {"kind": "half"},
        "train": {"batch_size": 64, "minutes": 8.0, "folder": "/home/me/run", "progress": True},
    }
    training = {"steps": 5440, "seconds": 480.04, "parameters": 881292}
    facts = about((4, 4), config=config, training=training)
    report = {"confident_share": 0.8123, "confident_share_held_out": 0.98, "nfe": 225}
    text = str(ModelCard(kernel_of((4, 4)), "user/name", facts, [report], license="mit"))
    data = HubCard(text).data
    assert data.library_name == "discrete_ca" and data.license == "mit"
    assert "contrastive-adjustment" in data.tags
    assert "license" not in str(ModelCard(kernel_of(()), "user/name")).split("---")[1]
    assert "# name\n" in text and "/home/me" not in text
    for line in (
        "- corruption: `Uniform(num_categories=3)`",
        "- shape: `[4, 4]`",
        "- data.binarize: `128.0`",
        "- recipe.kind: `half`",
        "- train.minutes: `8.0`",
        "- optimizer steps: `5,440`",
        "- seconds, wall clock: `480.0`",
        "| judge's confident share (>= 0.9) | 81.2% | 98.0% |",
        "| network evaluations a sample (NFE) | 225 |  |",
    ):
        assert line in text.splitlines(), line
    assert "train.progress" not in text and "data.quantize" not in text


def test_tables_that_are_none_are_left_out():
    card = ModelCard(kernel_of((4,)), "x", {"data": 3, "config": [], "training": "x"})
    assert card.facts().keys() == {"kernel"} and card.shape is None


def test_values_in_one_line():
    assert shown(torch.zeros(2, 3)) == "tensor of shape (2, 3)"
    assert shown(torch.nn.Linear(1, 1)) == "Linear"
    assert shown(rotate) == "tests.test_serialization:rotate"
    assert shown("a") == "'a'" and shown([1, None]) == "[1, None]"
    assert "\n" not in shown(kernel_of((4,)))


def test_data_of_the_package_have_designs_to_try():
    kernel = dca.CategoricalNoiseKernel(dca.nn.MLP(3, 3, (5,)), dca.corruption.Uniform(3))
    about = {"data": {"shape": [5]}, "config": {"data": {"source": "moby_dick"}}}
    assert "--design test:0 --span 0 2" in ModelCard(kernel, "x", about).commands()[2]
