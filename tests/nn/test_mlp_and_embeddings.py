"""The MLP and the embeddings of level and label."""

import pytest
import torch

from discrete_ca.nn import MLP, LevelEmbedding
from discrete_ca.nn.embeddings import ConditionEmbedding


@pytest.mark.parametrize("shape", [(), (5,), (4, 4), (3, 2, 2)])
def test_shapes(shape):
    net = MLP(3, 4, shape=shape, known=True)
    x = torch.randint(0, 4, (6, *shape))
    known = torch.rand(6, *shape) < 0.5
    assert net(x, torch.rand(6), known=known).shape == (6, *shape, 3)
    assert net.double()(x, torch.rand(6)).dtype == torch.float64


def test_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"x has shape \(2, 4\); allowed: \(B, \(5,\)\)"):
        MLP(2, 2, shape=(5,))(torch.zeros(2, 4, dtype=torch.long), torch.rand(2))


def test_levels_near_zero_are_told_apart():
    torch.manual_seed(0)
    out = LevelEmbedding(16)(torch.tensor([0.02, 0.04, 0.9, 0.92]))
    assert (out[0] - out[1]).norm() > 0.01
    assert torch.isfinite(LevelEmbedding(4)(torch.tensor([0.0, 1.0]))).all()


def test_labels():
    embed = ConditionEmbedding(8, num_classes=3)
    b = torch.tensor([0.5, 0.5])
    assert (embed(b, torch.tensor([0, 1])) != embed(b)).any()
    with pytest.raises(ValueError, match=r"label was 3; allowed: 0 .. 2"):
        embed(b, torch.tensor([0, 3]))
    with pytest.raises(ValueError, match=r"label has shape \(3,\); allowed: \(2,\)"):
        embed(b, torch.tensor([0, 1, 2]))
