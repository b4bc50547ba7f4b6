"""The discretised-logistic head against float64 and by its sums."""

import math

import pytest
import torch

from discrete_ca import CategoricalNoiseKernel, nn
from discrete_ca.corruption import Absorbing, Ordinal
from discrete_ca.nn import Logistic, logistic_logits
from tests.helpers import SHAPES, seeded


def reference(parameters, k):
    """The formula of the module's docstring in float64, from the tail where it cancels least."""
    weight, mean, width = parameters.double().chunk(3, -1)
    scale = torch.nn.functional.softplus(width) + 0.1 / k
    edges = torch.cat([torch.tensor([-math.inf]), torch.arange(1, k) * 2 / k - 1,
                       torch.tensor([math.inf])]).double()  # fmt: skip
    place = (edges - mean.unsqueeze(-1)) / scale.unsqueeze(-1)
    low, high = place[..., :-1], place[..., 1:]
    flip = low > 0  # σ(u) - σ(l) = σ(-l) - σ(-u)
    low, high = torch.where(flip, -high, low), torch.where(flip, -low, high)
    bins = torch.sigmoid(high) - torch.sigmoid(low)
    return (weight.softmax(-1).unsqueeze(-1) * bins).sum(-2)


@pytest.mark.parametrize("components", [1, 3])
@pytest.mark.parametrize("k", [2, 3, 16, 256])
def test_probabilities_are_those_of_the_formula(k, components):
    parameters = torch.randn(200, 3 * components, generator=seeded(0)) * torch.tensor(
        [1.0, 0.7, 3.0]
    ).repeat_interleave(components)
    found = logistic_logits(parameters, k)
    assert found.shape == (200, k) and found.dtype == torch.float32
    expected = reference(parameters, k)
    torch.testing.assert_close(found.double().exp(), expected, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(found.exp().sum(-1), torch.ones(200), rtol=0, atol=1e-5)


@pytest.mark.parametrize("mean", [-30.0, -1.0, 0.0, 0.3, 1.0, 30.0])
@pytest.mark.parametrize("width", [-200.0, -8.0, 0.0, 100.0])
def test_tails_and_gradients_in_single_precision_are_those_in_double(mean, width):
    """Sites and scales at which the plain formula is 0 in float64 too."""
    single = torch.tensor([0.0, mean, width]).requires_grad_()
    double = single.detach().double().requires_grad_()
    ours, theirs = logistic_logits(single, 256), logistic_logits(double, 256)
    assert bool(ours.isfinite().all())
    torch.testing.assert_close(ours.double(), theirs, rtol=1e-4, atol=1e-4)
    for k in (0, 128, 255):
        (found,) = torch.autograd.grad(ours[k], single, retain_graph=True)
        (wanted,) = torch.autograd.grad(theirs[k], double, retain_graph=True)
        assert bool(found.isfinite().all())
        torch.testing.assert_close(found.double(), wanted, rtol=1e-3, atol=1e-4)


def test_gradients_by_differences():
    parameters = torch.randn(4, 6, generator=seeded(1)).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda p: logistic_logits(p, 7), parameters)


def test_a_multiple_of_three_is_asked_for():
    with pytest.raises(ValueError, match=r"parameters have shape \(2, 4\); allowed: \(..., 3M\)"):
        logistic_logits(torch.zeros(2, 4), 5)


@pytest.mark.parametrize("shape", SHAPES)
def test_an_untrained_head_stays_near_the_state(shape):
    class Zero(torch.nn.Module):
        num_states = 10

        def forward(self, x, b):
            return torch.tensor([0.0, 0.0, -6.0]).expand(*x.shape, 3)

    net = Logistic(Zero(), 9)
    x = torch.randint(0, 9, (3, *shape), generator=seeded(2))
    logits = net(x, torch.full((3,), 0.2))
    assert torch.equal(logits.argmax(-1), x)
    masks = net(torch.full_like(x, 9), torch.full((3,), 0.2))
    assert bool((masks.argmax(-1) == 4).all())


def test_it_takes_what_its_network_takes():
    torch.manual_seed(0)
    inner = nn.MLP(6, 5, shape=(3,), width=8, known=True, num_classes=2)
    net = Logistic(inner, 4)
    assert net.accepts == {"known", "label"} and (net.num_categories, net.num_states) == (4, 5)
    kernel = CategoricalNoiseKernel(net, Absorbing(4))
    assert kernel.told_known and kernel.told_label
    x, b = torch.zeros(2, 3).long(), torch.tensor([0.5, 0.5])
    bare = net(x, b)
    assert (net(x, b, label=torch.tensor([0, 1])) != bare).any()
    assert (net(x, b, known=torch.zeros(2, 3).bool()) != bare).any()
    assert Logistic(nn.MLP(3, 4, shape=(3,)), 4).accepts == frozenset()
    with pytest.raises(ValueError, match="net has num_categories = 4; allowed: 5"):
        CategoricalNoiseKernel(net, Absorbing(5))


def test_it_is_saved_and_learns(tmp_path):
    """A narrow law near the top of 256 levels is found within a few steps."""
    import discrete_ca as dca

    torch.manual_seed(0)
    net = Logistic(nn.MLP(3, 256, shape=(4,), width=32), 256)
    kernel = CategoricalNoiseKernel(net, Ordinal(256), hold=0.5)
    data = 200 + torch.randint(0, 8, (512, 4), generator=seeded(3))
    config = dca.TrainConfig(steps=150, batch_size=64, learning_rate=1e-2, progress=False)
    dca.Trainer(kernel, dca.Denoising(), data, config).fit()
    found = dca.sample(kernel, 64, (4,), moves=8, generator=seeded(4))
    assert float((found.double() - 204).abs().mean()) < 12
    kernel.save_pretrained(tmp_path)
    again = dca.load_kernel(tmp_path)
    b = torch.full((5,), 0.4)
    assert torch.equal(again.net(data[:5], b), kernel.net(data[:5], b))
