"""The optimizers of a training run: AdamW, and Muon for weight matrices where it is asked for.

Muon (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/) moves a weight matrix along
the nearest semi-orthogonal matrix to its momentum. Biases, norms, embeddings and thin output layers
stay with AdamW.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from discrete_ca.training.config import TrainConfig

_LEAST_SIDE = 16  # a thinner matrix has too few directions to make orthogonal


def matrices(module: nn.Module) -> list[nn.Parameter]:
    """Weights that Muon suits: of linear and convolutional layers, both sides at least 16.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(16, 32, 3), nn.Linear(32, 2), nn.Embedding(99, 32))
        >>> len(matrices(net))
        1
    """
    kinds = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
    layers = [layer for layer in module.modules() if isinstance(layer, kinds)]
    weights: list[nn.Parameter] = [layer.weight for layer in layers]  # type: ignore[misc]
    return [w for w in weights if min(w.shape[0], w[0].numel()) >= _LEAST_SIDE]


class Muon(torch.optim.Muon):
    """torch's Muon for weights of any rank: convolutions are seen as (C_out, C_in * kernel).

    Args:
        weights: parameters of two dimensions or more, contiguous in memory.
        settings: of `torch.optim.Muon`.

    Example:
        >>> layer = nn.Conv2d(16, 16, 3)
        >>> optimizer = Muon([layer.weight], lr=0.02)
        >>> layer(torch.ones(1, 16, 4, 4)).sum().backward()
        >>> optimizer.step()
    """

    def __init__(self, weights: Iterable[nn.Parameter], **settings: Any) -> None:
        self.weights = [w for w in weights if w.requires_grad]
        views = [nn.Parameter(w.detach().flatten(1)) for w in self.weights]
        for view, weight in zip(views, self.weights, strict=True):
            if view.data_ptr() != weight.data_ptr():
                shape = tuple(weight.shape)
                raise ValueError(
                    f"a weight of shape {shape} is not contiguous; allowed: contiguous"
                )
        super().__init__(views, **settings)

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor] | None = None) -> Any:  # type: ignore[override]
        """One step with the gradients of the weights as they are."""
        views = [view for group in self.param_groups for view in group["params"]]
        for view, weight in zip(views, self.weights, strict=True):
            view.grad = None if weight.grad is None else weight.grad.flatten(1)
        return super().step(closure)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of the weights."""
        super().zero_grad(set_to_none)
        for weight in self.weights:
            weight.grad = None


def make_optimizers(
    module: nn.Module, parameters: Sequence[nn.Parameter], config: TrainConfig
) -> list[torch.optim.Optimizer]:
    """AdamW for `parameters`; where the config has a `matrix_learning_rate`, Muon for matrices.

    Each group's peak learning rate stands in ``group["peak"]``.
    """
    rate = config.matrix_learning_rate
    chosen = {id(w) for w in matrices(module)} if rate is not None else set()
    rest = [p for p in parameters if id(p) not in chosen]
    made: list[torch.optim.Optimizer] = []
    if rest:
        made.append(
            torch.optim.AdamW(
                rest,
                config.learning_rate,
                config.betas,
                weight_decay=config.weight_decay,
                fused=True,
            )
        )
    if rate is not None and (weights := [p for p in parameters if id(p) in chosen]):
        made.append(Muon(weights, lr=rate, weight_decay=config.weight_decay))
    for optimizer in made:
        for group in optimizer.param_groups:
            group["peak"] = group["lr"]
    return made
