"""Chains from held-out data of planar laws: how far from data are their states and read-outs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import torch
from torch import Tensor

import discrete_ca as dca
from benchmarks.ensemble import LawBatches
from benchmarks.planar_laws import BITS, PlanarLaw
from benchmarks.planar_measure import Reference, nearness

LEVELS = (0.1, 0.3)
NOISE = dca.corruption.Uniform(2)

Row = dict[str, Any]


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
