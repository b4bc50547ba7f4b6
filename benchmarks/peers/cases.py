"""The data sets of the comparison, and what is measured of samples of each."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

import discrete_ca as dca
from benchmarks.digits import looks
from discrete_ca import metrics
from discrete_ca.data import DiscreteData, made

TUNED_BESIDE = 10_000
"""Training digits that settings are chosen beside, at most."""


class Measures(Protocol):
    """What samples of a data set look like beside others of its test split."""

    real: Tensor
    """As many real examples as samples are drawn, (N, *S)."""

    def looks(self, z: Tensor) -> dict[str, float]:
        """Measures of samples (N, *S), the first of them "Frechet"."""

    def tuning_distance(self, z: Tensor) -> float:
        """What settings are chosen by: the Frechet distance to examples of the training split."""


def examples(source: str, quantize: int | None = None) -> DiscreteData:
    """The training split, without labels; its levels divided into so many."""
    loaded = dca.data.load(source, quantize=quantize)
    assert isinstance(loaded, DiscreteData)
    return DiscreteData(loaded.states, loaded.num_categories)


class Digits:
    """Digits, which the judge takes in black and white.

    Args:
        source: name of the data.
        count: samples a row.
        threshold: from which level on a site is ink; None for binary digits.
        most: test digits that they are compared with, at most; None for all others.

    Settings are chosen beside no test digit but beside `TUNED_BESIDE` training digits.
    """

    def __init__(
        self, source: str, count: int, threshold: int | None = None, most: int | None = None
    ) -> None:
        self.source, self.threshold, self.most = source, threshold, most
        self.judge = metrics.load_judge()
        test = dca.data.load(source, split="test")
        assert isinstance(test, DiscreteData)
        real, others = test.split(len(test) - count, 0)
        self.real = real[torch.arange(count)]
        self.reference = self._features(others[torch.arange(len(others))[:most]])

    @cached_property
    def tuning(self) -> Tensor:
        """Features of training digits, no more than `most` either."""
        digits = examples(self.source)
        return self._features(digits[torch.arange(len(digits))[:TUNED_BESIDE][: self.most]])

    def looks(self, z: Tensor) -> dict[str, float]:
        """Frechet distance on the judge's features, what it is sure of, and ink."""
        ink = self._ink(z)
        return looks(self.judge, ink, self.judge.log_probs(ink), self.reference)

    def tuning_distance(self, z: Tensor) -> float:
        """Frechet distance on the judge's features to those of training digits."""
        return float(metrics.frechet_distance(self._features(z), self.tuning))

    def _features(self, z: Tensor) -> Tensor:
        return self.judge.features(self._ink(z))

    def _ink(self, z: Tensor) -> Tensor:
        return z if self.threshold is None else (z >= self.threshold).long()


class Shapes:
    """Coloured shapes of few levels a channel, of which every picture that there is is known.

    They are compared with all of these, which are the law itself and no sample of either split, so
    that settings are chosen beside the same.

    Args:
        levels: K, bins that the 256 of a channel are divided into.
        count: samples a row.
        most: pictures that they are compared with, at most; None for all.
    """

    def __init__(self, levels: int, count: int, most: int | None = None) -> None:
        test = dca.data.load("shapes", split="test", quantize=levels)
        assert isinstance(test, DiscreteData)
        self.levels, self.real = levels, test[torch.arange(count)]
        every = dca.data.quantize(made.every_shape(), levels).flatten(1)
        self.every, self.reference = every, self._features(every[:most])

    def looks(self, z: Tensor) -> dict[str, float]:
        """Frechet distance of pixels, 1 for white, and the share that are one of the pictures."""
        whole = (z.flatten(1)[:, None] == self.every).all(-1).any(-1)
        distance = self.tuning_distance(z)
        return {"Frechet": distance, "whole shapes": float(whole.double().mean())}

    def tuning_distance(self, z: Tensor) -> float:
        """Frechet distance of pixels to those of all pictures."""
        return float(metrics.frechet_distance(self._features(z), self.reference))

    def _features(self, z: Tensor) -> Tensor:
        return z.flatten(1).double() / (self.levels - 1)


class Case(NamedTuple):
    """One data set of the comparison."""

    source: str
    """Name of the data."""
    shape: tuple[int, ...]
    budgets: tuple[int, ...]
    """Steps of training, where none are asked for."""
    measures: Callable[..., Measures]
    """What so many samples are measured by; `most`: compared with no more real ones."""
    quantize: int | None = None
    """Levels that those of the data are divided into, if they are too many."""


CASES = {
    "binarized-mnist": Case(
        "binarized_mnist", (28, 28), (800, 3200), partial(Digits, "binarized_mnist")
    ),
    "mnist16": Case("mnist16", (28, 28), (800, 3200), partial(Digits, "mnist16", threshold=8)),
    "colour": Case("shapes", (3, 8, 8), (400, 1600), partial(Shapes, 16), quantize=16),
}
"""By the name of their recipe."""
