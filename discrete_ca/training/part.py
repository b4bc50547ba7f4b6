"""What a phase trains: its parameters, their optimizer and average, and one step of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from discrete_ca import draws
from discrete_ca.errors import NonFiniteError
from discrete_ca.kernels import TransitionKernel
from discrete_ca.objectives import Objective
from discrete_ca.training.batches import Batch
from discrete_ca.training.config import TrainConfig
from discrete_ca.training.ema import EMA
from discrete_ca.training.processes import Processes


class MeanLoss(nn.Module):
    """The mean loss of a batch as one forward: what is wrapped to share gradients.

    Where it is not finite, or a network returned what is not, it is NaN and so is its gradient, for
    all parameters and thus on all processes: the step is left out, and `reason` says why.
    """

    def __init__(self, kernel: TransitionKernel) -> None:
        super().__init__()
        self.kernel = kernel
        self.reason = ""

    def forward(
        self,
        objective: Objective,
        z: Tensor,
        label: Tensor | None,
        present: Tensor | None,
        noise: torch.Generator,
    ) -> Tensor:
        """The mean loss, in nats; a scalar."""
        with torch.autocast(z.device.type, enabled=False):  # only networks run in half precision
            try:
                loss = objective(
                    self.kernel, z, label=label, generator=noise, present=present
                ).mean()
                if bool(loss.isfinite()):
                    return loss
                self.reason = f"the mean loss was {float(loss.detach()):g}"
            except NonFiniteError as error:
                self.reason = str(error)
            trained = [p.sum() for p in self.kernel.parameters() if p.requires_grad]
            return torch.stack(trained).sum() * math.nan


class NormLimit:
    """Scales down gradients whose norm is far above what is usual.

    The gradient of contrastive adjustment is heavy-tailed and its tail is the signal: clipping at a
    fixed norm biases what is learned (theory, section 9). Here a norm above `factor` times the
    running geometric mean is scaled down to that, which cuts off accidents alone.

    Example:
        >>> limit = NormLimit(factor=10.0)
        >>> [limit.scale(norm) for norm in [1.0] * 100 + [40.0]][-1]
        0.25
    """

    SETTLED = 50  # steps before which nothing is known to be unusual
    DECAY = 0.98

    def __init__(self, factor: float) -> None:
        self.factor = factor
        self.steps, self.log_mean = 0, 0.0
        self.cut = 0  # gradients scaled down

    def scale(self, norm: float) -> float:
        """What a gradient of this norm is multiplied with, in (0, 1]."""
        if norm == 0:
            return 1.0
        limit = self.factor * math.exp(self.log_mean) if self.steps >= self.SETTLED else math.inf
        weight = max(1 - self.DECAY, 1 / (self.steps + 1))
        self.log_mean += weight * (math.log(min(norm, limit)) - self.log_mean)
        self.steps += 1
        self.cut += norm > limit
        return min(1.0, limit / norm)


class Part:
    """The parameters that a phase trains, all others frozen.

    Args:
        kernel: the kernel.
        parameters: those to train.
        config: learning rate, betas, weight decay, average, clip.
        processes: who trains together.
    """

    def __init__(
        self,
        kernel: TransitionKernel,
        parameters: Sequence[nn.Parameter],
        config: TrainConfig,
        processes: Processes,
    ) -> None:
        self.parameters, self.config, self.processes = list(parameters), config, processes
        kernel.requires_grad_(False)
        for parameter in self.parameters:
            parameter.requires_grad_(True)
        self.told_label = kernel.told_label
        self._mean_loss = MeanLoss(kernel)
        self.loss = processes.wrap(self._mean_loss)
        self.optimizer = torch.optim.AdamW(
            self.parameters, config.learning_rate, config.betas,
            weight_decay=config.weight_decay, fused=True,
        )  # fmt: skip
        self.ema = EMA(self.parameters, config.ema)
        self.limit = None if config.clip is None else NormLimit(config.clip)

    def gradient(self, objective: Objective, batches: Sequence[Batch], step: int) -> Tensor:
        """Leave the gradient of the mean loss over the global batch of a step.

        The noise of each batch is keyed by the seed, the step and the batch's place in the global
        one, so that processes and accumulated batches give the same numbers.

        Args:
            objective: what is descended.
            batches: this process's parts of the global batch.
            step: the step.

        Returns:
            The mean loss of these batches, a scalar.
        """
        self.optimizer.zero_grad(set_to_none=True)
        device, count = self.processes.device, len(batches)
        total = torch.zeros((), device=device)
        for i, batch in enumerate(batches):
            place = self.processes.rank * count + i
            key = (step,) if self.processes.count * count == 1 else (step, place)
            noise = draws.keyed(self.config.seed, "noise", *key)
            told = batch.label if self.told_label else None
            z, label, present = (
                None if part is None else part.to(device) for part in (batch.z, told, batch.present)
            )
            with (
                draws.globally_keyed(device, self.config.seed, "networks", *key),  # dropout
                self.processes.alone(self.loss, i + 1 < count),
            ):
                loss = self.loss(objective, z, label, present, noise) / count
                loss.backward()
            total = total + loss.detach()
        return total

    def descend(self, learning_rate: float) -> tuple[float, bool]:
        """Take a step along the gradient that was left; none where it is not finite.

        Returns:
            The gradient's norm, and whether the step was taken.
        """
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        norms = torch.stack(torch._foreach_norm(gradients))
        norm = float(torch.linalg.vector_norm(norms))
        if not math.isfinite(norm):
            return norm, False
        if self.limit is not None and (scale := self.limit.scale(norm)) < 1:
            torch._foreach_mul_(gradients, scale)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        self.optimizer.step()
        self.ema.update()
        return norm, True

    @property
    def reason(self) -> str:
        """Why the last step that was left out here was; "" for a gradient that was not finite."""
        return self._mean_loss.reason

    @property
    def clipped(self) -> int:
        """Steps whose gradient was scaled down."""
        return 0 if self.limit is None else self.limit.cut

    # -- checkpoints ------------------------------------------------------------------------------

    def state(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Numbers and tensors by name, to go on from."""
        numbers: dict[str, Any] = {"ema_step": self.ema.step}
        if self.limit is not None:
            numbers["limit"] = [self.limit.steps, self.limit.log_mean, self.limit.cut]
        tensors = {f"ema.{i}": v for i, v in enumerate(self.ema.averages)}
        for i, slots in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{i}.{name}": value for name, value in slots.items()}
        return numbers, tensors

    def restore(self, numbers: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        """Go on from a state.

        Raises:
            KeyError, RuntimeError, ValueError, TypeError: for a state of another part.
        """
        self.ema.step = numbers["ema_step"]
        if self.limit is not None:
            self.limit.steps, self.limit.log_mean, self.limit.cut = numbers["limit"]
        for i, average in enumerate(self.ema.averages):
            average.copy_(tensors[f"ema.{i}"])
        slots: dict[int, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            if key.startswith("optimizer."):
                _, place, name = key.split(".", 2)
                slots.setdefault(int(place), {})[name] = value
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": slots})
