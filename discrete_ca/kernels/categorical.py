r"""The categorical noise kernel: denoise, then hold or refresh each site (theory, section 3).

``p_θ(y|x) = Σ_z p_θ(z|x) q(y|x, z)`` with a factorised read-out p_θ(z|x) from a network and the
corruption's exact coupling q.
"""

from __future__ import annotations

import copy
import functools
from typing import Self

import torch
from torch import Tensor, nn

from discrete_ca import checks
from discrete_ca.corruption import Absorbing, Corruption
from discrete_ca.distributions import Categorical, CategoricalTransition
from discrete_ca.kernels.base import declared
from discrete_ca.kernels.corrupted import CorruptionKernel
from discrete_ca.nn.guided import Guided


class CategoricalNoiseKernel(CorruptionKernel):
    """A kernel over categorical states, from a denoising network and a corruption.

    Args:
        net: ``net(x, b) -> logits`` of shape (B, *S, K), from states (B, *S) and levels (B,).
        corruption: the noise; K = its `num_categories`.
        hold: h, the probability that a site is held in one equal-level step, in [0, 1]. Nearer to
            1 is slower and more faithful.
        carry_over: take sites whose state tells z for certain (absorbing noise: those not masked)
            as known in p_θ(z|x). Off, every site may change (the paper's form).
        add_evidence: take the network's outputs for what the context says of a site, and add what
            its own state says, ``log Q_b[., x_i]``: the network need not learn what is known.
        adjustment: a small network ``(log_pz, evidence, b) -> logits``, each (B, *S, K), that
            equal-level steps use in place of the read-out (theory, section 9); one that declares
            `hold` is told it. Read-outs, moves between levels and likelihoods keep the denoiser's.
        lag: the paper's w; see `with_lag`.

    Raises:
        ValueError: for a hold or lag outside [0, 1], a lag with noise that is not absorbing, or a
            network for another number of categories or states than the noise has.

    Example:
        >>> from discrete_ca.nn import MLP
        >>> from discrete_ca.corruption import Uniform
        >>> kernel = CategoricalNoiseKernel(MLP(2, 2, shape=(5,)), Uniform(2), hold=0.5)
        >>> step = kernel.transition(torch.zeros(3, 5, dtype=torch.long), level=0.3)
        >>> step.sample().shape, step.log_prob(torch.ones(3, 5, dtype=torch.long)).shape
        (torch.Size([3, 5]), torch.Size([3]))
    """

    def __init__(
        self,
        net: nn.Module,
        corruption: Corruption,
        hold: float = 0.9,
        carry_over: bool = True,
        adjustment: nn.Module | None = None,
        lag: float | None = None,
        add_evidence: bool = False,
    ) -> None:
        super().__init__(net, corruption, hold)
        self.carry_over = carry_over
        self.add_evidence = add_evidence
        self._check_size(adjustment, "adjustment", "num_categories")
        self.adjustment = adjustment
        self._head_told_hold = adjustment is not None and "hold" in declared(adjustment, ["hold"])
        if lag is not None and not isinstance(corruption, Absorbing):
            raise ValueError(f"lag was given with {type(corruption).__name__}; allowed: Absorbing")
        self.lag = None if lag is None else checks.probability(lag, "lag")
        if self.lag is not None:
            self.hold = self.lag  # what the hold tends to at small levels

    @property
    def told_hold(self) -> bool:
        """Whether the network or the adjustment head is told the hold."""
        return super().told_hold or self._head_told_hold

    @classmethod
    def with_lag(cls, net: nn.Module, corruption: Absorbing, lag: float = 0.95) -> Self:
        """The paper's absorbing kernel (its Eq. 27): scramble, then hold with "lag" w.

        At equal levels it is hold-or-refresh with ``h = w (1 - b) / (1 - w b)``; between levels
        ``h' = w (1 - b_y) / (1 - w b_x)`` where the paper's kernel keeps its marginal, without its
        clamp elsewhere (theory, section 3.1). Carry-over is off, as in the paper.
        """
        return cls(net, corruption, carry_over=False, lag=lag)

    def guided(self, guidance: float) -> Self:
        """This kernel with louder labels: it shares all weights, and its net is a `nn.Guided`.

        Args:
            guidance: g; 0 leaves the labels as they are.

        Raises:
            ValueError: for a network that takes no label or is guided already, or a guidance
                below 0.

        Example:
            >>> from discrete_ca.nn import MLP
            >>> from discrete_ca.corruption import Uniform
            >>> net = MLP(2, 2, shape=(5,), num_classes=10)
            >>> kernel = CategoricalNoiseKernel(net, Uniform(2)).guided(1.0)
            >>> kernel.evaluations(labelled=True)
            2
        """
        made = copy.copy(self)
        made._modules = {**self._modules}
        made.net = Guided(self.net, guidance)
        return made

    def holds(self, b_x: Tensor, b_y: Tensor, hold: float | Tensor | None = None) -> Tensor:
        """The nominal h of a step from b_x to b_y, shape (B,), before the coupling bounds it.

        Raises:
            ValueError: for a `hold` that is not allowed, or where the kernel has a lag.
        """
        if hold is not None and self.lag is not None:
            raise ValueError("hold was given; allowed: None, since the kernel has a lag")
        if self.lag is None:
            given = self.hold if hold is None else hold
            return checks.holds(given, b_x)
        scrambled = 1 - self.lag * b_x
        held = self.lag * (1 - b_y) / scrambled.clamp_min(1e-30)
        return torch.where(scrambled > 0, held, 1.0).clamp(0.0, 1.0)

    def transition(
        self,
        x: Tensor,
        level: checks.Level,
        target_level: checks.Level | None = None,
        label: Tensor | int | None = None,
        known: checks.Known | None = None,
        hold: float | Tensor | None = None,
    ) -> CategoricalTransition:
        """The law of the next state; see `TransitionKernel.transition`.

        A `hold`, a number or (B,), takes the place of the kernel's own.

        Known sites keep their values: they are put into x unnoised, the read-out is a point mass
        there, and a network that declares `known` is told which they are (theory, section 6). At
        level 0 the read-out is a point mass at x.

        Raises:
            TypeError: for states or masks of the wrong dtype.
            ValueError: for states, levels, holds, labels or masks out of range or of the wrong
                shape, a hold for a kernel with a lag, or logits of the wrong shape.
            NonFiniteError: (when the law is used) for NaN logits.
        """
        x, b_x, b_y, known = self._begin(x, level, target_level, known)
        holds = self.holds(b_x, b_y, hold)
        logits = self._apply_net(x, b_x, label, known, holds)
        self._check_output(logits, (*x.shape, self.corruption.num_categories), self.net)
        if self.add_evidence:
            logits = logits + self._evidence(x, b_x, logits.dtype)
        clean = self._clean(x, b_x)
        read_out = self._law(logits, x, known, self.net, clean)
        head = self.adjustment if target_level is None else None

        def adjust(read_out: Categorical) -> Categorical:
            assert head is not None
            log_pz = read_out.log_probs
            evidence = self._evidence(x, b_x, log_pz.dtype)
            told = {"hold": holds} if self._head_told_hold else {}
            with torch.set_grad_enabled(gradient):  # as when the transition was asked for
                logits = head(log_pz, evidence, b_x, **told)
                self._check_output(logits, tuple(log_pz.shape), head)
                return self._law(logits, x, known, head, clean)

        gradient = torch.is_grad_enabled()
        return CategoricalTransition(
            x, read_out, self.corruption, holds, b_x, b_y, known, None if head is None else adjust
        )

    def move(
        self, law: CategoricalTransition, target_level: checks.Level, hold: Tensor | None = None
    ) -> CategoricalTransition:
        """The law of a move to another level from where an equal-level law is, by its read-out.

        What `transition` gives with a `target_level`, without another network evaluation.

        Args:
            law: an equal-level law of this kernel.
            target_level: b_y.
            hold: h, (B,); None for the kernel's own.
        """
        b_y = checks.levels(target_level, len(law.x), law.x.device, "target_level")
        return law.towards(b_y, self.holds(law.b_x, b_y, hold))

    def _evidence(self, x: Tensor, b: Tensor, dtype: torch.dtype) -> Tensor:
        """``log Q_b[., x_i]``, (B, *S, K); 0 for states that no category leads to."""
        evidence = self.corruption.log_likelihood(x, b).to(dtype)
        nothing = (evidence == -torch.inf).all(-1, keepdim=True)  # known sites at level 1
        return evidence.masked_fill(nothing, 0.0)

    def _law(
        self,
        logits: Tensor,
        x: Tensor,
        known: checks.Known | None,
        source: nn.Module,
        clean: Tensor | None,
    ) -> Categorical:
        """p(z|x) from logits; sites that are revealed, known or clean become point masses."""
        revealed = self.corruption.reveals(x) if self.carry_over else None
        sure = [m for m in (revealed, None if known is None else ~known[0], clean) if m is not None]
        fixed = (functools.reduce(torch.logical_or, sure), x) if sure else None
        return Categorical(logits, fixed, type(source).__name__)
