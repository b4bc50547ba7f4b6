"""The commands that measure and tell: eval, exact, info; and demo and bench."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from discrete_ca import chains, metrics, runs
from discrete_ca.card import ModelCard
from discrete_ca.cli.terminal import Place, console
from discrete_ca.data import load as load_data
from discrete_ca.diagnostics import exact
from discrete_ca.errors import ConfigError
from discrete_ca.hub import EVAL_FILE
from discrete_ca.kernels import CategoricalNoiseKernel
from discrete_ca.runs import RunConfig
from discrete_ca.sealed import write_json


@dataclass(frozen=True)
class Eval:
    """Measure samples of a kernel of MNIST digits, made black and white, against the test set."""

    run: Place
    """A run's folder, which eval.json is written to, or user/name on the Hub."""
    samples: int = 1000
    """How many samples the measures are taken on."""
    moves: int = 32
    """T, moves between levels."""
    correctors: int = 3
    """c, equal-level steps after each move."""
    seed: int = 0
    """Seeds every draw."""
    trust_code: bool = False
    """Import classes from outside the package that the run names."""

    def __call__(self) -> None:
        """Do it."""
        saved = runs.load_run(self.run, self.trust_code)
        if saved.shape != (28, 28) or (saved.num_categories is None and not saved.continuous):
            raise ConfigError(
                f"run '{self.run}' has data of shape {saved.shape}, K = {saved.num_categories}; "
                "allowed: MNIST digits, (28, 28) with any number of grey levels"
            )
        begun = time.monotonic()
        z, info = chains.sample(
            saved.kernel, self.samples, (28, 28), moves=self.moves, correctors=self.correctors,
            generator=torch.Generator().manual_seed(self.seed), return_info=True,
        )  # fmt: skip
        seconds = time.monotonic() - begun
        middle = 0.0 if saved.num_categories is None else saved.num_categories / 2
        z = (z >= middle).long()  # black and white, which the judge knows
        judge = metrics.load_judge()
        reference = load_data("binarized_mnist", split="test").states
        found = metrics.digit_metrics(z, judge.features(reference), judge)
        report = {
            **dataclasses.asdict(found), "samples": self.samples, "moves": self.moves,
            "correctors": self.correctors, "nfe": info.nfe, "seconds": round(seconds, 1),
            "seed": self.seed,
        }  # fmt: skip
        for what, value, _ in metrics.rows(report):
            console.print(f"{what:52}{value:>8}")
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
        if saved.shape is None or not isinstance(kernel, CategoricalNoiseKernel):
            raise ConfigError(f"run '{self.run}' is not a run over categories with run.json")
        if kernel.told_label:
            raise ConfigError(f"run '{self.run}' is told labels; allowed: runs without, since each "
                              "label has a law of its own")  # fmt: skip
        exact.num_states(kernel.corruption.num_states, saved.shape)  # refused before work starts
        examples = RunConfig.from_dict(saved.about.get("config", {})).data.load().states
        law = exact.empirical_law(examples, kernel.corruption.num_categories)
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
    """Run the benchmarks, from a checkout of the project."""

    full: bool = False
    """The whole, for hours; else the quick form."""

    def __call__(self) -> None:
        """Do it."""
        import importlib.util
        import os
        import runpy
        import sys

        sys.path.insert(0, os.getcwd())
        if importlib.util.find_spec("benchmarks") is None:
            raise ConfigError("bench needs the folder benchmarks/; run it in a checkout")
        sys.argv = ["benchmarks"] if self.full else ["benchmarks", "--quick"]
        runpy.run_module("benchmarks", run_name="__main__")
