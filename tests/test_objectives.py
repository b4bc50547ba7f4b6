"""Objectives against enumeration: the gradient, the fixed point and the cost of a step."""

import math

import pytest
import torch
from torch import nn

import discrete_ca as dca
from discrete_ca.diagnostics import exact
from discrete_ca.distributions import Categorical

SHAPE = (3,)


class Table(nn.Module):
    """Free logits for every state of three binary sites; counts its calls and examples."""

    def __init__(self, seed=0):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.logits = nn.Parameter(torch.randn(8, 3, 2, generator=generator, dtype=torch.float64))
        self.examples_with_gradient = self.examples_without = 0

    def forward(self, x, b):
        if torch.is_grad_enabled():
            self.examples_with_gradient += len(x)
        else:
            self.examples_without += len(x)
        return self.logits[(x * torch.tensor([4, 2, 1])).sum(-1)]


def law(seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(8, generator=generator, dtype=torch.float64).softmax(0)


def kernel_of(hold=0.5, seed=0):
    return dca.CategoricalNoiseKernel(Table(seed), dca.corruption.Uniform(2), hold=hold)


def exact_loss(kernel, p_data, level, control_variate=0.0):
    """The expected loss of contrastive adjustment, with y's law held fixed, by enumeration."""
    x = exact.states(2, SHAPE)
    p = exact.noisy_law(p_data, kernel.corruption, SHAPE, level)
    P = exact.product_laws(kernel.transition(x, torch.tensor(level).double()).probs())
    flow = p[:, None] * P.detach()
    return -(flow * P.log().T).sum() + control_variate * (flow * P.log()).sum()


def monte_carlo_gradient(objective, kernel, p_data, level, count, seed):
    generator = torch.Generator().manual_seed(seed)
    index = torch.multinomial(p_data, count, replacement=True, generator=generator)
    z = exact.states(2, SHAPE)[index]
    loss = objective(kernel, z, level, generator=generator)
    (gradient,) = torch.autograd.grad(loss.mean(), kernel.net.logits)
    return gradient


@pytest.mark.parametrize("control_variate", [0.0, 0.7])
def test_gradient_is_that_of_the_enumerated_loss(control_variate):
    # 48 coordinates, the mean of 8 batches of 80,000: 9 standard errors of a t law with 7 degrees
    # of freedom are passed by chance once in 500 runs; the seeds are fixed.
    objective = dca.ContrastiveAdjustment(denoising_weight=0.0, control_variate=control_variate)
    kernel, p_data = kernel_of(), law()
    (wanted,) = torch.autograd.grad(exact_loss(kernel, p_data, 0.3), kernel.net.logits)
    found = torch.stack(
        [monte_carlo_gradient(objective, kernel, p_data, 0.3, 80_000, seed) for seed in range(8)]
    )
    error = (found.mean(0) - wanted).abs()
    spread = found.std(0) / math.sqrt(len(found))
    assert (error < 9 * spread + 1e-4).all()
    assert error.max() < 0.05 * wanted.abs().max()


def test_control_variate_changes_no_expected_gradient():
    kernel, p_data = kernel_of(), law()
    without, with_it = (
        torch.autograd.grad(exact_loss(kernel, p_data, 0.3, c), kernel.net.logits)[0]
        for c in (0.0, 0.7)
    )
    torch.testing.assert_close(without, with_it, atol=1e-14, rtol=0)


def test_descending_the_loss_brings_the_chain_to_the_data():
    kernel, p_data, level = kernel_of(hold=0.8), law(), 0.3
    target = exact.noisy_law(p_data, kernel.corruption, SHAPE, level)

    def distance():
        P = exact.transition_matrix(kernel, SHAPE, level)
        return exact.total_variation(exact.stationary_distribution(P), target)

    before = distance()
    optimizer = torch.optim.Adam(kernel.parameters(), 0.05)
    for _ in range(300):
        optimizer.zero_grad()
        exact_loss(kernel, p_data, level).backward()
        optimizer.step()
    assert before > 0.05
    assert distance() < 0.005


def test_denoising_gradient_is_that_of_the_enumerated_loss():
    kernel, p_data, level = kernel_of(), law(), 0.3
    states = exact.states(2, SHAPE)
    q = kernel.corruption.matrix(level)
    joint = p_data[:, None] * q[states[:, None], states[None]].prod(-1)
    log_pz = kernel.transition(states, torch.tensor(level)).read_out.log_probs
    cross = torch.stack([Categorical(log_pz).log_prob(z.expand(8, 3)) for z in states])
    (wanted,) = torch.autograd.grad(-(joint * cross).sum(), kernel.net.logits)
    found = torch.stack(
        [monte_carlo_gradient(dca.Denoising(), kernel, p_data, level, 20_000, s) for s in range(8)]
    ).mean(0)
    assert (found - wanted).abs().max() < 0.02 * wanted.abs().max()


@pytest.mark.parametrize(("hold", "scale"), [(0.0, 1.0), (0.5, 1.0), (0.8, 0.4), (0.9, 0.2)])
def test_denoising_term_is_reweighted_and_scaled_with_the_hold(hold, scale):
    kernel = kernel_of(hold=hold)
    z = exact.states(2, SHAPE).repeat(8, 1)
    level = torch.full((64,), 0.3)

    def losses(weight, fraction):
        objective = dca.ContrastiveAdjustment(denoising_weight=weight, denoising_fraction=fraction)
        return objective(kernel, z, level, generator=torch.Generator().manual_seed(0))

    whole = losses(1.0, 1.0) - losses(0.0, 1.0)
    x = kernel.corrupt(z, level, torch.Generator().manual_seed(0))
    term = -kernel.transition(x, level).read_out.log_prob(z)
    torch.testing.assert_close(whole, scale * term)
    part = losses(1.0, 0.125) - losses(1e-12, 0.125)  # 0 would draw y in another order
    picked = torch.zeros(64, dtype=torch.bool)
    picked[::8] = True
    torch.testing.assert_close(part[picked], 8 * scale * term[picked])
    torch.testing.assert_close(part[~picked], torch.zeros(56).double(), atol=1e-12, rtol=0)


@pytest.mark.parametrize(
    ("settings", "without", "with_gradient"),
    [
        ({"denoising_weight": 0.0}, 16, 16),
        ({"denoising_fraction": 0.125}, 14, 16 + 2),
        ({"denoising_fraction": 1.0}, 0, 16 + 16),
        ({"control_variate": 0.5}, 0, 16 + 16),
    ],
)
def test_a_step_costs_one_forward_and_one_forward_and_backward(settings, without, with_gradient):
    kernel = kernel_of()
    z = exact.states(2, SHAPE).repeat(2, 1)
    dca.ContrastiveAdjustment(**settings)(kernel, z)
    found = (kernel.net.examples_without, kernel.net.examples_with_gradient)
    assert found == (without, with_gradient)


def test_levels_cover_their_range_evenly():
    objective = dca.Denoising(levels=(0.2, 0.7))
    b = objective.draw_levels(50, torch.device("cpu"), torch.Generator().manual_seed(3))
    assert b.min() >= 0.2 and b.max() <= 0.7
    gaps = b.sort().values.diff()
    torch.testing.assert_close(gaps, torch.full_like(gaps, 0.01), atol=1e-6, rtol=0)
    firsts = torch.stack(
        [
            objective.draw_levels(4, torch.device("cpu"), torch.Generator().manual_seed(s))[0]
            for s in range(400)
        ]
    )
    assert 0.4 < firsts.mean() < 0.5 and firsts.std() > 0.12  # uniform: 0.45 and 0.144


def test_level_weights_multiply_the_losses():
    kernel, z = kernel_of(), exact.states(2, SHAPE)
    level = torch.linspace(0.1, 0.9, 8)
    weight = dca.InverseLevel(0.1)
    plain, weighted = (
        dca.Denoising(level_weight=w)(kernel, z, level, generator=torch.Generator().manual_seed(0))
        for w in (None, weight)
    )
    torch.testing.assert_close(weighted, plain * weight(level))
    grid = (torch.arange(100_000) + 0.5) / 100_000
    assert abs(float(weight(grid).mean()) - 1) < 1e-3


class Told(nn.Module):
    """A network that declares `known` and remembers what it was given."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
        self.seen = []

    def forward(self, x, b, known=None):
        self.seen.append((x, known))
        return self.scale * torch.zeros(*x.shape, 2)


def test_networks_that_are_told_are_trained_with_random_masks():
    kernel = dca.CategoricalNoiseKernel(Told(), dca.corruption.Uniform(2))
    z = torch.randint(0, 2, (400, 5), generator=torch.Generator().manual_seed(0))
    g = torch.Generator().manual_seed(1)
    dca.Denoising(known_share=0.5)(kernel, z, 1.0, generator=g)
    x, mask = kernel.net.seen[-1]
    assert torch.equal(x[~mask], z[~mask])
    assert (x[mask] != z[mask]).double().mean() > 0.4  # level 1: half of the sites differ
    masked = (~mask).any(1).double().mean()
    assert 0.35 < masked < 0.5  # half of the examples, less those whose mask came out empty
    dca.Denoising(known_share=0.0)(kernel, z, 1.0, generator=g)
    assert kernel.net.seen[-1][1] is None
    dca.ContrastiveAdjustment(known_share=0.5)(kernel, z, 0.5, generator=g)
    (x_slice, first_slice), (x_rest, first_rest), (y, second) = kernel.net.seen[-3:]
    x, first = torch.empty_like(y), torch.empty_like(second)
    slices = torch.arange(400) % 8 == 0  # where the denoising term is taken
    x[slices], x[~slices], first[slices], first[~slices] = x_slice, x_rest, first_slice, first_rest
    assert torch.equal(first, second)
    assert torch.equal(y[~first], z[~first]) and torch.equal(x[~first], z[~first])


class Own(nn.Module):
    """Logits of each site from its own state and the level alone."""

    def __init__(self, states):
        super().__init__()
        g = torch.Generator().manual_seed(5)
        self.table = nn.Parameter(torch.randn(states, 4, generator=g, dtype=torch.float64))

    def forward(self, x, b):
        return self.table[x] * (1 + b.to(self.table).reshape(-1, *(1,) * x.ndim))


class Informed(Own):
    """The same, told which sites are known."""

    def forward(self, x, b, known=None):
        return super().forward(x, b)


class Watched(dca.CategoricalNoiseKernel):
    """Remembers every state that a step starts from."""

    def transition(self, x, *args, **kwargs):
        self.__dict__.setdefault("seen", []).append((x, kwargs["known"]))
        return super().transition(x, *args, **kwargs)


PADDED = torch.arange(5) < torch.tensor([[5], [3], [1], [4]])


@pytest.mark.parametrize("net", [Own, Informed])
@pytest.mark.parametrize("noise", [dca.corruption.Uniform, dca.corruption.Absorbing])
@pytest.mark.parametrize(
    "objective",
    [
        dca.Denoising(),
        dca.ContrastiveAdjustment(denoising_weight=0.0),
        dca.ContrastiveAdjustment(denoising_weight=0.5, denoising_fraction=1.0),
        dca.ContrastiveAdjustment(denoising_weight=0.0, control_variate=0.5),
    ],
)
def test_padding_is_never_noised_and_counts_nothing(net, noise, objective):
    """The loss of each row is that of its present sites alone, as a row without padding."""
    family = noise(4)
    kernel = Watched(net(family.num_states), family, hold=0.5, carry_over=False)
    z = torch.randint(0, 4, (4, 5), generator=torch.Generator().manual_seed(0))
    z[~PADDED] = 3
    b = torch.tensor([0.2, 0.4, 0.6, 0.9])
    g = torch.Generator().manual_seed(1)
    losses = objective(kernel, z, b, generator=g, present=PADDED)
    for state, known in kernel.seen:
        assert torch.equal(state[~PADDED], z[~PADDED])
        assert not bool((known[0] & ~PADDED).any())
    x, y = kernel.seen[0][0], kernel.seen[-1][0]
    for i, mask in enumerate(kernel.seen[0][1][0]):  # known sites are a row's absent ones too
        rows = [t[i : i + 1, mask] for t in (z, x, y)]
        plain = dca.CategoricalNoiseKernel(Own(family.num_states), family, 0.5, carry_over=False)
        forward, back = (plain.transition(rows[j], b[i : i + 1]) for j in (1, 2))
        denoise = -forward.read_out.log_prob(rows[0])
        if isinstance(objective, dca.Denoising):
            wanted = denoise
        else:
            wanted = objective.denoising_weight * denoise - back.log_prob(rows[1])
            wanted = wanted + objective.control_variate * forward.log_prob(rows[2])
        torch.testing.assert_close(losses[i], wanted[0])


def test_padding_has_no_gradient():
    """States that stand in padding alone leave the network as it is."""
    kernel = dca.CategoricalNoiseKernel(Own(5), dca.corruption.Absorbing(4), carry_over=False)
    kernel.net.table.data[:, 3] = -60.0  # no step draws it where there is data
    z = torch.where(PADDED, torch.zeros(4, 5).long(), 3)
    for objective in (dca.Denoising(), dca.ContrastiveAdjustment()):
        objective(kernel, z, 0.5, present=PADDED).sum().backward()
        slope = kernel.net.table.grad
        assert slope[4].any() and not slope[3].any()  # the mask's row, the pad's row


def test_all_present_is_the_same_as_nothing_said():
    for net in (Own, Informed):
        kernel = dca.CategoricalNoiseKernel(net(4), dca.corruption.Uniform(4))
        z = torch.randint(0, 4, (16, 3))
        pair = [
            dca.ContrastiveAdjustment()(
                kernel, z, generator=torch.Generator().manual_seed(2), present=present
            )
            for present in (None, torch.ones(16, 3).bool())
        ]
        torch.testing.assert_close(*pair)


def test_presence_that_does_not_fit_is_refused():
    kernel = dca.CategoricalNoiseKernel(Own(4), dca.corruption.Uniform(4))
    z = torch.zeros(2, 3).long()
    with pytest.raises(ValueError, match=r"present has shape \(2,\); allowed: \(2, 3\) or \(3,\)"):
        dca.Denoising()(kernel, z, present=torch.ones(2).bool())
    with pytest.raises(TypeError, match="present has dtype torch.float32; allowed: torch.bool"):
        dca.Denoising()(kernel, z, present=torch.ones(2, 3))


class Redraw(dca.TransitionKernel):
    """A user's own kernel without a read-out, scalar sites."""

    def __init__(self):
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(4))

    def transition(self, x, level, target_level=None, label=None, known=None):
        return Categorical(self.logits.log_softmax(-1).expand(*x.shape, 4))


def test_any_kernel_with_sample_and_log_prob_can_be_adjusted():
    # The independent kernel y ~ p is in detailed balance with p: CA must find p itself.
    kernel, p = Redraw(), torch.tensor([0.1, 0.2, 0.3, 0.4])
    optimizer = torch.optim.Adam(kernel.parameters(), 0.02)
    generator = torch.Generator().manual_seed(0)
    for _ in range(400):
        z = torch.multinomial(p, 512, replacement=True, generator=generator)  # scalar sites: (B,)
        loss = dca.ContrastiveAdjustment()(kernel, z, generator=generator)
        assert loss.shape == (512,)
        optimizer.zero_grad()
        loss.mean().backward()
        optimizer.step()
    assert (kernel.logits.softmax(-1) - p).abs().max() < 0.03


def test_denoising_refuses_a_kernel_without_a_read_out():
    with pytest.raises(ValueError, match=r"Redraw has no read-out p\(z\|x\)"):
        dca.Denoising()(Redraw(), torch.zeros(4, dtype=torch.long))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: dca.Denoising(levels=(0.5, 0.1)), r"levels was \(0.5, 0.1\); allowed"),
        (lambda: dca.Denoising(levels=(0.0, 1.5)), r"levels was \(0.0, 1.5\); allowed"),
        (lambda: dca.Denoising(known_share=2.0), r"known_share was 2.0; allowed: \[0, 1\]"),
        (lambda: dca.ContrastiveAdjustment(denoising_weight=-1.0), "denoising_weight was -1.0"),
        (lambda: dca.ContrastiveAdjustment(denoising_fraction=0.0), "denoising_fraction was 0.0"),
        (lambda: dca.Denoising(levels=(0.0, 0.5, 1.0)), r"levels was \(0.0, 0.5, 1.0\); allowed"),
        (lambda: dca.Denoising(holds=(0.0, 0.5, 1.0)), r"holds was \(0.0, 0.5, 1.0\); allowed"),
        (lambda: dca.objectives.InverseLevel(0.0), "offset was 0.0; allowed: a number > 0"),
        (lambda: dca.Schedule(()), r"shares of phases were \[\]"),
        (
            lambda: dca.Schedule((dca.Phase(dca.Denoising(), 0.4),)),
            r"shares of phases were \[0.4\]; allowed: > 0, summing to 1",
        ),
    ],
)
def test_bad_settings_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_kernel_without_a_read_out_sees_each_example_twice_a_step():
    examples = []

    class Counting(Redraw):
        def transition(self, x, *args, **kwargs):
            examples.append(len(x))
            return super().transition(x, *args, **kwargs)

    dca.ContrastiveAdjustment()(Counting(), torch.zeros(4, dtype=torch.long))
    assert sum(examples) == 8


def test_the_first_argument_is_the_denoising_weight():
    assert dca.ContrastiveAdjustment(0.02, 0.25).denoising_fraction == 0.25
    with pytest.raises(TypeError, match="train was 'net'; allowed: a tuple"):
        dca.Phase(dca.Denoising(), train="net")


def test_schedules():
    assert dca.Schedule.of(dca.Denoising()).boundaries() == [1.0]
    assert dca.Schedule.half_and_half().boundaries() == [0.5, 1.0]
    assert [p.train for p in dca.Schedule.default().phases] == [("net",), ("adjustment",)]
    schedule = dca.Schedule.default()
    assert dca.Schedule.of(schedule) is schedule


def test_no_gradient_flows_through_what_is_drawn():
    """Also where a user's own draw is differentiable and the slice's pass has a gradient."""

    class Shift(dca.TransitionKernel):
        def __init__(self):
            super().__init__()
            self.mean = nn.Parameter(torch.tensor(0.5))

        def transition(self, x, level, target_level=None, label=None, known=None):
            mean = self.mean

            class Law(dca.distributions.Normal):
                def sample(self, generator=None):
                    return self.mean + torch.ones_like(self.mean)

            return Law(x * 0 + mean, torch.ones_like(x))

    gradients = []
    for weight in (0.0, 0.01):
        kernel = Shift()
        objective = dca.ContrastiveAdjustment(denoising_weight=weight)
        objective(kernel, torch.linspace(-1, 1, 16)[:, None], 0.3).sum().backward()
        gradients.append(float(kernel.mean.grad))
    assert gradients[0] == pytest.approx(gradients[1]) and gradients[0] != 0
