"""Guidance: the formula, what it costs, and by enumeration what the chain then converges to."""

import math

import pytest
import torch

import discrete_ca as dca
from discrete_ca import nn
from discrete_ca.corruption import Uniform
from discrete_ca.diagnostics import exact
from discrete_ca.nn.wrapping import Wrapped
from discrete_ca.runs import RecipeConfig, build_schedule
from tests.helpers import Posterior, random_law, seeded

LEVEL = 0.02


class LabelledPosterior(torch.nn.Module):
    """The exact posteriors of p(z|c) for each class c, and for -1 that of their even mixture."""

    def __init__(self, laws, shape, corruption):
        super().__init__()
        mixture = torch.stack(laws).mean(0)
        self.nets = torch.nn.ModuleList(Posterior(p, corruption, shape) for p in [*laws, mixture])

    def forward(self, x, b, label=None):
        every = torch.stack([net(x, b) for net in self.nets])
        which = torch.full((len(x),), -1) if label is None else label
        return every[which, torch.arange(len(x))]


def labelled(shape):
    corruption = Uniform(2)
    laws = [random_law(2, shape, seed) for seed in (0, 1)]
    return dca.CategoricalNoiseKernel(LabelledPosterior(laws, shape, corruption), corruption), laws


def network(**given):
    torch.manual_seed(0)
    net = nn.MLP(3, 3, shape=(2, 3), num_classes=4, **given)
    for parameter in net.parameters():
        parameter.data.normal_(0.0, 0.3, generator=seeded(1))
    return net


@pytest.mark.parametrize("guidance", [0.5, 3.0])
@pytest.mark.parametrize("known", [None, torch.rand(5, 2, 3, generator=seeded(2)) < 0.5])
def test_logits_are_those_of_the_formula(guidance, known):
    net = network(known=True, hold=True)
    x, b = torch.randint(3, (5, 2, 3), generator=seeded(0)), torch.rand(5, generator=seeded(1))
    label, hold = torch.tensor([0, 1, 2, 3, -1]), torch.rand(5, generator=seeded(3))
    given = {"known": known, "hold": hold}
    told = net(x, b, label=label, **given).log_softmax(-1)
    untold = net(x, b, **given).log_softmax(-1)
    found = nn.Guided(net, guidance)(x, b, label=label, **given)
    torch.testing.assert_close(found, (1 + guidance) * told - guidance * untold)
    torch.testing.assert_close(found[-1].log_softmax(-1), untold[-1])  # no label: nothing to follow
    torch.testing.assert_close(nn.Guided(net, guidance)(x, b, **given), net(x, b, **given))


def test_no_guidance_leaves_the_network_alone():
    net, x, b = network(), torch.zeros(2, 2, 3, dtype=torch.long), torch.tensor([0.1, 0.9])
    label = torch.tensor([1, 2])
    assert torch.equal(nn.Guided(net, 0.0)(x, b, label=label), net(x, b, label=label))


def test_what_cannot_be_stays_impossible():
    class Never(torch.nn.Module):
        def forward(self, x, b, label=None):
            logits = torch.zeros(*x.shape, 3)
            logits[..., 0] = -math.inf
            return logits

    logits = nn.Guided(Never(), 2.0)(torch.zeros(1, 2).long(), torch.ones(1), torch.tensor([0]))
    assert logits[..., 0].isneginf().all() and logits[..., 1:].isfinite().all()


@pytest.mark.parametrize("guidance", [-0.1, math.nan, math.inf])
def test_guidance_out_of_range(guidance):
    with pytest.raises(ValueError, match="guidance was .*; allowed: a number >= 0"):
        nn.Guided(network(), guidance)


def test_guidance_is_not_nested():
    """Two guidances would cost four evaluations and mean neither's g."""
    guided = dca.CategoricalNoiseKernel(network(), Uniform(3)).guided(1.0)
    with pytest.raises(ValueError, match="net is guided already; allowed: one guidance"):
        guided.guided(1.0)
    with pytest.raises(ValueError, match="net is guided already"):
        nn.Guided(nn.Guided(network(), 0.0), 1.0)


def test_a_network_without_labels_cannot_be_guided():
    with pytest.raises(ValueError, match="net is a MLP, which takes no `label`"):
        nn.Guided(nn.MLP(2, 2, shape=(3,)), 1.0)


def test_one_site_is_tilted_exactly():
    """With one site there is no product to err: p(z|x, c)^(1 + g) p(z|x)^(-g)."""
    kernel, _ = labelled((1,))
    x, label = exact.states(2, (1,)), torch.tensor([0, 0])
    b = torch.tensor(0.3, dtype=torch.float64)
    told = kernel.transition(x, b, label=label).read_out.log_probs
    untold = kernel.transition(x, b).read_out.log_probs
    tilted = (told.exp() ** 3 * untold.exp() ** -2).squeeze(1)
    found = kernel.guided(2.0).transition(x, b, label=label).read_out.log_probs.exp().squeeze(1)
    torch.testing.assert_close(found, tilted / tilted.sum(-1, keepdim=True), rtol=1e-12, atol=0)


def test_the_chain_follows_the_label_more_but_not_by_the_tilted_law():
    """Theory, section 6: p(z|c)^(1+g) p(z)^(-g) is not what a chain of products converges to."""
    shape = (3,)
    kernel, laws = labelled(shape)
    label, mixture = torch.zeros(8, dtype=torch.long), torch.stack(laws).mean(0)

    def stationary(guidance):
        P = exact.transition_matrix(kernel.guided(guidance), shape, LEVEL, label=label)
        torch.testing.assert_close(P.sum(-1), torch.ones(8).double(), rtol=0, atol=1e-12)
        pi = exact.stationary_distribution(P)
        return pi, exact.detailed_balance_residual(P, pi)

    tv = exact.total_variation
    tilted = laws[0] ** 3 * mixture**-2
    tilted = exact.noisy_law(tilted / tilted.sum(), kernel.corruption, shape, LEVEL)
    plain, _ = stationary(0.0)
    guided, residual = stationary(2.0)
    assert tv(plain, exact.noisy_law(laws[0], kernel.corruption, shape, LEVEL)) < 0.02
    belief = (laws[0] / (laws[0] + laws[1])).log()
    assert guided @ belief > plain @ belief + 0.05
    assert tv(guided, tilted) == pytest.approx(0.21, abs=0.005)  # the docstring's figures
    assert tv(plain, tilted) == pytest.approx(0.18, abs=0.005)
    assert residual > 1e-6


def test_a_guided_kernel_shares_weights_and_counts_two_evaluations(tmp_path):
    kernel = dca.CategoricalNoiseKernel(network(), Uniform(3))
    guided = kernel.guided(1.5)
    assert guided.net.net is kernel.net and isinstance(kernel.net, nn.MLP)
    _, told = dca.sample(guided, 2, (2, 3), label=1, moves=3, return_info=True)
    _, untold = dca.sample(guided, 2, (2, 3), moves=3, return_info=True)
    _, plain = dca.sample(kernel, 2, (2, 3), label=1, moves=3, return_info=True)
    assert (told.nfe, untold.nfe, plain.nfe) == (14, 7, 7)
    guided.save_pretrained(tmp_path)
    loaded = dca.load_kernel(tmp_path)
    x, label = torch.zeros(2, 2, 3, dtype=torch.long), torch.tensor([0, 3])
    for k in (guided, loaded):
        assert k.net.guidance == 1.5
    found, expected = (k.transition(x, 0.3, label=label).probs() for k in (loaded, guided))
    assert torch.equal(found, expected)


def test_a_wrapper_of_a_guided_network_counts_as_that_does():
    wrapped = Wrapped(nn.Guided(network(), 1.0))
    assert (wrapped.evaluations(True), wrapped.evaluations(False)) == (2, 1)
    assert Wrapped(network()).evaluations(True) == 1


class Recorder(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.labels = []

    def forward(self, x, b, label=None):
        self.labels.append(label)
        return torch.zeros(*x.shape, 2, requires_grad=True)


def test_a_share_of_the_labels_is_hidden_in_training():
    net, n = Recorder(), 4000
    kernel = dca.CategoricalNoiseKernel(net, Uniform(2))
    z, label = torch.zeros(n, 1, dtype=torch.long), torch.arange(n) % 10
    dca.Denoising(unlabelled_share=0.25)(kernel, z, label=label, generator=seeded(0))
    dca.Denoising(unlabelled_share=0.0)(kernel, z, label=label, generator=seeded(0))
    hidden = net.labels[0] == -1
    assert torch.equal(net.labels[0][~hidden], label[~hidden])
    assert abs(int(hidden.sum()) - n / 4) < 5 * math.sqrt(n * 0.25 * 0.75)  # false alarm: 6e-7
    assert torch.equal(net.labels[1], label)


def test_a_tenth_of_the_labels_is_hidden_unless_said():
    """In Python as on the command line: what guidance and sampling without a label need."""
    schedules = (
        dca.Schedule.default(),
        dca.Schedule.half_and_half(),
        build_schedule(RecipeConfig()),
    )
    shares = {p.objective.unlabelled_share for s in schedules for p in s.phases}
    assert shares == {0.1} == {dca.Renoising().unlabelled_share}


def test_shares_of_hidden_labels_out_of_range():
    with pytest.raises(ValueError, match="unlabelled_share"):
        dca.Denoising(unlabelled_share=1.5)
