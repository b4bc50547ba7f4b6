"""Networks around networks: what they have in common."""

from __future__ import annotations

import inspect

from torch import Tensor, nn

from discrete_ca.serialization import Configured

OPTIONAL = ("label", "known", "hold")
"""Inputs that a network may take besides x and b."""


def evaluations_of(net: nn.Module, labelled: bool) -> int:
    """How many evaluations an example costs, with a label or without: 1 unless the net says more.

    Example:
        >>> from discrete_ca.nn import MLP
        >>> evaluations_of(MLP(2, 2, shape=(5,)), labelled=True)
        1
    """
    counted = getattr(net, "evaluations", None)
    return 1 if counted is None else int(counted(labelled))


class Wrapped(Configured, nn.Module):
    """A network whose outputs are made of those of another, which is told what it takes.

    Args:
        net: ``net(x, b, ...) -> (B, *S, P)``.

    Example:
        >>> from discrete_ca.nn import MLP
        >>> sorted(Wrapped(MLP(2, 2, shape=(5,), known=True)).accepts)
        ['known']
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net
        declared = frozenset(inspect.signature(net.forward).parameters) & frozenset(OPTIONAL)
        self.accepts = declared & getattr(net, "accepts", declared)

    def evaluations(self, labelled: bool) -> int:
        """How many evaluations an example costs, with a label or without: as many as of the net."""
        return evaluations_of(self.net, labelled)

    def inner(self, x: Tensor, b: Tensor, **given: Tensor | None) -> Tensor:
        """What the network makes of x at levels b, (B, *S, P)."""
        taken = {name: value for name, value in given.items() if name in self.accepts}
        out: Tensor = self.net(x, b, **taken)
        return out
