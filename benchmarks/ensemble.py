"""Networks of one architecture for several laws, trained side by side in one batch.

Small networks spend their time on calls, not on arithmetic: five side by side cost little more than
one. Their losses add up and no weight is shared, so that Adam trains each as if it were alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

import discrete_ca as dca


class Sampled(Protocol):
    """A law that can be drawn from."""

    @property
    def shape(self) -> tuple[int, ...]:
        """S."""

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """States, (count, *S)."""


class Ensemble(nn.Module):
    """Members of one architecture: example i goes through member ``members[i]``.

    Each batch must hold as many examples of every member.
    """

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        super().__init__()
        stacked, _ = stack_module_state(list(modules))  # type: ignore[arg-type]
        self.names = list(stacked)
        self.stacked = nn.ParameterList(nn.Parameter(p.detach()) for p in stacked.values())
        self._template = [deepcopy(modules[0])]  # in a list: not a part of this module
        self.count = len(modules)
        self.members: Tensor | None = None
        self.accepts = frozenset(getattr(modules[0], "accepts", ())) & {"hold"}

    def forward(self, *inputs: Tensor, hold: Tensor | None = None, **_: Any) -> Tensor:
        """As each member's, (B, ...)."""
        assert self.members is not None
        shares = self.members.bincount(minlength=self.count)
        if not bool((shares == shares[0]).all()):
            raise ValueError(f"examples a member: {shares.tolist()}; allowed: as many of each")
        order = self.members.argsort(stable=True)
        template, count = self._template[0], len(inputs)
        told = [] if hold is None else [hold]
        grouped = [t[order].unflatten(0, (self.count, -1)) for t in (*inputs, *told)]

        def one(parameters: dict[str, Tensor], *given: Tensor) -> Tensor:
            named = dict(zip(["hold"], given[count:], strict=False))
            found: Tensor = functional_call(template, parameters, given[:count], named)
            return found

        out = vmap(one)(dict(zip(self.names, self.stacked, strict=True)), *grouped)
        return out.flatten(0, 1)[order.argsort()]

    def member(self, index: int) -> nn.Module:
        """One member, as a module of its own."""
        found = deepcopy(self._template[0])
        state = {n: p[index].detach() for n, p in zip(self.names, self.stacked, strict=True)}
        found.load_state_dict(state)
        return found


class SideBySide(dca.TransitionKernel):
    """A kernel of several laws, before its kind: the label says which an example belongs to."""

    told_label = True

    def transition(
        self,
        x: Tensor,
        level: Any,
        target_level: Any = None,
        label: Tensor | int | None = None,
        known: Any = None,
        hold: Any = None,
    ) -> Any:
        """The transition; the label (B,) is needed."""
        assert isinstance(label, Tensor)
        for part in self.modules():
            if isinstance(part, Ensemble):
                part.members = label
        return super().transition(x, level, target_level, None, known, hold)  # type: ignore[safe-super, call-arg]


class EnsembleKernel(SideBySide, dca.CategoricalNoiseKernel):
    """The kernels of several laws."""

    @classmethod
    def of(cls, kernels: Sequence[dca.CategoricalNoiseKernel]) -> EnsembleKernel:
        """The given kernels, which differ in their weights alone, side by side."""
        first = kernels[0]
        heads = [k.adjustment for k in kernels if k.adjustment is not None]
        head = Ensemble(heads) if heads else None
        net = Ensemble([k.net for k in kernels])
        return cls(
            net, first.corruption, first.hold, first.carry_over, head,
            add_evidence=first.add_evidence,
        )  # fmt: skip

    def member(self, index: int) -> dca.CategoricalNoiseKernel:
        """The kernel of one law."""
        net, head = self.net, self.adjustment
        assert isinstance(net, Ensemble) and (head is None or isinstance(head, Ensemble))
        adjustment = None if head is None else head.member(index)
        return dca.CategoricalNoiseKernel(
            net.member(index), self.corruption, self.hold, self.carry_over, adjustment,
            add_evidence=self.add_evidence,
        )  # fmt: skip


class LawBatches:
    """Batches for `Trainer`: examples of the laws in turn, labelled by the law."""

    def __init__(self, laws: Sequence[Sampled]) -> None:
        self.laws = laws

    def __call__(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """States (B, *S) and which law each is from, (B,)."""
        each = [law.sample(count // len(self.laws), generator) for law in self.laws]
        label = torch.arange(len(self.laws)).repeat(count // len(self.laws))
        return torch.stack(each, 1).flatten(0, 1), label
