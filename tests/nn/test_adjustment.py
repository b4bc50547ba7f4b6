"""Adjustment heads: neutral at the start, local, permutation-equivariant where they should be."""

import pytest
import torch

from discrete_ca.nn import AdjustmentHead, AdjustmentMLP


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


def test_bad_settings_are_refused():
    with pytest.raises(ValueError, match="dims was 4; allowed: 0, 1, 2, 3"):
        AdjustmentHead(2, dims=4)
    with pytest.raises(ValueError, match="reach was 3; allowed: 0, 1, 2"):
        AdjustmentHead(2, dims=1, reach=3)
    with pytest.raises(ValueError, match=r"log_pz has site shape \(5,\); allowed: >= 2 dims"):
        AdjustmentHead(2, dims=2)(*inputs((5,), categories=2))
