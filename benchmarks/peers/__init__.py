"""Beside the neighbours: other people's samplers and packages, over the same denoisers.

    python -m benchmarks.peers [--quick]

Three tables, each a module that runs alone: `benchmarks.peers.exact` (laws that can be enumerated,
the exact denoiser), `benchmarks.peers.networks` (digits) and `benchmarks.peers.reference` (the
categorical kernel as the method's authors write it).
"""

from __future__ import annotations

from typing import Any


def main(argv: list[str] | None = None) -> dict[str, dict[str, Any]]:
    """Run all three and write their reports."""
    from benchmarks.peers import exact, networks, reference

    return {each.__name__: each.main(argv) for each in (reference, exact, networks)}
