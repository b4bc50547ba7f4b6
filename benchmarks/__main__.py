"""Every benchmark in turn: ``python -m benchmarks [--quick]``."""

from __future__ import annotations

import sys

from benchmarks import clipping, cost, exact_law, fuzz, kills, token_noise, training

for benchmark in (exact_law, clipping, cost, training, token_noise, kills, fuzz):
    benchmark.main(sys.argv[1:])
