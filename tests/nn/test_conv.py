"""The dilated network's own: how far it sees, settings."""

import pytest
import torch

from discrete_ca.nn import DilatedConv
from tests.nn.test_sequence import awake


@pytest.mark.parametrize(("depth", "cycle", "reach"), [(1, 4, 1), (3, 4, 7), (4, 2, 6)])
def test_a_site_sees_the_sum_of_the_dilations_to_each_side(depth, cycle, reach):
    net = awake(DilatedConv(2, 2, width=8, depth=depth, cycle=cycle)).double()
    x, b = torch.zeros(1, 31, dtype=torch.long), torch.tensor([0.5])
    other = x.clone()
    other[0, 15] = 1
    changed = (net(x, b) != net(other, b)).any(-1)[0].nonzero()[:, 0]
    assert (int(changed.min()), int(changed.max())) == (15 - reach, 15 + reach)


def test_the_length_changes_nothing_inside():
    net = awake(DilatedConv(2, 2, width=8, depth=2)).double()
    x, b = torch.randint(0, 2, (1, 30)), torch.tensor([0.5])
    torch.testing.assert_close(net(x, b)[:, 3:17], net(x[:, :20], b)[:, 3:17])


def test_a_cycle_of_nothing_is_refused():
    with pytest.raises(ValueError, match="cycle was 0; allowed: >= 1"):
        DilatedConv(2, 2, cycle=0)
