"""Every benchmark in turn: ``python -m benchmarks [--quick]``."""

from __future__ import annotations

import sys

from benchmarks import cost, exact_law, kills

for benchmark in (exact_law, cost, kills):
    benchmark.main(sys.argv[1:])
