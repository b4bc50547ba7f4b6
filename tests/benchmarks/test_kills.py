"""The small form of the killed runs; in a process of its own, which forks before it computes."""

import json
import os
import subprocess
import sys

import pytest


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
def test_ten_kills_leave_a_run_as_it_would_have_been(tmp_path):
    command = [sys.executable, "-m", "benchmarks.kills", "--quick", "--folder", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    (row,) = json.loads((tmp_path / "quick/kills.json").read_text())["rows"]
    assert row["kills"] == 10 and row["compared entries"] > 40
