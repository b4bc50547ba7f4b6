"""The commands: each a dataclass of its arguments, with `run` to do it."""

from __future__ import annotations

import dataclasses
import json
import math
import time
from collections.abc import Sequence
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
from discrete_ca.data.loading import NAMES
from discrete_ca.diagnostics import exact
from discrete_ca.errors import ConfigError
from discrete_ca.kernels import CategoricalNoiseKernel
from discrete_ca.runs import RunConfig
from discrete_ca.training import Trainer
from discrete_ca.training.batches import Batches

console = Console(highlight=False, soft_wrap=True, markup=False)
Place = Annotated[Path, tyro.conf.Positional]


@dataclass(frozen=True)
class Train:
    """Train a kernel and save it as a run: model/, run.json and metrics.jsonl.

    Settings come from --config FILE.toml (tables data, net, kernel, recipe, train) and from flags.
    Short names: --data, --net, --kernel, --corruption, --recipe, --train.lr. With --resume the
    settings are those that the run was started with. --debug shows tracebacks.
    """

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
        folder, run = self.folder, _with_whole_paths(self.run)
        if any((folder / name).exists() for name in (runs.RUN_FILE, runs.MODEL, "config.json")):
            raise ConfigError(f"folder '{folder}' holds a finished run; allowed: a new folder")
        run = dataclasses.replace(run, train=dataclasses.replace(run.train, folder=str(folder)))
        torch.manual_seed(run.train.seed)
        examples = run.data.load()
        kernel = runs.build_kernel(run, examples)
        schedule = runs.build_schedule(run.recipe)
        trainer = Trainer(kernel, schedule, examples, run.train)
        count = sum(p.numel() for p in kernel.parameters())
        console.print(f"{examples}: {count:,} parameters.")
        if self.dry_run:
            _dry_run(run, trainer, examples)
            return
        if self.resume or not trainer.has_state():
            runs.remember(folder, run)
        trainer.fit(resume=self.resume)
        kernel.save_pretrained(folder / runs.MODEL)
        training = {
            "steps": trainer.step, "seconds": round(trainer.seconds, 1), "parameters": count,
        }  # fmt: skip
        about = runs.describe(run, examples, training)
        text = json.dumps(about, indent=2) + "\n"
        (folder / runs.RUN_FILE).write_text(text, encoding="utf-8")
        console.print(f"{trainer.step:,} steps in {trainer.seconds:.0f} s. Saved in {folder}/.")


def _with_whole_paths(run: RunConfig) -> RunConfig:
    """A source that is a path, from the root: the run is read from other folders too."""
    source = Path(run.data.source).expanduser()
    if run.data.source in NAMES or not source.exists():
        return run
    data = dataclasses.replace(run.data, source=str(source.resolve()))
    return dataclasses.replace(run, data=data)


def _dry_run(run: RunConfig, trainer: Trainer, examples: DiscreteData) -> None:
    """The settings, and what a step costs, from a few steps of each phase."""
    console.print_json(json.dumps(run.to_dict()))
    batches = Batches(examples, run.train.batch_size, run.train.seed)
    seconds = []
    for phase in trainer.schedule.phases:
        trainer.start_part(phase)
        for step in range(3):  # the first ones are slower
            begun = time.perf_counter()
            trainer.gradient(phase.objective, *batches(step), step)
            took = time.perf_counter() - begun
        seconds.append((phase.share, took))
    if run.train.steps is not None:
        steps, minutes = run.train.steps, run.train.steps * sum(s * t for s, t in seconds) / 60
    else:
        minutes = run.train.minutes or 0.0
        steps = int(60 * minutes * sum(s / t for s, t in seconds))
    weights = sum(p.numel() * p.element_size() for p in trainer.kernel.parameters())
    console.print(
        f"About {60_000 * minutes / max(steps, 1):.0f} ms a step: {steps:,} steps, "
        f"{minutes:.1f} minutes. "
        f"Weights, their average, gradients and optimizer: {5 * weights / 1e6:.1f} MB."
    )


@dataclass(frozen=True)
class Chain:
    """What every command that runs a chain takes."""

    out: Path | None = None
    """Where the result goes: .npz, .npy, .txt (a line an example), .png (a grid) or .gif; out.png
    or out.txt unless said."""
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

    def open(self, folder: Path, inputs: Sequence[str | None] = ()) -> Opened:
        """The kernel and its data; output and inputs are checked."""
        saved = runs.load_run(folder, self.trust_code)
        shape = self.shape or saved.shape
        if shape is None or saved.num_categories is None:
            raise ConfigError(f"run '{folder}' does not say the shape of its data; pass --shape")
        if any(n < 1 for n in shape):
            raise ConfigError(f"shape was {shape}; allowed: numbers >= 1")
        if self.hold is not None:
            if not 0 <= self.hold <= 1:
                raise ConfigError(f"hold was {self.hold}; allowed: [0, 1]")
            if getattr(saved.kernel, "lag", None) is not None:
                raise ConfigError(
                    f"hold was {self.hold}; allowed: None, since the kernel has a lag"
                )
            saved.kernel.hold = self.hold  # type: ignore[assignment]
        out = self.out or Path("out.png" if files.is_image(shape) else "out.txt")
        files.check_output(out, shape)
        for given in inputs:
            if given is not None and out.resolve() == Path(files.split_index(given)[0]).resolve():
                raise ConfigError(f"out was {out}, which is read; allowed: another file")
        settings = saved.about.get("config", {}).get("data", {})
        return Opened(saved.kernel, shape, saved.num_categories, out, settings)

    def generator(self) -> torch.Generator:
        """The source of every draw."""
        return torch.Generator().manual_seed(self.seed)


@dataclass(frozen=True)
class Opened:
    """A run that is ready to be run: the kernel, S, K, the output, the data's settings."""

    kernel: Any
    shape: tuple[int, ...]
    num_categories: int
    out: Path
    settings: dict[str, Any]

    def design(self, source: str) -> Tensor:
        """A design, read as the run's data were."""
        return files.read_design(source, self.shape, self.num_categories, self.settings)

    def finish(self, z: Tensor, nfe: int, begun: float) -> None:
        """Write and say what it cost."""
        files.write(self.out, z, self.num_categories)
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
        run = self.chain.open(self.run)
        begun = time.monotonic()
        z, info = chains.sample(
            run.kernel, self.count, run.shape, moves=self.moves, correctors=self.correctors,
            label=self.chain.label, generator=self.chain.generator(), return_info=True,
        )  # fmt: skip
        run.finish(z, info.nfe, begun)


@dataclass(frozen=True)
class Variants:
    """Draw neighbours of a design: noise it to a level, run the chain there, read out."""

    run: Place
    """A run's folder."""
    chain: Shared = field(default_factory=Chain)
    design: str = "test:0"
    """test:3 (an MNIST digit), FILE or FILE:3 (.npz, .npy, .txt), or a picture, which is read as
    the run's data were: bright is high."""
    count: int = 16
    """How many."""
    level: float = 0.2
    """b: low stays near, high goes far."""
    steps: int = 20
    """Steps of the chain."""

    def __call__(self) -> None:
        """Do it."""
        run = self.chain.open(self.run, [self.design])
        z = run.design(self.design)
        begun = time.monotonic()
        found, info = chains.variants(
            run.kernel, z, self.count, level=self.level, steps=self.steps, label=self.chain.label,
            generator=self.chain.generator(), return_info=True,
        )  # fmt: skip
        changed = float((found != z).double().mean())
        run.finish(found, info.nfe, begun)
        console.print(f"{changed:.1%} of the sites differ from the design.")


@dataclass(frozen=True)
class Inpaint:
    """Draw a part of a design anew, given the rest, which stays as it is."""

    run: Place
    """A run's folder."""
    chain: Shared = field(default_factory=Chain)
    design: str = "test:0"
    """test:3 (an MNIST digit), FILE or FILE:3 (.npz, .npy, .txt), or a picture, which is read as
    the run's data were: bright is high."""
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
        run = self.chain.open(self.run, [self.design, self.mask])
        mask = self.sites(run.shape)
        z = run.design(self.design)
        begun = time.monotonic()
        found, info = chains.inpaint(
            run.kernel, z, mask, n=self.count, moves=self.moves, correctors=self.correctors,
            label=self.chain.label, generator=self.chain.generator(), return_info=True,
        )  # fmt: skip
        run.finish(found, info.nfe, begun)

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
        if kernel.told_label:
            raise ConfigError(f"run '{self.run}' is told labels; allowed: runs without, since each "
                              "label has a law of its own")  # fmt: skip
        states = exact.states(kernel.corruption.num_categories, saved.shape)
        exact.num_states(kernel.corruption.num_states, saved.shape)
        examples = RunConfig.from_dict(saved.about.get("config", {})).data.load().states
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
        shape = saved.shape
        lines = ["sample {} --count 64"]
        if shape is not None and files.is_image(shape):
            height, width = shape[-2:]
            lines += [
                "variants {} --design test:0 --level 0.3",
                f"inpaint {{}} --design test:0 --box {height // 2} {height} 0 {width}",
            ]
        elif shape is not None:
            lines += [
                "variants {} --design FILE:0 --level 0.3",
                f"inpaint {{}} --design FILE:0 --span 0 {max(shape[-1] // 2, 1)}",
            ]
        console.print("try:")
        for line in lines:
            console.print(f"  discrete-ca {line.format(self.run)}")


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
