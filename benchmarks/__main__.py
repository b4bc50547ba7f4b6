"""Every benchmark in turn: ``python -m benchmarks [--quick]``."""

from __future__ import annotations

import sys

from benchmarks import (
    autoregressive,
    clipping,
    cost,
    designer,
    digits,
    exact_law,
    fuzz,
    kernel_part,
    kills,
    peers,
    planar,
    real_data,
    routes,
    serving,
    structured_holds,
    text,
    token_noise,
    training,
)

for benchmark in (
    exact_law, autoregressive, structured_holds, clipping, cost, kernel_part, training,
    token_noise, real_data, planar, peers, text, designer, kills, fuzz, serving, routes,
    digits,  # last: it is refused where the demo was not run
):  # fmt: skip
    benchmark.main(sys.argv[1:])
