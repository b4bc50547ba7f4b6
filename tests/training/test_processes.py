"""Several processes: the same weights as one, files by the first alone, errors on all."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import discrete_ca as dca
from discrete_ca.conditions import Conditions
from discrete_ca.errors import CheckpointError
from discrete_ca.training.processes import Processes
from tests.training import shared_run

COMMON = {"steps": 40, "observe_every": 10, "best": "held_out"}


def launched(rank, processes, port, settings, stop_at):
    several = {
        "WORLD_SIZE": str(processes), "RANK": str(rank), "LOCAL_RANK": str(rank),
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
    }  # fmt: skip
    given = json.dumps({"settings": settings, "stop_at": stop_at})
    return subprocess.Popen(
        [sys.executable, "-m", "tests.training.shared_run", given],
        cwd=Path(__file__).parents[2],
        env={**os.environ, **(several if processes > 1 else {}), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def start(processes, folder, stop_at=None):
    """Run it in so many processes, as `torchrun` does; what the first one printed."""
    settings = {**COMMON, "folder": str(folder), "accumulate": 2 // processes}
    with socket.socket() as held:  # while they run, so that nobody else is given its port
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", 0))
        running = [
            launched(rank, processes, held.getsockname()[1], settings, stop_at)
            for rank in range(processes)
        ]
        ended = [process.communicate(timeout=300) for process in running]
    for process, (_, err) in zip(running, ended, strict=True):
        assert process.returncode == 0, err
    return ended[0][0].strip()


def left_in(folder):
    place = max((folder / "states").iterdir())
    rows = json.loads((place / "state.json").read_text())["records"]["history"]
    return load_file(place / "state.safetensors"), rows


def test_two_processes_train_to_the_weights_of_one_and_go_on_with_each_others_runs(tmp_path):
    """In float64 sums over the batch differ in order alone: 1e-16 a step, for 40 steps of AdamW."""
    whole = shared_run.train({**COMMON, "folder": str(tmp_path / "whole"), "accumulate": 2})
    assert whole.processes.count == 1
    assert "step 30 is saved" in start(1, tmp_path / "one, then two", stop_at=30)
    assert start(2, tmp_path / "one, then two") == "2 40"
    assert "step 10 is saved" in start(2, tmp_path / "two, then one", stop_at=10)
    assert start(1, tmp_path / "two, then one") == "1 40"
    wanted, wanted_rows = left_in(tmp_path / "whole")
    assert len(wanted_rows) == 2 + 5  # every 20 steps; at the start and every 10
    for name in ("one, then two", "two, then one"):
        found, rows = left_in(tmp_path / name)
        assert found.keys() == wanted.keys() and len(rows) == len(wanted_rows)
        for key in wanted:
            torch.testing.assert_close(found[key], wanted[key], rtol=1e-10, atol=1e-12)
        for row, other in zip(rows, wanted_rows, strict=True):
            for key in other.keys() - {"seconds"}:
                assert row[key] == pytest.approx(other[key], rel=1e-9)
        assert (tmp_path / name / "best/model.safetensors").exists()


def test_accumulated_batches_give_the_gradient_of_the_whole():
    data = torch.randint(0, 2, (64, 3), generator=torch.Generator().manual_seed(0))

    class Plain(dca.Denoising):
        """Without noise of its own, so that cuts of the batch change nothing."""

        def __call__(self, kernel, z, level=None, label=None, generator=None, present=None):
            b = torch.full((len(z),), 0.5)
            return super().losses(kernel, z, z, b, Conditions(label), generator)

    found = []
    for accumulate in (1, 4):
        torch.manual_seed(0)
        net = dca.nn.MLP(2, 2, shape=(3,), width=16)
        kernel = dca.CategoricalNoiseKernel(net, dca.corruption.Uniform(2)).double()
        config = dca.TrainConfig(steps=20, batch_size=16, accumulate=accumulate, progress=False)
        dca.Trainer(kernel, Plain(), data, config).fit()
        found.append(torch.cat([p.detach().flatten() for p in kernel.parameters()]))
    torch.testing.assert_close(*found, rtol=1e-9, atol=1e-12)


def test_what_the_first_process_raises_is_raised():
    def fail():
        raise CheckpointError("full")

    alone = Processes(nn.Linear(1, 1))
    assert alone.first and alone.on_first(lambda: 7) == 7
    with pytest.raises(CheckpointError, match="full"):
        alone.on_first(fail)
