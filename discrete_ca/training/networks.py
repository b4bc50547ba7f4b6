"""How a kernel's networks compute while they train: in half precision, compiled."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from discrete_ca.corruption import Corruption


def networks(kernel: nn.Module) -> list[nn.Module]:
    """The kernel's submodules that are networks, not noise.

    Example:
        >>> from discrete_ca import CategoricalNoiseKernel, corruption
        >>> from discrete_ca.nn import MLP
        >>> kernel = CategoricalNoiseKernel(MLP(2, 2, shape=(5,)), corruption.Uniform(2))
        >>> [type(network).__name__ for network in networks(kernel)]
        ['MLP']
    """
    return [module for module in kernel.children() if not isinstance(module, Corruption)]


@contextmanager
def half_precision(kernel: nn.Module, device: torch.device, wanted: bool) -> Iterator[None]:
    """While open, and with `wanted`, the kernel's networks compute in bfloat16 (autocast).

    Everything else, log-probabilities and losses among it, stays in at least float32.
    """
    changed = networks(kernel) if wanted else []
    for network in changed:
        network.forward = torch.autocast(device.type, torch.bfloat16)(network.forward)
    try:
        yield
    finally:
        for network in changed:
            del network.forward  # the class's own shows again


@contextmanager
def compiled(kernel: nn.Module, wanted: bool) -> Iterator[None]:
    """While open, and with `wanted`, the kernel's networks run through `torch.compile`."""
    changed = networks(kernel) if wanted else []
    for network in changed:
        network.compile()
    try:
        yield
    finally:
        for network in changed:
            network._compiled_call_impl = None
