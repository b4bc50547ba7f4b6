"""A server that is killed has lost nothing that it had acknowledged."""

import asyncio

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("httpx")
from benchmarks import serving


def test_every_acknowledged_node_is_there_after_kills(tmp_path):
    row = serving.stress(tmp_path, people=4, seconds=5, kills=1, small=True)
    assert row["kills"] == 1 and row["nodes acknowledged"] > 20
    assert row["lost"] == 0 and row["errors"] == 0


def test_a_lost_node_would_be_found(tmp_path):
    class Client:
        async def get(self, path):
            return self

        def raise_for_status(self):
            pass

        def json(self):
            return {"nodes": [{"id": 1, "design": "AA==", "locked": ""}], "more": False}

    person = serving.Person(Client(), 0, "x", {1: ("AA==", ""), 2: ("AA==", "")})
    assert asyncio.run(person.missing()) == [2]
    person.told[1] = ("AQ==", "")
    assert asyncio.run(person.missing()) == [1, 2]
