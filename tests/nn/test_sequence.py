"""What networks over sequences share: shapes, conditions, voices, tying, errors, saving."""

import pytest
import torch

import discrete_ca as dca
from discrete_ca.nn import DilatedConv, Transformer
from discrete_ca.nn.sequence import Modulation
from tests.helpers import seeded

NETS = [
    lambda *args, **options: Transformer(*args, width=16, depth=2, heads=2, **options),
    lambda *args, **options: DilatedConv(*args, width=16, depth=3, **options),
]


def awake(net, std=0.3, seed=0):
    """The network with no weight at zero."""
    generator = seeded(seed)
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=std, generator=generator)
    return net


@pytest.mark.parametrize("make", NETS)
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("states", [5, 6])
@pytest.mark.parametrize("channels", [None, 1, 4])
def test_shapes_at_any_length(make, tied, states, channels):
    net = make(5, states, channels=channels, tied=tied)
    for length in (1, 2, 7, 40):
        sites = (length,) if channels is None else (channels, length)
        x = torch.randint(0, states, (3, *sites), generator=seeded())
        out = net(x, torch.tensor([0.1, 0.5, 0.9]))
        assert out.shape == (3, *sites, 5) and out.is_contiguous()
    out.square().sum().backward()
    assert all(p.grad is not None for p in net.parameters())


@pytest.mark.parametrize("make", NETS)
def test_a_fresh_network_says_nothing(make):
    torch.manual_seed(0)
    x = torch.randint(0, 5, (2, 9))
    assert not make(5, 5)(x, torch.ones(2)).any()
    tied = make(5, 5, tied=True)(x, torch.ones(2)).softmax(-1)
    assert (tied - 0.2).abs().max() < 0.1


@pytest.mark.parametrize("make", NETS)
def test_every_voice_sees_every_voice_all_around(make):
    net = awake(make(3, 3, channels=2))
    x, b = torch.zeros(1, 2, 9, dtype=torch.long), torch.tensor([0.5])
    plain = net(x, b)
    for voice in range(2):
        for place in (1, 7):
            far = x.clone()
            far[0, voice, place] = 1
            changed = (net(far, b) != plain).any(-1)[0]
            assert changed[0, 4] and changed[1, 4]
    swapped = torch.tensor([[[1] * 9, [0] * 9]])
    assert (net(swapped, b) != net(swapped.flip(1), b).flip(1)).any()  # voices are told apart
    assert (net(x, torch.tensor([0.6])) != plain).any()


@pytest.mark.parametrize("make", NETS)
@pytest.mark.parametrize("channels", [None, 2])
def test_the_mask_and_the_label_reach_the_output(make, channels):
    net = awake(make(3, 3, channels=channels, known=True, num_classes=3))
    assert net.accepts == {"known", "label"}
    sites = (8,) if channels is None else (channels, 8)
    x, b = torch.zeros(2, *sites, dtype=torch.long), torch.tensor([0.5, 0.5])
    generate = torch.ones(2, *sites, dtype=torch.bool)
    plain = net(x, b)
    torch.testing.assert_close(net(x, b, known=generate), plain)  # nothing known = not told
    assert (net(x, b, known=~generate) != plain).any()
    assert (net(x, b, label=torch.tensor([0, 1])) != plain).any()
    assert make(3, 3).accepts == frozenset()


@pytest.mark.parametrize("make", NETS)
def test_examples_do_not_see_one_another(make):
    net = awake(make(3, 3, known=True)).double()
    x = torch.randint(0, 3, (3, 6), generator=seeded(1))
    b = torch.tensor([0.1, 0.5, 0.9]).double()
    whole = net(x, b)
    for i in range(3):
        torch.testing.assert_close(net(x[i : i + 1], b[i : i + 1])[0], whole[i])


@pytest.mark.parametrize("make", NETS)
def test_tied_rows_are_the_embeddings(make):
    net = awake(make(4, 5, tied=True))
    count = sum(p.numel() for p in make(4, 5).parameters())
    assert sum(p.numel() for p in net.parameters()) == count - 4 * 16
    x, b = torch.tensor([[4, 4, 4]]), torch.tensor([0.3])
    before = net(x, b)
    with torch.no_grad():
        net.embed[0].weight[2] += 1.0  # no site is in state 2
    changed = (net(x, b) != before).reshape(-1, 4).any(0)
    assert changed.tolist() == [False, False, True, False]


@pytest.mark.parametrize("make", NETS)
@pytest.mark.parametrize("tied", [False, True])
def test_saved_networks_come_back(make, tied, tmp_path):
    noise = dca.corruption.Absorbing(4)
    kernel = dca.CategoricalNoiseKernel(awake(make(4, 5, channels=2, known=True, tied=tied)), noise)
    kernel.save_pretrained(tmp_path)
    again = dca.load_kernel(tmp_path)
    x, b = torch.zeros(2, 2, 6, dtype=torch.long), torch.tensor([0.1, 0.7])
    assert torch.equal(again.net(x, b), kernel.net(x, b))


@pytest.mark.parametrize("make", NETS)
@pytest.mark.parametrize(
    ("channels", "shape", "message"),
    [
        (None, (1, 2, 8), r"x has shape \(1, 2, 8\); allowed: \(B, T\)"),
        (None, (4,), r"x has shape \(4,\); allowed: \(B, T\)"),
        (4, (1, 8), r"x has shape \(1, 8\); allowed: \(B, 4, T\)"),
        (4, (1, 3, 8), r"x has shape \(1, 3, 8\); allowed: \(B, 4, T\)"),
    ],
)
def test_errors_name_the_shape(make, channels, shape, message):
    with pytest.raises(ValueError, match=message):
        make(2, 2, channels=channels)(torch.zeros(shape, dtype=torch.long), torch.ones(shape[0]))


def test_modulations_start_at_zero_and_learn():
    part = Modulation(4, 3)
    out = part(torch.ones(2, 4))
    assert len(out) == 3 and all(o.shape == (2, 1, 4) and not o.any() for o in out)
    out[0].sum().backward()
    assert part.layers[1].weight.grad[:4].all()


@pytest.mark.parametrize("make", NETS)
def test_it_learns_which_neighbours_go_together(make):
    """Rows of one category: the context tells what a site is, whatever its own state."""
    torch.manual_seed(0)
    kernel = dca.CategoricalNoiseKernel(make(4, 4), dca.corruption.Uniform(4))
    data = torch.arange(4).repeat(64)[:, None].expand(-1, 10)
    config = dca.TrainConfig(steps=120, batch_size=64, learning_rate=1e-2, progress=False)
    dca.Trainer(kernel, dca.Denoising(), data, config).fit()
    x = torch.tensor([[1, 1, 1, 1, 2, 1, 1, 1, 1, 1]])
    z = dca.read_out(kernel, x, 0.3)
    assert z.tolist() == [[1] * 10]


@pytest.mark.parametrize("make", NETS)
def test_a_period_tells_the_place_in_a_bar(make):
    """With nothing near to look at, logits depend on the place in the period and no more."""
    torch.manual_seed(0)
    net = make(3, 3, period=4).eval()
    for parameter in net.out.parameters():
        torch.nn.init.normal_(parameter, generator=seeded())
    x = torch.zeros(1, 10, dtype=torch.long)  # the blocks are the identity as they begin
    out = net(x, torch.tensor([0.5]))[0]
    assert torch.allclose(out[:4], out[4:8]) and torch.allclose(out[:2], out[8:])
    assert (out[0] - out[1]).abs().max() > 1e-3
    plain = make(3, 3)
    assert plain.place is None
    with pytest.raises(ValueError, match="period was 0"):
        make(3, 3, period=0)


@pytest.mark.parametrize("make", NETS)
@pytest.mark.parametrize("channels", [None, 3])
def test_stacked_steps_keep_their_places(make, channels):
    """Each step's logits come from its own row of weights; a position has `stack` steps."""
    net = awake(make(5, 6, channels=channels, stack=2, period=4, known=True))
    sites = (8,) if channels is None else (channels, 8)
    x, b = torch.randint(0, 6, (2, *sites), generator=seeded()), torch.tensor([0.2, 0.7])
    known = torch.rand(2, *sites, generator=seeded()) < 0.5
    plain = net(x, b, known=known)
    assert plain.shape == (2, *sites, 5) and len(net.out) == 2 * (channels or 1)
    with torch.no_grad():
        net.out[1].bias += 1  # of the first voice, the second step of each position
    changed = (net(x, b, known=known) - plain).abs().amax(-1) > 0.5
    want = torch.zeros_like(changed)
    (want if channels is None else want[:, 0])[:, 1::2] = True
    assert torch.equal(changed, want)
    with pytest.raises(ValueError, match="multiple of stack = 2"):
        net(x[..., :7], b)
    with pytest.raises(ValueError, match="period was 3; allowed: a multiple of stack = 2"):
        make(5, 5, stack=2, period=3)
