"""Every route, asked by schemathesis from the server's own description."""

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("schemathesis", reason="needs schemathesis: .[browser]")
from benchmarks import routes


def test_no_request_is_a_server_error(tmp_path):
    row = routes.fuzz(150, 1, tmp_path)
    assert row["requests"] > 80 and row["200"] > 10 and row["422"] > 10
