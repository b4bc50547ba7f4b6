"""Diagnostics: what a chain converges to, exactly, and how fast it mixes."""

from discrete_ca.diagnostics import exact, mixing

__all__ = ["exact", "mixing"]
