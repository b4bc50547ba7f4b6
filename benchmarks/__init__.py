"""The benchmark suite: one file a benchmark; each prints a table and writes JSON and a plot.

`NAMES` and `PARTS` say which modules are benchmarks; the others, such as laws and pages, are what
these share or what is made of their reports.
"""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path

NAMES = (
    "exact_law", "autoregressive", "structured_holds", "clipping", "cost", "kernel_part",
    "training", "token_noise", "real_data", "planar", "peers", "text", "designer", "kills", "fuzz",
    "serving", "routes",
    "digits",  # last: it is refused where the demo was not run
)  # fmt: skip
"""In the order in which ``python -m benchmarks`` runs them."""
PARTS = ("peers.exact", "peers.networks", "peers.reference")
"""What one of them is made of and runs alone too."""


def about(name: str) -> str:
    """The first line of a benchmark's docstring; its module is read and not imported."""
    spec = importlib.util.find_spec(f"benchmarks.{name}")
    assert spec is not None and spec.origin is not None
    text = ast.get_docstring(ast.parse(Path(spec.origin).read_text(encoding="utf-8")))
    return (text or "").partition("\n")[0]
