"""Conditions of steps: slices, and holds given at run time."""

import pytest
import torch

import discrete_ca as dca
from discrete_ca.conditions import Conditions
from discrete_ca.corruption import Absorbing, Uniform
from discrete_ca.diagnostics import exact
from discrete_ca.distributions import Categorical
from discrete_ca.errors import ConfigError
from tests.helpers import assert_counts, code, counts_of, seeded


def kernels(hold):
    torch.manual_seed(0)
    mlp = dca.nn.MLP(2, 2, shape=(4,), width=16)
    writer = dca.nn.AutoregressiveTransformer(2, (4,), width=16, depth=1, heads=2)
    torch.nn.init.normal_(writer.out.weight)

    class Both(torch.nn.Module):
        def forward(self, x, b):
            return torch.stack([x / 2, x - 1], -1)

    return [
        dca.CategoricalNoiseKernel(mlp, Uniform(2), hold),
        dca.AutoregressiveKernel(writer, Uniform(2), hold),
        dca.GaussianNoiseKernel(Both(), hold=hold),
    ]


def test_a_slice_has_the_conditions_of_its_examples():
    mask, values = torch.tensor([[True], [False]]), torch.tensor([[4], [5]])
    whole = Conditions(torch.tensor([1, 2]), (mask, values), torch.tensor([0.1, 0.2]))
    part = whole[torch.tensor([1])]
    assert part.label.tolist() == [2] and part.hold.tolist() == [pytest.approx(0.2)]
    assert part.known[0].tolist() == [[False]] and part.known[1].tolist() == [[5]]
    assert Conditions()[torch.tensor([0])] == Conditions()


@pytest.mark.parametrize("index", [0, 1, 2])
def test_a_hold_at_run_time_is_the_kernel_with_that_hold(index):
    given, own = kernels(0.9)[index], kernels(0.25)[index]
    x, y = torch.randint(0, 2, (2, 6, 4), generator=seeded())
    if index == 2:
        x, y = x.float(), y.float()
    found = given.transition(x, 0.3, hold=0.25)
    torch.testing.assert_close(found.log_prob(y), own.transition(x, 0.3).log_prob(y))
    each = given.transition(x, 0.3, hold=torch.tensor([0.25, 0.9] * 3)).log_prob(y)
    torch.testing.assert_close(each[::2], own.transition(x, 0.3).log_prob(y)[::2])
    torch.testing.assert_close(each[1::2], given.transition(x, 0.3).log_prob(y)[1::2])
    states = [list(dca.run(k, x, 0.3, 3, generator=seeded(), **h))
              for k, h in ((given, {"hold": 0.25}), (own, {}))]  # fmt: skip
    assert all(torch.equal(a, b) for a, b in zip(*states, strict=True))


def test_conditions_are_spread_and_checked():
    x = torch.zeros(3, 2, dtype=torch.long)
    pair = (torch.tensor([True, False]), torch.tensor([0, 1]))
    found = Conditions.of(x, 4, pair, 0.5)
    assert found.label.tolist() == [4, 4, 4] and found.hold.tolist() == [0.5] * 3
    assert found.known[1].tolist() == [[0, 1]] * 3
    assert Conditions.of(x) == Conditions()
    with pytest.raises(TypeError, match="label has dtype torch.float32"):
        Conditions.of(x, torch.ones(3))
    with pytest.raises(ValueError, match=r"hold has shape \(2,\)"):
        Conditions.of(x, hold=torch.zeros(2))


def test_every_chain_takes_a_hold():
    given, own = kernels(0.9)[0], kernels(0.25)[0]
    z, mask = torch.zeros(4, dtype=torch.long), torch.tensor([True, True, False, False])

    def draw(kernel, **hold):
        return [
            dca.sample(kernel, 5, (4,), moves=4, generator=seeded(), **hold),
            dca.variants(kernel, z, n=5, level=0.6, steps=4, generator=seeded(), **hold),
            dca.inpaint(kernel, z, mask, n=5, moves=4, generator=seeded(), **hold),
        ]

    wanted = draw(own)
    assert all(torch.equal(a, b) for a, b in zip(draw(given, hold=0.25), wanted, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(draw(given), wanted, strict=True))
    assert given.hold == 0.9


@pytest.mark.parametrize(
    "make",
    [
        lambda: dca.nn.MLP(2, 2, shape=(8,), width=16, hold=True),
        lambda: dca.nn.UNet(2, 2, dims=1, widths=(8, 8), patch=2, hold=True),
        lambda: dca.nn.Transformer(2, 2, width=16, depth=1, heads=2, hold=True),
        lambda: dca.nn.DilatedConv(2, 2, width=16, hold=True),
    ],
    ids=["mlp", "unet", "transformer", "conv"],
)
def test_networks_that_declare_the_hold_are_told(make):
    torch.manual_seed(0)
    kernel = dca.CategoricalNoiseKernel(make(), Uniform(2), 0.5)
    for parameter in kernel.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    x = torch.zeros(2, 8, dtype=torch.long)
    own, same, other = (
        kernel.transition(x, 0.3, hold=h).read_out.log_prob(x) for h in (None, 0.5, 0.9)
    )
    assert torch.equal(own, same) and not torch.allclose(own, other)
    with pytest.raises(ValueError, match="hold was None; allowed: "):
        kernel.net(x, torch.full((2,), 0.3))


@pytest.mark.parametrize("hold", [0.0, 0.5])
def test_an_autoregressive_network_that_declares_the_hold_is_told(hold):
    """In scoring and in drawing alike; its read-outs, which hold nothing, are told 0."""
    torch.manual_seed(0)
    net = dca.nn.AutoregressiveTransformer(2, (2,), width=16, depth=1, heads=2, hold=True).double()
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    kernel = dca.AutoregressiveKernel(net, Uniform(2), hold)
    x, level = exact.states(2, (2,)), torch.tensor(0.3).double()
    P = exact.transition_matrix(kernel, (2,), 0.3, hold=0.8)
    own = dca.AutoregressiveKernel(net, Uniform(2), 0.8)
    torch.testing.assert_close(exact.transition_matrix(own, (2,), 0.3), P, rtol=0, atol=1e-12)
    for h, said in ((None, hold), (0.8, 0.8)):
        assert kernel.transition(x, level, hold=h).told["hold"].tolist() == [said] * 4
    read_outs = [kernel.transition(x, level, hold=h).read_out for h in (0.1, 0.8)]
    assert torch.equal(*(law.log_prob(x) for law in read_outs))
    assert read_outs[0].told["hold"].tolist() == [0.0] * 4
    b = level.expand(4)
    heard = [net(x, b, x, b, hold=torch.full((4,), h).double()) for h in (0.1, 0.8)]
    assert not torch.allclose(*heard)
    draws = kernel.transition(x[:1].expand(20_000, 2), level, hold=0.8).sample(seeded(1))
    assert_counts(counts_of(code(draws, 2), 4), P[0])
    with pytest.raises(ValueError, match="hold was None; allowed: "):
        net(x, b, x, b)


@pytest.mark.parametrize("told", [True, False])
def test_heads_are_told_the_hold_where_they_take_it(told):
    torch.manual_seed(0)
    for head in (dca.nn.AdjustmentMLP(2, (4,), hold=told), dca.nn.AdjustmentHead(2, 1, hold=told)):
        torch.nn.init.normal_(list(head.layers.parameters())[-2])
        kernel = dca.CategoricalNoiseKernel(dca.nn.MLP(2, 2, (4,)), Uniform(2), 0.5, True, head)
        x = torch.zeros(2, 4, dtype=torch.long)
        laws = [kernel.transition(x, 0.3, hold=h).law.log_probs for h in (0.5, 0.9)]
        assert torch.equal(*laws) is not told


def test_an_objective_draws_holds_and_weighs_by_them():
    seen = []

    class Watching(dca.CategoricalNoiseKernel):
        def transition(self, x, level, target_level=None, label=None, known=None, hold=None):
            seen.append(hold)
            return super().transition(x, level, target_level, label, known, hold)

    kernel = Watching(dca.nn.MLP(2, 2, shape=(4,)), Uniform(2), 0.9)
    z = torch.zeros(4000, 4, dtype=torch.long)
    dca.ContrastiveAdjustment(denoising_weight=0.0, holds=(0.2, 0.6))(kernel, z, generator=seeded())
    first, second = seen
    assert torch.equal(first, second)  # the same for both directions
    assert 0.2 <= float(first.min()) < 0.21 and 0.59 < float(first.max()) <= 0.6
    assert float(first.mean()) == pytest.approx(0.4, abs=0.01)
    part = dca.ContrastiveAdjustment(denoising_weight=0.3)
    h = torch.tensor([0.0, 0.5, 0.75, 1.0])
    found = part._weights(kernel, Conditions(hold=h))
    torch.testing.assert_close(found, 0.3 * torch.tensor([1.0, 1.0, 0.5, 0.0]))
    assert part._weights(kernel, Conditions()) == pytest.approx(0.3 * 0.2)
    with pytest.raises(ValueError, match=r"holds was \(0.5, 1.2\); allowed"):
        dca.Denoising(holds=(0.5, 1.2))


def test_holds_are_for_networks_that_are_told():
    """Else training would fit one law to the mean of many: the trainer says so before it starts."""
    plain = dca.CategoricalNoiseKernel(
        dca.nn.MLP(2, 2, (4,)), Uniform(2), adjustment=dca.nn.AdjustmentMLP(2, (4,))
    )
    z, config = torch.zeros(200, 4, dtype=torch.long), dca.TrainConfig(steps=1, progress=False)
    schedule = dca.Schedule.default(holds=(0.0, 0.9))
    with pytest.raises(ConfigError, match=r"holds was \(0.0, 0.9\), but no network of the kernel"):
        dca.Trainer(plain, schedule, z, config)
    for head, net in ((True, False), (False, True)):
        told = dca.CategoricalNoiseKernel(
            dca.nn.MLP(2, 2, (4,), hold=net), Uniform(2),
            adjustment=dca.nn.AdjustmentMLP(2, (4,), hold=head),
        )  # fmt: skip
        dca.Trainer(told, schedule, z, config)
    writer = dca.nn.AutoregressiveTransformer(2, (4,), width=16, depth=1, heads=2)
    with pytest.raises(ConfigError, match="no network of the kernel is told the hold"):
        dca.Trainer(
            dca.AutoregressiveKernel(writer, Uniform(2)), dca.Renoising(holds=(0, 1)), z, config
        )


def test_the_default_schedule_tells_both_phases_the_holds():
    """A network that declares the hold has seen them all before its denoiser is frozen."""
    heard = []

    class Net(dca.nn.MLP):
        def forward(self, x, b, label=None, known=None, hold=None):
            heard.append(hold)
            return super().forward(x, b, label, known, hold)

    kernel = dca.CategoricalNoiseKernel(
        Net(2, 2, (4,), hold=True), Uniform(2), adjustment=dca.nn.AdjustmentMLP(2, (4,), hold=True)
    )
    for phase in dca.Schedule.default(holds=(0.2, 0.6)).phases:
        heard.clear()
        phase.objective(kernel, torch.zeros(64, 4, dtype=torch.long), generator=seeded())
        h = torch.cat(heard)
        assert 0.2 <= float(h.min()) < 0.25 and 0.55 < float(h.max()) <= 0.6


def test_a_gaussian_kernel_has_no_hold_of_1():
    """Its next state would have no density; refused by name, in steps, chains and training."""
    kernel, x = dca.GaussianNoiseKernel(dca.nn.MLP(2, None, (4,), hold=True)), torch.zeros(2, 4)
    for hold in (1.0, torch.tensor([0.5, 1.0])):
        with pytest.raises(ValueError, match=r"hold was .*; allowed with real-valued .*\[0, 1\)"):
            kernel.transition(x, 0.3, hold=hold)
        with pytest.raises(ValueError, match=r"hold was .*; allowed with real-valued .*\[0, 1\)"):
            next(dca.run(kernel, x, 0.3, hold=hold))
    objective = dca.ContrastiveAdjustment(holds=(0.0, 1.0))
    for train in (
        lambda: objective(kernel, x),
        lambda: dca.Trainer(
            kernel, objective, torch.zeros(99, 4), dca.TrainConfig(steps=1, batch_size=9)
        ),
    ):
        with pytest.raises(ValueError, match=r"holds was \(0.0, 1.0\); allowed with real-valued"):
            train()
    assert torch.isfinite(dca.ContrastiveAdjustment(holds=(0.0, 0.99))(kernel, x)).all()


def test_holds_that_do_not_fit_are_refused():
    kernel = kernels(0.5)[0]
    x = torch.zeros(2, 4, dtype=torch.long)
    with pytest.raises(ValueError, match="hold was 1.5; allowed"):
        kernel.transition(x, 0.3, hold=1.5)
    with pytest.raises(ValueError, match=r"hold has shape \(3,\); allowed: \(\) or \(2,\)"):
        kernel.transition(x, 0.3, hold=torch.zeros(3))
    lagged = dca.CategoricalNoiseKernel.with_lag(dca.nn.MLP(2, 3, shape=(4,)), Absorbing(2))
    with pytest.raises(ValueError, match="hold was given; allowed: None, since the kernel has a"):
        lagged.transition(x, 0.3, hold=0.5)

    class Plain(dca.TransitionKernel):
        def transition(self, x, level, target_level=None, label=None, known=None):
            return Categorical(torch.zeros(*x.shape, 2))

    with pytest.raises(ValueError, match="hold was given, but Plain.transition declares no `hold`"):
        next(dca.run(Plain(), x, 0.3, hold=0.5))


def test_a_transition_that_returns_a_tensor_is_refused_by_name():
    class Wrong(dca.TransitionKernel):
        def transition(self, x, level, target_level=None, label=None, known=None):
            return torch.zeros(x.shape)

    with pytest.raises(TypeError, match="Wrong.transition returned a Tensor; allowed: a law"):
        dca.ContrastiveAdjustment()(Wrong(), torch.zeros(2, 3, dtype=torch.long))
