"""Every benchmark in turn: ``python -m benchmarks [--quick]``."""

from __future__ import annotations

import importlib
import sys

from benchmarks import NAMES

# all are imported first, so that none fails to after hours of the others
for benchmark in [importlib.import_module(f"benchmarks.{name}") for name in NAMES]:
    benchmark.main(sys.argv[1:])
