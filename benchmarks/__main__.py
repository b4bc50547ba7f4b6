"""Every benchmark in turn: ``python -m benchmarks [--quick]``."""

from __future__ import annotations

import sys

from benchmarks import cost, exact_law, fuzz, kills

for benchmark in (exact_law, cost, kills, fuzz):
    benchmark.main(sys.argv[1:])
