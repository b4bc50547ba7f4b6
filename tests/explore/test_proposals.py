"""What is drawn: locks hold, costs are as said, chains go on, for every noise and shape."""

import pytest
import torch

import discrete_ca as dca
from discrete_ca import AutoregressiveKernel, chains, draws
from discrete_ca.corruption import Uniform
from discrete_ca.errors import DataError
from discrete_ca.explore import Session
from discrete_ca.nn import AutoregressiveTransformer
from tests.explore.helpers import Table, reversible, session_of, smooth_kernel
from tests.helpers import SHAPES, Counting, Told, assert_counts, counts_of, seeded


def random_design(session, seed=0):
    return torch.randint(0, session.num_categories, session.shape, generator=seeded(seed))


VERBS = {
    "variants": lambda s, n, **m: s.variants(n, level=0.4, steps=3, **m),
    "walk": lambda s, n, **m: s.walk(n, level=0.4, steps=2, **m),
    "propose": lambda s, n, **m: s.propose(n, level=0.4, steps=2, **m),
    "inpaint": lambda s, n, **m: s.inpaint(torch.tensor(True), n, moves=3, **m),
    "drawn": lambda s, n: s.variants(n, level=0.4, steps=3, draw=True, hold=0.1),
}


@pytest.mark.parametrize("verb", sorted(VERBS))
@pytest.mark.parametrize(
    ("name", "shape"),
    [("uniform-2", (4, 4)), ("absorbing-4", (5,)), ("ordinal-16", (3, 8, 8)), ("tokens-5", (4, 6)),
     ("tokens-linear", (7,)), ("uniform-5", (4, 8))],
)  # fmt: skip
def test_locked_cells_stay_bit_for_bit(verb, name, shape):
    session = session_of(name, shape)
    design = random_design(session)
    session.start(design)
    cells = torch.rand(shape, generator=seeded(1)) < 0.5
    session.lock(cells)
    made = VERBS[verb](session, 3)
    assert [node.place for node in made] == [0, 1, 2]
    assert all(torch.equal(node.design[cells], design[cells]) for node in made)
    assert all(torch.equal(node.locked, cells) for node in made)
    assert any(bool((node.design != design).any()) for node in made)
    assert all(int(node.design.max()) < session.num_categories for node in made)
    assert session.replay() == []


@pytest.mark.parametrize("shape", SHAPES)
def test_any_rank(shape):
    session = session_of("uniform-5", shape)
    assert len(session.start_from_noise(2, moves=2)) == 2
    session.pick(1)
    for verb in ("variants", "walk", "propose"):
        assert all(node.design.shape == shape for node in VERBS[verb](session, 2))
    assert session.replay() == []


def test_costs_are_what_the_network_was_asked():
    session = session_of()
    net = session.studio.kernel.net = Counting(session.studio.kernel.net)
    session.start([0, 1, 1, 0, 1])
    session.lock(torch.tensor([True, False, False, False, False]))
    for make in (
        *VERBS.values(),
        lambda s, n: s.start_from_noise(n, moves=3, correctors=2),
        lambda s, n: s.start_from_sketch([0, 1, -1, -1, 1], n, moves=3),
        lambda s, n: s.blend(
            [1, s.paint(torch.tensor([False] * 4 + [True]), 0, held=False, node=1)], n
        ),
    ):
        net.examples = 0
        made = make(session, 3)
        assert made[0].nfe == net.examples > 0 and made[0].seconds > 0
        session.pick(2)


def test_variants_are_those_of_the_library():
    session = session_of(seed=4)
    z = session.start([0, 1, 1, 0, 1]).design
    near = session.variants(5, level=0.3, steps=4)
    want = dca.variants(
        session.studio.kernel, z, 5, level=0.3, steps=4, generator=draws.keyed(4, "explore", 2)
    )
    assert torch.equal(torch.stack([node.design for node in near]), want)


def test_a_walk_goes_on_along_its_chain():
    """Two walks one after another visit states of one run; another level begins anew."""
    session = session_of(seed=1)
    kernel = session.studio.kernel
    start = session.start([0, 1, 1, 0, 1])
    first = session.walk(3, level=0.3, steps=2, hold=0.2)
    onward = session.walk(2, node=first[-1], level=0.3, steps=2)
    x = first[-1].state[None]
    g = draws.keyed(1, "explore", 3)
    for node in onward:
        for state in chains.run(kernel, x, 0.3, 2, generator=g):
            x = state
        assert torch.equal(node.state, x[0]) and node.level == 0.3
        assert torch.equal(node.design, chains.read_out(kernel, x, 0.3)[0])
    assert start.state is None
    anew = session.studio.noisy(first[-1], 0.4, seeded())
    assert torch.equal(anew, kernel.corrupt(first[-1].design[None], 0.4, seeded()))
    locked = session.lock(torch.tensor([True] + [False] * 4), node=first[0])
    assert locked.state is None  # another chain


def test_hold_is_written_down_and_obeyed():
    session = session_of(hold=0.6)
    session.start([0, 1, 1, 0, 1])
    frozen = session.walk(4, level=0.5, hold=1.0)
    assert len({tuple(node.state.tolist()) for node in frozen}) == 1
    assert frozen[0].recipe.operation.hold == 1.0
    assert session.variants(1)[0].recipe.operation.hold == 0.6  # the kernel's own
    session.studio.kernel.hold = 0.1  # afterwards it is another
    assert session.replay() == [] and session.studio.kernel.hold == 0.1


def test_sketches_show_their_cells():
    session = session_of("uniform-5", (2, 3))
    sketch = torch.tensor([[4, -1, -1], [-1, 3, -1]])
    said = sketch >= 0
    for held in (True, False):
        made = session.start_from_sketch(sketch, 4, held=held, moves=4)
        assert all(torch.equal(node.design[said], sketch[said]) for node in made)
        assert all(torch.equal(node.locked, said & held) for node in made)
    with pytest.raises(DataError, match="open part of the sketch has no cell"):
        session.start_from_sketch(sketch.abs())
    with pytest.raises(DataError, match="sketch holds values in"):
        session.start_from_sketch(sketch - 1)
    assert session.replay() == []


def test_blends_hold_what_is_agreed_on():
    session = session_of("uniform-5", (6,))
    a = session.start([0, 1, 2, 3, 4, 0])
    b = session.start([0, 1, 2, 4, 3, 1])
    cells = torch.tensor([False, False, False, False, False, True])
    b = session.lock(cells, node=b)
    session.pick(a, b)
    made = session.blend(n=12, moves=4)
    found = torch.stack([node.design for node in made])
    assert torch.equal(found[:, :3], a.design[:3].expand(12, 3))
    assert bool((found[:, 5] == 1).all())  # locked in one of them
    assert len(found[:, 3:5].unique(dim=0)) > 1
    assert all(node.parents == (a.id, b.id) and torch.equal(node.locked, cells) for node in made)
    other = session.lock(cells, node=a)
    with pytest.raises(DataError, match="1 cells are locked to different categories"):
        session.blend([b, other])
    with pytest.raises(DataError, match="agree on every unlocked cell"):
        session.blend([a, session.start(a.design)])
    with pytest.raises(ValueError, match="blend was given 1 designs; allowed: 2"):
        session.blend([a])
    assert session.replay() == []


def test_inpainting_leaves_the_rest_and_the_locked():
    session = session_of("uniform-5", (6,))
    design = session.start([0, 1, 2, 3, 4, 0]).design
    session.lock(torch.arange(6) == 5)
    made = session.inpaint(torch.arange(6) >= 3, 8, moves=4)
    found = torch.stack([node.design for node in made])
    assert torch.equal(found[:, [0, 1, 2, 5]], design[[0, 1, 2, 5]].expand(8, 4))
    assert bool((found[:, 3:5] != design[3:5]).any())
    with pytest.raises(DataError, match="unlocked part of the mask has no cell"):
        session.inpaint(torch.arange(6) == 5)


def test_labels_reach_the_network():
    session = session_of(net=Told)
    session.start([0, 1, 1, 0, 1])
    net = session.studio.kernel.net
    seen, forward = [], type(net).forward

    class Spy(Told):
        def forward(self, x, b, label=None, known=None):
            seen.append(None if label is None else label.tolist())
            return forward(self, x, b, label, known)

    net.__class__ = Spy
    for verb in (session.variants, session.walk, session.propose):
        seen.clear()
        verb(2, label=3)
        assert all(set(labels) == {3} for labels in seen)
    seen.clear()
    session.start_from_noise(2, moves=2, label=1)
    assert all(labels == [1, 1] for labels in seen)
    with pytest.raises(ValueError, match="label was given"):
        plain = session_of()
        plain.start([0, 1, 1, 0, 1])
        plain.variants(label=1)


def test_a_kernel_without_read_out_noise_or_hold():
    P, _ = reversible(8, 0)
    session = Session(Table(P, 2, (3,)), (3,), 2)
    session.start([0, 1, 1])
    walked = session.walk(2, node=1, steps=2)[0]
    assert torch.equal(walked.state, walked.design) and walked.recipe.operation.hold is None
    session.lock(torch.tensor([True, False, False]), node=1)
    assert all(node.design[0] == 0 for node in session.variants(32, steps=8))  # it heeds no `known`
    with pytest.raises(NotImplementedError, match="no known law at level 1"):
        session.start_from_noise()
    with pytest.raises(ValueError, match="has no hold"):
        session.variants(hold=0.5, node=1)
    assert session.replay() == []


@pytest.mark.parametrize("verb", ["walk", "propose"])
def test_what_is_drawn_has_the_kernels_law(verb):
    """One step of a walk; a candidate is two steps away, by way of the centre."""
    P, _ = reversible(8, 1)
    session = Session(Table(P, 2, (3,)), (3,), 2)
    session.start([0, 1, 1])
    place = torch.tensor([4, 2, 1])
    codes = [
        int((getattr(session, verb)(1, node=1, steps=1)[0].design * place).sum())
        for _ in range(2000)
    ]
    assert_counts(counts_of(torch.tensor(codes), 8), (P if verb == "walk" else P @ P)[3])


def test_an_autoregressive_kernel():
    torch.manual_seed(0)
    kernel = AutoregressiveKernel(
        AutoregressiveTransformer(3, shape=(4,), width=16, depth=1), Uniform(3)
    )
    session = Session(kernel, (4,))
    session.start([0, 1, 2, 0])
    session.lock(torch.tensor([True, False, False, False]))
    assert all(node.design[0] == 0 for node in session.variants(3, steps=2, hold=0.3))
    assert len(session.walk(2)) == 2 and kernel.hold == 0.0
    assert session.replay() == []


def test_noise_that_remembers_cannot_begin_from_noise():
    session = session_of("matrix-square", (3,))
    with pytest.raises(ValueError):
        session.start_from_noise(moves=2)
    assert len(session) == 0
    session.start([0, 1, 2])
    assert len(session.variants(2)) == 2


def test_a_gaussian_kernel_is_refused():
    kernel = dca.GaussianNoiseKernel(torch.nn.Identity())
    with pytest.raises(ValueError, match="does not say how many categories"):
        Session(kernel, (3,))


def test_training_mode_draws_nothing_at_random():
    kernel = smooth_kernel()
    kernel.net.drop = torch.nn.Dropout(0.5)
    kernel.net.register_forward_hook(lambda net, _, out: net.drop(out))
    kernel.train()
    session = Session(kernel, (5,))
    session.start([0, 1, 1, 0, 1])
    session.variants(8, level=0.5)
    assert session.replay() == [] and kernel.training


def test_guidance_is_of_a_label_and_is_replayed():
    torch.manual_seed(0)
    net = dca.nn.MLP(2, 2, shape=(5,), num_classes=3)
    session = Session(dca.CategoricalNoiseKernel(net, Uniform(2), hold=0.5), (5,))
    session.start([0, 1, 1, 0, 1])
    with pytest.raises(ValueError, match="guidance was 1; allowed: .*0 without a label"):
        session.variants(2, guidance=1)
    plain = session.variants(2, steps=3, label=1)
    loud = session.variants(2, node=1, steps=3, label=1, guidance=3.0)
    strip = session.walk(2, node=1, label=1, guidance=3.0)
    assert [nodes[0].nfe for nodes in (plain, loud, strip)] == [8, 16, 8]
    assert session.studio.kernel.net is net and session.replay() == []
    other = session_of()
    other.start([0, 1, 1, 0, 1])
    with pytest.raises(ValueError, match="takes no `label`"):
        other.variants(2, label=1, guidance=1.0)


# -- Metropolis steps -----------------------------------------------------------------------------

ADJUSTED = {
    **{name: VERBS[name] for name in ("variants", "walk", "propose", "inpaint")},
    "noise": lambda s, n, **m: s.start_from_noise(n, moves=3, **m),
    "sketch": lambda s, n, **m: s.start_from_sketch([0, 1, -1, -1, -1], n, moves=3, **m),
    "blend": lambda s, n, **m: s.blend([1, s.start([1, 0, 0, 1, 0])], n, moves=3, **m),
}
COSTS = {
    "variants": 3 * 4, "walk": 1 + 3 * 2, "propose": 2 * (1 + 3) + 3 + 1, "inpaint": 3 * 7,
    "noise": 3 * 7, "sketch": 3 * 7, "blend": 3 * 7,
}  # fmt: skip


@pytest.mark.parametrize("verb", sorted(ADJUSTED))
def test_metropolis_steps_are_recorded_counted_and_replayed(verb, tmp_path):
    session = session_of(seed=5, hold=0.1)
    session.start([0, 1, 1, 0, 1])
    plain = ADJUSTED[verb](session, 3)
    session.pick(1)
    kernel = session.studio.kernel
    net, kernel.net = kernel.net, Counting(kernel.net)
    made = ADJUSTED[verb](session, 3, metropolis=True)
    assert made[0].nfe == kernel.net.examples == COSTS[verb]
    kernel.net = net
    (recipe,) = {node.recipe for node in made}
    assert recipe.operation.metropolis and 0 < recipe.acceptance <= 1
    assert plain[0].recipe.acceptance is None and not plain[0].recipe.operation.metropolis
    assert session.replay() == []
    session.save(tmp_path)
    found = Session.load(tmp_path, session.studio.kernel)
    again = found[made[0].id].recipe
    assert again.acceptance == recipe.acceptance and again.operation.metropolis
    assert found.replay() == []


def test_metropolis_variants_are_those_of_the_library():
    session = session_of(seed=4, hold=0.0)
    z = session.start([0, 1, 1, 0, 1]).design
    near = session.variants(16, level=0.3, steps=4, metropolis=True)
    want, info = dca.variants(
        session.studio.kernel, z, 16, level=0.3, steps=4, metropolis=True, return_info=True,
        generator=draws.keyed(4, "explore", 2),
    )  # fmt: skip
    assert torch.equal(torch.stack([node.design for node in near]), want)
    assert near[0].recipe.acceptance == info.acceptance < 1


def test_somebody_who_watches_metropolis_steps_changes_nothing():
    designs, seen = [], []
    for watch in (None, lambda glimpse: seen.append(glimpse.designs())):
        session = session_of(seed=4, hold=0.0)
        session.start([0, 1, 1, 0, 1])
        session.studio.watch = watch
        nodes = session.variants(4, steps=5, metropolis=True) + session.walk(
            3, node=1, steps=2, metropolis=True
        )
        designs.append(torch.stack([node.design for node in nodes]))
    assert torch.equal(*designs) and len(seen) == 6 + 7
    assert [len(z) for z in seen] == [4] * 6 + [1] * 7


def test_a_metropolis_walk_is_a_run_of_the_library():
    session = session_of(seed=1, hold=0.0)
    kernel = session.studio.kernel
    design = session.start([0, 1, 1, 0, 1]).design
    strip = session.walk(3, level=0.4, steps=20, metropolis=True)
    g = draws.keyed(1, "explore", 2)
    x = kernel.corrupt(design[None], 0.4, g)
    states = [*chains.run(kernel, x, 0.4, 60, metropolis=True, generator=g)][19::20]
    for node, state in zip(strip, states, strict=True):
        assert torch.equal(node.state, state[0])
        assert torch.equal(node.design, chains.read_out(kernel, state, 0.4)[0])
    assert strip[0].recipe.acceptance < 1


@pytest.mark.parametrize("verb", sorted(ADJUSTED))
def test_metropolis_steps_are_refused_by_name_before_any_is_made(verb):
    masks = session_of("absorbing-2")
    P, _ = reversible(32, 0)
    table = Session(Table(P, 2, (5,)), (5,), 2)
    for session, why in (
        (masks, "metropolis was True, but Absorbing rules out categories"),
        (table, "metropolis was True with a Table; allowed: a CategoricalNoiseKernel"),
    ):
        session.start([0, 1, 1, 0, 1])
        with pytest.raises(ValueError, match=why):
            ADJUSTED[verb](session, 3, metropolis=True)
        assert all(node.recipe.operation.name == "begin" for node in session.tree)
    with pytest.raises(TypeError, match="metropolis was 1; allowed: True or False"):
        ADJUSTED[verb](session_of(), 3, metropolis=1)


def test_metropolis_at_level_0_is_refused():
    session = session_of()
    session.start([0, 1, 1, 0, 1])
    for verb in (session.variants, session.walk, session.propose):
        with pytest.raises(ValueError, match="metropolis was True at level 0"):
            verb(2, level=0.0, metropolis=True)
