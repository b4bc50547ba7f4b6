"""Sessions on disk: whole or as before, of bounded size, and never a way to code or other files."""

import copy
import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from discrete_ca import load_kernel
from discrete_ca.errors import CheckpointError
from discrete_ca.explore import Session, storage
from discrete_ca.sealed import read_sealed, write_sealed
from tests.explore.helpers import same_node, session_of, smooth_kernel
from tests.explore.make_fixture import kernel as fixture_kernel
from tests.explore.make_fixture import session as fixture_session

FIXTURE = Path(__file__).parent / "fixture/v1"


def same_session(one, other):
    return (
        [n.id for n in one.tree] == [n.id for n in other.tree]
        and all(same_node(n, other[n.id]) for n in one.tree)
        and one.tree.place == other.tree.place
        and [p.ids for p in one.tree.history] == [p.ids for p in other.tree.history]
        and (one.seed, one.shape, one.num_categories) == (
            other.seed, other.shape, other.num_categories
        )
        and one.tree.next_id == other.tree.next_id
        and one._record.next_seed == other._record.next_seed
        and [len(one.tree.siblings(n.id)) for n in one.tree]
        == [len(other.tree.siblings(n.id)) for n in other.tree]
    )  # fmt: skip


def small():
    session = session_of("absorbing-4", (5,), seed=3)
    session.start([0, 1, 2, 3, 0])
    session.lock(torch.tensor([True, False, False, False, False]))
    session.variants(2, steps=2)
    session.walk(2, level=0.4)
    session.note("with an ü")
    return session


# -- version 1 ------------------------------------------------------------------------------------


def test_version_1_is_read_and_replayed_to_the_same_bytes():
    kernel = load_kernel(FIXTURE / "kernel")
    session = Session.load(FIXTURE / "session", kernel)
    assert len(session) == 29 and session[1].note == "the first" and session[3].stars == 4
    assert session.label(1) is None  # which these files do not say
    used = {node.recipe.operation.name for node in session.tree}
    assert used == {
        "begin", "variants", "blend", "walk", "lock", "unlock", "paint", "inpaint", "noise",
        "sketch", "propose",
    }  # fmt: skip
    assert session.replay() == []
    tensors, _ = read_sealed(
        FIXTURE / "session/arrays-1.safetensors", FIXTURE / "session/session.json"
    )
    remade = {node.id: node for node in session.remade()}
    designs = torch.stack([remade[node.id].design for node in session.tree]).to(torch.uint8)
    assert designs.numpy().tobytes() == tensors["designs"].numpy().tobytes()
    states = [n.state for n in remade.values() if n.state is not None]
    assert torch.equal(torch.stack(states).to(torch.uint8), tensors["states"])


def test_version_1_goes_on_as_it_would_have():
    """The session made again by today's code is the committed one, and so is what comes next."""
    old = Session.load(FIXTURE / "session", load_kernel(FIXTURE / "kernel"))
    new = fixture_session(fixture_kernel())
    for session in (old, new):
        session.pick(2)
        session.variants(2)
    pairs = [*zip(old.tree, new.tree, strict=True)]
    assert all(torch.equal(a.design, b.design) and a.parents == b.parents for a, b in pairs)


# -- there and back -------------------------------------------------------------------------------


def test_there_and_back(tmp_path):
    session = small()
    session.save(tmp_path / "a/b")
    found = Session.load(tmp_path / "a/b", session.studio.kernel)
    assert same_session(session, found) and found.replay() == []
    more = [s.walk(3, node=6) for s in (session, found)]  # on along the chain, from its state
    for a, b in zip(*more, strict=True):
        assert torch.equal(a.state, b.state) and torch.equal(a.design, b.design)


def test_an_empty_session_and_one_cell(tmp_path):
    for shape in ((5,), ()):
        session = session_of(shape=shape)
        session.save(tmp_path)
        assert same_session(session, Session.load(tmp_path, session.studio.kernel))
        session.start(torch.ones(shape, dtype=torch.long))
        session.save(tmp_path)
        assert same_session(session, Session.load(tmp_path, session.studio.kernel))


def test_many_categories_are_kept(tmp_path):
    from discrete_ca import CategoricalNoiseKernel
    from discrete_ca.corruption import Uniform
    from tests.helpers import Smooth

    kernel = CategoricalNoiseKernel(Smooth(300, 300), Uniform(300))
    session = Session(kernel, (4,))
    session.start([299, 256, 255, 0])
    session.save(tmp_path)
    assert Session.load(tmp_path, kernel)[1].design.tolist() == [299, 256, 255, 0]


def test_files_that_are_left(tmp_path):
    session = small()
    for _ in range(4):
        session.save(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        ".lock", "arrays-3.safetensors", "arrays-4.safetensors", "session.json",
    ]  # fmt: skip
    text = (tmp_path / "session.json").read_text()
    assert "/" not in text and "." not in json.loads(text)["kernel"]["class"]


@pytest.mark.parametrize("fails_at", [1, 2])
def test_a_failure_leaves_what_was_there(tmp_path, monkeypatch, fails_at):
    session = small()
    session.save(tmp_path)
    before, calls, replace = copy.deepcopy([n.design for n in session.tree]), [], os.replace

    def failing(source, target):
        calls.append(target)
        if len(calls) == fails_at:
            raise OSError("disk full")
        replace(source, target)

    session.variants(3, node=1)
    monkeypatch.setattr(os, "replace", failing)
    with pytest.raises(CheckpointError, match="session cannot be saved in .*disk full"):
        session.save(tmp_path)
    monkeypatch.undo()
    found = Session.load(tmp_path, session.studio.kernel)
    assert len(found) == len(before)
    assert all(torch.equal(n.design, d) for n, d in zip(found.tree, before, strict=True))
    session.save(tmp_path)
    assert same_session(session, Session.load(tmp_path, session.studio.kernel))


def test_a_file_in_the_way(tmp_path):
    (tmp_path / "x").write_text("mine")
    with pytest.raises(CheckpointError, match="is a file; allowed: a folder"):
        small().save(tmp_path / "x")
    assert (tmp_path / "x").read_text() == "mine"


# -- what is refused ------------------------------------------------------------------------------


def test_another_kernel_is_refused_by_name(tmp_path):
    session = small()
    session.save(tmp_path)
    other = session_of("absorbing-4", hold=0.9).studio.kernel
    assert len(Session.load(tmp_path, other)) == len(session)  # only the hold differs
    with torch.no_grad():
        other.net.own[0, 0] += 1e-9
    match = "made with the CategoricalNoiseKernel [0-9a-f]{12}….*given is [0-9a-f]{12}…"
    with pytest.raises(CheckpointError, match=match):
        Session.load(tmp_path, other)
    session.studio.kernel.load_state_dict(other.state_dict())
    with pytest.raises(CheckpointError, match=match):
        session.replay()


def test_without_its_kernel_one_can_look(tmp_path):
    session = small()
    session.save(tmp_path)
    found = Session.load(tmp_path, None)
    assert same_session(session, found)
    found.pick(2)
    found.export(tmp_path / "x.npz")
    found.save(tmp_path)
    for act in (found.variants, found.replay, lambda: found.start([0] * 5)):
        with pytest.raises(ValueError, match="opened without its kernel"):
            act()


def damaged(folder, change):
    """The session in a folder with its JSON changed and sealed again."""
    text, arrays = folder / "session.json", folder / "arrays-1.safetensors"
    tensors, values = read_sealed(arrays, text)
    change(values, tensors)
    write_sealed(arrays, tensors, text, values)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda v, t: v.update(format=2), "has format 2; allowed: 1"),
        (lambda v, t: v.update(arrays="../../x"), "has arrays '../../x'; allowed: a number"),
        (lambda v, t: v.update(arrays=True), "has arrays True"),
        (lambda v, t: v.update(arrays=7), "arrays-7.safetensors' cannot be read"),
        (lambda v, t: v.update(shape=[1 << 11, 1 << 11]), "at most 1048576 cells"),
        (lambda v, t: v.update(shape=[5.0]), "shape was 5.0; allowed: a whole number"),
        (lambda v, t: v.update(num_categories=2), "designs hold values outside 0 .. 1"),
        (lambda v, t: v.update(num_states=3), "num_states was 3; allowed: >= 4"),
        (lambda v, t: v.pop("seed"), "KeyError: 'seed'"),
        (lambda v, t: v.update(next_seed=-1), "next_seed was -1"),
        (lambda v, t: v.update(next_id=2), "next_id was 2; allowed: >= 7"),
        (lambda v, t: v.update(place=9), "place was 9 of"),
        (lambda v, t: v.update(nodes=v["nodes"] * 2000), "nodes; allowed: at most 4096"),
        (lambda v, t: v.update(nodes=v["nodes"][::-1]), "ValueError: node was"),
        (lambda v, t: v["nodes"][0].update(recipe=99), "IndexError"),
        (lambda v, t: v["nodes"][0].update(recipe=-1), "recipe was -1"),
        (lambda v, t: v["nodes"][0].update(place=1), "place was 1; allowed: below 1"),
        (lambda v, t: v["nodes"][0].update(stars=9), "stars was 9"),
        (lambda v, t: v["nodes"][0].update(note="x" * 3000), "note has 3000 characters"),
        (lambda v, t: v["nodes"][4].update(level=None), "TypeError"),
        (lambda v, t: v["recipes"][0]["operation"].update(name="os"), "unknown operation 'os'"),
        (lambda v, t: v["recipes"][0].update(parents=[5]), "node was 5"),
        (lambda v, t: v["recipes"][0].update(seconds=-1), "seconds was -1"),
        (lambda v, t: v["recipes"][0].update(acceptance=2), "acceptance was 2"),
        (lambda v, t: v["recipes"][1]["operation"].update(metropolis=1), "unexpected keyword"),
        (lambda v, t: v["recipes"][2]["operation"].update(metropolis=1), "metropolis was 1"),
        (lambda v, t: v["history"][0].update(ids=[99]), "node was 99"),
        (lambda v, t: v["history"][0].update(ids=[[1]]), "session .* cannot be read"),
        (lambda v, t: v["history"][0].update(weights=["x"]), "TypeError"),
        (lambda v, t: t.pop("designs"), "KeyError: 'designs'"),
        (lambda v, t: t.update(designs=t["designs"][:1]), "designs are torch.uint8"),
        (lambda v, t: t.update(designs=t["designs"].float()), "designs are torch.float32"),
        (lambda v, t: t.update(locked=t["locked"].long() * 2), "locked hold values outside"),
        (lambda v, t: t.update(states=t["states"] + 5), "states hold values outside 0 .. 4"),
    ],
)
def test_sealed_but_wrong(tmp_path, change, match):
    session = small()
    session.save(tmp_path)
    damaged(tmp_path, change)
    with pytest.raises(CheckpointError, match=match):
        Session.load(tmp_path, session.studio.kernel)


def test_damage_is_refused(tmp_path):
    session = small()
    kernel = session.studio.kernel
    with pytest.raises(CheckpointError, match="cannot be read"):
        Session.load(tmp_path / "none", kernel)
    session.save(tmp_path / "s")
    for name, spoil in (
        ("session.json", lambda b: b[:-20]),
        ("session.json", lambda b: b.replace(b"\\u00fc", b"u")),
        ("session.json", lambda b: b.replace(b'"stars": 0', b'"stars": 1', 1)),
        ("session.json", lambda b: b"[]"), ("arrays-1.safetensors", lambda b: b[:-3]),
        ("arrays-1.safetensors", lambda b: b[:-1] + bytes([b[-1] ^ 1])),
    ):  # fmt: skip
        shutil.copytree(tmp_path / "s", tmp_path / "t", dirs_exist_ok=True)
        content = (tmp_path / "t" / name).read_bytes()
        spoiled = spoil(content)
        assert spoiled != content
        (tmp_path / "t" / name).write_bytes(spoiled)
        with pytest.raises(CheckpointError):
            Session.load(tmp_path / "t", kernel)


def test_sizes_are_looked_at_first(tmp_path, monkeypatch):
    session = small()
    session.save(tmp_path)
    for name in ("MAX_JSON_BYTES", "MAX_ARRAY_BYTES"):
        with monkeypatch.context() as patch:
            patch.setattr(storage, name, 10)
            with pytest.raises(CheckpointError, match="bytes; allowed: at most 10"):
                Session.load(tmp_path, session.studio.kernel)


LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 1 << 40), st.floats(), st.text(max_size=3),
    st.just([]), st.just({}), st.just({"array": "array:0"}), st.just([1, 1]),
)  # fmt: skip


@settings(max_examples=80)
@given(st.data())
def test_whatever_a_file_says_is_read_or_refused(tmp_path_factory, data):
    """One value anywhere is replaced: a session that can be used comes of it, or one error."""
    folder = tmp_path_factory.mktemp("s")
    session = small()
    session.save(folder)
    tensors, values = read_sealed(folder / "arrays-1.safetensors", folder / "session.json")
    spot, key = values, data.draw(st.sampled_from(sorted(values)))
    while isinstance(spot[key], dict | list) and spot[key] and data.draw(st.booleans()):
        spot = spot[key]
        key = data.draw(
            st.sampled_from(sorted(spot) if isinstance(spot, dict) else range(len(spot)))
        )
    spot[key] = data.draw(LEAVES)
    write_sealed(folder / "arrays-1.safetensors", tensors, folder / "session.json", values)
    try:
        found = Session.load(folder, session.studio.kernel)
    except CheckpointError:
        return
    found.save(folder)
    assert same_session(found, Session.load(folder, session.studio.kernel))


def test_a_save_in_the_middle_of_reading_does_no_harm(tmp_path, monkeypatch):
    """The JSON is read once, so that its arrays are those that it names."""
    session = Session(smooth_kernel(), (4,))
    session.start(torch.zeros(4, dtype=torch.long))
    session.save(tmp_path / "s")
    before = len(session.tree)
    read = storage.read_sealed

    def later(*given):
        session.start(torch.ones(4, dtype=torch.long))
        session.save(tmp_path / "s")
        return read(*given)

    monkeypatch.setattr(storage, "read_sealed", later)
    assert len(Session.load(tmp_path / "s", None).tree) == before
