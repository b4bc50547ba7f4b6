"""The autoregressive kernel: one law in one pass and site by site, holds, known sites, errors."""

from __future__ import annotations

import pytest
import torch

import discrete_ca as dca
from discrete_ca.corruption import Absorbing, Uniform
from discrete_ca.diagnostics import exact
from discrete_ca.errors import NonFiniteError
from discrete_ca.nn import AutoregressiveTransformer
from tests.helpers import seeded

SHAPES = [(), (3,), (2, 2), (2, 1, 2)]


def make_kernel(shape=(3,), noise=None, hold=0.0, seed=0, **settings):
    """With random weights everywhere, so that nothing is zero by its start."""
    noise = noise or Uniform(3)
    torch.manual_seed(seed)
    net = AutoregressiveTransformer(
        noise.num_states, shape, width=16, depth=2, heads=2, **settings
    ).double()
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return dca.AutoregressiveKernel(net, noise, hold)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("hold", [0.0, 0.4])
@pytest.mark.parametrize("noise", [Uniform(3), Absorbing(2)])
def test_probabilities_sum_to_one(shape, hold, noise):
    kernel = make_kernel(shape, noise, hold)
    P = exact.transition_matrix(kernel, shape, 0.3)
    torch.testing.assert_close(P.sum(1), torch.ones_like(P[0]), rtol=0, atol=1e-12)
    assert float(P.std()) > 0.01
    clean = exact.transition_matrix(kernel, shape, 0.3, target_level=0.0)
    torch.testing.assert_close(clean.sum(1), torch.ones_like(P[0]), rtol=0, atol=1e-12)
    y = exact.states(noise.num_states, shape)
    if noise.num_states > noise.num_categories:
        masked = (y.reshape(len(y), -1) == noise.num_categories).any(1)
        assert bool((clean[:, masked] == 0).all())  # clean states are categories


@pytest.mark.parametrize("shape", SHAPES)
def test_sites_are_drawn_from_the_law_that_is_scored(shape):
    """40,000 draws a case; chi-square at a false-alarm rate of 1e-6."""
    from scipy.stats import chi2

    kernel = make_kernel(shape, Uniform(2), hold=0.3)
    x = exact.states(2, shape)[-2:-1]
    P = exact.transition_matrix(kernel, shape, 0.3)[-2]
    count = 40_000
    law = kernel.transition(x.expand(count, *shape).contiguous(), 0.3)
    drawn = exact.index(law.sample(seeded()), 2)
    found = torch.bincount(drawn, minlength=len(P)).double()
    statistic = float(((found - count * P) ** 2 / (count * P)).sum())
    assert statistic < chi2.isf(1e-6, len(P) - 1)


def test_the_sites_before_and_no_others_are_seen():
    kernel = make_kernel((4,), Uniform(2))
    x, b = torch.zeros(1, 4, dtype=torch.long), torch.tensor([0.3], dtype=torch.float64)
    y = torch.zeros(1, 4, dtype=torch.long)
    base = kernel.net(x, b, y, b)
    for site in range(4):
        other = y.clone()
        other[0, site] = 1
        changed = (kernel.net(x, b, other, b) != base).any(-1)[0]
        assert changed.tolist() == [i > site for i in range(4)]
        seen = x.clone()
        seen[0, site] = 1
        assert bool((kernel.net(seen, b, y, b) != base).any(-1).all())  # x is seen whole


def test_writing_with_kept_keys_gives_the_logits_of_one_pass():
    kernel = make_kernel((2, 3), Uniform(3))
    g = seeded()
    x, y = (torch.randint(0, 3, (5, 2, 3), generator=g) for _ in range(2))
    b = torch.rand(5, generator=g, dtype=torch.float64)
    whole = kernel.net(x, b, y, b / 2).reshape(5, 6, 3)
    seen, condition = kernel.net.read(x, b, b / 2)
    memory, sites = kernel.net.memory(), y.flatten(1)
    for site in range(6):
        before = sites[:, site - 1] if site else None
        logits = kernel.net.write(seen, condition, site, before, memory)
        torch.testing.assert_close(logits, whole[:, site], rtol=0, atol=1e-12)


def test_known_sites_stay_and_count_nothing():
    kernel = make_kernel((4,), Uniform(3), hold=0.2, known=True)
    g = seeded()
    x = torch.randint(0, 3, (64, 4), generator=g)
    mask = torch.tensor([True, False, True, False]).expand(64, 4)
    values = torch.randint(0, 3, (64, 4), generator=g)
    law = kernel.transition(x, 0.4, known=(mask, values))
    y = law.sample(g)
    assert torch.equal(y[~mask], values[~mask])
    assert torch.equal(law.mode()[~mask], values[~mask])
    free = exact.states(3, (2,))
    total = torch.zeros(64, dtype=torch.float64)
    for first, second in free.tolist():
        y = values.clone()
        y[:, 0], y[:, 2] = first, second
        total += law.log_prob(y).exp()
    torch.testing.assert_close(total, torch.ones_like(total), rtol=0, atol=1e-12)
    told = kernel.transition(x, 0.4).log_prob(values)
    assert not torch.equal(told, law.log_prob(values))


def test_mode_is_greedy_and_repeats_what_is_held():
    kernel = make_kernel((3,), Uniform(2), hold=0.9)
    x = torch.randint(0, 2, (16, 3), generator=seeded())
    assert torch.equal(kernel.transition(x, 0.3).mode(), x)
    kernel.hold = 0.0
    law = kernel.transition(x, 0.3)
    y, base = law.mode(), law.log_prob(law.mode())
    y[:, -1] = 1 - y[:, -1]  # another last site is less probable
    assert bool((law.log_prob(y) < base).all())


def test_gradients_are_those_of_the_log_probability():
    kernel = make_kernel((2,), Uniform(2), hold=0.3)
    x = torch.tensor([[0, 1]])
    weight = kernel.net.out.weight

    def score(w):
        with torch.no_grad():
            weight.copy_(w)
        return torch.func.functional_call(kernel.net, {"out.weight": w}, (x, b, x, b))

    b = torch.tensor([0.3], dtype=torch.float64)
    assert torch.autograd.gradcheck(score, weight.detach().clone().requires_grad_(True))
    loss = kernel.transition(x, 0.3).log_prob(x).sum()
    (gradient,) = torch.autograd.grad(loss, kernel.net.out.bias)
    with torch.no_grad():
        step = 1e-6
        kernel.net.out.bias[0] += step
        found = (kernel.transition(x, 0.3).log_prob(x).sum() - loss) / step
    assert float(found) == pytest.approx(float(gradient[0]), rel=1e-4)


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("hold", [0.0, 0.3, 1.0])
def test_gradients_go_through_holds_and_known_sites(hold, known):
    """By finite differences, of all weights of the last layer; a hold of 1 leaves none."""
    kernel = make_kernel((3,), Uniform(2), hold=hold, known=True)
    x = torch.tensor([[0, 1, 1], [1, 0, 1]])
    y = x if hold == 1 else torch.tensor([[1, 1, 0], [1, 0, 1]])
    pair = (torch.tensor([True, False, True]), torch.tensor([0, 1, 0])) if known else None
    weight = kernel.net.out.weight

    def score(w):
        changed = torch.func.functional_call(
            Scored(kernel), {"kernel.net.out.weight": w}, (x, y, pair)
        )
        assert changed.shape == (2,)
        return changed

    assert torch.autograd.gradcheck(score, weight.detach().clone().requires_grad_(True))
    (slope,) = torch.autograd.grad(score(weight).sum(), weight)
    assert bool(slope.any()) is (hold < 1) and bool(slope.isfinite().all())


class Scored(torch.nn.Module):
    """Scores a step as a forward."""

    def __init__(self, kernel):
        super().__init__()
        self.kernel = kernel

    def forward(self, x, y, known):
        return self.kernel.transition(x, 0.3, known=known).log_prob(y)


def test_it_runs_through_every_chain_and_the_disk(tmp_path):
    kernel = make_kernel((4,), Uniform(3), known=True, num_classes=2).float()
    g = seeded()
    z, info = dca.sample(kernel, 6, (4,), moves=3, generator=g, label=1, return_info=True)
    assert z.shape == (6, 4) and int(z.max()) < 3 and info.nfe > 3
    assert dca.variants(kernel, z[0], n=3, level=0.3, steps=2, generator=g).shape == (3, 4)
    mask = torch.tensor([True, True, False, False])
    filled = dca.inpaint(kernel, z[0], mask, n=3, moves=2, generator=g)
    assert torch.equal(filled[:, 2:], z[0, 2:].expand(3, 2))
    kernel.save_pretrained(tmp_path)
    again = dca.load_kernel(tmp_path)
    x = torch.randint(0, 3, (3, 4), generator=g)
    label = torch.zeros(3, dtype=torch.long)
    first, second = (k.transition(x, 0.2, label=label).log_prob(x) for k in (kernel, again))
    assert torch.equal(first, second)


def test_bad_input_is_refused():
    kernel = make_kernel((3,), Uniform(3))
    x = torch.zeros(2, 3, dtype=torch.long)
    with pytest.raises(ValueError, match=r"net has num_states = 3; allowed: 2"):
        dca.AutoregressiveKernel(kernel.net, Uniform(2))
    with pytest.raises(ValueError, match="net was a MLP; allowed: a network that writes sites"):
        dca.AutoregressiveKernel(dca.nn.MLP(3, 3, shape=(3,)), Uniform(3))
    with pytest.raises(ValueError, match="hold was 1.5"):
        dca.AutoregressiveKernel(kernel.net, Uniform(3), hold=1.5)
    with pytest.raises(ValueError, match="label was given"):
        kernel.transition(x, 0.3, label=torch.zeros(2, dtype=torch.long))
    with pytest.raises(ValueError, match=r"y has shape \(2, 2\); allowed: \(2, 3\)"):
        kernel.transition(x, 0.3).log_prob(x[:, :2])
    with pytest.raises(ValueError, match=r"x has shape \(2, 2\); allowed: \(B, \*\(3,\)\)"):
        kernel.transition(x[:, :2], 0.3).sample()
    with pytest.raises(ValueError, match="width was 10 with heads = 4"):
        AutoregressiveTransformer(2, (3,), width=10)
    torch.nn.init.constant_(kernel.net.out.bias, float("nan"))
    with pytest.raises(NonFiniteError, match="not finite"):
        kernel.transition(x, 0.3).log_prob(x)
    with pytest.raises(NonFiniteError, match="not finite"):
        kernel.transition(x, 0.3).sample()


def test_at_level_0_a_design_is_what_it_is():
    kernel = make_kernel()
    z = torch.tensor([0, 1, 0])
    found = dca.variants(kernel, z, n=3, level=0.0, steps=2, generator=seeded())
    assert torch.equal(found, z.expand(3, -1))
    law = kernel.transition(z[None], 0.0)
    assert law.log_prob(z[None]) == 0 and law.log_prob(1 - z[None]) == -torch.inf
