"""A training run as plain data: what a TOML file or a command line says, checked and built.

`RunConfig` nests one frozen dataclass for each choice. Users' own classes are named as
``package.module:Name`` and made with the arguments that they declare.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import json
import os
import sys
import tomllib
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch

from discrete_ca import corruption, data, nn, serialization
from discrete_ca.data import DiscreteData
from discrete_ca.errors import CheckpointError, ConfigError, unknown_name
from discrete_ca.kernels import CategoricalNoiseKernel, TransitionKernel, load_kernel
from discrete_ca.objectives import ContrastiveAdjustment, Denoising, InverseLevel, Phase, Schedule
from discrete_ca.sealed import read_json
from discrete_ca.training import TrainConfig

MODEL, RUN_FILE, SETTINGS_FILE = "model", "run.json", "settings.json"


@dataclass(frozen=True)
class DataConfig:
    """What is trained on; see `discrete_ca.data.load`.

    Args:
        source: binarized_mnist, mnist16, a folder of images, a .npy/.npz/.pt file, a folder that
            `datasets` saved, or a name on the Hub.
        split: which split.
        num_categories: K; None for what the source says.
        binarize: make K = 2 by value >= this.
        quantize: make K equal bins of the range.
        states_key: the column or array of states.
        label_key: the column or array of labels.
    """

    source: str = "binarized_mnist"
    split: str = "train"
    num_categories: int | None = None
    binarize: float | None = None
    quantize: int | None = None
    states_key: str | None = None
    label_key: str | None = None

    def load(self) -> DiscreteData:
        """The data."""
        return data.load(**dataclasses.asdict(self))


@dataclass(frozen=True)
class NetConfig:
    """The network.

    Args:
        kind: unet (images), mlp (small spaces), auto for the one that fits, or
            package.module:Name, made with what it declares of num_categories, num_states, shape,
            num_classes.
        widths: of the UNet, channels at each resolution.
        blocks: of the UNet, residual blocks a resolution.
        head_width: of the UNet, channels at full resolution.
        patch: of the UNet, side of its patches.
        width: of the MLP, hidden units.
        labels: tell the network the label.
    """

    kind: str = "auto"
    widths: tuple[int, ...] = (64, 96)
    blocks: int = 1
    head_width: int = 16
    patch: int = 4
    width: int = 128
    labels: bool = False


@dataclass(frozen=True)
class KernelConfig:
    """The kernel and its noise.

    Args:
        kind: categorical, or package.module:Name, made with what it declares of net, corruption,
            hold, adjustment, num_categories, num_states, shape.
        corruption: uniform, absorbing, ordinal, or package.module:Name, made with num_categories.
        hold: h, in [0, 1]; nearer to 1 is slower and more faithful.
        carry_over: take sites that absorbing noise left alone as known.
        head: add an adjustment head, which the default recipe trains.
    """

    kind: str = "categorical"
    corruption: str = "uniform"
    hold: float = 0.8
    carry_over: bool = True
    head: bool = True


@dataclass(frozen=True)
class RecipeConfig:
    """What is descended.

    Args:
        kind: default (denoise, then the head), denoising, adjustment (contrastive), half (both in
            turn, all weights).
        adjust: share of the budget for the head, in `default`.
        denoising_weight: λ, in `adjustment` and `half`.
    """

    kind: str = "default"
    adjust: float = 0.3
    denoising_weight: float = 0.01


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
    train: TrainConfig = field(default_factory=lambda: TrainConfig(minutes=8.0))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RunConfig:
        """From nested plain values.

        Raises:
            ConfigError: for unknown keys, with the nearest name, and values of the wrong type.
        """
        return _from_dict(cls, values, "")

    @classmethod
    def from_toml(cls, path: str | Path) -> RunConfig:
        """From a TOML file.

        Raises:
            ConfigError: for a file that cannot be read, unknown keys or wrong values.
        """
        try:
            values = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ConfigError(f"config '{path}' cannot be read: {error}") from error
        return cls.from_dict(values)

    def to_dict(self) -> dict[str, Any]:
        """Nested plain values, as `from_dict` takes them."""
        found: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(self)))
        return found


Config = TypeVar("Config")


def _from_dict(cls: type[Config], values: Mapping[str, Any], where: str) -> Config:
    hints = typing.get_type_hints(cls)
    made: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{where}{key}"
        if key not in hints:
            raise ConfigError(unknown_name("key", name, [f"{where}{known}" for known in hints]))
        if dataclasses.is_dataclass(hints[key]):
            if not isinstance(value, Mapping):
                raise ConfigError(f"{name} was {value!r:.60}; allowed: a table of settings")
            made[key] = _from_dict(hints[key], value, f"{name}.")  # type: ignore[arg-type]
        else:
            made[key] = _checked(value, hints[key], name)
    if cls is TrainConfig and not {"steps", "minutes"} & {*made}:
        made["minutes"] = 8.0
    return cls(**made)


def _checked(value: Any, hint: Any, name: str) -> Any:
    """The value where it is of the type, else a ConfigError that names it."""
    origin, options = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple:
        item = options[0]
        if isinstance(value, list | tuple):
            return tuple(_checked(v, item, f"{name}[{i}]") for i, v in enumerate(value))
    elif origin in (typing.Union, types.UnionType):
        for option in options:
            try:
                return _checked(value, option, name)
            except ConfigError:
                continue
    elif hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    elif isinstance(value, hint) and not (isinstance(value, bool) and hint is not bool):
        return value
    kind = getattr(hint, "__name__", str(hint)) if origin is None else str(hint)
    raise ConfigError(f"{name} was {value!r:.60}; allowed: {kind}")


# -- building --------------------------------------------------------------------------------------

_CORRUPTIONS = {
    "uniform": corruption.Uniform,
    "absorbing": corruption.Absorbing,
    "ordinal": corruption.Ordinal,
}


def user_class(name: str, what: str, known: Mapping[str, Any]) -> Any:
    """The class named as ``package.module:Name``; naming it is trusting it.

    Raises:
        ConfigError: for a name that is neither known nor importable.
    """
    module, colon, attribute = name.partition(":")
    if not colon:
        raise ConfigError(unknown_name(what, name, [*known, "package.module:Name"]))
    if os.getcwd() not in sys.path:  # as `python -m` does
        sys.path.insert(0, os.getcwd())
    try:
        found: Any = importlib.import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
    except Exception as error:  # whatever a user's module does
        raise ConfigError(f"{what} '{name}' cannot be imported: {error!r}") from error
    return found


def _make(cls: Any, what: str, available: Mapping[str, Any]) -> Any:
    """Call `cls` with those of the arguments that it declares."""
    try:
        declared = inspect.signature(cls).parameters
        return cls(**{k: v for k, v in available.items() if k in declared})
    except (TypeError, ValueError) as error:
        names = ", ".join(available)
        raise ConfigError(f"{what} {cls.__name__}: {error}; it is given {names}") from error


def build_kernel(config: RunConfig, examples: DiscreteData) -> TransitionKernel:
    """The kernel of a run, untrained.

    Raises:
        ConfigError: for names that are unknown and networks that do not fit the data.
    """
    shape, k = tuple(examples.shape), examples.num_categories
    noise_class = _CORRUPTIONS.get(config.kernel.corruption) or user_class(
        config.kernel.corruption, "corruption", _CORRUPTIONS
    )
    noise = _make(noise_class, "corruption", {"num_categories": k})
    if not isinstance(noise, corruption.Corruption):
        raise ConfigError(f"corruption was {config.kernel.corruption}; allowed: a Corruption")
    classes = None
    if config.net.labels:
        if examples.labels is None:
            raise ConfigError("net.labels was true, but the data have no labels; allowed: false")
        classes = int(examples.labels.max()) + 1
    net = _net(config.net, k, noise.num_states, shape, classes)
    if not isinstance(net, torch.nn.Module):
        raise ConfigError(f"net was {config.net.kind}; allowed: a torch.nn.Module")
    head: torch.nn.Module | None = None
    if config.kernel.head:
        images = _looks_like_images(shape)
        head = nn.AdjustmentHead(k, dims=2) if images else nn.AdjustmentMLP(k, shape)
    available = {
        "net": net, "corruption": noise, "hold": config.kernel.hold,
        "carry_over": config.kernel.carry_over, "adjustment": head,
        "num_categories": k, "num_states": noise.num_states, "shape": shape,
    }  # fmt: skip
    if config.kernel.kind == "categorical":
        kernel_class: Any = CategoricalNoiseKernel
    else:
        kernel_class = user_class(config.kernel.kind, "kernel", {"categorical": 0})
    kernel = _make(kernel_class, "kernel", available)
    if not isinstance(kernel, TransitionKernel):
        raise ConfigError(f"kernel was {config.kernel.kind}; allowed: a TransitionKernel")
    _check_can_be_loaded(kernel)
    return kernel


def _check_can_be_loaded(kernel: TransitionKernel) -> None:
    """Refuse, before it is trained, what could be saved and never loaded."""

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            if "class" in node and node.get("args") is None:
                raise ConfigError(
                    f"{node['class']} does not record its arguments, so that it could be saved "
                    "and never loaded; let it inherit discrete_ca.serialization.Configured"
                )
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    try:
        walk(serialization.describe(kernel, {}, "kernel"))
    except CheckpointError as error:
        raise ConfigError(str(error)) from error


def _looks_like_images(shape: tuple[int, ...]) -> bool:
    return (len(shape) == 2 or (len(shape) == 3 and shape[0] <= 4)) and min(shape[-2:]) >= 8


def _net(
    config: NetConfig, k: int, states: int, shape: tuple[int, ...], classes: int | None
) -> torch.nn.Module:
    for name in ("patch", "blocks", "head_width", "width"):
        if getattr(config, name) < 1:
            raise ConfigError(f"net.{name} was {getattr(config, name)}; allowed: >= 1")
    kind = config.kind
    if kind == "auto":
        kind = "unet" if _looks_like_images(shape) else "mlp"
    if kind == "unet":
        fits = len(shape) == 2 or (len(shape) == 3 and shape[0] <= 4)
        if not fits or any(n % config.patch for n in shape[-2:]):
            raise ConfigError(
                f"net.kind was {config.kind}, but the data have shape {shape}; allowed for a UNet: "
                "(H, W) or (C, H, W) with sides that are multiples of "
                f"net.patch = {config.patch}; set net.patch, or net.kind to mlp"
            )
        return nn.UNet(
            k, states, channels=shape[0] if len(shape) == 3 else None, patch=config.patch,
            widths=config.widths, blocks=config.blocks, head_width=config.head_width,
            num_classes=classes, known=True,
        )  # fmt: skip
    if kind == "mlp":
        return nn.MLP(k, states, shape, config.width, num_classes=classes, known=True)
    available = {"num_categories": k, "num_states": states, "shape": shape, "num_classes": classes}
    found: torch.nn.Module = _make(
        user_class(kind, "net", {"unet": 0, "mlp": 0, "auto": 0}), "net", available
    )
    return found


def build_schedule(config: RecipeConfig) -> Schedule:
    """The schedule of a run.

    Raises:
        ConfigError: for an unknown recipe.
    """
    adjustment = ContrastiveAdjustment(denoising_weight=config.denoising_weight)
    denoising = Denoising(level_weight=InverseLevel(0.1))
    recipes = {
        "default": lambda: Schedule.default(config.adjust),
        "denoising": lambda: Schedule.of(denoising),
        "adjustment": lambda: Schedule.of(adjustment),
        "half": lambda: Schedule((Phase(denoising, 0.5), Phase(adjustment, 0.5))),
    }
    if config.kind not in recipes:
        raise ConfigError(unknown_name("recipe", config.kind, recipes))
    return recipes[config.kind]()


# -- the folder of a run ---------------------------------------------------------------------------

_MAY_CHANGE = {"steps", "minutes", "progress", "folder", "save_minutes"}


def remembered(folder: Path) -> RunConfig | None:
    """The settings that the run in a folder was started with; None where there is none.

    Raises:
        CheckpointError: for a file that cannot be read.
        ConfigError: for settings that are not allowed.
    """
    place = folder / SETTINGS_FILE
    return RunConfig.from_dict(read_json(place)) if place.exists() else None


def remember(folder: Path, config: RunConfig) -> None:
    """Write down what a run is started with; one that goes on must have the same.

    Raises:
        ConfigError: for a setting, other than the budget, that differs.
    """
    before = remembered(folder)
    if before is None:
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(config.to_dict(), indent=2) + "\n"
        (folder / SETTINGS_FILE).write_text(text, encoding="utf-8")
        return
    old, new = before.to_dict(), config.to_dict()
    for part, values in new.items():
        for name, value in values.items():
            if value != old[part][name] and not (part == "train" and name in _MAY_CHANGE):
                raise ConfigError(
                    f"{part}.{name} was {value!r}, but the run in '{folder}' was started with "
                    f"{old[part][name]!r}; allowed: the same"
                )


@dataclass(frozen=True)
class SavedRun:
    """A trained kernel with what its folder says of it.

    Args:
        kernel: the kernel.
        shape: S of its data; None where the folder does not say.
        num_categories: K; None likewise.
        about: what run.json holds, {} where there is none.
    """

    kernel: TransitionKernel
    shape: tuple[int, ...] | None
    num_categories: int | None
    about: dict[str, Any]


def describe(config: RunConfig, examples: DiscreteData, training: dict[str, Any]) -> dict[str, Any]:
    """What run.json holds: the config, the data's shape and what training cost."""
    return {
        "config": config.to_dict(),
        "data": {
            "name": examples.name, "count": len(examples), "shape": list(examples.shape),
            "num_categories": examples.num_categories,
        },
        "training": training,
    }  # fmt: skip


def load_run(path: str | Path, trust_code: bool = False) -> SavedRun:
    """The kernel in a run's folder, or in a folder that `save_pretrained` wrote.

    Raises:
        CheckpointError: for a folder without a kernel, or one that cannot be loaded.
    """
    folder = Path(path)
    place = folder / MODEL if (folder / MODEL).is_dir() else folder
    if not place.is_dir():
        raise CheckpointError(f"run '{folder}' is not a folder; allowed: a run or a saved kernel")
    kernel = load_kernel(place, trust_code)
    about = read_json(folder / RUN_FILE) if (folder / RUN_FILE).exists() else {}
    facts = about.get("data", {})
    try:
        shape = tuple(int(n) for n in facts["shape"]) if "shape" in facts else None
        categories = facts.get("num_categories")
        if categories is None and isinstance(kernel, CategoricalNoiseKernel):
            categories = kernel.corruption.num_categories
        return SavedRun(kernel, shape, None if categories is None else int(categories), about)
    except (TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(
            f"'{folder / RUN_FILE}' has data that cannot be read: {error}"
        ) from error
