"""The kernel is used as asked and left as it was; its name is its content."""

import pytest
import torch
from torch import nn

from discrete_ca import AutoregressiveKernel, CategoricalNoiseKernel, load_kernel
from discrete_ca.corruption import Absorbing, Uniform
from discrete_ca.errors import DataError
from discrete_ca.explore.studio import MAX_SITES, Studio, kernel_checksum
from discrete_ca.nn import MLP, AutoregressiveTransformer, Transformer
from tests.explore.helpers import Table, smooth_kernel
from tests.helpers import Smooth


def mlp(seed=0, k=2, **options):
    torch.manual_seed(seed)
    return CategoricalNoiseKernel(MLP(k, k, shape=(5,), width=8), Uniform(k), **options)


def test_a_kernel_is_left_as_it_was_also_when_it_fails():
    kernel = smooth_kernel(hold=0.6)
    kernel.train()
    kernel.net.eval()
    studio = Studio(kernel, (5,))
    with pytest.raises(RuntimeError), studio.set(0.25) as inside:
        assert inside.hold == 0.25 and not inside.training and not torch.is_grad_enabled()
        raise RuntimeError
    assert kernel.hold == 0.6 and kernel.training and not kernel.net.training
    assert torch.is_grad_enabled()
    with studio.set(None):
        assert kernel.hold == 0.6


def test_a_hold_is_refused_where_there_is_none_to_choose():
    table = Studio(Table(torch.eye(4), 2, (2,)), (2,), 2)
    lag = Studio(CategoricalNoiseKernel.with_lag(Smooth(2, 3), Absorbing(2)), (5,))
    assert table.hold(None) is None and lag.hold(None) is None
    with pytest.raises(ValueError, match="hold was 0.5; allowed: None, since Table has no hold"):
        table.hold(0.5)
    with pytest.raises(ValueError, match="has a lag"), lag.set(0.5):
        pass
    assert "hold" not in vars(table.kernel)
    plain = Studio(smooth_kernel(hold=0.6), (5,))
    assert plain.hold(None) == 0.6 and plain.hold(0) == 0.0
    with pytest.raises(ValueError, match=r"hold was 2; allowed: \[0, 1\]"):
        plain.hold(2)


def test_a_checksum_names_what_matters(tmp_path):
    found = kernel_checksum(mlp())
    assert found == kernel_checksum(mlp()) == kernel_checksum(mlp(hold=0.1)) and len(found) == 64
    mlp().save_pretrained(tmp_path)
    assert kernel_checksum(load_kernel(tmp_path)) == found
    net = AutoregressiveTransformer(2, shape=(5,), width=16, depth=1)
    others = [
        mlp(seed=1), mlp(carry_over=False), mlp(adjustment=MLP(2, 2, shape=(5,), width=8)),
        mlp(k=3),
        AutoregressiveKernel(net, Uniform(2)), Table(torch.eye(4), 2, (2,)),
    ]  # fmt: skip
    assert len({found, *map(kernel_checksum, others)}) == len(others) + 1


def test_options_that_later_versions_add_do_not_rename_a_kernel():
    class Older(CategoricalNoiseKernel):
        def __init__(self, net, corruption):
            super().__init__(net, corruption)

    class Newer(CategoricalNoiseKernel):
        def __init__(self, net, corruption, more=None, size=(3, 3)):
            super().__init__(net, corruption)

    import discrete_ca.explore.studio as module

    for cls in (Older, Newer):
        cls.__module__, cls.__qualname__ = module.__name__, "Own"
    names = []
    for cls, options in ((Older, {}), (Newer, {}), (Newer, {"more": 2})):
        module.Own = cls
        names.append(kernel_checksum(cls(mlp().net, Uniform(2), **options)))
    del module.Own
    assert names[0] == names[1] != names[2]


def test_a_kernel_that_cannot_be_saved_has_a_name_too():
    kernel = mlp()
    kernel.carry_over = object()
    assert kernel_checksum(kernel) != kernel_checksum(mlp())
    assert kernel_checksum(nn.Sequential(mlp())[0]) == kernel_checksum(mlp())


def test_shapes_and_categories():
    assert Studio(smooth_kernel("absorbing-4"), ()).num_states == 5
    assert Studio(smooth_kernel("absorbing-4"), (3, 2)).num_categories == 4
    with pytest.raises(ValueError, match="num_categories was 3; allowed: 2"):
        Studio(smooth_kernel(), (5,), 3)
    with pytest.raises(ValueError, match="Table does not say how many categories"):
        Studio(Table(torch.eye(4), 2, (2,)), (2,))
    with pytest.raises(ValueError, match="shape was 0"):
        Studio(smooth_kernel(), (5, 0))
    with pytest.raises(ValueError, match="at most"):
        Studio(smooth_kernel(), (MAX_SITES + 1,))


def test_designs_and_cells_are_checked():
    studio = Studio(smooth_kernel(), (2, 3))
    assert studio.design([[0, 1, 0], [1, 1, 1]]).dtype == torch.long
    assert studio.design(torch.ones(2, 3, dtype=torch.uint8)).sum() == 6
    for wrong, match in (
        (torch.zeros(2, 3), "design has dtype torch.float32; allowed: whole numbers"),
        (torch.zeros(3, dtype=torch.long), r"design has shape \(3,\); allowed: \(2, 3\)"),
        (torch.full((2, 3), 2), r"design holds values in \[2, 2\]; allowed: 0 .. 1"),
    ):
        with pytest.raises(DataError, match=match):
            studio.design(wrong)
    assert studio.cells([True, False, False], "cells").sum() == 2
    for wrong, match in (
        (torch.ones(2, 3), "cells has dtype"),
        (torch.ones(4, dtype=torch.bool), r"cells has shape \(4,\); allowed: \(2, 3\)"),
        (torch.zeros(2, 3, dtype=torch.bool), "cells has no cell"),
    ):
        with pytest.raises(DataError, match=match):
            studio.cells(wrong, "cells")


def test_a_transformer_over_voices_has_a_name():
    torch.manual_seed(0)
    net = Transformer(5, 5, channels=4, width=16, depth=1)
    kernel = CategoricalNoiseKernel(net, Uniform(5))
    assert Studio(kernel, (4, 8)).checksum == kernel_checksum(kernel)
