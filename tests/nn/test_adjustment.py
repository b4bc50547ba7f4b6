"""Adjustment heads: neutral at the start, local, permutation-equivariant where they should be."""

import pytest
import torch

import discrete_ca as dca
from discrete_ca.nn import MLP, AdjustmentHead, AdjustmentMLP
from discrete_ca.nn.adjustment import num_features, site_features
from tests.helpers import FAMILIES, seeded


def inputs(shape, categories=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, 4, *shape, categories, generator=generator)
    log_pz, evidence = logits.log_softmax(-1)
    return log_pz, evidence, torch.tensor([0.1, 0.3, 0.6, 0.9])


def awake(head):
    torch.manual_seed(0)
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return head


@pytest.mark.parametrize(
    ("dims", "shape"), [(0, ()), (0, (5,)), (0, (4, 4)), (1, (5,)), (2, (4, 4)), (2, (3, 6, 6)),
                        (3, (3, 4, 4))],
)  # fmt: skip
def test_an_untrained_head_changes_nothing(dims, shape):
    log_pz, evidence, b = inputs(shape)
    assert torch.equal(AdjustmentHead(3, dims=dims)(log_pz, evidence, b), log_pz)
    assert torch.equal(AdjustmentMLP(3, shape=shape)(log_pz, evidence, b), log_pz)


@pytest.mark.parametrize(("reach", "seen"), [(0, 0), (1, 1), (2, 2)])
def test_a_head_sees_as_far_as_its_reach(reach, seen):
    head = awake(AdjustmentHead(2, dims=1, reach=reach)).double()
    log_pz, evidence, b = (t.double() for t in inputs((11,), categories=2))
    # The pooled features see everything; a change that keeps them leaves the reach alone.
    swapped = log_pz.clone()
    swapped[:, [5, 6]] = log_pz[:, [6, 5]]
    swapped_evidence = evidence.clone()
    swapped_evidence[:, [5, 6]] = evidence[:, [6, 5]]
    changed = head(log_pz, evidence, b) - head(swapped, swapped_evidence, b)
    moved = (changed.abs() > 1e-12).any(-1).any(0)
    inside = torch.zeros(11, dtype=torch.bool)
    inside[5 - seen : 6 + seen + 1] = True
    assert torch.equal(moved, inside)


def test_a_head_without_neighbours_treats_all_sites_alike():
    head = awake(AdjustmentHead(3)).double()
    log_pz, evidence, b = (t.double() for t in inputs((6,)))
    order = torch.tensor([3, 1, 5, 0, 2, 4])
    out = head(log_pz, evidence, b)
    torch.testing.assert_close(head(log_pz[:, order], evidence[:, order], b), out[:, order])


def test_excluded_categories_stay_excluded_and_give_finite_features():
    head = awake(AdjustmentHead(2, dims=1))
    log_pz = torch.tensor([[[0.0, -torch.inf], [-0.7, -0.7]]])
    evidence = torch.tensor([[[0.0, -torch.inf], [-1.0, -1.0]]])
    out = head(log_pz, evidence, torch.tensor([0.5]))
    assert out[0, 0, 1] == -torch.inf
    assert torch.isfinite(out[0, 1]).all() and torch.isfinite(out[0, 0, 0])


def test_what_a_head_adds_fades_as_it_should():
    """1 - b⁴ of what it would add at level 0, for the same features."""
    log_pz, evidence, _ = inputs((5,))
    b = torch.tensor([0.0, 0.5, 0.9, 1.0])
    for head in (awake(AdjustmentHead(3, dims=1)), awake(AdjustmentMLP(3, (5,)))):
        added = head(log_pz, evidence, b) - log_pz
        assert not added[3].any() and bool((added[:3].abs().amax((1, 2)) > 0.01).all())
        with torch.no_grad():  # a bias of the last layer is added as it is
            before, last = added, list(head.layers.parameters())[-1]
            last += 1.0
        more = head(log_pz, evidence, b) - log_pz - before
        fade = torch.tensor([1.0, 1 - 1 / 16, 1 - 0.9**4, 0.0]).reshape(4, 1, 1)
        torch.testing.assert_close(more, fade.expand_as(more), rtol=1e-4, atol=1e-5)


def test_features_of_the_level_and_the_hold():
    """Each as it is and as log(t + 0.01) / 4; of the hold what is not held."""
    log_pz, evidence, b = inputs((5,))
    h = torch.tensor([0.0, 0.5, 0.9, 1.0])
    found = site_features(log_pz, evidence, b, h)
    assert found.shape[-1] == num_features(3, hold=True)
    wanted = torch.stack([b, (b + 0.01).log() / 4, 1 - h, (1 - h + 0.01).log() / 4], -1)
    torch.testing.assert_close(found[..., -4:], wanted[:, None].expand(4, 5, 4))
    plain = site_features(log_pz, evidence, b)
    assert torch.equal(plain, found[..., :-2])


def trained(family, head, scale=1.0, **options):
    """A kernel whose network and head both get gradients."""
    k = family.num_categories
    torch.manual_seed(0)
    net = MLP(k, family.num_states, shape=(3,), width=16)
    heads = {"shared": lambda: AdjustmentHead(k, dims=1), "mlp": lambda: AdjustmentMLP(k, (3,))}
    kernel = dca.CategoricalNoiseKernel(
        net, family, 0.5, adjustment=awake(heads[head]()), **options
    )
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(scale)
    return kernel


def assert_finite_gradients(kernel, level):
    k = kernel.corruption.num_categories
    z = torch.randint(0, k, (16, 3), generator=seeded(0))
    loss = dca.ContrastiveAdjustment()(kernel, z, level=level, generator=seeded(1)).mean()
    assert torch.isfinite(loss)
    loss.backward()
    found = {name: p.grad for name, p in kernel.named_parameters() if p.grad is not None}
    assert any(name.startswith("net.") for name in found)
    assert [name for name, grad in found.items() if not grad.isfinite().all()] == []


@pytest.mark.parametrize("head", ["shared", "mlp"])
@pytest.mark.parametrize("carry_over", [False, True])
@pytest.mark.parametrize("add_evidence", [False, True])
@pytest.mark.parametrize("name", ["uniform-2", "absorbing-4", "ordinal-16", "tokens-3"])
def test_gradients_through_a_head_are_finite(name, add_evidence, carry_over, head):
    """Also where a state rules categories out, p(z|x) = 0, and at both ends of the levels."""
    for level in (0.0, 0.01, 1.0):
        options = {"add_evidence": add_evidence, "carry_over": carry_over}
        assert_finite_gradients(trained(FAMILIES[name], head, **options), level)


@pytest.mark.parametrize("head", ["shared", "mlp"])
def test_gradients_of_peaked_read_outs_are_finite(head):
    kernel = trained(FAMILIES["uniform-5"], head, scale=12.0)
    x = torch.randint(0, 5, (16, 3), generator=seeded(0))
    probs = kernel.transition(x, 0.3).read_out.log_probs.exp()
    assert bool((probs == 0).any())  # underflow
    assert_finite_gradients(kernel, 0.3)


def test_bad_settings_are_refused():
    with pytest.raises(ValueError, match="dims was 4; allowed: 0, 1, 2, 3"):
        AdjustmentHead(2, dims=4)
    with pytest.raises(ValueError, match="reach was 3; allowed: 0, 1, 2"):
        AdjustmentHead(2, dims=1, reach=3)
    with pytest.raises(ValueError, match=r"log_pz has site shape \(5,\); allowed: >= 2 dims"):
        AdjustmentHead(2, dims=2)(*inputs((5,), categories=2))
