"""The commands that run a chain: sample, variants, inpaint."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from discrete_ca import chains, files, runs
from discrete_ca.cli.terminal import Place, best_device, console
from discrete_ca.data import Tokenizer
from discrete_ca.errors import ConfigError, DataError
from discrete_ca.explore import exporting
from discrete_ca.kernels import CategoricalNoiseKernel, TransitionKernel
from discrete_ca.metrics import PitchCoding


def guided(kernel: TransitionKernel, guidance: float, told: bool, untold: str) -> TransitionKernel:
    """The kernel guided by its label, or as it is at guidance 0.

    Args:
        kernel: the kernel.
        guidance: g.
        told: whether the chain tells it a label.
        untold: what to say where it does not.

    Raises:
        ConfigError: for guidance without a label, or of a kernel that is not categorical.
    """
    if guidance == 0:
        return kernel
    if not (told and isinstance(kernel, CategoricalNoiseKernel)):
        raise ConfigError(
            f"guidance was {guidance}; allowed: 0 {untold}, and with kernels other than the "
            "categorical one"
        )
    return kernel.guided(guidance)


@dataclass(frozen=True)
class _Running:
    """What every command that runs a chain takes."""

    run: Place
    """A run's folder, one that save_pretrained wrote, or user/name on the Hub."""
    out: Path | None = None
    """Where the result goes: .npz (which alone keeps what is padding), .npy, .txt (a line an
    example), .png (a grid), .gif or, of music, .mid; out.png, out.mid or out.txt unless said. A
    file that is there is replaced."""
    seed: int = 0
    """Seeds every draw."""
    hold: float | None = None
    """h, in place of the kernel's own: nearer to 1 is slower and more faithful."""
    label: int | None = None
    """The class to draw, for kernels that are told; unless said, that of the design, where its data
    say one. -1: none."""
    guidance: float = 0.0
    """g: above 0, follow the label more than the data do, at twice the cost."""
    metropolis: bool = False
    """Refuse steps that break detailed balance, at no further network evaluation."""
    draw: bool = False
    """Read out by a draw in place of the mode, which is smoother than real numbers are."""
    shape: tuple[int, ...] = ()
    """S, where the run does not say."""
    trust_code: bool = False
    """Import classes from outside the package that the run names."""

    def open(self, *inputs: str | None) -> Opened:
        """The kernel and its data; output and inputs are checked."""
        saved = runs.load_run(self.run, self.trust_code)
        shape = self.shape or saved.shape
        if shape is None or (saved.num_categories is None and not saved.continuous):
            raise ConfigError(f"run '{self.run}' does not say the shape of its data; pass --shape")
        if any(n < 1 for n in shape):
            raise ConfigError(f"shape was {shape}; allowed: numbers >= 1")
        if saved.continuous and self.hold == 1:
            raise ConfigError("hold was 1; allowed with real-valued states: [0, 1)")
        if self.hold is not None:
            if not 0 <= self.hold <= 1:
                raise ConfigError(f"hold was {self.hold}; allowed: [0, 1]")
            if getattr(saved.kernel, "lag", None) is not None:
                raise ConfigError(
                    f"hold was {self.hold}; allowed: None, since the kernel has a lag"
                )
            saved.kernel.hold = self.hold  # type: ignore[assignment]
        coding = saved.coding()
        out = self.out or Path(_name(shape, coding))
        exporting.check(out, shape)
        for given in inputs:
            if given is not None and out.resolve() == Path(files.split_index(given)[0]).resolve():
                raise ConfigError(f"out was {out}, which is read; allowed: another file")
        settings = saved.about.get("config", {}).get("data", {})
        return Opened(saved, saved.kernel.to(best_device()), shape, out, settings, coding)

    def told(self, own: int | None) -> int | None:
        """The label that is told: the one that was said, else a design's own; None for none."""
        if self.label is not None:
            return None if self.label == -1 else self.label
        if own is not None:
            console.print(f"The design is of class {own}, which is told (--label -1: none).")
        return own

    def write(
        self, run: Opened, chain: Callable[..., Any], *given: Any, present: Tensor | None,
        own: int | None = None, **settings: Any,
    ) -> Tensor:  # fmt: skip
        """Run a chain, write what it drew and say what it cost.

        Args:
            run: what is run.
            chain: the chain.
            given: what it takes.
            present: which sites of what it draws are data, of shape S or (N, *S); None for all.
            own: the class of the design that it begins with.
            settings: what else it takes.
        """
        label = self.told(own if run.kernel.told_label else None)
        kernel = guided(run.kernel, self.guidance, label is not None, "without --label")
        begun = time.monotonic()
        z: Tensor
        z, info = chain(
            kernel, *given, **settings, label=label, metropolis=self.metropolis,
            draw=self.draw, return_info=True, generator=torch.Generator().manual_seed(self.seed),
        )  # fmt: skip
        z = z.cpu()
        exporting.export(
            run.out, z, run.num_categories, tokenizer=run.tokenizer,
            pitches=None if run.coding is None else run.coding.pitches, present=present,
        )  # fmt: skip
        console.print(
            f"{len(z)} written to {run.out}: {info.nfe} network evaluations each, "
            f"{time.monotonic() - begun:.1f} s{_taken(info)}."
        )
        return z


def _name(shape: tuple[int, ...], coding: PitchCoding | None) -> str:
    """Of the output, where none is given."""
    if coding is not None:
        return "out.mid"
    return "out.png" if files.is_image(shape) else "out.txt"


def _taken(info: chains.RunInfo) -> str:
    return "" if info.acceptance is None else f", {info.acceptance:.0%} of the steps taken"


@dataclass(frozen=True)
class Opened:
    """A run that is ready to be run: its kernel, S, the output, how data are read, pitches."""

    saved: runs.SavedRun
    kernel: Any
    shape: tuple[int, ...]
    out: Path
    settings: dict[str, Any]
    coding: PitchCoding | None

    @property
    def num_categories(self) -> int | None:
        """K; None for real numbers."""
        return self.saved.num_categories

    @property
    def tokenizer(self) -> Tokenizer | None:
        """What makes text of its states."""
        return self.saved.tokenizer

    def design(self, source: str) -> files.Design:
        """An example of the run's data, or what is read as they were.

        Raises:
            DataError: for an index that is out of range, and as `files.read_design`.
        """
        name, place = files.split_index(source)
        of_split = name in ("test", "train") and not Path(name).exists()
        own = self.saved.examples(name) if of_split else None
        if own is not None and tuple(own.shape) == self.shape:
            if place >= len(own):
                raise DataError(f"design '{source}': allowed: an index below {len(own)}")
            row, present = torch.tensor([place]), getattr(own, "present", None)
            label = files.class_of(getattr(own, "labels", None), place)
            return files.Design(own[row][0], label, None if present is None else present[row][0])
        found = files.read_design(
            source, self.shape, self.num_categories, self.settings, self.tokenizer
        )
        if of_split and own is None:
            console.print(f"{source} is a digit of MNIST's: the run's data have no '{name}' here.")
        return found


@dataclass(frozen=True)
class Sample(_Running):
    """Draw new examples: from noise, through falling levels."""

    count: int = 64
    """How many."""
    moves: int = 32
    """T, moves between levels."""
    correctors: int = 3
    """c, equal-level steps after each move. In Python 1 unless said, at half the cost: here a
    result is drawn once, as in the demo."""

    def __call__(self) -> None:
        """Do it."""
        run = self.open()
        known = run.saved.padding(self.count, torch.Generator().manual_seed(self.seed))
        self.write(
            run, chains.sample, self.count, run.shape,
            moves=self.moves, correctors=self.correctors, known=known,
            present=None if known is None else known[0],
        )  # fmt: skip


@dataclass(frozen=True)
class _OnDesign(_Running):
    """What every command that starts from a design takes."""

    design: str = "test:0"
    """test:3 or train:3 (of the run's data where they are there and have such a split, else an
    MNIST digit), FILE or FILE:3 (.npz, .npy, .txt), or a picture, which is read as the run's data
    were: bright is high."""


@dataclass(frozen=True)
class Variants(_OnDesign):
    """Draw neighbours of a design: noise it to a level, run the chain there, read out."""

    count: int = 16
    """How many."""
    level: float = 0.2
    """b: low stays near, high goes far."""
    steps: int = 20
    """Steps of the chain."""

    def __call__(self) -> None:
        """Do it."""
        run = self.open(self.design)
        z, own, present = run.design(self.design)
        found = self.write(
            run, chains.variants, z, self.count, level=self.level, steps=self.steps,
            present=present, known=None if present is None else (present, z), own=own,
        )  # fmt: skip
        if run.num_categories is None:
            away = float((found - z).double().square().mean().sqrt())
            console.print(f"They are {away:.3g} from the design at a site (root mean square).")
            return
        changed = float((found != z).double().mean())
        console.print(f"{changed:.1%} of the sites differ from the design.")


@dataclass(frozen=True)
class Inpaint(_OnDesign):
    """Draw a part of a design anew, given the rest, which stays as it is."""

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
    """c, equal-level steps after each move. In Python 1 unless said, at half the cost: here a
    result is drawn once, as in the demo."""

    def __call__(self) -> None:
        """Do it."""
        run = self.open(self.design, self.mask)
        mask = self.sites(run.shape)
        z, own, present = run.design(self.design)
        self.write(
            run, partial(chains.inpaint, present=present), z, mask, n=self.count,
            moves=self.moves, correctors=self.correctors, present=present, own=own,
        )  # fmt: skip

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
        where: Any = (..., *(slice(a, b) for a, b in spans))
        mask[where] = True
        return mask
