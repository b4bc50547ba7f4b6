"""What near tokens add to a log-probability (python -m benchmarks.token_noise).

One forward and backward of a transition's `log_prob`, network excluded, at V tokens with k near
tokens each: against the same without near tokens (one normaliser and p at one state a site), and
the sums over in-neighbours alone in nanoseconds a pair (site, in-neighbour), by torch and by
`torch_scatter` where that is installed. The last rows have a hub that every token leads to, and
every site is at it. Medians of processor time on one thread over interleaved rounds, so that what
else the machine does counts little.
"""

from __future__ import annotations

import importlib.util
import statistics
import time
from collections.abc import Callable
from typing import Any
from unittest import mock

import torch
from torch import Tensor

from benchmarks import report
from discrete_ca.corruption import TokenNoise, segments
from discrete_ca.corruption.sparse import SparseRows
from discrete_ca.distributions import Categorical, CategoricalTransition

ENTRIES = 1 << 22  # logits in a batch


def ring(size: int, near: int) -> Tensor:
    """S, every token leading to `near` others evenly spread, and as many leading to it."""
    steps = torch.linspace(1, size - 1, near).long()
    row = torch.arange(size).repeat_interleave(near)
    column = (row + steps.repeat(size)) % size
    values = torch.full((len(row),), 1 / near, dtype=torch.float64)
    return torch.sparse_coo_tensor(
        torch.stack([row, column]), values, (size, size), check_invariants=True
    )


def hub(size: int) -> Tensor:
    """S, every token leading to the first."""
    index = torch.stack([torch.arange(size), torch.zeros(size, dtype=torch.long)])
    ones = torch.ones(size, dtype=torch.float64)
    return torch.sparse_coo_tensor(index, ones, (size, size), check_invariants=True)


def backends() -> dict[str, segments.Segments]:
    """The ways of summing over segments that are there."""
    found: dict[str, segments.Segments] = {"torch": segments.TorchSegments()}
    if importlib.util.find_spec("torch_scatter") is not None:
        found["torch_scatter"] = segments.ScatterSegments()
    return found


def cell(near: Tensor, x: Tensor, rounds: int) -> dict[str, Any]:
    """The costs at one S and one batch of states, (1, D)."""
    size = len(near)
    frequencies = torch.full((size,), 1 / size)
    noise = TokenNoise(size, frequencies=frequencies, near=near)
    plain = TokenNoise(size, frequencies=frequencies)
    logits = torch.randn(*x.shape, size).requires_grad_()
    b = torch.full((1,), 0.5)

    def log_prob(noise: TokenNoise) -> None:
        logits.grad = None
        law = CategoricalTransition(x, Categorical(logits), noise, torch.tensor(0.8), b, b)
        law.log_prob(x.roll(1, -1)).sum().backward()

    sparse = noise.near
    assert sparse is not None

    def sums(sparse: SparseRows = sparse) -> None:
        with torch.no_grad():
            segments.log_sums(logits, x, sparse, normalised=False)

    works: dict[str, tuple[segments.Segments, Callable[[], None]]] = {
        "no near": (segments.TorchSegments(), lambda: log_prob(plain))
    }
    for name, backend in backends().items():
        works[name] = (backend, lambda: log_prob(noise))
        works[f"{name}, sums"] = (backend, sums)
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(rounds + 1):
        for name, (backend, work) in works.items():
            with mock.patch.object(segments, "best_segments", lambda _, chosen=backend: chosen):
                begun = time.process_time()
                work()
            if turn:  # the first warms up
                seconds[name].append(time.process_time() - begun)
    pairs = int(sparse.in_degree(x.reshape(-1)).sum())
    row: dict[str, Any] = {"V": size, "sites": x.numel(), "pairs": pairs}
    row["no near, ms"] = 1e3 * statistics.median(seconds["no near"])
    for name in backends():
        ratios = zip(seconds[name], seconds["no near"], strict=True)
        row[f"{name}, ms"] = 1e3 * statistics.median(seconds[name])
        row[f"{name}, ratio"] = statistics.median(ours / bare for ours, bare in ratios)
        row[f"{name}, ns a pair"] = 1e9 * statistics.median(seconds[f"{name}, sums"]) / pairs
    return row


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Run the benchmark and write its report."""
    given = report.parse(report.parser(__doc__, quick="small vocabularies, few rounds"), argv)
    sizes, most = ((256,), (4, 32)) if given.quick else ((256, 4096, 50_257), (4, 16, 64, 128))
    rounds = 2 if given.quick else 7
    torch.set_num_threads(1)
    torch.manual_seed(0)
    rows: list[dict[str, Any]] = []
    for size in sizes:
        x = torch.randint(0, size, (1, ENTRIES // (16 if given.quick else 1) // size))
        rows += [{"k": str(k), **cell(ring(size, k), x, rounds)} for k in most]
        rows.append({"k": "hub", **cell(hub(size), torch.zeros_like(x), rounds)})
    return report.write("token_noise", rows, given.folder, entries=ENTRIES)


if __name__ == "__main__":
    main()
