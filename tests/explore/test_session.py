"""The verbs of a session, from a person's side."""

import numpy as np
import pytest
import torch

from discrete_ca import CategoricalNoiseKernel, corruption, nn
from discrete_ca.data import Characters, load
from discrete_ca.errors import ConfigError, DataError
from discrete_ca.explore import Session
from tests.explore.helpers import session_of


def test_variants_of_several_are_shared_out_by_weight():
    session = session_of("uniform-5", (6,))
    a, b, c = (session.start([i] * 6) for i in range(3))
    session.pick(a, b, c, weights=[5, 4, 1])
    near = session.variants(10, level=0.1, steps=1)
    assert [sum(n.parents == (p.id,) for n in near) for p in (a, b, c)] == [5, 4, 1]
    assert session.picked == [a, b, c]  # also where one alone came of one
    session.pick(a, c, weights=[99, 1])
    assert {n.parents for n in session.variants(4)} == {(a.id,)}  # a share of none
    with pytest.raises(ValueError, match="n was 300"):
        session.variants(300)
    assert len(session.variants(3, node=b)) == 3
    assert session.replay() == []


def test_starting_from_files(tmp_path):
    session = session_of("uniform-2", (28, 28))
    digit = session.start_from_file("test:3")
    assert 50 < int(digit.design.sum()) < 300
    session.export(tmp_path / "digit.npz")
    assert torch.equal(session.start_from_file(f"{tmp_path}/digit.npz:0").design, digit.design)
    (tmp_path / "bad.npy").write_bytes(b"no")
    with pytest.raises(DataError):
        session.start_from_file(tmp_path / "bad.npy")
    assert "digit" not in str(session._record.tree.recipes())
    assert session.replay() == []


def test_a_design_knows_its_class_and_no_draw_is_told_it_by_itself(tmp_path):
    net = nn.MLP(2, 2, shape=(5,), width=8, num_classes=4)
    session = Session(CategoricalNoiseKernel(net, corruption.Uniform(2)), (5,))
    with pytest.raises(ValueError, match="0 designs are picked"):
        session.label()
    with pytest.raises(ValueError, match="label was -1"):
        session.start([0] * 5, label=-1)
    first = session.start([0, 1, 1, 0, 0], label=3)
    locked = session.lock([True, False, False, False, False])
    assert session.label(first) == session.label(locked) == session.label() == 3
    (untold,) = session.variants(1, steps=1, node=locked)
    assert untold.recipe.operation.label is None and session.label(untold) is None
    (told,) = session.variants(1, steps=1, node=locked, label=session.label(locked))
    assert session.label(told) == 3
    assert session.label(session.start([0] * 5)) is None
    session.save(tmp_path / "session")
    again = Session.load(tmp_path / "session", session.studio.kernel)
    assert [again.label(n) for n in again.tree] == [3, 3, None, 3, None] and again.replay() == []


def test_files_say_the_class_of_a_design_where_they_hold_it(tmp_path):
    session = session_of("uniform-2", (28, 28))
    assert session.label(session.start_from_file("test:3")) == 0  # a nought
    stranger = session.start_from_file("test:3", {"source": "garments.npz"})
    assert session.label(stranger) is None
    small = session_of("uniform-2", (3,))
    np.savez(tmp_path / "x.npz", states=np.eye(3, dtype=int), labels=[5, -1, 7])
    files = [f"{tmp_path}/x.npz:{i}" for i in range(3)]
    assert [small.label(small.start_from_file(file)) for file in files] == [5, None, 7]
    np.savez(tmp_path / "y.npz", states=np.eye(3, dtype=int), labels=[0.5, 1, 2])
    assert small.label(small.start_from_file(f"{tmp_path}/y.npz:0")) is None
    np.savez(tmp_path / "z.npz", states=np.eye(3, dtype=int), present=np.tri(3, dtype=int))
    assert small.start_from_file(f"{tmp_path}/z.npz:1").locked.tolist() == [False, False, True]


@pytest.mark.parametrize(
    ("name", "shape", "suffixes"),
    [("uniform-2", (6, 5), [".png", ".gif", ".npz", ".npy", ".txt", ".mid"]),
     ("ordinal-16", (3, 4, 4), [".png", ".gif", ".npz"]), ("uniform-5", (7,), [".txt", ".mid"])],
)  # fmt: skip
def test_exporting(tmp_path, name, shape, suffixes):
    session = session_of(name, shape)
    session.start(torch.ones(shape, dtype=torch.long))
    near = session.variants(3, steps=1)
    for suffix in suffixes:
        session.export(tmp_path / f"new/x{suffix}", near)
        assert (tmp_path / f"new/x{suffix}").stat().st_size > 0
    if ".npz" in suffixes:
        states = np.load(tmp_path / "new/x.npz")["states"]
        assert np.array_equal(states, torch.stack([n.design for n in near]).numpy())


def test_exports_that_are_refused(tmp_path):
    session = session_of("uniform-5", (3, 4, 4))
    with pytest.raises(ValueError, match="nodes was empty"):
        session.export(tmp_path / "x.png")
    session.start(torch.zeros(3, 4, 4, dtype=torch.long))
    for name, match in (("x.mid", r"allowed: \(C, T\)"), ("x.mp3", "allowed: a name ending in")):
        with pytest.raises(ConfigError, match=match):
            session.export(tmp_path / name)
    with pytest.raises(ConfigError, match="velocity was given for .*allowed with .mid alone"):
        session.export(tmp_path / "x.png", velocity=3)
    with pytest.raises(ConfigError, match="allowed: .npz .npy .txt"):
        flat = session_of("uniform-5", (4,))
        flat.start([0, 1, 2, 3])
        flat.export(tmp_path / "x.gif")
    assert [*tmp_path.iterdir()] == []


def test_texts_that_end_sooner_are_told_from_their_padding(tmp_path):
    kernel = CategoricalNoiseKernel(nn.MLP(3, 3, (4,), width=8), corruption.Uniform(3))
    session = Session(kernel, (4,), tokenizer=Characters("ab", pad=True))
    session.start([0, 1, 1, 2])
    session.export(tmp_path / "x.npz")
    assert load(tmp_path / "x.npz").present.tolist() == [[True, True, True, False]]


def test_a_piano_roll_is_played(tmp_path):
    session = session_of("uniform-5", (4, 6))
    session.start([[0, 1, 1, 2, 2, 4]] * 4)
    session.export(
        tmp_path / "x.mid", pitches=lambda z: torch.where(z == 0, -1, z + 59), beats_a_minute=60
    )
    content = (tmp_path / "x.mid").read_bytes()
    assert content.count(b"MTrk") == 5 and content.count(bytes((0x90, 60, 72))) == 1


def test_knobs_are_remembered():
    session = session_of()
    session.start([0, 1, 1, 0, 1])
    first = session.knobs_for(0.2, steps=4)
    assert first.nfe > 0 and session.knobs_for(0.2, steps=4).nfe == 0
    session.lock(torch.tensor([True] + [False] * 4))
    assert session.knobs_for(0.2, steps=4).nfe > 0  # another design
    for steps in range(1, 40):
        session.knobs_for(0.2, steps=steps, n=1, tolerance=0.5)
    assert len(session._tuners) == 32 and len(session) == 2


def test_the_trade_off_of_a_design():
    session = session_of()
    session.start([0, 1, 1, 0, 1])
    low, high = session.trade_off([0.05, 0.9], steps=8, n=4)
    assert low.changed < high.changed and low.hold == 0.6
    assert len(session) == 1
