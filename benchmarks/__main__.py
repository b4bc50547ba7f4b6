"""Every benchmark in turn: ``python -m benchmarks [--quick]``."""

from __future__ import annotations

import sys

from benchmarks import clipping, cost, exact_law, fuzz, kernel_part, kills, training

for benchmark in (exact_law, clipping, cost, kernel_part, training, kills, fuzz):
    benchmark.main(sys.argv[1:])
