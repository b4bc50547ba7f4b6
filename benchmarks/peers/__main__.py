"""All tables of the peers: ``python -m benchmarks.peers [--quick]``."""

from __future__ import annotations

import sys

from benchmarks import peers

peers.main(sys.argv[1:])
