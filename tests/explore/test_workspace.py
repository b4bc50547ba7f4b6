"""Doing, standing, going back; a tree of 200 designs is made anew from its file."""

import random

import pytest
import torch

from discrete_ca import runs
from discrete_ca.data import DiscreteData
from discrete_ca.errors import ConfigError
from discrete_ca.explore import Made, Operation, Session, refine
from tests.explore.helpers import same_node, session_of, smooth_kernel
from tests.helpers import assert_counts


def wander(session, nodes, seed):
    """Operations at random until there are so many nodes."""
    dice, g = random.Random(seed), torch.Generator().manual_seed(seed)

    def cells():
        return torch.rand(session.shape, generator=g) < 0.4

    verbs = [
        lambda: session.start_from_noise(2, moves=2),
        lambda: session.start_from_sketch(torch.where(cells(), 1, -1), 2, moves=2, held=False),
        lambda: session.variants(3, level=dice.random(), steps=2, hold=dice.random()),
        lambda: session.walk(3, level=dice.choice([0.2, 0.5]), steps=dice.choice([1, 3])),
        lambda: session.propose(2, level=0.5, steps=1, draw=dice.random() < 0.5),
        lambda: session.inpaint(cells(), 2, moves=2),
        lambda: session.blend(dice.sample([n.id for n in session.tree], 2), 2, moves=2),
        lambda: session.lock(cells()),
        lambda: session.unlock(),
        lambda: session.paint(cells(), dice.randrange(3), held=dice.random() < 0.5),
        lambda: refine(session, lambda z: z.double().sum((-2, -1)), 3, candidates=2, steps=1),
    ]
    session.start(torch.randint(0, 3, session.shape, generator=g))
    while len(session) < nodes:
        session.pick(dice.choice([n.id for n in session.tree]))
        try:
            dice.choice(verbs)()
        except ValueError as error:  # nothing to draw where all is locked, and the like
            assert "allowed" in str(error)
    return session


def test_a_tree_of_200_designs_is_made_anew_from_its_file(tmp_path):
    session = wander(session_of("ordinal-3", (3, 4), seed=5), 200, seed=1)
    kernel = session.studio.kernel
    session.save(tmp_path)
    found = Session.load(tmp_path, kernel)
    assert len(found) >= 200
    assert {n.recipe.operation.name for n in found.tree} >= {"blend", "propose", "walk", "paint"}
    assert all(same_node(node, session[node.id]) for node in found.tree)
    assert found.replay() == []
    assert found.replay([len(found)]) == [] and len(found.remade([len(found)])) < len(found)


def test_a_replay_tells_what_came_out_otherwise():
    session = session_of()
    session.start([0, 1, 1, 0, 1])
    near = session.variants(2)
    near[1].design.add_(1).remainder_(2)  # not what the recipe makes
    assert session.replay() == [near[1].id] and session.replay([near[0]]) == []


def test_draws_depend_on_the_seed_and_the_number_of_the_operation():
    def drawn(seed, before):
        session = session_of(seed=seed)
        session.start([0, 1, 1, 0, 1])
        for _ in range(before):
            session.star(1)  # no operation: nothing is drawn
        return torch.stack([n.design for n in session.variants(4, level=0.5)])

    torch.manual_seed(1)
    first = drawn(0, 0)
    torch.manual_seed(2)
    assert torch.equal(first, drawn(0, 3)) and not torch.equal(first, drawn(1, 0))
    session = session_of()
    session.start([0, 1, 1, 0, 1])
    again = [torch.stack([n.design for n in session.variants(4, level=0.5)]) for _ in range(2)]
    assert not torch.equal(*again)


def test_standing_and_going():
    session = session_of()
    with pytest.raises(ValueError, match="0 designs are picked; allowed: 1, or name the node"):
        session.variants()
    first = session.start([0, 1, 1, 0, 1])
    near = session.variants(3)
    assert session.node() is first  # several came: one picks
    one = session.variants(1)[0]
    assert session.node() is one
    assert session.undo() is first and session.redo() is one
    assert session.pick(near[1], near[2]) is near[1] and session.picked == near[1:]
    with pytest.raises(ValueError, match="2 designs are picked"):
        session.walk()
    assert session.undo() is one and session.undo() is first
    with pytest.raises(ValueError, match="nothing to undo"):
        session.undo()
    session.note("good", near[0])
    assert session[near[0].id].note == "good" and session.star(5, near[0].id).stars == 5
    assert session.discard(one) == [one.id] and one.id not in session.tree
    with pytest.raises(ValueError, match=f"node was {one.id}"):
        session.pick(one)
    assert session.tree.nfe() == first.nfe + near[0].nfe


def test_a_full_tree_refuses_before_it_draws():
    session = session_of()
    session.start([0, 1, 1, 0, 1])
    session.tree.limit = 3
    seed = session._record.next_seed
    for act in (lambda: session.variants(3), lambda: refine(session, lambda z: z[:, 0], 3)):
        with pytest.raises(ValueError, match="allowed: 3 in all"):
            act()
    assert len(session) == 1 and session._record.next_seed == seed
    assert len(session.variants(2)) == 2


def test_what_fails_leaves_nothing_behind():
    session = session_of()
    session.start([0, 1, 1, 0, 1])
    with pytest.raises(ValueError, match="level was 2"):
        session.variants(level=2.0)
    with pytest.raises(ValueError, match="n was 1000; allowed: 1 .. 256"):
        session.variants(1000)
    with pytest.raises(TypeError):
        session.inpaint(torch.tensor(True), move=3)
    assert len(session) == 1 and session.studio.kernel.hold == 0.6


def test_choosing_by_weights():
    session = session_of()
    session.start([0, 1, 1, 0, 1])
    near = session.variants(3)
    counts, weights = [0, 0, 0], {n.id: w for n, w in zip(near, (1.0, 3.0, 6.0), strict=True)}
    for _ in range(1000):
        counts[session.choose(weights).id - near[0].id] += 1
    assert_counts(counts, [0.1, 0.3, 0.6])
    with pytest.raises(ValueError, match="weights was"):
        session.choose({1: 0.0})
    with pytest.raises(ValueError, match="node was 99"):
        session.choose({99: 1.0})


def test_an_operation_of_ones_own(tmp_path):
    class Mirror(Operation, name="mirror"):
        def apply(self, studio, parents, generator):
            return Made(parents[0].design.flip(-1)[None], parents[0].locked.flip(-1))

    session = session_of()
    first = session.start([0, 1, 1, 0, 0])
    (node,) = session.do(Mirror(), [first])
    assert node.design.tolist() == [0, 0, 1, 1, 0] and session.node() is node
    session.save(tmp_path)
    assert Session.load(tmp_path, session.studio.kernel).replay() == []
    from discrete_ca.explore import operations

    del operations._registry["mirror"]
    with pytest.raises(ValueError, match="unknown operation 'mirror'"):
        Session.load(tmp_path, session.studio.kernel)


def test_a_saved_run(tmp_path):
    torch.manual_seed(0)
    from discrete_ca import CategoricalNoiseKernel
    from discrete_ca.corruption import Uniform
    from discrete_ca.data import Characters
    from discrete_ca.nn import Transformer
    from discrete_ca.sealed import write_json

    letters = Characters("abc")
    kernel = CategoricalNoiseKernel(Transformer(3, 3, width=16, depth=1), Uniform(3))
    data = DiscreteData(torch.zeros(2, 4, dtype=torch.long), 3, tokenizer=letters)
    runs.folder.save_model(tmp_path, kernel, data)
    with pytest.raises(ConfigError, match="does not say the shape"):
        Session.of_run(runs.load_run(tmp_path))
    write_json(tmp_path / "run.json", {"data": {"shape": [4], "num_categories": 3}})
    session = Session.of_run(runs.load_run(tmp_path), seed=2)
    assert session.shape == (4,) and session.seed == 2
    session.start(letters.encode("abca"))
    session.export(tmp_path / "x.txt")
    assert (tmp_path / "x.txt").read_text() == "abca\n"
    assert session.start_from_file(tmp_path / "x.txt").design.tolist() == [0, 1, 2, 0]


def test_sessions_share_a_kernel_and_leave_it_alone():
    kernel = smooth_kernel(hold=0.6)
    one, two = Session(kernel, (5,)), Session(kernel, (3, 3))
    for session in (one, two):
        session.start(torch.ones(session.shape, dtype=torch.long))
        session.variants(2, hold=0.1)
    assert kernel.hold == 0.6 and one.replay() == two.replay() == []
