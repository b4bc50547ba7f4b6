"""The commands that measure and tell: eval, exact, info; and demo and bench."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import tyro

from discrete_ca import chains, checks, draws, metrics, runs
from discrete_ca.card import ModelCard
from discrete_ca.cli.running import guided
from discrete_ca.cli.terminal import Place, console
from discrete_ca.data import DiscreteData
from discrete_ca.diagnostics import exact
from discrete_ca.errors import ConfigError, unknown_name
from discrete_ca.hub import EVAL_FILE
from discrete_ca.kernels.corrupted import CorruptionKernel
from discrete_ca.runs import RunConfig
from discrete_ca.sealed import write_json


@dataclass(frozen=True)
class Eval:
    """Measure samples of a kernel beside real examples, by what suits its data."""

    run: Place
    """A run's folder, which eval.json is written to, or user/name on the Hub."""
    samples: int = 1000
    """How many samples the measures are taken on; fewer where there are fewer real examples."""
    moves: int = 32
    """T, moves between levels."""
    correctors: int = 3
    """c, equal-level steps after each move. In Python 1 unless said, at half the cost: here a
    result is drawn once, as in the demo."""
    hold: float | None = None
    """h, in place of the kernel's own: nearer to 1 is slower and more faithful."""
    guidance: float = 0.0
    """g: above 0, follow the labels more than the data do, at twice the cost."""
    metropolis: bool = False
    """Refuse steps that break detailed balance, at no further network evaluation."""
    draw: bool = False
    """Read out by a draw in place of the mode, which is smoother than real numbers are."""
    seed: int = 0
    """Seeds every draw."""
    split: str | None = None
    """The split of the run's data to compare with; else the test set of binarized MNIST, the
    examples that the run held out, or half of what it was trained on."""
    kind: str | None = None
    """digits, images, tokens, points or chorales; else what the data look like."""
    lowest: int | None = None
    """Of chorales: the MIDI pitch of category 0, where the run does not say."""
    rest: int | None = None
    """Of chorales: the category of a rest, where the run does not say."""
    trust_code: bool = False
    """Import classes from outside the package that the run names."""

    def __call__(self) -> None:
        """Do it."""
        checks.positive(self.samples, "samples", least=4)
        saved = runs.load_run(self.run, self.trust_code)
        comparison = runs.build_comparison(
            saved, kind=self.kind, split=self.split, seed=self.seed,
            coding=saved.coding(self.lowest, self.rest),
        )  # fmt: skip
        count, shape = min(self.samples, len(comparison.real)), comparison.real.shape[1:]
        generator = torch.Generator().manual_seed(self.seed)
        label = comparison.drawn_labels(count, generator) if saved.kernel.told_label else None
        kernel = guided(saved.kernel, self.guidance, label is not None, "where no label is told")
        begun = time.monotonic()
        z, info = chains.sample(
            kernel, count, shape, label=label, moves=self.moves, correctors=self.correctors,
            hold=self.hold, metropolis=self.metropolis, known=saved.padding(count, generator),
            draw=self.draw, generator=generator, return_info=True,
        )  # fmt: skip
        seconds = time.monotonic() - begun
        report = {
            # the floor is of the same real examples whatever the chain was asked
            **comparison.report(z, draws.keyed(self.seed, "floor")), "samples": count,
            "moves": self.moves, "correctors": self.correctors, "nfe": info.nfe,
            **({} if self.hold is None else {"hold": self.hold}),
            **({"guidance": self.guidance} if self.guidance else {}),
            **({} if info.acceptance is None else {"acceptance": info.acceptance}),
            "seconds": round(seconds, 1),
            "seed": self.seed,
        }  # fmt: skip
        for row in [("measure", "samples", "real"), *metrics.rows(report)]:
            console.print("{:52}{:>12}{:>12}".format(*row).rstrip())
        if count < self.samples:
            console.print(f"{count} were measured: as many as there are real examples beside them.")
        if Path(self.run).is_dir():  # else it is a name on the Hub
            write_json(Path(self.run) / EVAL_FILE, report)


@dataclass(frozen=True)
class Exact:
    """Compute what the chain converges to, on a space small enough to enumerate."""

    run: Place
    """A run's folder, or user/name on the Hub; the data that it was trained on are read again."""
    levels: tuple[float, ...] = (0.1, 0.3, 0.6, 0.9)
    """Levels b."""
    trust_code: bool = False
    """Import classes from outside the package that the run names."""

    def __call__(self) -> None:
        """Do it."""
        saved = runs.load_run(self.run, self.trust_code)
        kernel = saved.kernel
        if saved.shape is None or not isinstance(kernel, CorruptionKernel):
            raise ConfigError(f"run '{self.run}' is not a run over categories with run.json")
        if kernel.told_label:
            raise ConfigError(f"run '{self.run}' is told labels; allowed: runs without, since each "
                              "label has a law of its own")  # fmt: skip
        exact.num_states(kernel.corruption.num_states, saved.shape)  # refused before work starts
        examples = RunConfig.from_dict(saved.about.get("config", {})).data.load()
        if not isinstance(examples, DiscreteData):
            raise ConfigError(f"run '{self.run}' was trained on a stream, whose law is not known")
        law = exact.empirical_law(examples.states, kernel.corruption.num_categories)
        kernel = kernel.double()
        console.print("level  stationary TV  spectral gap  mixing time (steps)")
        for level in self.levels:
            P = exact.transition_matrix(kernel, saved.shape, level)
            pi = exact.stationary_distribution(P)
            target = exact.noisy_law(law, kernel.corruption, saved.shape, level)
            console.print(
                f"{level:5.2f}  {exact.total_variation(pi, target):13.4f}  "
                f"{exact.spectral_gap(P, pi):12.4f}  {exact.mixing_time(P, pi):19d}"
            )


@dataclass(frozen=True)
class Info:
    """Say what a run or a saved kernel is, and what can be done with it."""

    run: Place
    """A run's folder, one that save_pretrained wrote, or user/name on the Hub."""
    trust_code: bool = False
    """Import classes from outside the package that the run names."""

    def __call__(self) -> None:
        """Do it."""
        saved = runs.load_run(self.run, self.trust_code)
        card = ModelCard(saved.kernel, self.run, saved.about)
        for subject, values in card.facts().items():
            console.print(subject)
            for name, value in values.items():
                console.print(f"  {name}: {value}")
        if commands := card.commands():
            console.print("try")
            for line in commands:
                console.print(f"  {line}")


@dataclass(frozen=True)
class Demo:
    """Train on binarized MNIST for some minutes, then write pictures and metrics."""

    folder: Path = Path("runs/demo")
    """Where everything goes."""
    minutes: float = 8.0
    """Training budget, wall clock."""
    samples: int = 1000
    """Samples that the metrics are taken on."""
    seed: int = 0
    """Seeds weights, training and draws."""

    def __call__(self) -> None:
        """Do it."""
        from discrete_ca.demo import demo

        demo(self.folder, self.minutes, self.samples, self.seed)


@dataclass(frozen=True)
class Bench:
    """List the benchmarks, or run one, from a checkout of the project."""

    name: Annotated[
        str, tyro.conf.Positional, tyro.conf.arg(metavar="[NAME]", help_behavior_hint="")
    ] = ""
    """Which, such as text or peers.exact; without a name they are listed."""
    options: Annotated[
        tuple[str, ...],
        tyro.conf.Positional,
        tyro.conf.arg(metavar="[ITS OPTIONS]", help_behavior_hint=""),
    ] = ()
    """All that stands after the name, as for python -m benchmarks.NAME: --quick is the quick form,
    --help shows the benchmark's own."""

    def __call__(self) -> None:
        """Do it."""
        import importlib
        import os
        import sys

        sys.path.insert(0, os.getcwd())
        try:
            from benchmarks import NAMES, PARTS, about
        except ImportError:
            raise ConfigError(f"bench needs the folder benchmarks/, which is not in {os.getcwd()}; "
                              "run it in a checkout of the project") from None  # fmt: skip
        names = [*NAMES, *PARTS]
        if not self.name:
            for name in sorted(names):
                console.print(f"{name:18}{about(name)}")
        elif self.name not in names:
            raise ConfigError(unknown_name("benchmark", self.name, names))
        else:
            sys.argv = [f"discrete-ca bench {self.name}", *self.options]  # its help says so
            importlib.import_module(f"benchmarks.{self.name}").main([*self.options])
