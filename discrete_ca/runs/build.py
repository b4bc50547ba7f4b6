"""From a run's config to its kernel and schedule.

Users' own classes are named as ``package.module:Name`` and made with the arguments that they
declare.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch

from discrete_ca import corruption, nn, serialization
from discrete_ca.data import ContinuousData, DiscreteData, Examples, StreamedData
from discrete_ca.errors import CheckpointError, ConfigError, unknown_name
from discrete_ca.kernels import (
    AutoregressiveKernel,
    CategoricalNoiseKernel,
    GaussianNoiseKernel,
    LinearNoise,
    TransitionKernel,
    VariancePreserving,
)
from discrete_ca.objectives import ContrastiveAdjustment, Denoising, InverseLevel, Phase, Schedule
from discrete_ca.renoising import Renoising
from discrete_ca.runs.config import KernelConfig, NetConfig, RecipeConfig, RunConfig

_CORRUPTIONS = {
    "uniform": corruption.Uniform,
    "absorbing": corruption.Absorbing,
    "ordinal": corruption.Ordinal,
    "tokens": corruption.TokenNoise.from_data,
}
_NOISES = {"linear": LinearNoise, "preserving": VariancePreserving}


class Kind(NamedTuple):
    """A kind of kernel that comes with the package."""

    made: type[TransitionKernel]
    """The class."""
    continuous: bool
    """Whether its states are real numbers."""
    recipes: tuple[str, ...]
    """What it may be trained by."""


KERNELS = {
    "categorical": Kind(CategoricalNoiseKernel, False, ("denoising", "head", "half", "adjustment")),
    "gaussian": Kind(GaussianNoiseKernel, True, ("denoising", "half", "adjustment")),
    "autoregressive": Kind(AutoregressiveKernel, False, ("renoising",)),
}
"""The kinds of kernels, by name."""

_LEAST_VARIANCE = 0.03  # of real numbers' read-outs, see `nn.Preconditioned`
_MOST_OF_A_HEAD = 1024  # its features are 4 K + 5 a site
_MOST_OF_EVIDENCE = 256  # unless asked for: it is a tensor of logits


def user_class(name: str, what: str, known: Mapping[str, Any]) -> Any:
    """The class named as ``package.module:Name``; naming it is trusting it.

    Raises:
        ConfigError: for a name that is neither known nor importable.
    """
    if ":" not in name:
        raise ConfigError(unknown_name(what, name, [*known, "package.module:Name"]))
    try:
        return serialization.imported(name)
    except Exception as error:  # whatever a user's module does
        raise ConfigError(f"{what} '{name}' cannot be imported: {error!r}") from error


def _make(cls: Any, what: str, available: Mapping[str, Any]) -> Any:
    """Call `cls` with those of the arguments that it declares."""
    try:
        declared = inspect.signature(cls).parameters
        return cls(**{k: v for k, v in available.items() if k in declared})
    except (TypeError, ValueError) as error:
        names = ", ".join(available)
        raise ConfigError(f"{what} {cls.__name__}: {error}; it is given {names}") from error


def build_kernel(config: RunConfig, examples: Examples) -> TransitionKernel:
    """The kernel of a run, untrained.

    Raises:
        ConfigError: for names that are unknown, and networks and kernels that do not fit the data.
    """
    config, continuous = config.resolved(), isinstance(examples, ContinuousData)
    name, recipe = config.kernel.kind, config.recipe
    kind = KERNELS.get(name)
    kernel_class: Any = user_class(name, "kernel", KERNELS) if kind is None else kind.made
    if kind is not None and kind.continuous != continuous:
        raise ConfigError(
            f"kernel.kind was {name}, but data.continuous was {str(continuous).lower()}; allowed: "
            "gaussian with true, categorical and autoregressive with false"
        )
    if kind is not None and recipe.kind not in kind.recipes:
        raise ConfigError(
            f"recipe.kind was {recipe.kind} with kernel.kind {name}; allowed: "
            f"{', '.join(kind.recipes)}"
        )
    if continuous and recipe.holds is not None and recipe.holds[1] >= 1:
        raise ConfigError(f"recipe.holds was {recipe.holds}; allowed with real numbers: below 1")
    available = (
        _for_numbers(config, examples)
        if isinstance(examples, ContinuousData)
        else _for_categories(config, examples)
    )
    kernel = _make(kernel_class, "kernel", available)
    if not isinstance(kernel, TransitionKernel):
        raise ConfigError(f"kernel was {name}; allowed: a TransitionKernel")
    _check_can_be_loaded(kernel)
    return kernel


def _told(config: RunConfig, examples: Examples) -> dict[str, Any]:
    """What the network is told beside the state: arguments that the package's networks share."""
    if config.net.labels and examples.num_classes is None:
        raise ConfigError("net.labels was true, but the data have no labels; allowed: false")
    return {
        "num_classes": examples.num_classes if config.net.labels else None,
        "known": True,
        # a head is told instead of the network: the denoiser is the same at every hold
        "hold": config.recipe.holds is not None and config.recipe.kind != "head",
    }


def _for_numbers(config: RunConfig, examples: ContinuousData) -> dict[str, Any]:
    """What a kernel over real numbers may be made with."""
    if config.kernel.noise not in _NOISES:
        raise ConfigError(unknown_name("kernel.noise", config.kernel.noise, _NOISES))
    noise, shape = _NOISES[config.kernel.noise](), tuple(examples.shape)
    net = _net(config.net, 2, None, shape, _told(config, examples))
    deviation = float(examples.states.std(correction=0)) or 1.0
    net = nn.Preconditioned(net, noise, round(deviation, 3) or deviation, _LEAST_VARIANCE)
    return {
        "net": net, "noise": noise, "hold": config.kernel.hold, "num_categories": None,
        "num_states": None, "shape": shape,
    }  # fmt: skip


def _for_categories(config: RunConfig, examples: DiscreteData | StreamedData) -> dict[str, Any]:
    """What a kernel over categories may be made with."""
    shape, k = tuple(examples.shape), examples.num_categories
    noise_class: Any = _CORRUPTIONS.get(config.kernel.corruption) or user_class(
        config.kernel.corruption, "corruption", _CORRUPTIONS
    )
    given: dict[str, Any] = {"num_categories": k, "data": examples}
    scale = config.kernel.scale
    if scale is not None:
        if "scale" not in inspect.signature(noise_class).parameters:
            raise ConfigError(
                f"kernel.scale was {scale} with kernel.corruption = {config.kernel.corruption}; "
                "allowed: None, but with ordinal noise or one of your own that declares `scale`"
            )
        given["scale"] = scale
    noise = _make(noise_class, "corruption", given)
    if not isinstance(noise, corruption.Corruption):
        raise ConfigError(f"corruption was {config.kernel.corruption}; allowed: a Corruption")
    net = _categorical_net(config, k, noise.num_states, shape, _told(config, examples))
    if not isinstance(net, torch.nn.Module):
        raise ConfigError(f"net was {config.net.kind}; allowed: a torch.nn.Module")
    headed = config.recipe.kind == "head"
    head = _head(k, shape, config.recipe.holds is not None) if headed else None
    return {
        "net": net, "corruption": noise, "hold": config.kernel.hold,
        "carry_over": config.kernel.carry_over, "adjustment": head,
        "add_evidence": _evidence(config.kernel, k),
        "num_categories": k, "num_states": noise.num_states, "shape": shape,
    }  # fmt: skip


def _check_can_be_loaded(kernel: TransitionKernel) -> None:
    """Refuse, before it is trained, what could be saved and never loaded."""
    try:
        described = serialization.describe(kernel, {}, "kernel")
    except CheckpointError as error:
        raise ConfigError(str(error)) from error
    for part in serialization.parts(described):
        if "class" in part and part.get("args") is None:
            raise ConfigError(
                f"{part['class']} does not record its arguments, so that it could be saved "
                "and never loaded; let it inherit discrete_ca.serialization.Configured"
            )


def _is_grid(shape: tuple[int, ...]) -> bool:
    return len(shape) == 2 or (len(shape) == 3 and shape[0] <= 4)


def _looks_like_images(shape: tuple[int, ...]) -> bool:
    return _is_grid(shape) and min(shape[-2:]) >= 8


def _looks_like_sequences(shape: tuple[int, ...]) -> bool:
    return len(shape) in (1, 2) and shape[-1] >= 8 and not _looks_like_images(shape)


def _evidence(config: KernelConfig, k: int) -> bool:
    """Whether a kernel adds what a site's own state says: as asked, or where that is a gain."""
    if config.add_evidence and config.kind == "autoregressive":
        raise ConfigError(
            "kernel.add_evidence was True with kernel.kind = autoregressive; allowed: None or False"
        )
    if config.add_evidence is None:
        uniform = config.kind == "categorical" and config.corruption == "uniform"
        return uniform and k <= _MOST_OF_EVIDENCE
    return config.add_evidence


def _head(k: int, shape: tuple[int, ...], hold: bool) -> torch.nn.Module:
    """The adjustment head that fits: shared by sites where these are alike."""
    if k > _MOST_OF_A_HEAD:
        raise ConfigError(
            f"recipe.kind was head, but the data have {k} categories; allowed: at most "
            f"{_MOST_OF_A_HEAD}, since a head reads all of them at every site; or recipe.kind "
            "denoising, half or adjustment"
        )
    if _looks_like_images(shape):
        return nn.AdjustmentHead(k, dims=2, hold=hold)
    if _looks_like_sequences(shape):
        return nn.AdjustmentHead(k, dims=1, hold=hold)
    return nn.AdjustmentMLP(k, shape, hold=hold)


def _categorical_net(
    config: RunConfig, k: int, states: int, shape: tuple[int, ...], told: dict[str, Any]
) -> torch.nn.Module:
    """A network that gives K logits a site, those of a few logistic laws, or writes sites."""
    net = config.net
    if net.components < 0:
        raise ConfigError(f"net.components was {net.components}; allowed: >= 0")
    if config.kernel.kind == "autoregressive" and net.kind in ("auto", "transformer"):
        _check_sizes(net)
        depth: dict[str, Any] = {} if net.depth is None else {"depth": net.depth}
        return nn.AutoregressiveTransformer(
            states, shape, width=_heads_fit(net), heads=net.heads, **depth, **told
        )
    if net.components == 0:
        return _net(net, k, states, shape, told)
    return nn.Logistic(_net(net, 3 * net.components, states, shape, told), k)


def _check_sizes(config: NetConfig) -> None:
    for name in ("patch", "blocks", "head_width", "width", "depth", "heads", "period", "stack"):
        value = getattr(config, name)
        if value is not None and value < 1:
            raise ConfigError(f"net.{name} was {value}; allowed: >= 1")


def _heads_fit(config: NetConfig) -> int:
    """The width of a transformer, which its heads part."""
    if config.width % (2 * config.heads):
        raise ConfigError(
            f"net.width was {config.width} with net.heads = {config.heads}; allowed: a "
            "multiple of 2 x heads"
        )
    return config.width


def _net(
    config: NetConfig, k: int, states: int | None, shape: tuple[int, ...], told: dict[str, Any]
) -> torch.nn.Module:
    _check_sizes(config)
    kind = config.kind
    if kind == "auto":
        kind = "mlp"
        if _looks_like_images(shape):
            kind = "unet"
        elif _looks_like_sequences(shape) and states is not None:
            kind = "transformer"
    if kind == "unet":
        if not _is_grid(shape) or any(n % config.patch for n in shape[-2:]):
            raise ConfigError(
                f"net.kind was {config.kind}, but the data have shape {shape}; allowed for a UNet: "
                "(H, W) or (C, H, W) with sides that are multiples of "
                f"net.patch = {config.patch}; set net.patch, or net.kind to mlp"
            )
        return nn.UNet(
            k, states, channels=shape[0] if len(shape) == 3 else None, patch=config.patch,
            widths=config.widths, blocks=config.blocks, head_width=config.head_width, **told,
        )  # fmt: skip
    common: dict[str, Any] = {"width": config.width, **told}
    if config.depth is not None:
        common["depth"] = config.depth
    if kind == "mlp":
        return nn.MLP(k, states, shape, **common)
    if kind in ("transformer", "conv"):
        if len(shape) not in (1, 2):
            raise ConfigError(
                f"net.kind was {kind}, but the data have shape {shape}; allowed: (T,) or (C, T)"
            )
        if states is None:
            raise ConfigError(
                f"net.kind was {kind}, but the data are real numbers; allowed: unet, mlp, auto"
            )
        common |= {"channels": shape[0] if len(shape) == 2 else None, "tied": config.tied}
        common |= {"period": config.period, "stack": config.stack}
        if shape[-1] % config.stack or (config.period or 0) % config.stack:
            raise ConfigError(
                f"net.stack was {config.stack}, with {shape[-1]} time steps and net.period = "
                f"{config.period}; allowed: what divides them"
            )
        if kind == "conv":
            return nn.DilatedConv(k, states, **common)
        _heads_fit(config)
        return nn.Transformer(k, states, heads=config.heads, **common)
    available = {"num_categories": k, "num_states": states, "shape": shape, **told}
    found: torch.nn.Module = _make(
        user_class(kind, "net", dict.fromkeys(("unet", "transformer", "conv", "mlp", "auto"))),
        "net",
        available,
    )
    return found


def build_schedule(config: RecipeConfig) -> Schedule:
    """The schedule of a run.

    Raises:
        ConfigError: for an unknown recipe, or holds or an offset that it does not have.
    """
    if config.offset <= 0 or (config.kind == "head" and config.offset != RecipeConfig.offset):
        raise ConfigError(
            f"recipe.offset was {config.offset} with recipe.kind {config.kind}; allowed: a number "
            f"> 0, and {RecipeConfig.offset} with head"
        )
    holds, weight = config.holds, InverseLevel(config.offset)
    told: dict[str, Any] = {"holds": holds, "unlabelled_share": config.unlabelled}

    def adjustment() -> ContrastiveAdjustment:
        return ContrastiveAdjustment(denoising_weight=config.denoising_weight, **told)

    def denoising() -> Denoising:
        return Denoising(level_weight=weight, **told)

    def share(usual: float) -> float:
        return usual if config.adjust is None else config.adjust

    def half() -> Schedule:
        adjust = share(0.5)
        return Schedule((Phase(denoising(), 1 - adjust), Phase(adjustment(), adjust)))

    recipes: dict[str, Callable[[], Schedule]] = {
        "denoising": lambda: Schedule.of(denoising()),
        "head": lambda: Schedule.default(share(0.3), **told),
        "half": half,
        "adjustment": lambda: Schedule.of(adjustment()),
        "renoising": lambda: Schedule.of(Renoising(level_weight=weight, **told)),
    }
    if config.kind not in recipes:
        raise ConfigError(unknown_name("recipe", config.kind, recipes))
    if holds is not None and config.kind == "denoising":
        raise ConfigError(
            f"recipe.holds was {holds} with recipe.kind denoising; allowed: None, since a denoiser "
            "is the same at every hold"
        )
    return recipes[config.kind]()
