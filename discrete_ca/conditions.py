"""What a step of a kernel is told beside the state and the level: a label, known sites, a hold."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from functools import cache
from typing import Any

from torch import Tensor

from discrete_ca import checks


@dataclass(frozen=True)
class Conditions:
    """Conditions of a batch of steps, passed on to `TransitionKernel.transition`.

    Args:
        label: labels, long, (B,).
        known: (mask, values), each (B, *S); mask True = generate.
        hold: h, (B,), in place of the kernel's own.

    Example:
        >>> import torch
        >>> both = Conditions(label=torch.tensor([3, 1]), hold=torch.tensor([0.5, 0.9]))
        >>> both[torch.tensor([1])].label
        tensor([1])
    """

    label: Tensor | None = None
    known: checks.Known | None = None
    hold: Tensor | None = None

    @classmethod
    def of(
        cls,
        x: Tensor,
        label: Tensor | int | None = None,
        known: checks.Known | None = None,
        hold: checks.Level | None = None,
    ) -> Conditions:
        """Those of a batch of states (B, *S), from one for all or one an example; checked.

        Example:
            >>> import torch
            >>> Conditions.of(torch.zeros(2, 5), label=3, hold=0.5)
            Conditions(label=tensor([3, 3]), known=None, hold=tensor([0.5000, 0.5000]))
        """
        count, device = len(checks.tensor(x, "x")), x.device
        return cls(
            None if label is None else checks.labels(label, count, device),
            None if known is None else checks.known_sites(known, x),
            None if hold is None else checks.levels(hold, count, device, "hold"),
        )

    def __getitem__(self, rows: Any) -> Conditions:
        """The conditions of some examples of the batch."""
        label, hold = (None if each is None else each[rows] for each in (self.label, self.hold))
        known = None if self.known is None else (self.known[0][rows], self.known[1][rows])
        return Conditions(label, known, hold)

    def step(
        self, kernel: Any, x: Tensor, level: checks.Level, target_level: checks.Level | None = None
    ) -> Any:
        """``kernel.transition`` under these conditions.

        Raises:
            TypeError: for a `transition` that returns a tensor.
            ValueError: for a hold where the kernel's `transition` takes none.
        """
        given: dict[str, Any] = {"label": self.label, "known": self.known}
        if self.hold is not None:
            if not _takes_hold(kernel.__class__):
                raise ValueError(
                    f"hold was given, but {type(kernel).__name__}.transition declares no `hold`"
                )
            given["hold"] = self.hold
        law = kernel.transition(x, level, target_level, **given)
        if isinstance(law, Tensor):
            raise TypeError(
                f"{type(kernel).__name__}.transition returned a Tensor; allowed: a law with "
                "`sample` and `log_prob`, such as distributions.Categorical(log_probs)"
            )
        return law


@cache
def _takes_hold(kernel_class: Any) -> bool:
    return "hold" in inspect.signature(kernel_class.transition).parameters
