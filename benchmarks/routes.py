"""Every route of the server, asked what its schema allows and worse (python -m benchmarks.routes).

Requests are made by schemathesis from the server's own OpenAPI description; ids of sessions and
nodes are often real ones, so that they get further than the door. No answer may be a server's
error, and what is refused must say why.
"""

from __future__ import annotations

import contextlib
import random
import tempfile
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import torch

import discrete_ca as dca
from benchmarks import report
from discrete_ca import server
from discrete_ca.runs import SavedRun

_BASE = "http://127.0.0.1"


def tiny_application(folder: Path) -> Any:
    """A server over a tiny kernel."""
    torch.manual_seed(0)
    shape = (3, 4)
    kernel = dca.CategoricalNoiseKernel(
        dca.nn.MLP(3, 3, shape=shape, width=8), dca.corruption.Uniform(3), hold=0.6
    )
    examples = torch.randint(0, 3, (4, *shape), generator=torch.Generator().manual_seed(0))
    return server.application(SavedRun(kernel, shape, 3, {}), "tiny", folder, examples=examples)


def fuzz(count: int, seed: int, folder: Path) -> dict[str, Any]:
    """So many requests in all, shared out evenly; refuse the first server error."""
    import schemathesis
    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis import seed as seeded
    from hypothesis.errors import Unsatisfiable
    from starlette.testclient import TestClient

    outcomes: Counter[str] = Counter()
    chance = random.Random(seed)
    with TestClient(
        tiny_application(folder), base_url=_BASE, raise_server_exceptions=False
    ) as client:
        schema = schemathesis.openapi.from_dict(client.get("/api/openapi.json").json())
        operations = [found.ok() for found in schema.get_all_operations()]  # type: ignore[union-attr]
        session = client.post("/api/sessions", json={}).json()["id"]
        client.post(f"/api/sessions/{session}/begin", json={"example": 0})

        def ask(case: Any) -> None:
            path = dict(case.path_parameters or {})
            if "session_id" in path and chance.random() < 0.9:
                path["session_id"] = session
            body = case.body if isinstance(case.body, dict) else None
            if body is not None and chance.random() < 0.8:
                for name, most in (("steps", 20), ("moves", 6), ("n", 4)):
                    if isinstance(body.get(name), int) and body[name] > most:
                        body[name] = most  # so that many are asked in little time
                if "node" in body:
                    body["node"] = 1
            address = case.operation.path.format(
                **{name: _escaped(value) for name, value in path.items()}
            )
            content = {} if body is None and case.method == "GET" else {"json": case.body}
            if not isinstance(case.body, dict | list | str | int | float | bool | None):
                content = {}
            found = client.request(case.method, address, params=case.query, **content)
            outcomes[str(found.status_code)] += 1
            if found.status_code >= 500 and found.status_code != 503:
                raise AssertionError(f"{case.method} {address} {case.body!r:.300}: {found.text}")
            if found.status_code >= 400 and not str(found.json().get("error", "")).strip():
                raise AssertionError(f"{case.method} {address}: refused without a word")

        for operation in operations:
            for mode in (
                schemathesis.GenerationMode.POSITIVE,
                schemathesis.GenerationMode.NEGATIVE,
            ):
                strategy = operation.as_strategy(generation_mode=mode)
                each = max(1, count // (2 * len(operations)))
                test = settings(
                    max_examples=each, database=None, deadline=None, phases=[Phase.generate],
                    suppress_health_check=list(HealthCheck),
                )(given(case=strategy)(ask))  # fmt: skip
                with warnings.catch_warnings(), contextlib.suppress(Unsatisfiable):
                    warnings.simplefilter("ignore")  # of schemathesis; unsatisfiable: nothing to
                    seeded(seed)(test)()  # get wrong where nothing is asked
        assert client.get(f"/api/sessions/{session}").status_code == 200
    return {"requests": sum(n for name, n in outcomes.items() if name.isdecimal()), **outcomes}


def _escaped(value: Any) -> str:
    from urllib.parse import quote

    return quote(str(value), safe="") or "-"


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Run it and write its report."""
    parser = report.parser(__doc__, quick="300 requests")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--requests", type=int, default=6000)
    given = report.parse(parser, argv)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        row = fuzz(300 if given.quick else given.requests, given.seed, Path(place))
    return report.write("routes", [row], given.folder, seed=given.seed)


if __name__ == "__main__":
    main()
