"""Renoising: its optimum by enumeration, its shares, its refusals."""

import pytest
import torch

import discrete_ca as dca
from discrete_ca.corruption import Uniform
from discrete_ca.diagnostics import exact
from discrete_ca.nn import AutoregressiveTransformer
from tests.helpers import seeded


def make_kernel(hold=0.0):
    torch.manual_seed(0)
    net = AutoregressiveTransformer(2, (3,), width=16, depth=1, heads=2)
    return dca.AutoregressiveKernel(net, Uniform(2), hold)


def renoised(p, hold, level):
    """The law Σ_z p(z|x) q(y|x, z), by enumeration, (8, 8), and the noisy law, (8,)."""
    noise, b = Uniform(2), torch.tensor([level], dtype=torch.float64)
    z = exact.states(2, (3,))
    q = torch.stack(
        [noise.log_prob(z, x.expand(8, 3), b.expand(8)).sum(-1).exp() for x in z], 1
    )  # (z, x)
    posterior = (p[:, None] * q).T / (p @ q)[:, None]  # (x, z)
    coupling = torch.stack(
        [
            exact.product_laws(noise.coupling(x.expand(8, 3), hold, b, b)[torch.arange(8)[:, None],
                               torch.arange(3), z].double()) for x in z
        ]
    )  # fmt: skip
    return (posterior[:, :, None] * coupling).sum(1), p @ q


@pytest.mark.parametrize("hold", [0.0, 0.5])
def test_its_optimum_is_stationary_for_the_noisy_law_at_any_hold(hold):
    """Detailed balance to rounding."""
    best, noisy = renoised(torch.rand(8, generator=seeded()).double().softmax(0), hold, 0.4)
    assert exact.total_variation(exact.stationary_distribution(best), noisy) < 1e-12
    assert exact.detailed_balance_residual(best, noisy) < 1e-14


class Table(dca.AutoregressiveKernel):
    """Steps by tables of p(y|x), (8, 8), one for equal levels, trained for what it can say."""

    def __init__(self, hold):
        net = AutoregressiveTransformer(2, (3,), width=16, depth=1, heads=2)
        super().__init__(net, Uniform(2), hold)
        self.logits = torch.nn.Parameter(torch.zeros(8, 8, dtype=torch.float64))

    def transition(self, x, level, target_level=None, label=None, known=None, hold=None):
        assert target_level is None
        return Row(self.logits.log_softmax(-1)[exact.index(x, 2)])


class Row(dca.distributions.Transition):
    def __init__(self, log_probs):
        self.log_probs = log_probs

    def log_prob(self, y):
        return self.log_probs.gather(-1, exact.index(y, 2)[:, None])[:, 0]

    def sample(self, generator=None):
        raise NotImplementedError


@pytest.mark.parametrize("hold", [0.0, 0.5])
def test_what_renoising_descends_to_is_that_law(hold):
    """Its gradient vanishes there, and there alone: a table is at once where the loss leads.

    The gradient at a row of logits is the row's weight times p_θ(y|x) less the share of the y that
    came with x; 400,000 pairs, so that each entry errs by less than 1e-3 in expectation.
    """
    p, n = torch.rand(8, generator=seeded(), dtype=torch.float64).softmax(0), 400_000
    best, noisy = renoised(p, hold, 0.4)
    z = exact.states(2, (3,))[torch.multinomial(p, n, replacement=True, generator=seeded(1))]
    objective = dca.Renoising(read_outs=0.0, moves=0.0, known_share=0.0)

    def gradient(table):
        kernel = Table(hold)
        kernel.logits.data.copy_(table.log())
        objective(kernel, z, 0.4, generator=seeded(2)).mean().backward()
        return kernel.logits.grad.abs().max()

    assert float(gradient(best)) < 1e-3
    for other in (torch.full((8, 8), 1 / 8).double(), noisy.expand(8, 8), renoised(p, 0.9, 0.4)[0]):
        assert float(gradient(other)) > 1e-2


@pytest.mark.parametrize("hold", [0.0, 0.5])
def test_training_finds_it_and_the_read_out(hold):
    z = torch.tensor([[0, 0, 0], [1, 1, 1], [1, 0, 1]])
    p = torch.tensor([0.5, 0.3, 0.2])

    def data(count, generator):
        return z[torch.multinomial(p, count, replacement=True, generator=generator)]

    kernel = make_kernel(hold)
    config = dca.TrainConfig(
        steps=300, batch_size=128, learning_rate=5e-3, ema=0.99, progress=False
    )
    dca.Trainer(kernel, dca.Renoising(levels=(0.3, 0.3)), data, config).fit()
    kernel.double()
    law = torch.zeros(8, dtype=torch.float64)
    law[exact.index(z, 2)] = p.double()
    noisy = exact.noisy_law(law, kernel.corruption, (3,), 0.3)
    P = exact.transition_matrix(kernel, (3,), 0.3)
    assert exact.total_variation(exact.stationary_distribution(P), noisy) < 0.05
    untrained = exact.transition_matrix(make_kernel(hold).double(), (3,), 0.3)
    assert exact.total_variation(exact.stationary_distribution(untrained), noisy) > 0.15
    clean = noisy @ exact.transition_matrix(kernel, (3,), 0.3, target_level=0.0)
    assert exact.total_variation(clean, law) < 0.05
    lower = exact.noisy_law(law, kernel.corruption, (3,), 0.1)
    moved = noisy @ exact.transition_matrix(kernel, (3,), 0.3, target_level=0.1)
    assert exact.total_variation(moved, lower) < 0.05


def test_shares_and_kernels_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"read_outs \+ moves was 1.2; allowed: at most 1"):
        dca.Renoising(read_outs=0.7, moves=0.5)
    with pytest.raises(ValueError, match="moves was -0.1"):
        dca.Renoising(moves=-0.1)
    other = dca.CategoricalNoiseKernel(dca.nn.MLP(2, 2, shape=(3,)), Uniform(2))
    with pytest.raises(ValueError, match="CategoricalNoiseKernel cannot renoise"):
        dca.Renoising()(other, torch.zeros(2, 3, dtype=torch.long))


def test_no_read_outs_and_no_moves_leave_equal_level_steps():
    z = torch.randint(0, 2, (16, 3), generator=seeded())
    kernel = make_kernel(0.5)
    seen = []
    transition = kernel.transition

    def watch(x, level, target_level=None, label=None, known=None):
        seen.append(target_level)
        return transition(x, level, target_level, label, known)

    kernel.transition = watch
    dca.Renoising(read_outs=0.0, moves=0.0)(kernel, z, generator=seeded())
    assert seen == [None]
    dca.Renoising(read_outs=1.0, moves=0.0)(kernel, z, generator=seeded())
    assert bool((seen[-1] == 0).all())


def test_both_ways_score_each_pair_in_either_direction():
    z, kernel = torch.randint(0, 2, (16, 3), generator=seeded()), Table(0.0)
    torch.nn.init.normal_(kernel.logits)
    pairs = []
    renoise = kernel.renoise

    def watch(x, z, b, generator=None, hold=None):
        pairs.append((exact.index(x, 2), exact.index(y := renoise(x, z, b, generator, hold), 2)))
        return y

    kernel.renoise = watch
    shares = {"read_outs": 0.0, "moves": 0.0, "known_share": 0.0}
    once, both = (
        dca.Renoising(both_ways=twice, **shares)(kernel, z, 0.4, generator=seeded(1))
        for twice in (False, True)
    )
    (x, y), (again, _) = pairs
    assert torch.equal(x, again) and bool((x != y).any())
    log_p = kernel.logits.log_softmax(-1)
    torch.testing.assert_close(once, -log_p[x, y].float())
    torch.testing.assert_close(both, -(log_p[x, y] + log_p[y, x]).float() / 2)
