"""What a session draws with: a kernel, and the space that its designs live in."""

from __future__ import annotations

import hashlib
import inspect
import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from discrete_ca import checks, serialization
from discrete_ca.errors import CheckpointError, DataError
from discrete_ca.explore.tree import Node
from discrete_ca.explore.watching import Watch, watched
from discrete_ca.kernels import CategoricalNoiseKernel, TransitionKernel, device_of
from discrete_ca.metropolis import refusal
from discrete_ca.sealed import tensors_checksum

MAX_SITES = 1 << 20


class Studio:
    """A kernel over designs of shape S with K categories.

    Args:
        kernel: any kernel over categories; it is never left changed.
        shape: S.
        num_categories: K; None for that of the kernel's corruption.

    Attributes:
        watch: sees every evaluation, for showing a chain while it goes on or ending it; None.

    Raises:
        ValueError: for a shape without cells or with too many, or a K that neither the kernel nor
            the caller says.

    Example:
        >>> from discrete_ca import CategoricalNoiseKernel, corruption, nn
        >>> kernel = CategoricalNoiseKernel(nn.MLP(2, 2, shape=(5,)), corruption.Uniform(2))
        >>> Studio(kernel, (5,)).num_categories
        2
    """

    def __init__(
        self, kernel: TransitionKernel, shape: tuple[int, ...], num_categories: int | None = None
    ) -> None:
        self.kernel = kernel
        self.shape = tuple(checks.positive(n, "shape") for n in shape)
        if math.prod(self.shape) > MAX_SITES:
            raise ValueError(f"shape was {self.shape}; allowed: at most {MAX_SITES} cells")
        noise = getattr(kernel, "corruption", None)
        found = num_categories if noise is None else noise.num_categories
        if found is None:
            raise ValueError(
                f"{type(kernel).__name__} does not say how many categories there are; pass "
                "num_categories"
            )
        if num_categories not in (None, found):
            raise ValueError(
                f"num_categories was {num_categories}; allowed: {found}, as the kernel has"
            )
        self.num_categories = checks.positive(found, "num_categories", least=2)
        self.num_states = max(
            self.num_categories if noise is None else noise.num_states,
            int(getattr(kernel, "num_states", 0)),
        )
        self.watch: Watch | None = None

    @cached_property
    def checksum(self) -> str:
        """Names the kernel as it was when this was first asked; see `kernel_checksum`."""
        return kernel_checksum(self.kernel)

    @property
    def device(self) -> torch.device:
        """Where the kernel's parameters are."""
        return device_of(self.kernel)

    def hold(self, asked: float | None) -> float | None:
        """The hold that a recipe writes down: the one asked for, or the kernel's own.

        None for a kernel that has none to choose.

        Raises:
            ValueError: for a hold outside [0, 1], or one for a kernel that has none to choose.
        """
        lag = getattr(self.kernel, "lag", None)
        if "hold" in vars(self.kernel) and lag is None:
            return checks.probability(self.kernel.hold if asked is None else asked, "hold")
        if asked is not None:
            why = "has no hold" if lag is None else "has a lag"
            raise ValueError(
                f"hold was {asked}; allowed: None, since {type(self.kernel).__name__} {why}"
            )
        return None

    @contextmanager
    def set(
        self, hold: float | None, guidance: float = 0.0, metropolis: bool = False
    ) -> Iterator[TransitionKernel]:
        """The kernel as a recipe asks for it, without gradient; afterwards as it was before.

        Args:
            hold: h; None for the kernel's own.
            guidance: how much louder labels are.
            metropolis: whether its steps are to be Metropolis steps.

        Raises:
            ValueError: for a guidance of a kernel whose labels cannot be made louder, or Metropolis
                steps of one that has none.
        """
        if metropolis and (why := refusal(self.kernel)) is not None:
            raise ValueError(why)
        own, modes = self.kernel.hold, [(m, m.training) for m in self.kernel.modules()]
        if hold is not None:
            self.kernel.hold = self.hold(hold)  # type: ignore[assignment]
        self.kernel.eval()
        try:
            with torch.no_grad():
                kernel = self.kernel if guidance == 0 else self._guided(guidance)
                yield kernel if self.watch is None else watched(kernel, self.watch)
        finally:
            if hold is not None:
                self.kernel.hold = own
            for module, mode in modes:
                module.training = mode

    def _guided(self, guidance: float) -> TransitionKernel:
        if not isinstance(self.kernel, CategoricalNoiseKernel):
            raise ValueError(
                f"guidance was {guidance}; allowed: 0 with a {type(self.kernel).__name__}"
            )
        return self.kernel.guided(guidance)

    def design(self, values: Any, name: str = "design", least: int = 0) -> Tensor:
        """Categories of shape S, long, on the CPU.

        Raises:
            DataError: for another shape, another dtype, or values out of range.
        """
        found = as_array(values, name)
        if found.is_floating_point() or found.is_complex():
            raise DataError(f"{name} has dtype {found.dtype}; allowed: whole numbers")
        if tuple(found.shape) != self.shape:
            raise DataError(f"{name} has shape {tuple(found.shape)}; allowed: {self.shape}")
        low, high = (int(v) for v in found.long().aminmax())
        if low < least or high >= self.num_categories:
            raise DataError(
                f"{name} holds values in [{low}, {high}]; allowed: {least} .. "
                f"{self.num_categories - 1}"
            )
        return found.long().clone()

    def cells(self, mask: Any, name: str, least: int = 1) -> Tensor:
        """A boolean mask of shape S, from one that broadcasts to it, with at least so many True.

        Raises:
            DataError: for another dtype or shape, or too few True.
        """
        found = as_array(mask, name)
        if found.dtype != torch.bool:
            raise DataError(f"{name} has dtype {found.dtype}; allowed: torch.bool")
        try:
            found = found.expand(self.shape).clone()
        except RuntimeError as error:
            raise DataError(
                f"{name} has shape {tuple(found.shape)}; allowed: {self.shape}"
            ) from error
        if int(found.sum()) < least:
            raise DataError(f"{name} has no cell; allowed: at least {least}")
        return found

    def known(self, node: Node) -> checks.Known | None:
        """What a chain is told of a node's locked cells, on the kernel's device."""
        if not bool(node.locked.any()):
            return None
        return (~node.locked).to(self.device), node.design.to(self.device)

    def noisy(self, node: Node, level: float, generator: torch.Generator) -> Tensor:
        """Where a chain at `level` goes on from a node, (1, *S): its state, or itself noised."""
        if node.state is not None and node.level == level:
            return node.state[None].to(self.device)
        return self.kernel.corrupt(node.design[None].to(self.device), level, generator)


def as_array(values: Any, name: str) -> Tensor:
    """Whatever was given as a tensor on the CPU.

    Raises:
        DataError: for what is no array.

    Example:
        >>> as_array([[1, 0]], "design").shape
        torch.Size([1, 2])
    """
    try:
        return torch.as_tensor(values).detach().cpu()
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(f"{name} was {values!r:.60}; allowed: an array ({error})") from error


def kernel_checksum(kernel: TransitionKernel) -> str:
    """A name for a kernel: SHA-256 over its weights and the arguments that it was made with.

    The hold is left out, since every recipe says its own, and so are arguments that are what they
    are by default, so that options which later versions add do not rename a kernel.

    Example:
        >>> from discrete_ca import CategoricalNoiseKernel, corruption, nn
        >>> kernel = CategoricalNoiseKernel(nn.MLP(2, 2, shape=(5,)), corruption.Uniform(2))
        >>> before = kernel_checksum(kernel)
        >>> kernel.hold = 0.1
        >>> kernel_checksum(kernel) == before
        True
    """
    tensors: dict[str, Tensor] = {}
    try:
        made_of = serialization.describe(kernel, tensors, "kernel")
    except CheckpointError:  # it cannot be saved, but its class and weights have names
        tensors, made_of = {}, {"class": serialization.reference(type(kernel)), "args": None}
    for part in [*serialization.parts(made_of)]:
        _drop_defaults(part)
    if isinstance(made_of["args"], dict):
        made_of["args"].pop("hold", None)
    tensors |= {k: v for k, v in kernel.state_dict().items() if isinstance(v, Tensor)}
    text = json.dumps([made_of, tensors_checksum(tensors)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _drop_defaults(part: dict[str, Any]) -> None:
    if "class" not in part:
        return
    try:
        parameters = inspect.signature(serialization.imported(part["class"])).parameters
    except (ImportError, AttributeError, TypeError, ValueError):  # a class inside a function
        parameters = {}  # type: ignore[assignment]
    part["class"] = part["class"].partition(":")[2]  # classes may move to another module
    for name, value in [*(part.get("args") or {}).items()]:
        default = parameters[name].default if name in parameters else inspect.Parameter.empty
        plain = value is None or isinstance(value, bool | int | float | str | list)
        if plain and value == (list(default) if isinstance(default, tuple) else default):
            del part["args"][name]
