"""What every kernel has: a user's own with one method, saving and loading, declared arguments."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from discrete_ca import CategoricalNoiseKernel, GaussianNoiseKernel, TransitionKernel, load_kernel
from discrete_ca.corruption import Absorbing, Uniform
from discrete_ca.distributions import Categorical
from discrete_ca.errors import CheckpointError
from discrete_ca.kernels.base import declared
from discrete_ca.nn import MLP
from discrete_ca.serialization import save_module
from tests.helpers import Smooth, Told, seeded


class Redraw(TransitionKernel):
    """Every site is redrawn from one learned law."""

    def __init__(self, num_states=3):
        super().__init__()
        self.num_states = num_states
        self.logits = nn.Parameter(torch.linspace(-1, 1, num_states))

    def transition(self, x, level, target_level=None, label=None, known=None):
        return Categorical(self.logits.log_softmax(-1).expand(*x.shape, self.num_states))


def test_a_users_kernel_needs_only_transition():
    kernel = Redraw()
    z = torch.tensor([[0, 2]])
    assert kernel.corrupt(z, 0.5) is z
    assert kernel.hold == 0.0
    with pytest.raises(NotImplementedError, match="Redraw has no known law at level 1"):
        kernel.initial(2, (3,))
    law = kernel.transition(z, 0.1)
    expected = kernel.logits.log_softmax(-1)[[1, 2]].sum()
    torch.testing.assert_close(law.log_prob(torch.tensor([[1, 2]])), expected.reshape(1))


def test_a_kernel_without_transition_is_none():
    class Nothing(TransitionKernel):
        pass

    with pytest.raises(TypeError, match="abstract"):
        Nothing()


class Narrowed(nn.Module):
    accepts = frozenset({"label"})

    def forward(self, x, b, label=None, known=None):
        return x


def test_declared_arguments():
    names = ["label", "known"]
    assert declared(Smooth(2, 2), names) == frozenset()
    assert declared(Told(2, 2), names) == {"label", "known"}
    assert declared(Narrowed(), names) == {"label"}
    assert declared(MLP(2, 2, (3,)), names) == frozenset()
    assert declared(MLP(2, 2, (3,), num_classes=4, known=True), names) == {"label", "known"}


@pytest.mark.parametrize("lag", [None, 0.9])
def test_kernels_come_back_as_they_were_saved(tmp_path, lag):
    net = MLP(2, 3, shape=(4,), width=8)
    kernel = CategoricalNoiseKernel(net, Absorbing(2), hold=0.7, carry_over=False, lag=lag)
    kernel.save_pretrained(tmp_path / "kernel")
    x, y = (torch.randint(0, 3, (5, 4), generator=seeded(s)) for s in (0, 1))
    for found in (
        load_kernel(tmp_path / "kernel"),
        CategoricalNoiseKernel.from_pretrained(tmp_path / "kernel"),
        TransitionKernel.from_pretrained(tmp_path / "kernel"),
    ):
        assert not found.training
        assert (found.hold, found.carry_over, found.lag) == (lag or 0.7, False, lag)
        ours, theirs = (k.transition(x, 0.4).log_prob(y) for k in (kernel, found))
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


def test_a_kernel_of_another_class_is_refused(tmp_path):
    kernel = CategoricalNoiseKernel(MLP(2, 2, shape=(4,), width=8), Uniform(2))
    kernel.save_pretrained(tmp_path)
    with pytest.raises(
        CheckpointError, match="holds a CategoricalNoiseKernel; allowed here: Gauss"
    ):
        GaussianNoiseKernel.from_pretrained(tmp_path)


def test_what_is_no_kernel_is_refused(tmp_path):
    save_module(MLP(2, 2, shape=(4,), width=8), tmp_path)
    with pytest.raises(CheckpointError, match="holds a MLP; allowed: a kernel"):
        load_kernel(tmp_path)


def test_a_network_that_records_nothing_is_given_again(tmp_path):
    net = Smooth(2, 2)
    CategoricalNoiseKernel(net, Uniform(2), hold=0.25).double().save_pretrained(tmp_path)
    saved = json.loads((tmp_path / "config.json").read_text())
    assert saved["args"]["net"]["args"] is None
    with pytest.raises(CheckpointError, match="did not record its arguments"):
        load_kernel(tmp_path, trust_code=True)
    found = load_kernel(tmp_path, net=Smooth(2, 2, seed=5))
    assert found.hold == 0.25
    assert torch.equal(found.net.own, net.own)
