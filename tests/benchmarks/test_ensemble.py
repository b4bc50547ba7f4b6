"""Networks trained side by side are what they are alone."""

import pytest
import torch

import discrete_ca as dca
from benchmarks.ensemble import EnsembleKernel, LawBatches
from benchmarks.exact_law import NOISES, RECIPES, make_kernel
from benchmarks.laws import random_law

LAWS = [random_law(seed) for seed in range(3)]


def kernels():
    made = []
    for seed, law in enumerate(LAWS):
        torch.manual_seed(seed)
        kernel = make_kernel(law, NOISES["uniform"], 0.5, RECIPES["default (adjustment head)"])
        torch.nn.init.normal_(kernel.adjustment.layers[-1].weight)
        made.append(kernel)
    return made


def test_each_example_goes_through_its_own_member():
    alone = kernels()
    together = EnsembleKernel.of(alone)
    label = torch.tensor([2, 0, 1, 1, 0, 2])
    x = torch.randint(0, 2, (6, 5), generator=torch.Generator().manual_seed(0))
    y = torch.randint(0, 2, (6, 5), generator=torch.Generator().manual_seed(1))
    b = torch.linspace(0.1, 0.9, 6)
    found = together.transition(x, b, label=label).log_prob(y)
    for i, member in enumerate(label.tolist()):
        want = alone[member].transition(x[i : i + 1], b[i : i + 1]).log_prob(y[i : i + 1])
        torch.testing.assert_close(found[i : i + 1], want)
    for i, kernel in enumerate(alone):
        again = together.member(i).transition(x, b).log_prob(y)
        torch.testing.assert_close(again, kernel.transition(x, b).log_prob(y))


def test_batches_hold_as_many_examples_of_each_law_also_in_the_denoising_slice():
    z, label = LawBatches(LAWS)(24, torch.Generator().manual_seed(0))
    assert z.shape == (24, 5)
    assert label.bincount().tolist() == [8, 8, 8]
    assert label[::8].bincount().tolist() == [1, 1, 1]


def test_examples_are_labelled_by_the_law_that_they_are_from():
    # 30,000 draws of 32 states a law: a correct sampler is within 0.05 in TV but once in 1e9.
    z, label = LawBatches(LAWS)(90_000, torch.Generator().manual_seed(1))
    code = (z * 2 ** torch.arange(4, -1, -1)).sum(1)
    for i, law in enumerate(LAWS):
        found = code[label == i].bincount(minlength=32) / 30_000
        assert float((found - law.p).abs().sum()) / 2 < 0.05
        other = LAWS[(i + 1) % 3].p
        assert float((found - other).abs().sum()) / 2 > 0.2


def test_no_member_is_moved_by_the_loss_of_another():
    kernel = EnsembleKernel.of(kernels())
    z, label = LawBatches(LAWS)(24, torch.Generator().manual_seed(0))
    loss = dca.Denoising(unlabelled_share=0.0)(
        kernel, z, 0.3, label, torch.Generator().manual_seed(1)
    )
    loss[label == 1].sum().backward()
    for weight in kernel.net.stacked:
        assert weight.grad[1].any()
        assert not weight.grad[[0, 2]].any()


def test_batches_with_more_of_one_law_are_refused():
    kernel = EnsembleKernel.of(kernels())
    with pytest.raises(ValueError, match=r"examples a member: \[2, 0, 1\]"):
        kernel.transition(torch.zeros(3, 5).long(), 0.3, label=torch.tensor([0, 2, 0]))
