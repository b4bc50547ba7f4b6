"""A training run as plain data: what a TOML file or a command line says, checked.

`RunConfig` nests one frozen dataclass for each choice.
"""

from __future__ import annotations

import dataclasses
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from discrete_ca import hub
from discrete_ca.data.loading import NAMES
from discrete_ca.errors import ConfigError
from discrete_ca.runs.plain import from_plain
from discrete_ca.runs.recipes import config_file
from discrete_ca.runs.source import DataConfig
from discrete_ca.training import TrainConfig

_MINUTES = 8.0  # the budget where none is given
_TOKENIZERS = ("characters", "bytes")
_HOLD = 0.8  # likewise, of kernels whose steps are factorised


@dataclass(frozen=True)
class NetConfig:
    """The network.

    Args:
        kind: unet (images), transformer or conv (sequences, of shape (T,) or (C, T)), mlp (small
            spaces), auto for the one that fits, or package.module:Name, made with what it declares
            of num_categories, num_states, shape, num_classes. The autoregressive kernel takes a
            transformer that writes any shape site by site, which is its auto.
        widths: of the UNet, channels at each resolution.
        blocks: of the UNet, residual blocks a resolution.
        head_width: of the UNet, channels at full resolution.
        patch: of the UNet, side of its patches.
        width: of the others, units a layer, or channels a time step.
        depth: of transformer, conv and MLP, blocks or layers; None for 4, 8 and 2.
        heads: of the transformer, attention heads.
        period: of transformer and conv, steps after which time repeats, such as those of a bar of
            music; the network is told the place in it. None for time that is all alike.
        stack: of transformer and conv, time steps that are one position, such as those of a beat:
            n of them cost an n-th.
        tied: of transformer and conv, one matrix for embedding and output: for many categories.
        labels: tell the network the label, -1 for none (see `recipe.unlabelled`).
        components: M discretised logistic laws give the logits, for ordered categories: 3M numbers
            a site in place of K; 0 for free logits.
    """

    kind: str = "auto"
    widths: tuple[int, ...] = (64, 96)
    blocks: int = 1
    head_width: int = 16
    patch: int = 4
    width: int = 128
    depth: int | None = None
    heads: int = 4
    period: int | None = None
    stack: int = 1
    tied: bool = False
    labels: bool = False
    components: int = 0


@dataclass(frozen=True)
class KernelConfig:
    """The kernel and its noise.

    Args:
        kind: categorical, gaussian (real-valued states), autoregressive (sites drawn one after
            another inside a step), or package.module:Name, made with what it declares of net,
            corruption, noise, hold, adjustment, num_categories, num_states, shape.
        corruption: uniform, absorbing, ordinal, tokens (to a mask or, by the frequencies of the
            data, to another token), or package.module:Name, made with what it declares of
            num_categories and data.
        scale: of ordinal noise, how wide it is at middle levels, as a share of K; None for its own.
            Two tones as far apart as black and white are told apart up to high levels where it is
            small.
        noise: of real-valued states, linear (the paper's) or preserving (the variance).
        hold: h, in [0, 1]; nearer to 1 is slower and more faithful. None for 0.8, and for 0 of
            the autoregressive kernel, which needs no hold to be faithful.
        carry_over: take sites that absorbing noise left alone as known.
        add_evidence: add what a site's own state says of it to the network's outputs, which need
            then not learn it; it costs a tensor of logits. None for: under uniform noise over at
            most 256 categories, which is learned sooner so. Under ordinal noise over many
            categories a state is sure of itself, and what went wrong at a higher level is never
            repaired.
    """

    kind: str = "categorical"
    corruption: str = "uniform"
    scale: float | None = None
    noise: str = "linear"
    hold: float | None = None
    carry_over: bool = True
    add_evidence: bool | None = None


@dataclass(frozen=True)
class RecipeConfig:
    """What is descended.

    Args:
        kind: denoising; head (denoise, then an adjustment head by contrastive adjustment); half
            (both in turn, all weights); adjustment (contrastive, all weights); renoising (of the
            autoregressive kernel). Of equal cost the first measured best.
        adjust: share of the budget for adjusting: the head in `head`, all weights in `half`; None
            for 0.3 and 0.5.
        denoising_weight: λ, in `adjustment` and `half`.
        offset: weights over levels, of denoising and renoising, are as 1 / (b + offset); 10 for
            nearly even ones, which suit real numbers. `head` has 0.1.
        holds: lowest and highest hold to train for; the head (in `head`) or the network is told
            the hold, and one run then serves all of them. None for the kernel's own alone.
        unlabelled: share of the examples whose label is hidden from a network that is told it, so
            that it can also be run without a label, and guided.
    """

    kind: str = "denoising"
    adjust: float | None = None
    denoising_weight: float = 0.01
    offset: float = 0.1
    holds: tuple[float, float] | None = None
    unlabelled: float = 0.1


@dataclass(frozen=True)
class RunConfig:
    """A training run.

    Args:
        data: what is trained on.
        net: the network.
        kernel: the kernel and its noise.
        recipe: what is descended.
        train: the budget and the optimizer.

    Example:
        >>> run = RunConfig.from_dict({"kernel": {"hold": 0.5}, "train": {"steps": 10}})
        >>> run.kernel.hold, run.train.steps, run.data.source
        (0.5, 10, 'binarized_mnist')
    """

    data: DataConfig = field(default_factory=DataConfig)
    net: NetConfig = field(default_factory=NetConfig)
    kernel: KernelConfig = field(default_factory=KernelConfig)
    recipe: RecipeConfig = field(default_factory=RecipeConfig)
    train: TrainConfig = field(default_factory=lambda: TrainConfig(minutes=_MINUTES))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RunConfig:
        """From nested plain values.

        Raises:
            ConfigError: for unknown keys, with the nearest name, and values of the wrong type.
        """
        train = values.get("train", {})
        if isinstance(train, Mapping) and not {"steps", "minutes"} & {*train}:
            values = {**values, "train": {**train, "minutes": _MINUTES}}
        return from_plain(cls, values)

    @classmethod
    def from_toml(cls, path: str | Path) -> RunConfig:
        """From a TOML file, or the recipe of that name.

        Args:
            path: the file, or the bare name of a recipe; see `discrete_ca.runs.recipes`. A path in
                `data.source` or `data.tokenizer` starts at the file's folder.

        Raises:
            ConfigError: for an unknown recipe, a file that cannot be read, unknown keys or wrong
                values.

        Example:
            >>> RunConfig.from_toml("mnist16").data.source
            'mnist16'
        """
        file = config_file(path)
        try:
            values = tomllib.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ConfigError(f"config '{path}' cannot be read: {error}") from error
        run = cls.from_dict(values)
        paths: dict[str, Any] = {"source": _from_folder(run.data.source, file.parent, "source")}
        if run.data.tokenizer not in (None, *_TOKENIZERS):
            paths["tokenizer"] = _from_folder(str(run.data.tokenizer), file.parent, "tokenizer")
        return dataclasses.replace(run, data=dataclasses.replace(run.data, **paths))

    def resolved(self) -> RunConfig:
        """With what was left open decided: the hold, and whether the data are real-valued.

        Example:
            >>> run = RunConfig(kernel=KernelConfig(kind="gaussian")).resolved()
            >>> run.data.continuous, run.kernel.hold
            (True, 0.8)
        """
        data, kernel = self.data, self.kernel
        if data.continuous is None:
            data = dataclasses.replace(data, continuous=kernel.kind == "gaussian")
        if kernel.hold is None:
            own = 0.0 if kernel.kind == "autoregressive" else _HOLD
            kernel = dataclasses.replace(kernel, hold=own)
        return dataclasses.replace(self, data=data, kernel=kernel)

    def to_dict(self) -> dict[str, Any]:
        """Nested plain values, as `from_dict` takes them."""
        found: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(self)))
        return found


def _from_folder(source: str, folder: Path, what: str) -> str:
    """A source that a file in `folder` names: a path from there, or a name as it is."""
    path = Path(source).expanduser()
    if source in ("", *NAMES) or path.is_absolute():
        return source
    beside = folder / path
    if beside.exists() or (path.suffix and not hub.is_name(source)):
        return str(beside.resolve())
    if path.exists():
        raise ConfigError(
            f"data.{what} was '{source}', and there is no {beside}; allowed in a file: a path from "
            "the file's folder, or a name"
        )
    return source
