"""Many people at one server, which is killed while they work (python -m benchmarks.serving).

A child process serves an untrained network of the demo's cost, or a run, on this machine's
loopback. First one person alone asks for variants: how long until the first frame. Then sessions
work side by side: variants, picks, painting, locking, walks, redraws. Every node that was
acknowledged is remembered. The server is killed (SIGKILL) at random moments and started again;
after each start and at the end every acknowledged node must be there, as it was told. Fair: the
slowest session's median wait for the same variants is at most twice the fastest one's.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

import discrete_ca as dca
from benchmarks import report
from discrete_ca import server
from discrete_ca.runs import SavedRun, load_run

_PATIENCE = 60.0
VARIANTS = {"n": 8, "level": 0.3, "hold": 0.85, "steps": 10}


def served(small: bool) -> tuple[SavedRun, torch.Tensor]:
    """An untrained kernel, and designs to begin with."""
    torch.manual_seed(0)
    net: torch.nn.Module
    if small:
        shape, net = (6, 5), dca.nn.MLP(2, 2, shape=(6, 5), width=8)
    else:
        shape, net = (28, 28), dca.nn.UNet(2, 2, widths=(64, 96), blocks=1, head_width=16)
    kernel = dca.CategoricalNoiseKernel(net, dca.corruption.Uniform(2), hold=0.85)
    generator = torch.Generator().manual_seed(0)
    return SavedRun(kernel, shape, 2, {}), torch.randint(0, 2, (8, *shape), generator=generator)


def serve(folder: Path, port: int, small: bool, run: Path | None) -> None:
    """The child: a kernel, served; says its port on the first line."""
    saved, examples = served(small) if run is None else (load_run(run), None)
    app = server.application(saved, "bench", folder, examples=examples)
    address = server.Address(port=port)
    server.serve(app, address, lambda url: print(url.rstrip("/").rpartition(":")[2], flush=True))


class Child:
    """The server process; it comes back on the same port.

    Args:
        folder: where sessions lie.
        small: serve a tiny network.
        run: serve this one; None for an untrained network.
    """

    def __init__(self, folder: Path, small: bool, run: Path | None = None) -> None:
        self.folder, self.small, self.run, self.port, self.kills = folder, small, run, 0, 0
        self.start()

    def start(self) -> None:
        """Start it and wait until it listens."""
        command = [sys.executable, "-m", "benchmarks.serving", "--serve", str(self.folder)]
        command += ["--port", str(self.port)] + ["--small"] * self.small
        command += [] if self.run is None else ["--run", str(self.run)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line.strip().isdecimal():
            raise RuntimeError("the server did not start")
        self.port = int(line)

    def kill(self) -> None:
        """End it without a word."""
        self.process.kill()
        self._ended()
        self.kills += 1

    def stop(self) -> None:
        """End it as a person would."""
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self._ended()

    def _ended(self) -> None:
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def megabytes(self) -> float:
        """Its memory."""
        import psutil

        try:
            return float(psutil.Process(self.process.pid).memory_info().rss / 2**20)
        except psutil.Error:
            return 0.0


@dataclass
class Person:
    """Somebody with one session: what the server acknowledged, and how long it took.

    Args:
        client: an `httpx.AsyncClient` for the server.
        seed: of what this person does.
    """

    client: Any
    seed: int
    session: str = ""
    told: dict[int, tuple[str, str]] = field(default_factory=dict)
    waits: list[float] = field(default_factory=list)
    firsts: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    cut_off: int = 0

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)

    async def post(self, what: str, **body: Any) -> Any:
        """One change; its nodes are remembered."""
        answer = await self.client.post(f"/api/sessions/{self.session}/{what}", json=body)
        if answer.status_code != 200:
            self.errors.append(f"{what}: {answer.status_code} {answer.text[:200]}")
            return None
        return self.remember(answer.json())

    def remember(self, news: dict[str, Any]) -> Any:
        """What was acknowledged; a node that was lost may not come back as another."""
        for node in news.get("nodes", []):
            design = node["design"], node["locked"]
            if self.told.setdefault(node["id"], design) != design:
                self.errors.append(f"node {node['id']} was given twice")
        return news

    async def draw(self, what: str, **body: Any) -> Any:
        """A drawing: its frames are seen, its nodes remembered."""
        begun, first, path = time.perf_counter(), None, f"/api/sessions/{self.session}/{what}"
        async with self.client.stream("POST", path, json=body) as answer:
            if answer.status_code != 200:
                await answer.aread()
                self.errors.append(f"{what}: {answer.status_code} {answer.text[:200]}")
                return None
            name = ""
            async for line in answer.aiter_lines():
                if line.startswith("event: "):
                    name = line.removeprefix("event: ")
                elif line.startswith("data: ") and name == "frame" and first is None:
                    first = time.perf_counter() - begun
                elif line.startswith("data: ") and name == "made":
                    if what == "variants":
                        self.waits.append(time.perf_counter() - begun)
                        self.firsts += [] if first is None else [first]
                    return self.remember(json.loads(line.removeprefix("data: ")))
                elif line.startswith("data: ") and name != "frame":
                    self.errors.append(f"{what}: {line[:200]}")
                    return None
        raise ConnectionError("the stream ended")

    async def begin(self) -> None:
        """A session and its first design."""
        self.session = (await self.client.post("/api/sessions", json={})).json()["id"]
        await self.post("begin", example=self.chance.randrange(8))

    async def act(self) -> None:
        """One round: variants of some design, a pick, and something else."""
        # a kill may have cut off an unlock
        unlocked = max(i for i, (_, locked) in self.told.items() if not locked)
        near = await self.draw("variants", node=unlocked, **VARIANTS)
        if near is None:
            return
        node = self.chance.choice(near["nodes"])["id"]
        await self.post("pick", nodes=[node])
        kind, sites = self.chance.randrange(4), 30
        cells = sorted(self.chance.sample(range(sites), 3))
        if kind == 0:
            await self.post("paint", node=node, cells=cells, values=[1], held=False)
        elif kind == 1:
            locked = await self.post("lock", node=node, cells=cells)
            if locked:
                await self.post("unlock", node=locked["nodes"][0]["id"], cells=cells)
        elif kind == 2:
            await self.draw("walk", node=node, n=3, steps=2, level=0.3)
        else:
            await self.draw("inpaint", node=node, cells=cells, n=2, moves=4, correctors=0)

    async def work(self, over: asyncio.Event) -> None:
        """Act until it is over; what a kill cuts off is tried no more."""
        import httpx

        while not over.is_set():
            try:
                if not self.told:
                    await self.begin()
                await self.act()
            except (httpx.TransportError, ConnectionError) as error:
                self.cut_off += not isinstance(error, httpx.ConnectError)  # it may be down still
                await asyncio.sleep(0.3)

    async def missing(self) -> list[int]:
        """Nodes acknowledged by now that are not there, or are other than was told."""
        acknowledged = dict(self.told)
        found: dict[int, tuple[str, str]] = {}
        after, more = 0, True
        while more:
            answer = await self.client.get(f"/api/sessions/{self.session}/nodes?after={after}")
            answer.raise_for_status()
            for node in answer.json()["nodes"]:
                found[node["id"]] = (node["design"], node["locked"])
                after = node["id"]
            more = answer.json()["more"]
        return [i for i, told in acknowledged.items() if found.get(i) != told]


async def alone(child: Child, rounds: int) -> Person:
    """One person, who waits for each answer: the time to the first frame."""
    async with _client(child) as client:
        person = Person(client, seed=0)
        await person.begin()
        for _ in range(rounds):
            await person.draw("variants", node=1, **VARIANTS)
        return person


async def together(
    child: Child, people: int, seconds: float, kills: int, measure: Callable[[float], None]
) -> tuple[list[Person], int]:
    """People at work, and somebody who kills the server; who they were, and nodes lost on the way.

    The seconds are those in which the server listens; how long it takes to start comes on top.
    """
    async with _client(child) as client:
        everybody, over = [Person(client, seed=i) for i in range(people)], asyncio.Event()
        done = asyncio.gather(*(person.work(over) for person in everybody))
        chance, lost = random.Random(0), 0
        for _ in range(kills):
            await asyncio.sleep(seconds / (kills + 1) * chance.uniform(0.6, 1.4))
            await asyncio.to_thread(child.kill)
            await asyncio.to_thread(child.start)
            lost += await check(everybody)
        until = time.monotonic() + seconds / (kills + 1)
        while time.monotonic() < until:
            measure(child.megabytes())
            await asyncio.sleep(1)
        over.set()
        await done
        return everybody, lost + await check(everybody)


async def check(everybody: list[Person]) -> int:
    """How many acknowledged nodes are lost."""
    return sum([len(await person.missing()) for person in everybody if person.session])


def _client(child: Child) -> Any:
    import httpx

    return httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{child.port}", timeout=_PATIENCE,
        limits=httpx.Limits(max_connections=200),
    )  # fmt: skip


def stress(
    folder: Path, people: int, seconds: float, kills: int, small: bool, run: Path | None = None
) -> dict[str, Any]:
    """Everything; one row."""
    child = Child(folder, small, run)
    memory: list[float] = []
    try:
        first = asyncio.run(alone(child, 20))
        before = child.megabytes()
        everybody, lost = asyncio.run(together(child, people, seconds, kills, memory.append))
    finally:
        child.stop()
    medians = [statistics.median(p.waits) for p in everybody if p.waits]
    firsts = sorted(t for p in everybody for t in p.firsts)
    errors = [text for p in everybody for text in p.errors] + first.errors
    for text in errors[:5]:
        print(text)
    return {
        "people": people, "seconds": seconds, "kills": child.kills,
        "rounds of variants": sum(len(p.waits) for p in everybody),
        "nodes acknowledged": sum(len(p.told) for p in everybody),
        "lost": lost, "errors": len(errors), "cut off": sum(p.cut_off for p in everybody),
        "first frame alone, median (ms)": 1000 * statistics.median(first.firsts),
        "alone, slowest (ms)": 1000 * max(first.firsts),
        "first frame together, median (ms)": 1000 * statistics.median(firsts),
        "slowest median / fastest": max(medians) / min(medians),
        "MiB before": before, "MiB at most": max(memory, default=0.0),
    }  # fmt: skip


def main(argv: list[str] | None = None) -> dict[str, Any] | None:
    """Run it and write its report."""
    parser: argparse.ArgumentParser = report.parser(__doc__, quick="a tiny network, 6 people")
    parser.add_argument("--people", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--serve", type=Path, help="be the server (for the benchmark itself)")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--small", action="store_true", help="a tiny network")
    parser.add_argument("--run", type=Path, help="a run to serve, such as runs/demo")
    given = report.parse(parser, argv)
    if given.serve is not None:
        serve(given.serve, given.port, given.small, given.run)
        return None
    with tempfile.TemporaryDirectory() as place:
        row = (
            stress(Path(place), 6, 8, 1, small=True)
            if given.quick
            else stress(
                Path(place), given.people, given.seconds, given.kills, given.small, given.run
            )
        )
    model = "untrained" if given.run is None else "a run"
    return report.write("serving", [row], given.folder, model=model)


if __name__ == "__main__":
    main()
