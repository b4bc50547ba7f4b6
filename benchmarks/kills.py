"""A run that is killed again and again ends as one that was not (python -m benchmarks.kills).

A child process trains and saves after every step; it is killed (SIGKILL) at random moments, of
training and of saving, and another goes on with ``resume=True``. What the run leaves is compared
bit for bit with a run that was let alone: weights, their average, the optimizer's state, every
loss.
"""

from __future__ import annotations

import json
import os
import random
import signal
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

import discrete_ca as dca
from benchmarks import report

STEPS = 120


def train(folder: Path, started: int) -> None:
    """The run: two parts, several epochs. Tells through the pipe when it begins."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    data = torch.randint(0, 2, (100, 5), generator=torch.Generator().manual_seed(0))
    kernel = dca.CategoricalNoiseKernel(
        dca.nn.MLP(2, 2, shape=(5,), width=32), dca.corruption.Uniform(2),
        adjustment=dca.nn.AdjustmentMLP(2, shape=(5,), width=16),
    )  # fmt: skip
    config = dca.TrainConfig(
        steps=STEPS, batch_size=16, folder=str(folder), save_minutes=1e-9, progress=False
    )
    trainer = dca.Trainer(kernel, dca.Schedule.default(), data, config)
    os.write(started, b"x")
    trainer.fit(resume=True)


def attempt(folder: Path, patience: float | None) -> bool:
    """One child, killed after so many seconds of work; whether it came to the end."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            train(folder, writing)
        except BaseException as error:
            print(f"the run failed: {error!r}", flush=True)
            os._exit(1)
        os._exit(0)
    os.close(writing)
    os.read(reading, 1)
    os.close(reading)
    if patience is not None:
        time.sleep(patience)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status) != 0:
        raise RuntimeError("a run could not go on after a kill")
    return os.WIFEXITED(status)


def left_by(folder: Path) -> dict[str, Any]:
    """Everything that a run leaves but its times, as bytes."""
    found: dict[str, Any] = {}
    place = max((folder / "states").iterdir())
    with safe_open(place / "state.safetensors", framework="np") as file:
        for name in file.keys():
            found[name] = file.get_tensor(name).tobytes()
    numbers = json.loads((place / "state.json").read_text())
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    for rows in (numbers["records"]["history"], [json.loads(line) for line in lines]):
        found[f"losses {len(found)}"] = [(row["step"], row["loss"]) for row in rows]
    progress = numbers["progress"]
    found["where"] = (numbers["step"], numbers["ema_step"], progress["phase"], progress["done"])
    return found


def torture(kills: int, seed: int, place: Path) -> dict[str, Any]:
    """Kill runs until so many kills have been survived; refuse the first difference."""
    chance = random.Random(seed)
    attempt(place / "whole", None)
    wanted = left_by(place / "whole")
    done, runs, longest = 0, 0, 0.6
    while done < kills:
        folder = place / f"run-{runs}"
        while not attempt(folder, chance.uniform(0.0, longest) if done < kills else None):
            done += 1
        found = left_by(folder)
        different = [name for name in wanted if found.get(name) != wanted[name]]
        if different or found.keys() != wanted.keys():
            raise AssertionError(f"run {runs} differs in {different or found.keys()}")
        runs += 1
    return {"kills": done, "runs": runs, "steps a run": STEPS, "compared entries": len(wanted)}


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Run it and write its report."""
    parser = report.parser(__doc__, quick="10 kills")
    parser.add_argument("--seed", type=int, default=0)
    given = report.parse(parser, argv)
    with tempfile.TemporaryDirectory() as place:
        row = torture(10 if given.quick else 100, given.seed, Path(place))
    return report.write("kills", [row], given.folder, seed=given.seed)


if __name__ == "__main__":
    main()
