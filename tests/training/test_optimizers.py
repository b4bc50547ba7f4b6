"""Muon on weights of any rank, and which weights it gets."""

import pytest
import torch
from torch import nn

import discrete_ca as dca
from discrete_ca.training.optimizers import Muon, make_optimizers, matrices


def test_a_step_moves_a_convolution_along_an_orthogonal_matrix():
    torch.manual_seed(0)
    layer = nn.Conv2d(16, 32, 3)
    before = layer.weight.detach().clone()
    optimizer = Muon([layer.weight], lr=0.1, weight_decay=0.0, momentum=0.0, nesterov=False)
    layer.weight.grad = torch.randn(layer.weight.shape)
    gradient = layer.weight.grad.flatten(1)
    optimizer.step()
    move = (layer.weight.detach() - before).flatten(1)
    assert float((move * gradient).sum()) < 0
    values = torch.linalg.svdvals(move / move.norm() * 32**0.5)
    assert float(values.min()) > 0.5 and float(values.max()) < 1.5  # all 1 but for its few rounds
    optimizer.zero_grad()
    assert layer.weight.grad is None


def test_weights_that_are_not_contiguous_are_refused():
    weight = nn.Parameter(torch.zeros(16, 16, 3, 3).movedim(1, -1))
    with pytest.raises(ValueError, match=r"\(16, 3, 3, 16\) is not contiguous"):
        Muon([weight], lr=0.1)


def test_every_parameter_has_one_optimizer():
    net = dca.nn.UNet(2, 2, widths=(16, 32), blocks=1, head_width=16, num_classes=40)
    config = dca.TrainConfig(steps=1, matrix_learning_rate=0.02)
    parameters = list(net.parameters())
    adam, muon = make_optimizers(net, parameters, config)
    kept = [p for group in adam.param_groups for p in group["params"]]
    assert {id(p) for p in kept} | {id(p) for p in muon.weights} == {id(p) for p in parameters}
    assert len(kept) + len(muon.weights) == len(parameters)
    embeddings = [m.weight for m in net.modules() if isinstance(m, nn.Embedding)]
    assert embeddings and not {id(p) for p in embeddings} & {id(w) for w in matrices(net)}
    assert id(net.out.weight) not in {id(w) for w in matrices(net)}
    assert len(make_optimizers(net, parameters, dca.TrainConfig(steps=1))) == 1


def test_frozen_weights_stay():
    kernel = dca.CategoricalNoiseKernel(dca.nn.MLP(2, 2, shape=(3,)), dca.corruption.Uniform(2))
    first = kernel.net.layers[0].weight
    first.requires_grad_(False)
    before, other = first.clone(), kernel.net.layers[1].weight.detach().clone()
    config = dca.TrainConfig(steps=3, matrix_learning_rate=0.02, progress=False)
    dca.Trainer(kernel, dca.Denoising(), torch.zeros(64, 3).long(), config).fit()
    assert torch.equal(first, before)
    assert not torch.equal(kernel.net.layers[1].weight, other)
