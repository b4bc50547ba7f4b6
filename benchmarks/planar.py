r"""Chains on the seven planar laws of 32 bits, compared with data as the literature does.

Networks of one architecture are trained for the same cost in network passes (as in
`benchmarks.exact_law`): by denoising, by the default schedule with an adjustment head, and by half
denoising, half contrastive adjustment; each with and without `add_evidence`. All laws and seeds of
a method are trained side by side. Then, for each level b, chains at the hold that they were trained
at start from held-out data, and after 10, 100 and 1,000 steps two things are compared with data:

* states, with data noised to the same level: the claim of stationarity itself;
* read-outs (draws of p(z|x)), with clean data: this also holds what one read-out costs, which
  0 steps show.

"Annealed" are samples of `dca.sample`. "Limit: denoising" is the chain of the best denoiser there
can be, no network: exact marginals p(z_i|x), computed with the leading 8 bits of each coordinate,
the others being noise to it. Chains with Metropolis steps are of the same networks.

The measure is the unbiased MMD^2 with the similarity exp(-0.1 d_H), in units of 1e-4 (Zhang et al.
2022, arXiv 2202.01361). It is taken between 1,000 states or more and 4,000 of data: after 10 steps
those of 1,000 chains, then those of 300 chains at 4 times of the second half of 100 steps, and of
50 chains at 20 times of that of 1,000. No two states of one chain are paired, which keeps it
unbiased. Its mean is 0 where the laws are equal; real data in place of the samples give the
floor. This measure hardly sees the plane: what no network has learned can be at its floor. So
read-outs and annealed samples are compared as points too ("plane"), by the unbiased MMD^2 with the
similarity exp(-|x - y|^2 / 2 s^2), s = 0.25, in the same unit.

    python -m benchmarks.planar [--quick] [--hold 0.5]

Learning rate, width and steps were chosen by held-out denoising loss at seed 100.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import discrete_ca as dca
from benchmarks import report
from benchmarks.ensemble import LawBatches
from benchmarks.exact_law import RECIPES, Recipe, fit
from benchmarks.planar_laws import BITS, LAWS, PlanarLaw
from discrete_ca.metrics import GaussianSimilarity
from discrete_ca.metrics.distances import hamming

LEVELS = (0.1, 0.3)
RECIPE_NAMES = ("denoising", "default (adjustment head)", "half denoising, half CA")
METHODS = {
    f"{name}{', evidence' * evidence}": replace(RECIPES[name], evidence=evidence)
    for name in RECIPE_NAMES
    for evidence in (False, True)
}
LIMIT, FAST = "limit: denoising", "limit: denoising, hold 0"
REFUSING = ", Metropolis"
"""What the name of a chain with Metropolis steps ends with."""
REAL, ANNEALED = "real data (floor)", "annealed"
WIDTH, RATE, EMA = 64, 5e-3, 0.995
UNIT, BANDWIDTH = 1e-4, 0.25
NOISE = dca.corruption.Uniform(2)
GAMMA = 0.1

Row = dict[str, Any]


# -- the measure ----------------------------------------------------------------------------------


Similarity = Callable[[Tensor, Tensor], float]
"""Sum over all pairs of rows."""


def similarity(x: Tensor, y: Tensor) -> float:
    """Sum of exp(-0.1 d_H) over all pairs of rows; in float32, five times as fast as in float64."""
    return float(hamming(x, y).mul_(-GAMMA).exp_().sum(dtype=torch.float64))


def nearness(x: Tensor, y: Tensor) -> float:
    """Sum of exp(-|x - y|^2 / 2 s^2) over all pairs of points."""
    return float(GaussianSimilarity(BANDWIDTH)(x, y).sum())


def within(x: Tensor, similarity: Similarity = similarity) -> float:
    """Mean similarity of states of different chains; x (T, C, D), T states of each of C chains."""
    times, chains, _ = x.shape
    rows = x.flatten(0, 1)
    own = sum(similarity(chain, chain) for chain in x.unbind(1)) if times > 1 else chains
    return (similarity(rows, rows) - own) / (times**2 * chains * (chains - 1))


class Reference:
    """Data that states are compared with; what they say of each other is computed once.

    Args:
        y: states, (N, D).
        similarity: summed over pairs.
    """

    def __init__(self, y: Tensor, similarity: Similarity = similarity) -> None:
        self.y, self.similarity, self.own = y, similarity, within(y[None], similarity)

    def mmd(self, x: Tensor) -> float:
        """The unbiased MMD^2 to states of independent chains, (T, C, D), in units of 1e-4."""
        pairs = x.shape[0] * x.shape[1] * len(self.y)
        cross = self.similarity(x.flatten(0, 1), self.y) / pairs
        return (within(x, self.similarity) + self.own - 2 * cross) / UNIT


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
        kept: int,
        draws: int,
    ) -> None:
        super().__init__()
        self.sites = torch.cat([torch.arange(kept), BITS + torch.arange(kept)])
        self.places = 2 ** torch.arange(2 * kept - 1, -1, -1)
        self.tables: dict[float, Tensor] = {}
        laws_of_bits = [self._count(law, draws) for law in laws]
        for b in levels:
            self.tables[b] = torch.stack([self._context(p, b) for p in laws_of_bits])

    def _count(self, law: PlanarLaw, draws: int) -> Tensor:
        code = self._code(law.sample(draws, torch.Generator().manual_seed(7)))
        return code.bincount(minlength=2 ** len(self.sites)).double() / draws

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
        tables = self.tables[round(float(b[0]), 6)]
        out = torch.zeros(*x.shape, 2)
        out[:, self.sites, 1] = tables[label, self._code(x)]
        return out


# -- kernels and chains ---------------------------------------------------------------------------


def make_kernel(hold: float, recipe: Recipe) -> dca.CategoricalNoiseKernel:
    """An MLP over the bits, and for a head a small one that adjusts what it says."""
    shape = (2 * BITS,)
    return dca.CategoricalNoiseKernel(
        dca.nn.MLP(2, 2, shape, width=WIDTH),
        dca.corruption.Uniform(2),
        hold,
        adjustment=dca.nn.AdjustmentMLP(2, shape) if recipe.head else None,
        add_evidence=recipe.evidence,
    )


@dataclass(frozen=True)
class Protocol:
    """How much is drawn for the measures.

    Args:
        data: states that samples are compared with.
        stops: numbers of steps after which states are compared with data; how many chains go so
            far, and at how many times, evenly spaced over the second half of the steps.
        samples: of annealed sampling.
        moves: of annealed sampling.
        floors: comparisons of real data with real data.
        draws: that the best denoiser is counted from.
        kept: leading bits a coordinate that it does not take for noise.
    """

    data: int = 4000
    stops: tuple[tuple[int, int, int], ...] = ((10, 1000, 1), (100, 300, 4), (1000, 50, 20))
    samples: int = 1000
    moves: int = 16
    floors: int = 8
    draws: int = 1_000_000
    kept: int = 8


QUICK = Protocol(100, ((2, 20, 1), (6, 4, 2)), 20, 2, 2, 1000, 4)


class Measures:
    """What is compared with data of each law: clean ones at level 0, noised ones at the others.

    Args:
        laws: the laws.
        protocol: how much is drawn.
    """

    def __init__(self, laws: Sequence[PlanarLaw], protocol: Protocol) -> None:
        self.laws, self.protocol = laws, protocol
        self.references: dict[tuple[str, float], Reference] = {}
        self.points: dict[str, Reference] = {}
        for law, b in product(laws, (0.0, *LEVELS)):
            g = torch.Generator().manual_seed(4000 + round(100 * b))
            z = NOISE.sample(law.sample(protocol.data, g), b, g)
            self.references[law.name, b] = Reference(z)
            if b == 0:
                self.points[law.name] = Reference(law.decode(z), nearness)

    def states(self, law: PlanarLaw, level: float, x: Tensor) -> float:
        """The measure for states (T, C, 32) of a level."""
        return self.references[law.name, level].mmd(x)

    def clean(self, law: PlanarLaw, z: Tensor) -> Row:
        """Both measures for clean states (T, C, 32)."""
        points = self.points[law.name].mmd(law.decode(z))
        return {"read-outs": self.states(law, 0.0, z), "plane": points}

    def floor(self) -> Iterator[Row]:
        """Real data in place of the samples."""
        g = torch.Generator().manual_seed(3000)
        for law, run in product(self.laws, range(self.protocol.floors)):
            z = law.sample(self.protocol.stops[0][1], g)
            clean = self.clean(law, z[None])
            for b in LEVELS:
                states = self.states(law, b, NOISE.sample(z, b, g)[None])
                yield {"law": law.name, "seed": run, "b": b, "steps": 0,
                       "states": states, **clean}  # fmt: skip

    def annealed(self, kernel: dca.CategoricalNoiseKernel, members: int, seed: int) -> Tensor:
        """Samples of each member, (N, members, 32)."""
        count = self.protocol.samples
        label = torch.arange(members).repeat(count)
        z: Tensor = dca.sample(
            kernel, len(label), (2 * BITS,), moves=self.protocol.moves, correctors=1, label=label,
            chunk=len(label), generator=torch.Generator().manual_seed(2000 + seed), progress=False,
        )  # fmt: skip
        return z.unflatten(0, (count, members))

    def rows(
        self,
        kernel: dca.CategoricalNoiseKernel,
        members: int,
        first_seed: int = 0,
        metropolis: bool = False,
    ) -> Iterator[Row]:
        """A row for each member, level and number of steps; laws take turns among members."""
        own = [self.laws[i % len(self.laws)] for i in range(members)]
        for b in LEVELS:
            g = torch.Generator().manual_seed(1000 + first_seed)
            z, label = LawBatches(own)(self.protocol.stops[0][1] * members, g)
            x = kernel.corrupt(z, b, g)
            for steps, states in self._walk(kernel, x, b, label, members, metropolis, g):
                told = label[: states.shape[1]]
                read = torch.stack([
                    dca.read_out(kernel, s, b, draw=True, label=told, generator=g) for s in states
                ])  # fmt: skip
                for i, law in enumerate(own):
                    seed = first_seed + i // len(self.laws)
                    yield {"law": law.name, "seed": seed, "b": b, "steps": steps,
                           "states": self.states(law, b, states[:, i::members]),
                           **self.clean(law, read[:, i::members])}  # fmt: skip

    def _walk(
        self,
        kernel: dca.CategoricalNoiseKernel,
        x: Tensor,
        level: float,
        label: Tensor,
        members: int,
        metropolis: bool,
        generator: torch.Generator,
    ) -> Iterator[tuple[int, Tensor]]:
        """Numbers of steps and the states there, (T, B, 32)."""
        yield 0, x[None]
        done = 0
        for steps, chains, count in self.protocol.stops:
            x, label = x[: chains * members], label[: chains * members]
            times = {steps - steps // 2 * k // count for k in range(count)}
            kept = []
            for state in dca.run(
                kernel, x, level, steps - done, label=label, metropolis=metropolis,
                generator=generator,
            ):  # fmt: skip
                x, done = state, done + 1
                if done in times:
                    kept.append(state)
            yield steps, torch.stack(kept)


# -- the table ------------------------------------------------------------------------------------


def summarise(rows: list[Row]) -> list[Row]:
    """Means over seeds, and their standard deviations."""
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        key = (row["method"], row["b"], row["steps"], row["law"])
        groups.setdefault(key, []).append(row)
    table = []
    for (method, b, steps, law), found in groups.items():
        line = {"method": method, "b": b, "steps": steps, "law": law}
        for name in ("states", "read-outs", "plane"):
            values = [row[name] for row in found if name in row]
            if values:
                line[name] = statistics.mean(values)
                line[f"{name} sd"] = statistics.stdev(values) if len(values) > 1 else 0.0
        line["training seconds"] = found[0].get("training seconds", 0.0)
        table.append({**line, "runs": len(found)})
    return table


def picture(parts: dict[str, Tensor], laws: Sequence[PlanarLaw], place: Path) -> None:
    """Points of each law, a column each; a line for each part, (N, laws, 32)."""
    from matplotlib.figure import Figure

    figure = Figure((1.35 * len(laws), 1.4 * len(parts)), layout="tight")
    axes = figure.subplots(len(parts), len(laws), squeeze=False)
    for (name, states), line in zip(parts.items(), axes, strict=True):
        for i, (law, at) in enumerate(zip(laws, line, strict=True)):
            at.scatter(*law.decode(states[:, i]).T, s=0.6, c="black", linewidths=0)
            at.set(xlim=(-4, 4), ylim=(-4, 4), xticks=[], yticks=[], aspect="equal")
        line[0].set_ylabel(name.replace(" (", "\n(").replace(", ", ",\n"), fontsize=6)
    for law, at in zip(laws, axes[0], strict=True):
        at.set_title(law.name, fontsize=7)
    figure.savefig(place, dpi=90)


class Record:
    """Rows and samples so far, on disk: `--resume` goes on where a run was stopped.

    Args:
        folder: where they are.
        resume: keep what is there.
    """

    def __init__(self, folder: str, resume: bool) -> None:
        self.folder = folder
        self.samples: dict[str, Tensor] = {}
        place = Path(folder)
        if not resume:
            (place / "planar.jsonl").unlink(missing_ok=True)
        self.rows = report.appended("planar", folder)
        if self.rows:
            self.samples = torch.load(place / "samples.pt")

    def has(self, method: str, seed: int) -> bool:
        """Whether a method was measured at a seed."""
        return any(row["method"] == method and row["seed"] == seed for row in self.rows)

    def add(self, *found: tuple[str, Sequence[Row], Tensor | None]) -> None:
        """Keep the rows of methods, and samples (N, laws, 32) to draw, all at once."""
        named = [{"method": method, **row} for method, rows, _ in found for row in rows]
        self.rows += named
        for method, _, samples in found:
            if samples is not None:
                self.samples.setdefault(method, samples.to(torch.int8))
        Path(self.folder).mkdir(parents=True, exist_ok=True)
        torch.save(self.samples, Path(self.folder) / "samples.pt")
        report.append("planar", named, self.folder)


def run(
    method: str, measures: Measures, seeds: range, hold: float, passes: int, batch: int
) -> Iterator[tuple[str, list[Row], Tensor | None]]:
    """What a method comes to, by plain steps and by Metropolis steps.

    Yields:
        Its name, rows, and annealed samples of the first seed, (N, laws, 32), or None.
    """
    laws, first = measures.laws, seeds.start
    if method in (LIMIT, FAST):
        best = BestDenoiser(laws, LEVELS, measures.protocol.kept, measures.protocol.draws)
        exact = dca.CategoricalNoiseKernel(best, NOISE, hold * (method == LIMIT), add_evidence=True)
        for metropolis in (False, True):
            rows = [*measures.rows(exact, len(laws), first, metropolis)]
            yield method + REFUSING * metropolis, rows, None
        return
    recipe = METHODS[method]
    every = [*laws] * len(seeds)
    torch.manual_seed(first)
    alone = [make_kernel(hold, recipe) for _ in every]
    kernel, trainer = fit(
        alone, recipe.phases, every, passes, batch, first, learning_rate=RATE, ema=EMA
    )
    seconds = {"training seconds": round(trainer.seconds / len(every), 2)}
    z = measures.annealed(kernel, len(every), first)
    samples = [
        {"law": law.name, "seed": first + i // len(laws), "b": 0.0, "steps": ANNEALED,
         **measures.clean(law, z[None, :, i]), **seconds}
        for i, law in enumerate(every)
    ]  # fmt: skip
    plain, refusing = (
        [{**row, **seconds} for row in measures.rows(kernel, len(every), first, metropolis)]
        for metropolis in (False, True)
    )
    yield method, samples + plain, z[:, : len(laws)]
    yield method + REFUSING, refusing, None


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Run it and write its report and picture."""
    parser = report.parser(__doc__, quick="two laws, hardly any training")
    parser.add_argument("--methods", nargs="+", choices=[*METHODS, LIMIT, FAST])
    parser.add_argument("--hold", type=float, default=0.5)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0, help="100 and up: for tuning")
    parser.add_argument("--passes", type=int, default=4500, help="cost of a network")
    parser.add_argument("--batch", type=int, default=64, help="examples a network and step")
    parser.add_argument("--resume", action="store_true", help="keep the methods measured before")
    given = report.parse(parser, argv)
    laws, protocol = list(LAWS.values()), Protocol()
    methods = given.methods or [LIMIT, FAST, *METHODS]
    if given.quick:
        laws, protocol, given.seeds, given.passes, given.batch = laws[:2], QUICK, 1, 30, 16
        methods = given.methods or [LIMIT, *list(METHODS)[2:4]]
    seeds = range(given.first_seed, given.first_seed + given.seeds)
    measures, record = Measures(laws, protocol), Record(given.folder, given.resume)
    if not record.has(REAL, 0):
        g = torch.Generator().manual_seed(0)
        data = torch.stack([law.sample(protocol.samples, g) for law in laws], 1)
        record.add((REAL, [*measures.floor()], data))
    for method in methods:
        if not record.has(method, seeds.start):
            record.add(*run(method, measures, seeds, given.hold, given.passes, given.batch))
            if not given.quick:
                print(f"{len(record.rows)} rows: {method}", flush=True)
    picture(record.samples, laws, Path(given.folder) / "planar.png")
    trained = {row["seed"] for row in record.rows if row["method"] in METHODS}
    written = report.write(
        "planar", summarise(record.rows), given.folder, hold=given.hold, passes=given.passes,
        batch=given.batch, width=WIDTH, learning_rate=RATE, seeds=len(trained),
        **asdict(protocol),
    )  # fmt: skip
    return {**written, "raw": record.rows}


if __name__ == "__main__":
    main()
