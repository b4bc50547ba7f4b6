"""The processes that train together: one, or those that `accelerate launch` or `torchrun` started.

Every process holds the whole kernel, sees its own parts of each batch and ends each step with the
same weights. Decisions that hang on a clock or a signal are shared, so that all take the same.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TypeVar

import torch
from torch import nn

from discrete_ca.errors import ConfigError
from discrete_ca.kernels import device_of

T = TypeVar("T")

_KINDS = ("NO", "MULTI_CPU", "MULTI_GPU")


class Processes:
    """The processes of a run, seen from one of them.

    Args:
        kernel: what is trained; one process trains it where it is, several each on its own device.

    Raises:
        ConfigError: for ways of sharing the work that are not provided.

    Example:
        >>> alone = Processes(nn.Linear(1, 1))
        >>> alone.count, alone.rank, alone.mean([0.5, 2.0])
        (1, 0, [0.5, 2.0])
    """

    def __init__(self, kernel: nn.Module) -> None:
        from accelerate import Accelerator
        from accelerate.utils import DistributedDataParallelKwargs

        # A kernel may hold parts that an objective does not use.
        unused = DistributedDataParallelKwargs(find_unused_parameters=True)
        self._accelerator = Accelerator(
            cpu=not torch.accelerator.is_available(),  # it shares work on a CPU when told alone
            device_placement=False,
            kwargs_handlers=[unused],
        )
        kind = self._accelerator.distributed_type.value
        if kind not in _KINDS:
            raise ConfigError(f"accelerate's distributed type was {kind}; allowed: {_KINDS}")
        self.count: int = self._accelerator.num_processes
        self.rank: int = self._accelerator.process_index
        started = int(os.environ.get("WORLD_SIZE", "1"))
        if started != self.count:
            raise ConfigError(f"{started} processes were started and {self.count} found each other")
        several = self.count > 1
        self.device: torch.device = self._accelerator.device if several else device_of(kernel)
        kernel.to(self.device)

    @property
    def first(self) -> bool:
        """Whether this is the process that writes files and reports."""
        return self.rank == 0

    def wrap(self, module: nn.Module) -> nn.Module:
        """The module whose backward leaves the mean gradient of all processes."""
        if self.count == 1:
            return module
        return self._accelerator.prepare_model(module)

    def alone(self, module: nn.Module, yes: bool) -> AbstractContextManager[None]:
        """While open, and with `yes`, gradients are added up here and not shared."""
        return self._accelerator.no_sync(module) if yes else nullcontext()

    def mean(self, values: Sequence[float]) -> list[float]:
        """The mean over processes of each number."""
        if self.count == 1:
            return list(values)
        shared = torch.tensor(values, dtype=torch.float64, device=self.device)
        found: list[float] = self._accelerator.reduce(shared, "mean").tolist()
        return found

    def on_first(self, work: Callable[[], T]) -> T | None:
        """Do it on the first process alone; what it raises is raised on all.

        Returns:
            What `work` returned; None on the other processes.
        """
        found: T | None = None
        error: list[Exception | None] = [None]
        if self.first:
            try:
                found = work()
            except Exception as raised:
                error = [raised]
        if self.count > 1:
            from accelerate.utils import broadcast_object_list

            broadcast_object_list(error)
        if error[0] is not None:
            raise error[0]
        return found
