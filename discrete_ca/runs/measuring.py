"""What a run's samples are compared with, and by which measures, chosen by its data."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from discrete_ca import metrics
from discrete_ca.data import StreamedData
from discrete_ca.data.loading import NAMES
from discrete_ca.errors import ConfigError, DataError, unknown_name
from discrete_ca.metrics import Measures, PitchCoding
from discrete_ca.runs.config import RunConfig
from discrete_ca.runs.folder import SavedRun
from discrete_ca.runs.source import DataConfig

_DIGITS = "binarized_mnist"
_VOICES, _PITCHES = 4, 24  # fewer categories are hardly the pitches of four voices
_FEWEST = 4  # that every suite measures


class Kind(NamedTuple):
    """A kind of data."""

    suite: Callable[[Tensor, SavedRun, PitchCoding | None], Measures]
    """From the reference, the run and the coding of pitches to measures."""
    fits: Callable[[tuple[int, ...], int | None], bool]
    """Whether data of shape S and K categories (None: real numbers) can be of this kind."""
    allowed: str
    """The same in words."""


KINDS = {
    "digits": Kind(
        lambda real, saved, coding: metrics.DigitSuite(real),
        lambda shape, K: shape == (28, 28),
        "(28, 28)",
    ),
    "images": Kind(
        lambda real, saved, coding: metrics.ImageSuite(real),
        lambda shape, K: K is not None,
        "any, over categories",
    ),
    "tokens": Kind(
        lambda real, saved, coding: metrics.SequenceSuite(
            real,
            saved.num_categories or 0,
            decode=None if saved.tokenizer is None else saved.tokenizer.decode,
        ),
        lambda shape, K: len(shape) == 1 and K is not None,
        "(T,)",
    ),
    "points": Kind(
        lambda real, saved, coding: metrics.PointSuite(real),
        lambda shape, K: K is None,
        "any, over real numbers",
    ),
    "chorales": Kind(
        lambda real, saved, coding: metrics.ChoraleSuite(real, coding),
        lambda shape, K: len(shape) == 2 and shape[1] > 1 and K is not None,
        "(C, T) with T >= 2",
    ),
}
"""The kinds of data, by name."""


@dataclass(frozen=True)
class Comparison:
    """What samples are measured by.

    Args:
        measures: against the reference.
        reference: what that is, in words.
        real: real examples that the reference does not hold, for the floor, (M, *S).
        trained: what was trained on, which samples may be copies of, (M', *S).
        unseen: real examples that were not trained on, (N, *S); None where there are none.
        threshold: samples are made black and white by value >= this, as the examples are; None
            leaves them as they are.
        labels: of what was trained on, (M',); None where there are none.
    """

    measures: Measures
    reference: str
    real: Tensor
    trained: Tensor
    unseen: Tensor | None
    threshold: float | None = None
    labels: Tensor | None = None

    def drawn_labels(self, count: int, generator: torch.Generator | None = None) -> Tensor | None:
        """As many labels, (count,), as often as in what was trained on; None without labels."""
        if self.labels is None:
            return None
        return self.labels[torch.randint(len(self.labels), (count,), generator=generator)].long()

    def report(
        self, samples: Tensor, generator: torch.Generator | None = None
    ) -> dict[str, float | str]:
        """The measures of samples beside their floors, and the share of copies.

        Args:
            samples: shape (N, *S), no more than there are in `real`.
            generator: source of randomness, for the examples that the floor is taken on.
        """
        if self.threshold is not None:
            samples = (samples >= self.threshold).long()
        found: dict[str, float | str] = dict(
            metrics.with_floor(self.measures, samples, self.real, generator)
        )
        if self.trained.is_floating_point():  # no draw equals another
            return {**found, "reference": self.reference}
        found["share_of_copies"] = metrics.share_of_copies(samples, self.trained)
        real = (
            metrics.share_of_repeats(self.trained)  # every real example was trained on
            if self.unseen is None
            else metrics.share_of_copies(self.unseen, self.trained)
        )
        found[metrics.floor_name("share_of_copies")] = real
        return {**found, "reference": self.reference}


def kind_of(saved: SavedRun) -> str:
    """Which of `KINDS` suits the data of a run, by their name, shape and number of categories."""
    shape, categories = saved.shape or (), saved.num_categories or 0
    name = saved.about.get("data", {}).get("name", _DIGITS)
    if name in NAMES and shape == (28, 28):
        return "digits"
    if saved.num_categories is None:
        return "points"
    if len(shape) == 1:
        return "tokens"
    voices = len(shape) == 2 and shape[0] == _VOICES and shape[1] > _VOICES
    return "chorales" if voices and categories >= _PITCHES else "images"


def build_comparison(
    saved: SavedRun,
    *,
    kind: str | None = None,
    split: str | None = None,
    coding: PitchCoding | None = None,
    seed: int = 0,
) -> Comparison:
    """What the samples of a run are compared with.

    The reference is the split that is named; else the test set for binarized MNIST digits; else the
    examples that the run held out; else, since nothing better is left, a random half of what was
    trained on. The floor is taken on what was trained on, or on its other half.

    Args:
        saved: the run; its data are read again.
        kind: one of `KINDS`; None for the one that suits.
        split: of the run's source, to compare with.
        coding: of music, which pitch a category means; None for what the run says.
        seed: of the halves.

    Raises:
        ConfigError: for a run that does not say its data, or a kind that is not known or does not
            fit them.
        DataError: for data that cannot be read, or too few of them.
    """
    shape, K = saved.shape, saved.num_categories
    if shape is None:
        raise ConfigError("the run does not say the shape of its data; allowed: one with run.json")
    kind = kind_of(saved) if kind is None else kind
    if kind not in KINDS:
        raise ConfigError(unknown_name("kind", kind, KINDS))
    if not KINDS[kind].fits(shape, K):
        raise ConfigError(f"kind was {kind}, but the run has data of shape {shape}, K = {K}; "
                          f"allowed: {KINDS[kind].allowed}")  # fmt: skip
    found = _examples(saved, kind, split, seed)
    for name, part in (("reference", found.reference), ("floor", found.real)):
        if tuple(part.shape[1:]) != shape or len(part) < _FEWEST:
            raise DataError(
                f"the examples for the {name} have shape {tuple(part.shape)}; allowed: (N, *S) "
                f"with S = {shape} and N >= {_FEWEST}"
            )
    measures = KINDS[kind].suite(found.reference, saved, coding or saved.coding())
    threshold = None
    if kind == "digits" and K != 2:  # the judge knows black and white; real numbers in [-1, 1]
        threshold = 0.0 if K is None else K / 2
    return Comparison(
        measures, found.name, found.real, found.trained, found.unseen, threshold, found.labels
    )


class _Examples(NamedTuple):
    reference: Tensor
    name: str
    real: Tensor
    trained: Tensor
    unseen: Tensor | None
    labels: Tensor | None


def _examples(saved: SavedRun, kind: str, split: str | None, seed: int) -> _Examples:
    if "config" not in saved.about and kind != "digits":
        raise ConfigError("the run does not say where its data are; allowed: one with run.json")
    config = RunConfig.from_dict(saved.about.get("config", {"data": {"source": _DIGITS}}))
    if split is None and kind == "digits":
        split = "test"
    if kind == "digits":  # in black and white, whatever was trained on
        held_out = config.data.held_out
        config = dataclasses.replace(config, data=DataConfig(_DIGITS, held_out=held_out))
    if split == config.data.split:
        raise ConfigError(
            f"split was '{split}', which the run was trained on; allowed: another, or none"
        )
    train, unseen = config.data.load_parts(config.train.seed)
    if isinstance(train, StreamedData):
        raise ConfigError("the run was trained on a stream; allowed: data that can be read again")
    trained = train.states
    if split is not None:
        changes: dict[str, Any] = {"split": split, "held_out": 0}
        settled = config.data.form.load is not None or saved.num_categories is None
        if kind != "digits" and not settled:  # else the source says the categories itself
            changes["num_categories"] = saved.num_categories
        other = dataclasses.replace(config.data, **changes).load()
        assert not isinstance(other, StreamedData)
        unseen = other
    if unseen is None:
        real, rest = metrics.halves(trained, torch.Generator().manual_seed(seed))
        name = f"half of what was trained on: {len(rest):,}"
        return _Examples(rest, name, real, trained, None, train.labels)
    where = "held out" if split is None else f"{unseen.name}, {split}"
    states = unseen.states  # read, or widened, once
    name = f"{where}: {len(unseen):,}"
    return _Examples(states, name, trained, trained, states, train.labels)
