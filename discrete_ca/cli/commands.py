"""The commands: each a dataclass of its arguments, with `run` to do it."""

from __future__ import annotations

import dataclasses
import json
import math
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import torch
import tyro
from rich.console import Console
from torch import Tensor

from discrete_ca import chains, metrics, runs
from discrete_ca.cli import files
from discrete_ca.data import DiscreteData
from discrete_ca.data import load as load_data
from discrete_ca.diagnostics import exact
from discrete_ca.errors import ConfigError
from discrete_ca.kernels import CategoricalNoiseKernel
from discrete_ca.runs import RunConfig
from discrete_ca.training import Trainer

console = Console(highlight=False, soft_wrap=True)
Place = Annotated[Path, tyro.conf.Positional]


@dataclass(frozen=True)
class Train:
    """Train a kernel and save it as a run: model/, run.json and metrics.jsonl."""

    folder: Place
    """Where the run goes; a finished run there is never overwritten."""
    run: Annotated[RunConfig, tyro.conf.arg(name="")] = field(default_factory=RunConfig)
    """Settings; --config FILE.toml gives them from a file, and flags change them."""
    resume: bool = False
    """Go on with the run in the folder."""
    dry_run: bool = False
    """Print the resolved settings, the size of the kernel and an estimate of time, and stop."""

    def __call__(self) -> None:
        """Do it."""
        folder = self.folder
        if (folder / runs.RUN_FILE).exists():
            raise ConfigError(f"folder '{folder}' holds a finished run; allowed: a new folder")
        torch.manual_seed(self.run.train.seed)
        examples = self.run.data.load()
        kernel = runs.build_kernel(self.run, examples)
        schedule = runs.build_schedule(self.run.recipe)
        config = dataclasses.replace(self.run.train, folder=str(folder))
        trainer = Trainer(kernel, schedule, examples, config)
        count = sum(p.numel() for p in kernel.parameters())
        console.print(f"{examples}: {count:,} parameters.")
        if self.dry_run:
            _dry_run(self.run, kernel, schedule, examples)
            return
        trainer.fit(resume=self.resume)
        kernel.save_pretrained(folder / runs.MODEL)
        training = {
            "steps": trainer.step, "seconds": round(trainer.seconds, 1), "parameters": count,
            "loss": trainer.history[-1]["loss"] if trainer.history else None,
        }  # fmt: skip
        about = runs.describe(self.run, examples, training)
        text = json.dumps(about, indent=2) + "\n"
        (folder / runs.RUN_FILE).write_text(text, encoding="utf-8")
        console.print(f"{trainer.step:,} steps in {trainer.seconds:.0f} s. Saved in {folder}/.")


def _dry_run(run: RunConfig, kernel: Any, schedule: Any, examples: DiscreteData) -> None:
    """The settings, and what a step costs, from a few steps of each phase."""
    console.print_json(json.dumps(run.to_dict()))
    batch = run.train.batch_size
    z = examples[torch.arange(batch) % len(examples)]
    label = None
    if examples.labels is not None and getattr(kernel, "told_label", False):
        label = examples.labels[torch.arange(batch) % len(examples)]
    costs = []
    for phase in schedule.phases:
        for _ in range(3):  # the first ones are slower
            begun = time.perf_counter()
            phase.objective(kernel, z, label=label).mean().backward()
            kernel.zero_grad()
            seconds = time.perf_counter() - begun
        costs.append(phase.share * seconds)
    step = sum(costs)
    steps = run.train.steps
    if steps is None:
        steps = int(60 * (run.train.minutes or 0) / step)
    weights = sum(p.numel() * p.element_size() for p in kernel.parameters())
    console.print(
        f"About {1000 * step:.0f} ms a step: {steps:,} steps, {steps * step / 60:.1f} minutes. "
        f"Weights, their average, gradients and optimizer: {5 * weights / 1e6:.1f} MB."
    )


@dataclass(frozen=True)
class Chain:
    """What every command that runs a chain takes."""

    out: Path = Path("out.png")
    """Where the result goes: .npz, .npy, .txt (a line an example), .png (a grid) or .gif."""
    seed: int = 0
    """Seeds every draw."""
    hold: float | None = None
    """h, in place of the kernel's own: nearer to 1 is slower and more faithful."""
    label: int | None = None
    """The class to draw, for kernels that are told."""
    shape: tuple[int, ...] = ()
    """S, where the run does not say."""
    trust_code: bool = False
    """Import classes from outside the package that the run names."""

    def open(self, folder: Path) -> tuple[Any, tuple[int, ...], int]:
        """The kernel, S and K; the output is checked."""
        saved = runs.load_run(folder, self.trust_code)
        shape = self.shape or saved.shape
        if shape is None or saved.num_categories is None:
            raise ConfigError(f"run '{folder}' does not say the shape of its data; pass --shape")
        if self.hold is not None:
            if not 0 <= self.hold <= 1:
                raise ConfigError(f"hold was {self.hold}; allowed: [0, 1]")
            saved.kernel.hold = self.hold  # type: ignore[assignment]
        files.check_output(self.out, shape)
        return saved.kernel, shape, saved.num_categories

    def generator(self) -> torch.Generator:
        """The source of every draw."""
        return torch.Generator().manual_seed(self.seed)

    def finish(self, z: Tensor, categories: int, nfe: int, begun: float, columns: int = 8) -> None:
        """Write and say what it cost."""
        files.write(self.out, z, categories, columns)
        console.print(
            f"{len(z)} written to {self.out}: {nfe} network evaluations each, "
            f"{time.monotonic() - begun:.1f} s."
        )


Shared = Annotated[Chain, tyro.conf.arg(name="")]


@dataclass(frozen=True)
class Sample:
    """Draw new examples: from noise, through falling levels."""

    run: Place
    """A run's folder, or one that save_pretrained wrote."""
    chain: Shared = field(default_factory=Chain)
    count: int = 64
    """How many."""
    moves: int = 32
    """T, moves between levels."""
    correctors: int = 3
    """c, equal-level steps after each move."""

    def __call__(self) -> None:
        """Do it."""
        kernel, shape, categories = self.chain.open(self.run)
        label = None if self.chain.label is None else torch.full((self.count,), self.chain.label)
        begun = time.monotonic()
        z, info = chains.sample(
            kernel, self.count, shape, moves=self.moves, correctors=self.correctors, label=label,
            generator=self.chain.generator(), return_info=True,
        )  # fmt: skip
        self.chain.finish(z, categories, info.nfe, begun)


@dataclass(frozen=True)
class Variants:
    """Draw neighbours of a design: noise it to a level, run the chain there, read out."""

    run: Place
    """A run's folder."""
    chain: Shared = field(default_factory=Chain)
    design: str = "test:0"
    """test:3 (an MNIST digit), FILE or FILE:3 (.npz, .npy, .txt), or a picture."""
    count: int = 16
    """How many."""
    level: float = 0.2
    """b: low stays near, high goes far."""
    steps: int = 20
    """Steps of the chain."""

    def __call__(self) -> None:
        """Do it."""
        kernel, shape, categories = self.chain.open(self.run)
        z = files.read_design(self.design, shape, categories)
        label = None if self.chain.label is None else torch.tensor(self.chain.label)
        begun = time.monotonic()
        found, info = chains.variants(
            kernel, z, self.count, level=self.level, steps=self.steps, label=label,
            generator=self.chain.generator(), return_info=True,
        )  # fmt: skip
        changed = float((found != z).double().mean())
        self.chain.finish(found, categories, info.nfe, begun)
        console.print(f"{changed:.1%} of the sites differ from the design.")


@dataclass(frozen=True)
class Inpaint:
    """Draw a part of a design anew, given the rest, which stays as it is."""

    run: Place
    """A run's folder."""
    chain: Shared = field(default_factory=Chain)
    design: str = "test:0"
    """test:3 (an MNIST digit), FILE or FILE:3 (.npz, .npy, .txt), or a picture."""
    mask: str | None = None
    """FILE with the sites to draw: .npy or .npz (not 0), or a picture (bright)."""
    box: tuple[int, int, int, int] | None = None
    """The sites to draw, as rows from, rows to, columns from, columns to."""
    span: tuple[int, int] | None = None
    """The sites to draw of a sequence, from, to."""
    count: int = 8
    """How many."""
    moves: int = 32
    """T, moves between levels."""
    correctors: int = 3
    """c, equal-level steps after each move."""

    def __call__(self) -> None:
        """Do it."""
        kernel, shape, categories = self.chain.open(self.run)
        mask = self.sites(shape)
        z = files.read_design(self.design, shape, categories)
        label = None if self.chain.label is None else torch.tensor(self.chain.label)
        begun = time.monotonic()
        found, info = chains.inpaint(
            kernel, z, mask, n=self.count, moves=self.moves, correctors=self.correctors,
            label=label, generator=self.chain.generator(), return_info=True,
        )  # fmt: skip
        self.chain.finish(found, categories, info.nfe, begun)

    def sites(self, shape: tuple[int, ...]) -> Tensor:
        """The mask, (*S), from the one way that was given."""
        ways = {"--mask": self.mask, "--box": self.box, "--span": self.span}
        given = [name for name, value in ways.items() if value is not None]
        if len(given) != 1:
            said = " and ".join(given) or "nothing"
            raise ConfigError(f"{said} says which sites to draw; allowed: one of {', '.join(ways)}")
        if self.mask is not None:
            return files.read_mask(self.mask, shape)
        mask = torch.zeros(shape, dtype=torch.bool)
        bounds = self.box if self.box is not None else self.span
        assert bounds is not None
        sides = shape[len(shape) - len(bounds) // 2 :]
        spans = list(zip(bounds[::2], bounds[1::2], strict=True))
        if len(sides) < len(spans) or any(
            not 0 <= a < b <= n for (a, b), n in zip(spans, sides, strict=True)
        ):
            raise ConfigError(f"{given[0]} was {bounds}; allowed: from < to within {shape}")
        for axis, (a, b) in enumerate(spans, start=len(shape) - len(spans)):
            inside = torch.zeros(shape[axis], dtype=torch.bool)
            inside[a:b] = True
            lines = inside.reshape(-1, *(1,) * (len(shape) - 1 - axis)).expand(shape)
            mask = lines if axis == len(shape) - len(spans) else mask & lines
        return mask


@dataclass(frozen=True)
class Eval:
    """Measure samples of a kernel of binarized MNIST digits against the test set."""

    run: Place
    """A run's folder."""
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
        if (saved.shape, saved.num_categories) != ((28, 28), 2):
            raise ConfigError(
                f"run '{self.run}' has data of shape {saved.shape}, K = {saved.num_categories}; "
                "allowed: binarized MNIST digits, (28, 28) and K = 2"
            )
        begun = time.monotonic()
        z, info = chains.sample(
            saved.kernel, self.samples, (28, 28), moves=self.moves, correctors=self.correctors,
            generator=torch.Generator().manual_seed(self.seed), return_info=True,
        )  # fmt: skip
        seconds = time.monotonic() - begun
        judge = metrics.load_judge()
        reference = load_data("binarized_mnist", split="test").states
        found = metrics.digit_metrics(z, judge.features(reference), judge)
        report = {
            **dataclasses.asdict(found), "samples": self.samples, "nfe": info.nfe,
            "seconds": round(seconds, 1), "seed": self.seed,
        }  # fmt: skip
        console.print(f"judge's confident share (>= 0.9)    {found.confident_share:.1%}")
        console.print(f"class entropy (nats, even = {math.log(10):.3f}) {found.class_entropy:.3f}")
        console.print(f"Frechet distance to the test set    {found.frechet_distance:.2f}")
        console.print(f"network evaluations a sample        {info.nfe}")
        console.print(f"seconds for {self.samples} samples{seconds:18.0f}")
        place = self.run / "eval.json"
        place.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


@dataclass(frozen=True)
class Exact:
    """Compute what the chain converges to, on a space small enough to enumerate."""

    run: Place
    """A run's folder; the data that it was trained on are read again."""
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
        states = exact.states(kernel.corruption.num_categories, saved.shape)
        exact.num_states(kernel.corruption.num_states, saved.shape)
        examples = RunConfig.from_dict(saved.about["config"]).data.load().states
        place = kernel.corruption.num_categories ** torch.arange(states[0].numel() - 1, -1, -1)
        code = (examples.reshape(len(examples), -1) * place).sum(1)
        law = torch.bincount(code, minlength=len(states)).double() / len(examples)
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
    """A run's folder, or one that save_pretrained wrote."""
    trust_code: bool = False
    """Import classes from outside the package that the run names."""

    def __call__(self) -> None:
        """Do it."""
        saved = runs.load_run(self.run, self.trust_code)
        kernel = saved.kernel
        count = sum(p.numel() for p in kernel.parameters())
        console.print(f"{type(kernel).__name__}, {count:,} parameters")
        for name, value in kernel.current_config().items():
            shown = repr(value).splitlines()[0]
            console.print(f"  {name}: {shown.removesuffix('(')}")
        for part in ("data", "training"):
            if part in saved.about:
                facts = ", ".join(f"{k} {v}" for k, v in saved.about[part].items())
                console.print(f"{part}: {facts}")
        console.print("try:")
        for line in ("sample {}", "variants {} --level 0.3", "inpaint {} --box 14 28 0 28"):
            console.print(f"  discrete-ca {line.format(self.run)} --out out.png")


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
        import runpy
        import sys

        if importlib.util.find_spec("benchmarks") is None:
            raise ConfigError("bench needs the folder benchmarks/; run it in a checkout")
        sys.argv = ["benchmarks"] if self.full else ["benchmarks", "--quick"]
        runpy.run_module("benchmarks", run_name="__main__")
