r"""Chains on the seven planar laws of 32 bits, compared with data as the literature does.

Networks of one architecture are trained for the same cost in network passes (as in
`benchmarks.exact_law`): by denoising, by the default schedule with an adjustment head, and by half
denoising, half contrastive adjustment; each with and without `add_evidence`. All laws and seeds of a
method are trained side by side. Then, for each level b, chains at the hold that they were trained at
start from held-out data, and after 10, 100 and 1,000 steps two things are compared with data:

* states, with data noised to the same level: the claim of stationarity itself;
* read-outs (draws of p(z|x)), with clean data: this also holds what one read-out costs, which 0 steps
  show.

"Annealed" are samples of `dca.sample`. "Limit: denoising" is the chain of the best denoiser there can
be, no network: exact marginals p(z_i|x), computed with the leading 8 bits of each coordinate, the
others being noise to a denoiser.

The measure is the unbiased MMD^2 with the similarity exp(-0.1 d_H), in units of 1e-4 (Zhang et al.
2022, arXiv 2202.01361). It is taken between 1,000 states and 4,000 of data: after 10 steps those of
1,000 chains, later 100 chains at 10 times evenly spaced over the second half of the steps, no two
states of one chain being paired, which keeps it unbiased. Its mean is 0 where the laws are equal;
real data in place of the samples give the floor.

    python -m benchmarks.planar [--quick] [--hold 0.5]

Learning rate, width and steps were chosen by held-out denoising loss at seed 100.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import discrete_ca as dca
from benchmarks import report
from benchmarks.ensemble import LawBatches
from benchmarks.exact_law import RECIPES, fit
from benchmarks.planar_laws import BITS, LAWS, PlanarLaw
from discrete_ca.metrics import HammingSimilarity

LEVELS = (0.1, 0.3)
STEPS = (10, 100, 1000)
RECIPE_NAMES = ("denoising", "default (adjustment head)", "half denoising, half CA")
METHODS = {
    f"{name}{', evidence' * evidence}": (RECIPES[name], evidence)
    for name in RECIPE_NAMES
    for evidence in (False, True)
}
LIMIT, REAL = "limit: denoising", "real data (floor)"
WIDTH, RATE = 64, 5e-3
UNIT = 1e-4
KEPT = 8
_SIMILARITY = HammingSimilarity(0.1)


# -- the measure ----------------------------------------------------------------------------------


def within(x: Tensor) -> float:
    """Mean similarity of states of different chains; x (T, C, D), T states of each of C chains."""
    times, chains, _ = x.shape
    rows = x.flatten(0, 1)
    every = float(_SIMILARITY(rows, rows).sum())
    own = sum(float(_SIMILARITY(chain, chain).sum()) for chain in x.unbind(1)) if times > 1 else 0.0
    if times == 1:
        own = float(chains)
    return (every - own) / (times**2 * chains * (chains - 1))


class Reference:
    """Data that states are compared with; what they say of each other is computed once.

    Args:
        y: states, (N, D).
    """

    def __init__(self, y: Tensor) -> None:
        self.y, self.own = y, within(y[None])

    def mmd(self, x: Tensor) -> float:
        """The unbiased MMD^2 to states of independent chains, (T, C, D), in units of 1e-4."""
        cross = float(_SIMILARITY(x.flatten(0, 1), self.y).mean())
        return (within(x) + self.own - 2 * cross) / UNIT


# -- the best denoiser ----------------------------------------------------------------------------


def noised(p: Tensor, level: float, bits: int) -> Tensor:
    """A law over 2^bits states, (..., 2^bits), after uniform noise at a level."""
    flips = level / 2
    for i in range(bits):
        split = p.reshape(*p.shape[:-1], 2**i, 2, -1)
        p = ((1 - flips) * split + flips * split.flip(-2)).reshape(p.shape)
    return p


class BestDenoiser(nn.Module):
    """What the context says of each bit under a law's exact posterior, as a network of evidence.

    Args:
        laws: one a label.
        levels: those that it can be asked at.
        kept: leading bits a coordinate that are not taken for noise.
        draws: of each law, that its probabilities are counted from.
    """

    accepts = frozenset({"label"})
    num_categories = num_states = 2

    def __init__(
        self,
        laws: Sequence[PlanarLaw],
        levels: Sequence[float],
        kept: int = KEPT,
        draws: int = 1_000_000,
    ) -> None:
        super().__init__()
        self.sites = torch.cat([torch.arange(kept), BITS + torch.arange(kept)])
        self.places = 2 ** torch.arange(2 * kept - 1, -1, -1)
        self.tables = {b: [] for b in levels}  # type: dict[float, list[Tensor]]
        for law in laws:
            drawn = law.sample(draws, torch.Generator().manual_seed(7))
            p = self._code(drawn).bincount(minlength=2 ** (2 * kept)) / draws
            for b, tables in self.tables.items():
                tables.append(self._context(p.double(), b))

    def _code(self, x: Tensor) -> Tensor:
        return (x[:, self.sites] * self.places).sum(1)

    def _context(self, p: Tensor, level: float) -> Tensor:
        """Log-odds of each kept bit given the state, less what the bit says of itself."""
        bits = len(self.sites)
        ones = (torch.arange(len(p))[:, None] // self.places % 2).double()
        on, every = noised((p[:, None] * ones).T, level, bits).T, noised(p, level, bits)[:, None]
        odds = on.clamp_min(1e-30).log() - (every - on).clamp_min(1e-30).log()
        return (odds - (2 * ones - 1) * torch.tensor(2 / level - 1).log()).float()

    def forward(self, x: Tensor, b: Tensor, label: Tensor | None = None) -> Tensor:
        """States (B, 32) at one of the levels to logits (B, 32, 2)."""
        assert label is not None
        tables = torch.stack(self.tables[round(float(b[0]), 6)])
        out = torch.zeros(*x.shape, 2)
        out[:, self.sites, 1] = tables[label, self._code(x)]
        return out


# -- kernels and chains ---------------------------------------------------------------------------


def make_kernel(hold: float, head: bool, evidence: bool) -> dca.CategoricalNoiseKernel:
    """An MLP over the bits, and with `head` a small one that adjusts what it says."""
    shape = (2 * BITS,)
    return dca.CategoricalNoiseKernel(
        dca.nn.MLP(2, 2, shape, width=WIDTH),
        dca.corruption.Uniform(2),
        hold,
        adjustment=dca.nn.AdjustmentMLP(2, shape) if head else None,
        add_evidence=evidence,
    )


def walk(
    kernel: dca.CategoricalNoiseKernel,
    x: Tensor,
    level: float,
    label: Tensor,
    steps: Sequence[int],
    members: int,
    generator: torch.Generator,
) -> Iterator[tuple[int, Tensor]]:
    """Numbers of steps and the states there, (T, B, D): all at the first, then fewer chains."""
    done = 0
    for i, count in enumerate(steps):
        times = {count} if i == 0 else {count * (11 + k) // 20 for k in range(10)}
        if i == 1:
            keep = max(2, len(x) // members // 10) * members
            x, label = x[:keep], label[:keep]
        kept = []
        for state in dca.run(kernel, x, level, count - done, label=label, generator=generator):
            x, done = state, done + 1
            if done in times:
                kept.append(state)
        yield count, torch.stack(kept)


def measured(
    kernel: dca.CategoricalNoiseKernel,
    laws: Sequence[PlanarLaw],
    chains: int,
    references: dict[str, dict[float, Reference]],
    steps: Sequence[int],
    seed: int,
) -> Iterator[dict[str, Any]]:
    """One row for each member, level and number of steps."""
    members, batches = len(laws), LawBatches(laws)

    def row(i: int, level: float, count: int, states: Tensor, z: Tensor) -> dict[str, Any]:
        here = references[laws[i].name]
        own = slice(i, None, members)
        return {
            "member": i, "law": laws[i].name, "b": level, "steps": count,
            "states": here[level].mmd(states[:, own]), "read-outs": here[0.0].mmd(z[:, own]),
        }  # fmt: skip

    for level in LEVELS:
        g = torch.Generator().manual_seed(1000 + seed)
        z, label = batches(chains * members, g)
        x = kernel.corrupt(z, level, g)
        start = [(0, x[None])]
        for count, states in [*start, *walk(kernel, x, level, label, steps, members, g)]:
            rows = label[: states.shape[1]]
            read = [
                dca.read_out(kernel, s, level, draw=True, label=rows, generator=g) for s in states
            ]
            for i in range(members):
                yield row(i, level, count, states, torch.stack(read))


def annealed(
    kernel: dca.CategoricalNoiseKernel, members: int, count: int, moves: int, seed: int
) -> Tensor:
    """Samples (count, members, 32), and their cost in network evaluations."""
    label = torch.arange(members).repeat(count)
    g = torch.Generator().manual_seed(2000 + seed)
    z: Tensor = dca.sample(
        kernel, len(label), (2 * BITS,), moves=moves, correctors=1, label=label,
        chunk=len(label), generator=g, progress=False,
    )  # fmt: skip
    return z.unflatten(0, (count, members))


# -- the table ------------------------------------------------------------------------------------


def floor(
    laws: Sequence[PlanarLaw], references: dict[str, dict[float, Reference]], count: int, runs: int
) -> Iterator[dict[str, Any]]:
    """Real data in place of the samples."""
    noise = dca.corruption.Uniform(2)
    for law in laws:
        g = torch.Generator().manual_seed(3000)
        for run in range(runs):
            z = law.sample(count, g)
            clean = references[law.name][0.0].mmd(z[None])
            for b in LEVELS:
                states = references[law.name][b].mmd(noise.sample(z, b, g)[None])
                yield {
                    "method": REAL, "law": law.name, "seed": run, "b": b, "steps": 0,
                    "states": states, "read-outs": clean,
                }  # fmt: skip


def summarise(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Means over seeds, and their standard deviations."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        key = (row["method"], row["b"], row["steps"], row["law"])
        groups.setdefault(key, []).append(row)
    table = []
    for (method, b, steps, law), found in groups.items():
        line = {"method": method, "b": b, "steps": steps, "law": law}
        for name in ("states", "read-outs"):
            values = [row[name] for row in found if name in row]
            if values:
                line[name] = statistics.mean(values)
                line[f"{name} sd"] = statistics.stdev(values) if len(values) > 1 else 0.0
        table.append({**line, "runs": len(found)})
    return table


def picture(parts: dict[str, Tensor], laws: Sequence[PlanarLaw], place: Path) -> None:
    """Points of each law, a column each; a row for each part, (N, laws, 32)."""
    from matplotlib.figure import Figure

    figure = Figure((1.35 * len(laws), 1.45 * len(parts)), layout="tight")
    axes = figure.subplots(len(parts), len(laws), squeeze=False)
    for (name, states), line in zip(parts.items(), axes, strict=True):
        for i, (law, at) in enumerate(zip(laws, line, strict=True)):
            at.scatter(*law.decode(states[:, i]).T, s=0.5, c="black", linewidths=0)
            at.set(xlim=(-4, 4), ylim=(-4, 4), xticks=[], yticks=[], aspect="equal")
            if at in axes[0]:
                at.set_title(law.name, fontsize=7)
        line[0].set_ylabel(name, fontsize=6)
    figure.savefig(place, dpi=100)


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Run it and write its report and picture."""
    parser = report.parser(__doc__, quick="two laws, hardly any training")
    parser.add_argument("--methods", nargs="+", choices=[*METHODS, LIMIT])
    parser.add_argument("--hold", type=float, default=0.5)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--passes", type=int, default=4500, help="cost of a network")
    parser.add_argument("--batch", type=int, default=64, help="examples a network and step")
    given = report.parse(parser, argv)
    laws, steps, moves = list(LAWS.values()), STEPS, 16
    sizes = {"data": 4000, "chains": 1000, "samples": 2000, "floors": 20, "draws": 1_000_000}
    ema = 0.995
    if given.quick:
        laws, steps, moves, given.seeds, given.passes, given.batch = laws[:2], (2, 4), 2, 1, 60, 16
        sizes = {"data": 100, "chains": 20, "samples": 20, "floors": 2, "draws": 1000}
        given.methods = given.methods or [*METHODS][1:4] + [LIMIT]
    folder = Path(given.folder)
    folder.mkdir(parents=True, exist_ok=True)
    references: dict[str, dict[float, Reference]] = {}
    noise = dca.corruption.Uniform(2)
    for law in laws:
        g = torch.Generator().manual_seed(4000)
        levels = {b: law.sample(sizes["data"], g) for b in (0.0, *LEVELS)}
        references[law.name] = {b: Reference(noise.sample(z, b, g)) for b, z in levels.items()}
    rows = [*floor(laws, references, sizes["chains"], sizes["floors"])]
    seeds, every = range(given.seeds), [*laws] * given.seeds
    data, _ = LawBatches(laws)(sizes["chains"] * len(laws), torch.Generator().manual_seed(0))
    drawn = {"data": data.unflatten(0, (-1, len(laws)))}
    for method in given.methods or [*METHODS, LIMIT]:
        seconds, found = 0.0, []
        kernel: dca.CategoricalNoiseKernel
        if method == LIMIT:
            kernel = dca.CategoricalNoiseKernel(
                BestDenoiser(laws, LEVELS, draws=sizes["draws"]), noise, given.hold,
                add_evidence=True,
            )  # fmt: skip
            members = laws
        else:
            recipe, evidence = METHODS[method]
            torch.manual_seed(0)
            alone = [make_kernel(given.hold, recipe.head, evidence) for _ in every]
            kernel, trainer = fit(
                alone, recipe.phases, every, given.passes, given.batch, 0,
                learning_rate=RATE, ema=ema,
            )  # fmt: skip
            seconds, members = trainer.seconds / len(every), every
            samples = annealed(kernel, len(every), sizes["samples"], moves, 0)
            drawn[method] = samples[: sizes["chains"], : len(laws)]
            for i, law in enumerate(every):
                mmd = references[law.name][0.0].mmd(samples[None, :, i])
                found.append({"member": i, "law": law.name, "b": 0.0, "steps": "annealed",
                              "read-outs": mmd})  # fmt: skip
        begun = time.monotonic()
        found += measured(kernel, members, sizes["chains"], references, steps, 0)
        for row in found:
            row["seed"] = row.pop("member") // len(laws)
            rows.append({"method": method, **row, "training seconds": round(seconds, 2)})
        report.append("planar", rows[-len(found) :], given.folder)
        if not given.quick:
            took = time.monotonic() - begun
            print(f"{method}: {seconds:.1f} s a network, chains {took:.0f} s", flush=True)
    picture(drawn, laws, folder / "planar.png")
    written = report.write(
        "planar", summarise(rows), given.folder, hold=given.hold, passes=given.passes,
        batch=given.batch, width=WIDTH, learning_rate=RATE, seeds=len(seeds), moves=moves,
    )  # fmt: skip
    return {**written, "raw": rows}


if __name__ == "__main__":
    main()
