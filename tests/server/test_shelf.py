"""Sessions on a shelf: one object each, whole on disk, by ids alone."""

import pytest
import torch

from discrete_ca.errors import CheckpointError
from discrete_ca.server import shelf as shelves
from discrete_ca.server.shelf import Missing, Shelf
from tests.server.helpers import kernel


@pytest.fixture
def shelf(tmp_path):
    found = Shelf(tmp_path / "sessions", kernel(), (6, 5))
    yield found
    found.close()


def test_what_is_acknowledged_is_there_after_a_restart(shelf):
    name = shelf.new(seed=3)
    with shelf.using(name) as entry, entry.changing() as session:
        session.start(torch.zeros(6, 5, dtype=torch.long))
    shelf.close()
    again = Shelf(shelf.folder, kernel(), (6, 5))
    with again.using(name) as entry:
        assert len(entry.session) == 1 and entry.session.seed == 3
    assert [each["id"] for each in again.listing()] == [name]
    again.close()


def test_a_session_that_is_used_stays_one_object(shelf, monkeypatch):
    monkeypatch.setattr(shelves, "_OPEN", 2)
    name = shelf.new()
    with shelf.using(name) as entry:
        for _ in range(5):
            with shelf.using(shelf.new()):
                pass
        with shelf.using(name) as same:
            assert same is entry
    for _ in range(5):
        with shelf.using(shelf.new()):
            pass
    assert len(shelf._open) <= 3
    with shelf.using(name) as other:
        assert other is not entry and other.session.seed == entry.session.seed


def test_holds_are_not_shared(shelf):
    one, other = shelf.new(), shelf.new()
    with shelf.using(one) as a, shelf.using(other) as b:
        assert a.session.studio.kernel.net is b.session.studio.kernel.net
        with a.session.studio.set(0.1):
            assert b.session.studio.kernel.hold == 0.6


def test_what_cannot_be_saved_is_not_kept(shelf, monkeypatch):
    name = shelf.new()
    with shelf.using(name) as entry:
        monkeypatch.setattr(type(entry.session), "save", _full)
        with pytest.raises(CheckpointError, match="no space"), entry.changing() as session:
            session.start(torch.zeros(6, 5, dtype=torch.long))
        with pytest.raises(CheckpointError, match="load it again"), entry.changing():
            pass
    monkeypatch.undo()
    with shelf.using(name) as entry:
        assert len(entry.session) == 0


def _full(self, path):
    raise CheckpointError("no space")


def test_names_that_are_no_ids(shelf):
    for name in ("", "..", "/etc", "0" * 15, "g" * 16, "0" * 16, "../sessions"):
        with pytest.raises(Missing), shelf.using(name):
            pass


def test_one_server_at_a_time(shelf):
    with pytest.raises(CheckpointError, match="served by another process"):
        Shelf(shelf.folder, kernel(), (6, 5))


def test_another_kernel_is_refused(shelf):
    name = shelf.new()
    shelf.close()
    other = Shelf(shelf.folder, kernel(width=9), (6, 5))
    with pytest.raises(CheckpointError, match="the same kernel"), other.using(name):
        pass
    other.close()


def test_the_shelf_is_bounded(shelf, monkeypatch):
    monkeypatch.setattr(shelves, "MOST_SESSIONS", 1)
    shelf.new()
    with pytest.raises(ValueError, match="allowed: 1"):
        shelf.new()
