"""What contrastive adjustment asks of a kernel: a law p(y|x) to draw from and to score."""

from __future__ import annotations

import inspect
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

from discrete_ca import card, checks, hub, serialization
from discrete_ca.distributions import Transition
from discrete_ca.errors import CheckpointError
from discrete_ca.nn.wrapping import evaluations_of
from discrete_ca.sealed import write_json


class TransitionKernel(serialization.Configured, nn.Module, ABC):
    """A Markov kernel p_θ(y|x, b) over states of shape (B, *S); a user's own writes `transition`.

    Contrastive adjustment trains any such kernel to be stationary for the law that `corrupt` makes
    of the data: the data itself unless overridden.

    Example:
        >>> from discrete_ca.distributions import Categorical, Transition
        >>> class Redraw(TransitionKernel):
        ...     '''Every site is redrawn from one learned law.'''
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.logits = torch.nn.Parameter(torch.zeros(3))
        ...     def transition(self, x, level, target_level=None, label=None, known=None):
        ...         return Categorical(self.logits.log_softmax(-1).expand(*x.shape, 3))
        >>> Redraw().transition(torch.tensor([[0, 2]]), 0.1).log_prob(torch.tensor([[1, 1]])).exp()
        tensor([0.1111], grad_fn=<ExpBackward0>)
    """

    live = frozenset(
        {"net", "corruption", "noise", "hold", "lag", "carry_over", "adjustment", "add_evidence"}
    )

    hold: float = 0.0
    """h, the probability that a site is held in one step; 0 where the kernel has no such notion."""

    told_label: bool = False
    """Whether the kernel is told labels."""

    holds_below_one: bool = False
    """Whether a hold of 1, the identity, is none of this kernel's."""

    @abstractmethod
    def transition(
        self,
        x: Tensor,
        level: checks.Level,
        target_level: checks.Level | None = None,
        label: Tensor | None = None,
        known: checks.Known | None = None,
    ) -> Transition:
        """The law of the next state.

        A kernel that can be run at any hold also declares ``hold=None``: h, a number or (B,), in
        place of its own.

        Args:
            x: states at `level`, shape (B, *S).
            level: b_x, a number or shape (B,).
            target_level: b_y; None for an equal-level step.
            label: class labels, long, shape (B,), for networks that declare `label`; kernels of
                this package take one label for all, too.
            known: (mask, values) of conditioned sites, mask True = generate.
        """

    def evaluations(self, labelled: bool) -> int:
        """Network evaluations that a step costs an example, with a label or without."""
        return 1

    def corrupt(
        self, z: Tensor, level: checks.Level, generator: torch.Generator | None = None
    ) -> Tensor:
        """The noisy start x of a training pair, from clean z; z itself unless overridden."""
        return z

    def initial(
        self,
        count: int,
        shape: Sequence[int],
        generator: torch.Generator | None = None,
        device: torch.device | str = "cpu",
    ) -> Tensor:
        """Draws from the known law at level 1, the start of an annealed run."""
        raise NotImplementedError(f"{type(self).__name__} has no known law at level 1")

    def save_pretrained(self, path: str | Path) -> None:
        """Write config.json and model.safetensors into the folder `path`.

        Raises:
            CheckpointError: for a path that is a file, or an argument that cannot be saved.
        """
        serialization.save_module(self, path)

    def push_to_hub(
        self,
        repo_id: str,
        *,
        shape: Sequence[int] | None = None,
        private: bool | None = None,
        revision: str | None = None,
        license: str | None = None,
        message: str | None = None,
    ) -> str:
        """Send what `save_pretrained` writes, and a model card, to the Hugging Face Hub.

        Args:
            repo_id: "user/name"; made if there is none.
            shape: S, for the code on the card and the commands, which are then told it.
            private: make a new repository private; None for the account's default.
            revision: the branch, made if there is none; None for the main one.
            license: for the card, such as "mit"; None says nothing.
            message: of the commit.

        Returns:
            The address of the commit.

        Raises:
            CheckpointError: for a name that is none, an argument that cannot be saved, or where
                the Hub refuses or cannot be reached.
        """
        hub.check_name(repo_id)
        about = {} if shape is None else {"data": {"shape": [*shape]}}
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            self.save_pretrained(folder)
            if about:
                write_json(folder / hub.RUN_FILE, about)
            text = str(card.ModelCard(self, repo_id, about, license=license))
            (folder / hub.CARD_FILE).write_text(text, encoding="utf-8")
            return hub.upload(folder, repo_id, private=private, revision=revision, message=message)

    @classmethod
    def from_pretrained(
        cls,
        path: str | Path,
        trust_code: bool = False,
        revision: str | None = None,
        **given: Any,
    ) -> Self:
        """`load_kernel`, refusing a kernel of another class.

        Raises:
            CheckpointError: as `load_kernel`, and for a kernel of another class.
        """
        kernel = load_kernel(path, trust_code, revision, **given)
        if not isinstance(kernel, cls):
            raise CheckpointError(
                f"'{path}' holds a {type(kernel).__name__}; allowed here: {cls.__name__}"
            )
        return kernel


def load_kernel(
    path: str | Path, trust_code: bool = False, revision: str | None = None, **given: Any
) -> TransitionKernel:
    """Load a kernel that `save_pretrained` or `push_to_hub` wrote, in evaluation mode.

    Args:
        path: the folder with config.json and model.safetensors, or a run with it in model/, or
            "user/name" on the Hub where there is no such folder.
        trust_code: import classes from outside this package, named in the config.
        revision: branch, tag or commit on the Hub.
        given: constructor arguments to use in place of the recorded ones, such as ``net=MyNet()``
            for a network that did not record its own.

    Raises:
        CheckpointError: for missing, truncated or changed files, a config of something that is
            not a kernel, weights that do not fit, code that is not trusted, or a name on the Hub
            that cannot be fetched.
    """
    folder = hub.local_folder(path, revision)
    if not (folder / serialization.CONFIG_FILE).exists():  # a run
        folder = serialization.model_folder(folder)
    kernel = serialization.load_module(folder, trust_code, given)
    if not isinstance(kernel, TransitionKernel):
        raise CheckpointError(f"'{path}' holds a {type(kernel).__name__}; allowed: a kernel")
    return kernel.eval()


def device_of(kernel: nn.Module) -> torch.device:
    """Where a kernel's parameters are; the CPU for a kernel without any.

    Example:
        >>> device_of(nn.Identity())
        device(type='cpu')
    """
    return next((p.device for p in kernel.parameters()), torch.device("cpu"))


def some(x: Tensor) -> None:
    """Refuse what is no batch of at least one example.

    Raises:
        TypeError: for what is no tensor.
        ValueError: for an empty batch.

    Example:
        >>> some(torch.zeros(0, 5))
        Traceback (most recent call last):
        ValueError: x has shape (0, 5); allowed: at least one example
    """
    if checks.tensor(x, "x").ndim and not len(x):
        raise ValueError(f"x has shape {tuple(x.shape)}; allowed: at least one example")


def declared(net: nn.Module, names: Sequence[str]) -> frozenset[str]:
    """Which of `names` the network's forward declares as parameters.

    A network whose forward declares more than this instance uses narrows it by an attribute
    `accepts`, a set of names.

    Example:
        >>> declared(nn.Linear(1, 1), ["input", "label"])
        frozenset({'input'})
    """
    found = frozenset(inspect.signature(net.forward).parameters) & frozenset(names)
    return found & getattr(net, "accepts", found)


class NetworkKernel(TransitionKernel):
    """A kernel around a network ``net(x, b, label=None, known=None)``.

    `label`, `known` (the mask, True = generate) and `hold` (of the step) are passed only where the
    network's forward declares them; the known values already stand in x.
    """

    net: nn.Module

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net
        self._declared = declared(net, ["label", "known", "hold"])

    @property
    def told_known(self) -> bool:
        """Whether the network is told which sites are known."""
        return "known" in self._declared

    @property
    def told_label(self) -> bool:  # type: ignore[override]
        """Whether the network is told the label."""
        return "label" in self._declared

    @property
    def told_hold(self) -> bool:
        """Whether a network is told the hold."""
        return "hold" in self._declared

    def evaluations(self, labelled: bool) -> int:
        """Network evaluations that a step costs an example: two where a label guides it."""
        return evaluations_of(self.net, labelled)

    def _told(
        self,
        x: Tensor,
        label: Tensor | int | None,
        known: checks.Known | None,
        hold: Tensor | None = None,
    ) -> dict[str, Tensor | None]:
        """What the network declares of these, at states x (B, *S).

        Raises:
            TypeError: for labels that are no whole numbers.
            ValueError: for a label that it does not take, or labels of another shape.
        """
        if label is not None:
            if not self.told_label:
                raise ValueError(
                    f"label was given, but {type(self.net).__name__}.forward declares no `label`"
                )
            label = checks.labels(label, len(x), x.device)
        mask = None if known is None else known[0]
        every = {"label": label, "known": mask, "hold": hold}
        return {name: value for name, value in every.items() if name in self._declared}

    def _apply_net(
        self,
        x: Tensor,
        b: Tensor,
        label: Tensor | int | None,
        known: checks.Known | None,
        hold: Tensor | None = None,
    ) -> Tensor:
        out: Tensor = self.net(x, b, **self._told(x, label, known, hold))
        return out

    def _check_output(self, out: Tensor, want: tuple[int, ...], source: nn.Module) -> None:
        if tuple(out.shape) != want:
            raise ValueError(
                f"{type(source).__name__} returned shape {tuple(out.shape)}; allowed: {want}"
            )
