"""The UNet: shapes in one to three dimensions, patches, conditions, errors."""

import pytest
import torch

from discrete_ca.nn import UNet


@pytest.mark.parametrize(
    ("dims", "channels", "shape", "patch"),
    [
        (1, None, (16,), 4),
        (1, 4, (4, 16), 2),
        (2, None, (12, 8), 4),
        (2, 3, (3, 8, 8), 2),
        (3, None, (4, 8, 4), 2),
        (2, None, (5, 7), 1),
    ],
)
def test_shapes(dims, channels, shape, patch):
    net = UNet(5, 6, dims=dims, channels=channels, patch=patch, widths=(8, 16), head_width=8)
    x = torch.randint(0, 6, (2, *shape))
    out = net(x, torch.tensor([0.1, 0.9]))
    assert out.shape == (2, *shape, 5)
    out.sum().backward()
    assert all(p.grad is not None for p in net.parameters())


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_patches_go_back_to_where_they_came_from(dims):
    net = UNet(2, 2, dims=dims, patch=2, widths=(8,), head_width=8)
    h = torch.randn(2, 3, *(4, 6, 8)[:dims])
    patches = net._to_patches(h)
    assert patches.shape == (2, 3 * 2**dims, *(2, 3, 4)[:dims])
    assert torch.equal(net._from_patches(patches), h)
    # A patch holds neighbours: the first position is the first corner.
    corner = h[(0, slice(None), *(slice(0, 2),) * dims)]
    assert torch.equal(patches[(0, slice(None), *(0,) * dims)].sort().values,
                       corner.flatten().sort().values)  # fmt: skip


def test_every_output_site_sees_every_input_site_and_the_level():
    torch.manual_seed(0)
    net = UNet(2, 2, widths=(8, 16), head_width=8)
    for parameter in net.parameters():  # wake the layers that start at zero
        torch.nn.init.normal_(parameter, std=0.3)
    x, b = torch.zeros(1, 16, 16, dtype=torch.long), torch.tensor([0.5])
    far = x.clone()
    far[0, 15, 15] = 1
    assert (net(x, b)[0, 0, 0] != net(far, b)[0, 0, 0]).any()
    assert (net(x, b) != net(x, torch.tensor([0.6]))).any()


def test_the_mask_and_the_label_reach_the_output():
    torch.manual_seed(0)
    net = UNet(2, 2, widths=(8,), head_width=8, known=True, num_classes=3)
    assert net.accepts == {"known", "label"}
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    x, b = torch.zeros(2, 8, 8, dtype=torch.long), torch.tensor([0.5, 0.5])
    generate = torch.ones(2, 8, 8, dtype=torch.bool)
    plain = net(x, b)
    torch.testing.assert_close(net(x, b, known=generate), plain)  # nothing known = not told
    assert (net(x, b, known=~generate) != plain).any()
    assert (net(x, b, label=torch.tensor([0, 1])) != plain).any()
    assert UNet(2, 2, widths=(8,)).accepts == frozenset()


@pytest.mark.parametrize(
    ("channels", "shape", "message"),
    [
        (None, (1, 10, 8), r"x has shape \(1, 10, 8\); allowed: \(B, \*R\) .* patch = 4"),
        (None, (1, 8), r"x has shape \(1, 8\); allowed"),
        (3, (1, 1, 8, 8), r"x has shape \(1, 1, 8, 8\); allowed: \(B, 3, \*R\)"),
    ],
)
def test_errors_name_the_shape(channels, shape, message):
    net = UNet(2, 2, channels=channels, widths=(8,), head_width=8)
    with pytest.raises(ValueError, match=message):
        net(torch.zeros(shape, dtype=torch.long), torch.tensor([0.5]))


def test_bad_settings_are_refused():
    with pytest.raises(ValueError, match="dims was 4; allowed: 1, 2, 3"):
        UNet(2, 2, dims=4)
    with pytest.raises(ValueError, match="widths is empty"):
        UNet(2, 2, widths=())
