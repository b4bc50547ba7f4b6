"""Who may ask."""

import pytest

pytest.importorskip("fastapi")
from starlette.testclient import TestClient

from discrete_ca import server
from discrete_ca.errors import ConfigError
from discrete_ca.server.app import static_folder
from discrete_ca.server.safety import Guard
from tests.server.helpers import ADDRESS, application


@pytest.fixture
def local(tmp_path):
    with TestClient(application(tmp_path), base_url=ADDRESS) as client:
        yield client


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"host": "localhost:8017"}, 200),
        ({"host": "[::1]:8017"}, 200),
        ({"host": "evil.example"}, 421),  # a name that was rebound
        ({"host": "127.0.0.1.evil.example"}, 421),
        ({"host": ""}, 421),
        ({"origin": "http://127.0.0.1"}, 200),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "http://127.0.0.1:9999"}, 403),
        ({"origin": "null"}, 403),
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
    ],
)
def test_other_sites_are_kept_out(local, headers, status):
    assert local.get("/api/model", headers=headers).status_code == status


def test_a_form_of_another_site_is_no_json(local):
    found = local.post("/api/sessions", content="{}", headers={"content-type": "text/plain"})
    assert found.status_code == 415
    found = local.post("/api/sessions", content="{", headers={"content-type": "application/json"})
    assert found.status_code == 422 and "error" in found.json()


def test_bodies_are_bounded(local):
    large = b'{"seed": ' + b" " * (1 << 17) + b"1}"
    headers = {"content-type": "application/json"}
    assert local.post("/api/sessions", content=large, headers=headers).status_code == 413
    pieces = (large[i : i + 1000] for i in range(0, len(large), 1000))
    found = local.post("/api/sessions", content=pieces, headers=headers)
    assert found.status_code == 413  # without a length that says so
    headers["content-length"] = "-1"
    assert local.post("/api/sessions", content=b"{}", headers=headers).status_code == 413


def test_a_token_where_others_can_reach(tmp_path):
    address = server.Address("0.0.0.0")
    assert address.token and len(address.token) >= 32
    assert address.url(80) == f"http://127.0.0.1:80/#token={address.token}"
    with TestClient(application(tmp_path, address=address), base_url="http://any.name") as client:
        for place in ("", *(each.name for each in static_folder().iterdir())):
            assert client.get(f"/{place}").status_code == 200  # the page holds nothing
        for given in (None, "Bearer ", "Bearer x", f"Basic {address.token}", "Bearer \xff"):
            headers = {} if given is None else {"authorization": given.encode("latin-1")}
            assert client.get("/api/model", headers=headers).status_code == 401
        headers = {"authorization": f"Bearer {address.token}"}
        assert client.get("/api/model", headers=headers).status_code == 200
        assert client.get("/api/openapi.json").status_code == 401


def test_addresses():
    assert server.Address().token is None and server.Address("::1").url(1) == "http://[::1]:1/"
    assert server.Address("192.0.2.1").hosts >= {"192.0.2.1", "localhost"}
    with pytest.raises(ConfigError, match="port was 70000"):
        server.Address(port=70000)
    with pytest.raises(ConfigError, match="token is short"):
        server.Address(token="short")
    with pytest.raises(ValueError, match="hosts was None without a token"):
        Guard(None, None, None, 1)
