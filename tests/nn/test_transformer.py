"""The transformer's own: rotary positions, causal blocks, settings."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import discrete_ca as dca
from discrete_ca.nn import Transformer
from discrete_ca.nn.transformer import Block, rotary_angles, rotate
from tests.helpers import seeded
from tests.nn.test_sequence import awake


def turn(length, size):
    angles = rotary_angles(length, size, torch.device("cpu")).double()
    return angles.cos(), angles.sin()


def test_rotary_products_depend_on_differences_of_positions_alone():
    q, k = torch.randn(2, 6, generator=seeded()).double()
    turned = [rotate(each.expand(30, 6), turn(30, 6)) for each in (q, k)]
    products = turned[0] @ turned[1].T
    for gap in (-7, 0, 5):
        diagonal = products.diagonal(gap)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal))
    assert products.diagonal(1)[0] != products.diagonal(-1)[0]  # before is not after
    torch.testing.assert_close(turned[0].norm(dim=-1), q.norm().expand(30))


def test_attention_is_that_of_the_formula():
    block, size, heads = awake(Block(8, 2), seed=3).double(), 4, 2
    h = torch.randn(2, 5, 8, generator=seeded(1)).double()
    q, k, v = block.qkv(h).reshape(2, 5, 3, heads, size).permute(2, 0, 3, 1, 4)
    q, k = (rotate(each, turn(5, size)) for each in (q, k))
    weights = (q @ k.transpose(-1, -2) / size**0.5).softmax(-1)
    wanted = block.out((weights @ v).transpose(1, 2).reshape(2, 5, 8))
    torch.testing.assert_close(block.attend(h, turn(5, size)), wanted)


def test_a_causal_block_sees_no_later_position():
    h = torch.randn(1, 6, 8, generator=seeded(1)).double().requires_grad_()
    condition = torch.randn(1, 8, generator=seeded(2)).double()
    for causal in (True, False):
        block = awake(Block(8, 2, causal=causal)).double()
        out = block(h, condition, turn(6, 4))
        (slope,) = torch.autograd.grad(out[0, 2].square().sum(), h)
        assert slope[0, :3].any(-1).all()
        assert slope[0, 3:].any() == (not causal)


def test_a_fresh_block_is_the_identity():
    h = torch.randn(2, 5, 8, generator=seeded())
    out = Block(8, 2)(h, torch.ones(2, 8), turn(5, 4))
    torch.testing.assert_close(out, h.to(out))


@pytest.mark.parametrize("heads", [0, 3, 16])
def test_heads_that_do_not_fit_are_refused(heads):
    with pytest.raises(ValueError, match=rf"width was 16 with heads = {heads}; allowed: a multip"):
        Transformer(2, 2, width=16, heads=heads)


def test_half_precision():
    net = awake(Transformer(3, 3, width=16, depth=1, heads=2), std=0.1).bfloat16()
    out = net(torch.zeros(1, 5, dtype=torch.long), torch.tensor([0.5]))
    assert out.dtype == torch.bfloat16 and out.isfinite().all()


class Whole(TorchDispatchMode):
    """Counts the tensors of at least some size that operations make anew."""

    def __init__(self, least):
        super().__init__()
        self.least, self.made = least, []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        before = {t.untyped_storage().data_ptr() for t in tree_leaves(args) if torch.is_tensor(t)}
        for leaf in tree_leaves(out):
            if torch.is_tensor(leaf) and leaf.numel() >= self.least:
                if leaf.untyped_storage().data_ptr() not in before:
                    self.made.append(str(func))
        return out


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("hold", [0.0, 0.9])
def test_a_step_over_a_large_vocabulary_makes_no_copies_of_the_logits(tied, hold):
    """Those of two passes and the gradient of one: what the bare network needs."""
    k = 20_000
    net = awake(Transformer(k, k, width=8, depth=1, heads=2, tied=tied))
    kernel = dca.CategoricalNoiseKernel(net, dca.corruption.Uniform(k), hold=hold)
    z = torch.randint(0, k, (4, 16), generator=seeded(4))
    objective = dca.ContrastiveAdjustment(denoising_weight=0.0)
    with Whole(4 * 16 * k) as whole:
        objective(kernel, z, 0.5, generator=seeded(5)).sum().backward()
    assert len(whole.made) == 3, whole.made
