"""What samples of a run are compared with, and by which measures."""

import dataclasses
import json

import numpy as np
import pytest
import torch

import discrete_ca as dca
from discrete_ca import metrics
from discrete_ca.errors import ConfigError, DataError
from discrete_ca.runs import RunConfig, SavedRun, build_comparison
from discrete_ca.runs.measuring import KINDS, kind_of


def saved(shape, num_categories, name="mine", config=None):
    about = {"data": {"name": name, "shape": list(shape)}}
    if config is not None:
        about["config"] = RunConfig.from_dict(config).to_dict()
    kernel = dca.CategoricalNoiseKernel(
        dca.nn.MLP(num_categories, num_categories, shape),
        dca.corruption.Uniform(num_categories),
    )
    return SavedRun(kernel, tuple(shape), num_categories, json.loads(json.dumps(about)))


@pytest.fixture
def tokens(tmp_path):
    """A run of 40 different rows of tokens."""
    states = np.arange(40)[:, None] // np.array([27, 9, 3, 1]) % 3
    np.save(tmp_path / "x.npy", states)

    def make(**data):
        return saved((4,), 3, config={"data": {"source": str(tmp_path / "x.npy"), **data}})

    return make


@pytest.mark.parametrize(
    ("shape", "num_categories", "name", "kind"),
    [
        ((28, 28), 2, "binarized_mnist", "digits"),
        ((28, 28), 2, "pictures", "images"),
        ((28, 28), 16, "mnist16", "digits"),
        ((3, 8, 8), 4, "mine", "images"),
        ((), 4, "mine", "images"),
        ((5,), 3, "mine", "tokens"),
        ((256,), 300, "mine", "tokens"),
        ((4, 64), 47, "mine", "chorales"),
        ((4, 64), 2, "mine", "images"),
        ((4, 4), 47, "mine", "images"),
        ((2,), None, "mine", "points"),
        ((28, 28), None, "mnist16", "digits"),
    ],
)
def test_the_kind_that_suits(shape, num_categories, name, kind):
    run = SavedRun(None, shape, num_categories, {"data": {"name": name}})
    assert kind_of(run) == kind
    assert KINDS[kind].fits(shape, num_categories)


def test_halves_of_what_was_trained_on_where_nothing_was_held_out(tokens):
    found = build_comparison(tokens(), seed=3)
    assert found.reference == "half of what was trained on: 20" and found.unseen is None
    assert len(found.real) == 20 and len(found.trained) == 40
    assert isinstance(found.measures, metrics.SequenceSuite)
    both = torch.cat([found.real, found.measures.reference])
    assert len(both.unique(dim=0)) == 40
    report = found.report(found.real[:10], torch.Generator().manual_seed(0))
    repeats = metrics.share_of_repeats(found.trained)
    assert report["share_of_copies"] == 1.0 and report["share_of_copies_test"] == repeats
    assert report["divergence_1_floor"] > 0


def test_what_was_held_out_is_the_reference(tokens):
    run = tokens(held_out=10)
    found = build_comparison(run)
    assert found.reference == "held out: 10" and len(found.real) == len(found.trained) == 30
    config = RunConfig.from_dict(run.about["config"])
    wanted = config.data.load_parts(config.train.seed)[1].states
    assert torch.equal(found.measures.reference, wanted) and torch.equal(found.unseen, wanted)
    report = found.report(wanted)
    assert report["share_of_copies"] == report["share_of_copies_test"] == 0.0
    assert report["divergence_3"] == 0.0


def test_a_split_that_is_named_is_the_reference(tmp_path):
    import datasets

    rows = {name: datasets.Dataset.from_dict({"states": [[0, 1, 2], [2, 1, i]] * 4})
            for i, name in enumerate(("train", "test"))}  # fmt: skip
    datasets.DatasetDict(rows).save_to_disk(str(tmp_path / "rows"))
    run = saved((3,), 3, config={"data": {"source": str(tmp_path / "rows")}})
    found = build_comparison(run, split="test")
    assert found.reference == "rows, test: 8" and len(found.trained) == 8
    assert found.measures.reference[1].tolist() == [2, 1, 1]
    with pytest.raises(ConfigError, match="split was 'train', which the run was trained on"):
        build_comparison(run, split="train")


def test_digits_need_no_config():
    found = build_comparison(saved((28, 28), 2, "binarized_mnist"))
    assert found.reference == "binarized_mnist, test: 10,000"
    assert len(found.real) == 60_000


def test_other_measures_may_be_asked_for(tokens):
    found = build_comparison(tokens(), kind="images")
    assert isinstance(found.measures, metrics.ImageSuite)


def test_what_is_refused(tokens):
    with pytest.raises(ConfigError, match="unknown kind 'token'; did you mean 'tokens'"):
        build_comparison(tokens(), kind="token")
    with pytest.raises(ConfigError, match=r"kind was chorales, but the run has .* \(4,\), K = 3"):
        build_comparison(tokens(), kind="chorales")
    with pytest.raises(ConfigError, match="does not say where its data are"):
        build_comparison(saved((4,), 3))
    with pytest.raises(ConfigError, match="does not say the shape of its data"):
        build_comparison(SavedRun(None, None, None, {}))
    with pytest.raises(DataError, match=r"for the reference have shape \(2, 4\); .* N >= 4"):
        build_comparison(tokens(held_out=2))


def test_points_are_measured_against_another_split(tmp_path):
    about = {"config": RunConfig.from_dict(
        {"data": {"source": "moons", "continuous": True}, "kernel": {"kind": "gaussian"}}
    ).to_dict(), "data": {"name": "moons", "shape": [2]}}  # fmt: skip
    found = build_comparison(SavedRun(None, (2,), None, about), split="test")
    assert found.reference == "moons, test: 2,048"
    near = found.report(found.real[:500], torch.Generator().manual_seed(0))
    assert abs(near["mmd_gaussian"]) < 2e-3 and "share_of_copies" not in near
    far = found.report(torch.randn(500, 2, generator=torch.Generator().manual_seed(0)))
    assert far["mmd_gaussian"] > 10 * abs(near["mmd_gaussian_floor"])


def test_texts_that_come_with_the_package_have_a_held_out_tail():
    config = {"data": {"source": "moby_dick", "length": 64}}
    data = RunConfig.from_dict(config).data.load()
    run = dataclasses.replace(saved((64,), 83, "moby_dick", config), tokenizer=data.tokenizer)
    found = build_comparison(run, split="test")
    assert found.reference == "moby_dick, test: 1,774" and len(found.real) == len(data)
    report = found.report(data.states[:50])
    assert 0.1 < report["divergence_3"] < 0.6 and report["known_words"] > 0.6
