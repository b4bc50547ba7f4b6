from __future__ import annotations

import math

import pytest
import torch
from safetensors.torch import save_file

from discrete_ca import data
from discrete_ca.errors import CheckpointError
from discrete_ca.metrics import (
    GARBAGE,
    Judge,
    class_entropy,
    confident_share,
    digit_metrics,
    load_judge,
)
from discrete_ca.metrics.judge import JUDGE_FILE


@pytest.fixture(scope="module")
def judge():
    return load_judge()


@pytest.fixture(scope="module")
def digits():
    test = data.load("binarized_mnist", split="test")
    rows = torch.randperm(len(test.states), generator=torch.Generator().manual_seed(0))[:2000]
    return test.states[rows], test.labels[rows]


def test_the_file_is_small():
    assert JUDGE_FILE.stat().st_size <= 300_000


def test_accuracy_and_confidence_on_digits(judge, digits):
    z, labels = digits
    log_probs = judge.log_probs(z)
    assert float((log_probs.argmax(1) == labels).double().mean()) >= 0.985
    assert confident_share(log_probs) >= 0.95
    assert class_entropy(log_probs) == pytest.approx(math.log(10), abs=0.02)


@pytest.mark.parametrize("name", GARBAGE)
def test_unsure_of_garbage(judge, digits, name):
    z = GARBAGE[name](digits[0][:500], torch.Generator().manual_seed(0))
    # Parts of two images sometimes make a digit, above all where both are of one class.
    limit = {"joined halves": 0.15, "overlaid": 0.1}.get(name, 0.01)
    assert confident_share(judge.log_probs(z)) <= limit


def test_metrics_tell_digits_from_garbage(judge, digits):
    z, _ = digits
    reference = judge.features(z[1000:])
    real = digit_metrics(z[:1000], reference, judge)
    shuffled = GARBAGE["shuffled pixels"](z[:1000], torch.Generator().manual_seed(0))
    noise = digit_metrics(shuffled, z[1000:], judge)
    assert real.confident_share > 0.9 and noise.confident_share < 0.01
    assert 10 * real.frechet_distance < noise.frechet_distance
    assert digit_metrics(z[:1000], z[1000:], judge) == real
    assert real.as_dict()["frechet_distance"] == real.frechet_distance
    one_class = digit_metrics(z[digits[1] == 3], reference, judge)
    assert one_class.class_entropy < 0.2


def test_outputs_do_not_depend_on_chunks_or_mode(judge, digits):
    z = digits[0][:50]
    judge.train()
    torch.testing.assert_close(judge.features(z, chunk=7), judge.features(z))
    torch.testing.assert_close(judge.log_probs(z, chunk=7), judge.log_probs(z))
    assert not judge.training and not judge.features(z).requires_grad
    assert judge.log_probs(z).exp().sum(1).max() <= 1 + 1e-6
    assert judge.features(z[:0]).shape == (0, 64)


def test_entropy_and_confidence_by_hand():
    even = torch.full((4, 10), 0.1).log()
    assert class_entropy(even) == pytest.approx(math.log(10))
    assert confident_share(even) == 0.0 and confident_share(even, threshold=0.05) == 1.0
    half = torch.tensor([[0.5, 0.0], [0.25, 0.0]]).log()  # the rest: no digit
    assert class_entropy(half) == 0.0
    certain = torch.eye(2).log()
    assert class_entropy(certain) == pytest.approx(math.log(2))
    assert confident_share(certain, threshold=1.0) == 1.0


def test_errors(judge):
    z = torch.zeros(2, 28, 28, dtype=torch.long)
    with pytest.raises(TypeError, match=r"z has dtype torch.float32; allowed: torch.int64"):
        judge.features(z.float())
    with pytest.raises(ValueError, match=r"z has shape \(2, 28, 27\); allowed: \(N, 28, 28\)"):
        judge.log_probs(z[..., 1:])
    with pytest.raises(ValueError, match=r"z holds values in \[2, 2\]; allowed: 0 .. 1"):
        judge.log_probs(z + 2)
    with pytest.raises(ValueError, match=r"threshold was 1.5; allowed: \[0, 1\]"):
        confident_share(torch.zeros(2, 10), threshold=1.5)
    with pytest.raises(ValueError, match=r"log_probs has shape \(0, 10\)"):
        class_entropy(torch.zeros(0, 10))
    with pytest.raises(ValueError, match="log_probs is -inf or NaN for every class"):
        class_entropy(torch.full((2, 10), -torch.inf))
    with pytest.raises(ValueError, match="width was 0"):
        Judge(width=0)


def test_files_that_hold_no_judge(tmp_path):
    with pytest.raises(CheckpointError, match="allowed: a saved judge"):
        load_judge(tmp_path / "absent.safetensors")
    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match="allowed: a saved judge"):
        load_judge(tmp_path / "other.safetensors")
    save_file({"head.weight": torch.zeros(11, 64)}, tmp_path / "part.safetensors")
    with pytest.raises(CheckpointError, match="allowed: a saved judge"):
        load_judge(tmp_path / "part.safetensors")
    (tmp_path / "broken.safetensors").write_bytes(b"not safetensors")
    with pytest.raises(CheckpointError, match="allowed: a saved judge"):
        load_judge(tmp_path / "broken.safetensors")
