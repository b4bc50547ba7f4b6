"""Every benchmark in turn: ``python -m benchmarks [--quick]``."""

from __future__ import annotations

import sys

from benchmarks import cost, exact_law, fuzz, kills, token_noise

for benchmark in (exact_law, cost, token_noise, kills, fuzz):
    benchmark.main(sys.argv[1:])
