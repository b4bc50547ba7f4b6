"""The routes, one after another, on tiny untrained kernels."""

import base64
import io
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

pytest.importorskip("fastapi")
import httpx
from starlette.testclient import TestClient

from discrete_ca import CategoricalNoiseKernel, corruption, nn
from discrete_ca.data import Characters, DiscreteData
from discrete_ca.explore import Session, Studio
from discrete_ca.metrics import PitchCoding
from discrete_ca.server.app import create_app
from discrete_ca.server.jobs import Desk
from discrete_ca.server.medium import Medium
from discrete_ca.server.shelf import Shelf
from tests.explore.helpers import smooth_kernel
from tests.server.helpers import ADDRESS, application, events, kernel, listening, made, slow


class Visitor:
    """A client with one session."""

    def __init__(self, client):
        self.client = client
        self.id = self.post("/api/sessions", {"seed": 0}).json()["id"]

    def post(self, path, body=None):
        return self.client.post(path, json={} if body is None else body)

    def do(self, what, **body):
        return self.post(f"/api/sessions/{self.id}/{what}", body)

    def get(self, what=""):
        return self.client.get(f"/api/sessions/{self.id}{what}")

    def nodes(self):
        return {node["id"]: node for node in self.get("/nodes").json()["nodes"]}


@pytest.fixture
def visitor(tmp_path):
    with TestClient(application(tmp_path), base_url=ADDRESS) as client:
        yield Visitor(client)


def cells(node, count=30):
    packed = np.frombuffer(base64.b64decode(node["locked"]), np.uint8)
    return np.unpackbits(packed)[:count].astype(bool) if node["locked"] else np.zeros(count, bool)


def design(node):
    return np.frombuffer(base64.b64decode(node["design"]), np.uint8)


def test_a_round_of_designing(visitor, tmp_path):
    begun = visitor.do("begin", example=3).json()["nodes"][0]
    near = made(visitor.do("variants", node=begun["id"], n=3, level=0.4, steps=4))
    assert [node["parents"] for node in near] == [[1]] * 3
    assert visitor.do("pick", nodes=[near[1]["id"]]).json()["state"]["picked"] == [3]
    painted = visitor.do("paint", node=3, cells=[0, 7], values=[1, 0]).json()["nodes"][0]
    assert design(painted)[[0, 7]].tolist() == [1, 0] and cells(painted).nonzero()[0].tolist() == [
        0, 7,
    ]  # fmt: skip
    locked = visitor.do("lock", node=painted["id"], cells=[29]).json()["nodes"][0]
    drawn = made(visitor.do("inpaint", node=locked["id"], cells=[*range(30)], n=2, moves=3))
    for node in drawn:
        assert (design(node)[[0, 7, 29]] == design(locked)[[0, 7, 29]]).all()
    strip = made(visitor.do("walk", node=drawn[0]["id"], n=3, steps=2))
    assert [node["place"] for node in strip] == [0, 1, 2]
    between = made(visitor.do("blend", nodes=[1, 2], n=2, moves=3))
    agree = design(begun) == design(near[0])
    assert all((design(node) == design(begun))[agree].all() for node in between)
    assert len(made(visitor.do("noise", n=2, moves=3))) == 2
    unlocked = visitor.do("unlock", node=locked["id"], cells=[29]).json()["nodes"][0]
    assert visitor.do("undo").json()["state"]["picked"] == [locked["id"]]
    assert visitor.do("redo").json()["state"]["picked"] == [unlocked["id"]]
    # what was acknowledged is on disk, and is replayed bit for bit
    saved = Session.load(tmp_path / visitor.id, kernel())
    assert len(saved) == len(visitor.nodes()) == 16 and saved.replay() == []


def test_frames_come_before_the_designs(tmp_path):
    with TestClient(application(tmp_path, kernel=slow()), base_url=ADDRESS) as client:
        visitor = Visitor(client)
        visitor.do("begin", example=0)
        found = events(visitor.do("variants", node=1, n=4, steps=100))
    assert [name for name, _ in found][-1] == "made" and found[0][0] == "frame"
    frame = found[0][1]
    assert 1 <= frame["done"] < frame["of"] == 101 and len(frame["designs"]) == 4


def test_watching_changes_nothing(visitor, tmp_path):
    visitor.do("begin", example=0)
    near = made(visitor.do("variants", node=1, n=4, level=0.5, steps=6))
    session = Session(kernel(), (6, 5), seed=Session.load(tmp_path / visitor.id, None).seed)
    session.start(torch.from_numpy(design(visitor.nodes()[1]).reshape(6, 5).astype(int)))
    alone = session.variants(4, level=0.5, steps=6)
    for one, other in zip(near, alone, strict=True):
        assert np.array_equal(design(one), other.design.flatten().numpy())


def test_notes_stars_and_discarding(visitor):
    visitor.do("begin", blank=True)
    made(visitor.do("variants", node=1, n=2, steps=1))
    path = f"/api/sessions/{visitor.id}/nodes/2"
    changed = visitor.client.patch(path, json={"note": "good", "stars": 4}).json()["nodes"][0]
    assert (changed["note"], changed["stars"]) == ("good", 4)
    assert visitor.client.patch(path, json={"stars": 0}).json()["nodes"][0]["note"] == "good"
    assert visitor.client.delete(f"/api/sessions/{visitor.id}/nodes/1").json()["gone"] == [1, 2, 3]
    assert visitor.get().json()["count"] == 0


def test_export(visitor):
    visitor.do("begin", example=2)
    made(visitor.do("variants", node=1, n=2, steps=1))
    found = visitor.get("/export?nodes=3,1&format=npz")
    states = np.load(io.BytesIO(found.content))["states"]
    assert np.array_equal(states[1].flatten(), design(visitor.nodes()[1]))
    assert 'filename="designs-3-1.npz"' in found.headers["content-disposition"]
    assert visitor.get("/export?nodes=1&format=png").content[:4] == b"\x89PNG"
    assert visitor.get("/export?nodes=1,2&format=gif").content[:3] == b"GIF"
    assert visitor.get("/export?nodes=1&format=mid").status_code == 422
    assert visitor.get("/export?nodes=9&format=npz").status_code == 422
    assert visitor.get("/export?nodes=../../x&format=npz").status_code == 422


def test_measuring(tmp_path):
    app = application(tmp_path, kernel=smooth_kernel("uniform-2"))
    with TestClient(app, base_url=ADDRESS) as client:
        visitor = Visitor(client)
        visitor.do("begin", example=1)
        low, high = (
            visitor.do("expect", node=1, level=level, steps=4).json()["changed"]
            for level in (0.02, 1.0)
        )
        assert 0 <= low < high <= 1
        found = visitor.do("wish", node=1, change=0.2, steps=4).json()
        assert 0 <= found["level"] <= 1 and abs(found["changed"] - 0.2) < 0.1
        assert visitor.get().json()["count"] == 1


@pytest.mark.parametrize(
    ("what", "body", "status", "words"),
    [
        ("variants", {"node": 9}, 422, "node was 9; allowed: one in the tree"),
        ("variants", {"node": 1, "level": 2}, 422, "level"),
        ("variants", {"node": 1, "n": 65}, 422, "n"),
        ("variants", {"node": 1, "label": 3}, 422, "label was given"),
        ("variants", {"node": 1, "colour": 3}, 422, "colour"),
        ("walk", {"node": 1, "n": 60, "steps": 100}, 422, "allowed: 1000"),
        ("inpaint", {"node": 1, "cells": [30]}, 422, "cells hold 30; allowed: below 30"),
        ("inpaint", {"node": 1, "cells": []}, 422, "cells"),
        ("blend", {"nodes": [1, 1]}, 422, "agree on every"),
        ("paint", {"node": 1, "cells": [1], "values": [2]}, 422, "allowed: 0 .. 1"),
        ("paint", {"node": 1, "cells": [1], "values": [0, 1]}, 422, "values has 2; allowed: 1"),
        ("begin", {}, 422, "one of design, example, text, blank"),
        ("begin", {"example": 5}, 422, "allowed: below 5"),
        ("begin", {"text": "a"}, 422, "designs are image"),
        ("begin", {"design": [0] * 29}, 422, "allowed: 30"),
        ("undo", {}, 422, "nothing to undo"),
        ("pick", {"nodes": [7]}, 422, "node was 7"),
    ],
)
def test_what_is_refused(visitor, what, body, status, words):
    visitor.do("begin", blank=True)
    found = visitor.do(what, **body)
    assert found.status_code == status and words in found.json()["error"]
    assert visitor.get().json()["count"] == 1


def test_sessions_that_are_not_there(visitor):
    for name in ("0" * 16, "x", "..", "%2e%2e"):
        found = visitor.client.get(f"/api/sessions/{name}")
        assert found.status_code in (404, 405, 422), found.text
    assert {each["id"] for each in visitor.client.get("/api/sessions").json()} == {visitor.id}


def test_a_new_drawing_takes_the_place_of_the_old_one(tmp_path):
    with TestClient(application(tmp_path), base_url=ADDRESS) as client:
        visitor = Visitor(client)
        visitor.do("begin", blank=True)
        import threading

        first = []
        long = {"node": 1, "n": 1, "steps": 1000}
        thread = threading.Thread(target=lambda: first.append(visitor.do("variants", **long)))
        thread.start()
        while not first and not visitor.do("cancel").json()["cancelled"]:
            pass
        thread.join()
        assert len(made(visitor.do("variants", node=1, n=2, steps=1))) == 2
        assert first[0].status_code == 200 and events(first[0])[-1][0] == "cancelled"
        assert visitor.get().json()["count"] == 3


def test_a_measurement_that_gives_way_says_so(tmp_path):
    with TestClient(application(tmp_path, kernel=slow()), base_url=ADDRESS) as client:
        visitor = Visitor(client)
        visitor.do("begin", blank=True)
        with ThreadPoolExecutor() as threads:
            wish = threads.submit(visitor.do, "wish", node=1, change=0.2, steps=200)
            while not wish.done() and not visitor.do("cancel").json()["cancelled"]:
                pass
        assert wish.result().status_code == 200
        assert wish.result().json() == {"gave_way": True, "to_drawing": False}
        assert "changed" in visitor.do("expect", node=1, level=0.2, steps=1).json()


def test_a_drawing_ends_when_its_person_goes_away(tmp_path):
    kernel = slow()
    desk, studio = Desk(), Studio(kernel, (6, 5))
    shelf = Shelf(tmp_path, kernel, (6, 5))
    app = create_app(shelf, studio, Medium.of((6, 5), 2), "slow", desk=desk)
    with listening(app) as address, httpx.Client(base_url=address, timeout=60) as client:
        visitor = Visitor(client)
        visitor.do("begin", blank=True)
        path, body = f"/api/sessions/{visitor.id}/variants", {"node": 1, "steps": 1000}
        with client.stream("POST", path, json=body) as answer:
            assert next(answer.iter_lines()) == "event: frame" and len(desk) == 1
        until = time.monotonic() + 60  # one that ran to its end would have made designs
        while len(desk) and time.monotonic() < until:
            time.sleep(0.02)
        assert len(desk) == 0 and visitor.get().json()["count"] == 1


def test_text(tmp_path):
    letters = Characters("abc ")
    app = application(tmp_path, 4, (8,), tokenizer=letters)
    with TestClient(app, base_url=ADDRESS) as client:
        facts = client.get("/api/model").json()
        assert (facts["kind"], facts["tokens"]) == ("text", ["a", "b", "c", " "])
        visitor = Visitor(client)
        assert design(visitor.do("begin", text="abca bca").json()["nodes"][0]).tolist() == [
            0, 1, 2, 0, 3, 1, 2, 0,
        ]  # fmt: skip
        assert "at least 8" in visitor.do("begin", text="ab").json()["error"]
        assert visitor.get("/export?nodes=1&format=txt").text == "abca bca\n"


def test_padding_is_locked(tmp_path):
    app = application(tmp_path, 3, (6,), tokenizer=Characters("ab", pad=True))
    with TestClient(app, base_url=ADDRESS) as client:
        begun = Visitor(client).do("begin", text="abab").json()["nodes"][0]
        assert design(begun).tolist() == [0, 1, 0, 1, 2, 2]
        assert cells(begun, 6).tolist() == [False] * 4 + [True] * 2


def test_music(tmp_path):
    app = application(tmp_path, 5, (4, 8), coding=PitchCoding(59, 0))
    with TestClient(app, base_url=ADDRESS) as client:
        assert client.get("/api/model").json()["pitches"] == [-1, 60, 61, 62, 63]
        visitor = Visitor(client)
        visitor.do("begin", example=0)
        assert visitor.get("/export?nodes=1&format=mid").content[:4] == b"MThd"


def test_labels(tmp_path):
    told = kernel(num_classes=3)
    with TestClient(application(tmp_path, kernel=told), base_url=ADDRESS) as client:
        assert client.get("/api/model").json()["labels"] == 3
        visitor = Visitor(client)
        visitor.do("begin", blank=True)
        assert len(made(visitor.do("variants", node=1, n=2, steps=2, label=2))) == 2
        assert visitor.do("variants", node=1, n=2, steps=2, label=3).status_code == 422
        loud = {"node": 1, "n": 2, "steps": 2, "guidance": 1.5}
        assert "0 without a label" in visitor.do("variants", **loud).json()["error"]
        (node, _) = made(visitor.do("variants", **loud, label=2))
        assert node["settings"]["guidance"] == 1.5 and node["nfe"] == 2 * 2 * 3
        assert "changed" in visitor.do("expect", node=1, level=0.3, label=1, guidance=1).json()
    assert Session.load(tmp_path / visitor.id, told).replay() == []


def test_an_example_of_labelled_data_knows_its_class(tmp_path):
    told = kernel(num_classes=3)
    states = torch.randint(0, 2, (4, 6, 5), generator=torch.Generator().manual_seed(0))
    names = ("disc", "square", "star")
    data = DiscreteData(states, 2, torch.tensor([2, 0, 1, 2]), label_names=names)
    with TestClient(application(tmp_path, kernel=told, examples=data), base_url=ADDRESS) as client:
        assert client.get("/api/model").json()["label_names"] == [*names]
        assert client.get("/api/examples/1?count=2").json()["labels"] == [0, 1]
        visitor = Visitor(client)
        visitor.do("begin", example=3)
        visitor.do("paint", node=1, cells=[0], values=[1])
        made(visitor.do("variants", node=2, n=1, steps=1, label=0))
        made(visitor.do("variants", node=2, n=1, steps=1))
        visitor.do("lock", node=3, cells=[1])
        visitor.do("begin", blank=True)
        visitor.do("begin", design=states[0].flatten().tolist())
        assert [each["label"] for each in visitor.nodes().values()] == [
            2, 2, 0, None, 0, None, None,
        ]  # fmt: skip
    session = Session.load(tmp_path / visitor.id, told)
    assert (session.label(2), session.label(5), session.label(4)) == (2, 0, None)
    assert session.replay() == []


def test_examples_without_labels_have_no_class(visitor):
    assert visitor.client.get("/api/model").json()["label_names"] is None
    found = visitor.client.get("/api/examples/3?count=9").json()
    assert found["labels"] == [None, None] and len(found["designs"]) == 2
    assert visitor.do("begin", example=0).json()["nodes"][0]["label"] is None


def test_metropolis_steps_where_the_model_has_them(tmp_path):
    for name, noise in (("uniform", corruption.Uniform(2)), ("masks", corruption.Absorbing(2))):
        net = nn.MLP(2, noise.num_states, shape=(6, 5), width=8)
        made_of = CategoricalNoiseKernel(net, noise, hold=0.1)
        app = application(tmp_path / name, kernel=made_of)
        with TestClient(app, base_url=ADDRESS) as client:
            assert client.get("/api/model").json()["metropolis"] == (name == "uniform")
            visitor = Visitor(client)
            visitor.do("begin", blank=True)
            settings = {"node": 1, "n": 2, "steps": 3, "metropolis": True}
            found = visitor.do("variants", **settings)
            if name == "masks":
                assert found.status_code == 422 and "Absorbing rules out" in found.json()["error"]
                continue
            (node, _) = made(found)
            assert node["settings"]["metropolis"] and 0 < node["acceptance"] <= 1
            expected = visitor.do("expect", node=1, level=0.4, metropolis=True).json()
            assert 0 <= expected["changed"] <= 1
            frames = [each for each in events(visitor.do("walk", **settings)) if each[0] == "frame"]
            assert all(each["of"] == 7 and each["first"] < 2 for _, each in frames)
            assert (
                made(visitor.do("walk", **{**settings, "metropolis": False}))[0]["acceptance"]
                is None
            )


def test_the_page_and_its_parts(visitor):
    page = visitor.client.get("/")
    assert page.status_code == 200 and "<title>" in page.text
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert "http" not in page.text.replace("http-equiv", "")  # nothing from elsewhere
    for name in ("main.js", "style.css", "icons.svg"):
        assert visitor.client.get(f"/{name}").status_code == 200
    assert visitor.client.get("/../app.py").status_code == 404
