"""A small classifier of binarized digits, and the metrics of samples that it gives.

It tells the ten digits from one another and from an eleventh class, "not a digit", which it learnt
from shuffled, spliced and noisy digits (`discrete_ca.metrics.garbage`). The probability of the
eleventh is left out of what it reports, so that the ten add up to at most one and a confident judge
has seen one digit and nothing else.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from discrete_ca import checks
from discrete_ca.errors import CheckpointError
from discrete_ca.metrics.features import extract
from discrete_ca.metrics.frechet import frechet_distance

SIDE = 28
"""Height and width of the images that the judge takes."""

NUM_DIGITS = 10
"""Classes that the judge reports."""

JUDGE_FILE = Path(__file__).parent / "assets" / "judge.safetensors"
"""The trained judge, in float16; `assets/train_judge.py` makes it."""


class Judge(nn.Module):
    """Convolutional classifier of images (N, 28, 28) of 0 and 1: ten digits, and none of them.

    Its features are the normalized inputs of the last activation: over its training images, two
    thirds of which are digits, each has mean 0 and variance 1.

    Args:
        width: F, features an image.

    Example:
        >>> judge = load_judge()
        >>> blank = torch.zeros(2, 28, 28, dtype=torch.long)
        >>> judge.features(blank).shape, judge.log_probs(blank).shape
        (torch.Size([2, 64]), torch.Size([2, 10]))
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        checks.positive(width, "width")
        self.trunk = nn.Sequential(
            *_convolution(1, 24, kernel_size=5, stride=2, padding=2),  # 14 x 14
            *_convolution(24, 32, kernel_size=3, padding=1),
            *_convolution(32, 64, kernel_size=3, stride=2, padding=1),  # 7 x 7
            *_convolution(64, 64, kernel_size=3, stride=2),  # 3 x 3
            nn.Flatten(),
            nn.Linear(9 * 64, width, bias=False),
            nn.BatchNorm1d(width, affine=False),
        )
        self.head = nn.Linear(width, NUM_DIGITS + 1)

    def forward(self, z: Tensor) -> Tensor:
        """Images (N, 28, 28) to logits (N, 11); the last is "not a digit"."""
        logits: Tensor = self.head(nn.functional.silu(self._trunk(z)))
        return logits

    def features(self, z: Tensor, chunk: int = 1024) -> Tensor:
        """Features of images, in chunks, without gradients and in evaluation mode.

        Args:
            z: images, long, shape (N, 28, 28), values 0 and 1.
            chunk: images at once.

        Returns:
            Features, shape (N, F), on the judge's device.

        Raises:
            TypeError: for images that do not hold int64.
            ValueError: for another shape or other values.
        """
        _images(z)
        self.eval()
        return extract(self._trunk, z, chunk)

    def log_probs(self, z: Tensor, chunk: int = 1024) -> Tensor:
        """Log-probabilities of the ten digits, in chunks, without gradients, in evaluation mode.

        Args:
            z: images, long, shape (N, 28, 28), values 0 and 1.
            chunk: images at once.

        Returns:
            Shape (N, 10), on the judge's device; their exponentials add up to at most 1 an image,
            and what is missing is the probability of no digit.

        Raises:
            TypeError: for images that do not hold int64.
            ValueError: for another shape or other values.
        """
        _images(z)
        self.eval()
        return extract(self, z, chunk).log_softmax(-1)[:, :NUM_DIGITS]

    def _trunk(self, z: Tensor) -> Tensor:
        features: Tensor = self.trunk(z[:, None].to(self.head.weight))
        return features


@dataclass(frozen=True)
class DigitMetrics:
    """What the judge says of a set of samples.

    Attributes:
        confident_share: share of samples that are one digit with probability of at least 0.9.
        class_entropy: entropy in nats of the mean predicted class; ln 10 = 2.303 is even.
        frechet_distance: squared Fréchet distance of the judge's features from the reference's.

    Example:
        >>> DigitMetrics(0.9, 2.3, 1.5).as_dict()
        {'confident_share': 0.9, 'class_entropy': 2.3, 'frechet_distance': 1.5}
    """

    confident_share: float
    class_entropy: float
    frechet_distance: float

    def as_dict(self) -> dict[str, float]:
        """The metrics by name, to print or to write as JSON."""
        return asdict(self)


def load_judge(path: str | Path = JUDGE_FILE) -> Judge:
    """The trained judge: float32, in evaluation mode, its parameters fixed.

    Args:
        path: safetensors of a `Judge`'s state; the one in this package by default.

    Raises:
        CheckpointError: for a file that is missing or holds no judge.

    Example:
        >>> load_judge().training
        False
    """
    try:
        state = load_file(path)
        judge = Judge(width=state["head.weight"].shape[1])
        judge.load_state_dict(state)
    except (OSError, SafetensorError, KeyError, RuntimeError) as error:
        raise CheckpointError(f"path was {path}; allowed: a saved judge ({error})") from error
    return judge.eval().requires_grad_(False)


def confident_share(log_probs: Tensor, threshold: float = 0.9) -> float:
    """Share of samples with one class of probability >= `threshold`.

    Args:
        log_probs: log-probabilities of the classes, shape (N, C).
        threshold: within [0, 1].

    Raises:
        ValueError: for another shape, no samples, or a threshold outside [0, 1].

    Example:
        >>> confident_share(torch.tensor([[0.95, 0.05], [0.5, 0.5]]).log())
        0.5
    """
    _table(log_probs)
    checks.probability(threshold, "threshold")
    return float((log_probs.exp().amax(-1) >= threshold).double().mean())


def class_entropy(log_probs: Tensor) -> float:
    """Entropy in nats of the mean predicted distribution, -Σ_c p_c ln p_c; at most ln C.

    Where the classes of a sample add up to less than one (`Judge.log_probs`), each sample counts in
    that proportion and the mean is normalized.

    Args:
        log_probs: log-probabilities of the classes, shape (N, C).

    Raises:
        ValueError: for another shape, no samples, or no class of positive probability.

    Example:
        >>> round(class_entropy(torch.eye(10).log()), 3)
        2.303
    """
    _table(log_probs)
    total = log_probs.double().logsumexp(0)
    if not total.amax().isfinite():
        raise ValueError("log_probs is -inf or NaN for every class; allowed: some finite value")
    return float(torch.special.entr(total.softmax(0)).sum())


def digit_metrics(samples: Tensor, reference: Tensor, judge: Judge) -> DigitMetrics:
    """Judge samples of digits.

    Args:
        samples: images, long, shape (N, 28, 28), values 0 and 1, N >= 2.
        reference: the data to compare with: images, long, shape (M, 28, 28), or their features
            (M, F), computed once with `judge.features`.
        judge: usually `load_judge()`.

    Raises:
        TypeError: for images that do not hold int64.
        ValueError: for other shapes, other values, or fewer than two of either.

    Example:
        >>> digits = torch.eye(28, dtype=torch.long).expand(4, 28, 28)
        >>> digit_metrics(digits, digits, load_judge()).frechet_distance
        0.0
    """
    features = judge.features(samples)
    if reference.ndim != 2:
        reference = judge.features(reference)
    log_probs = judge.log_probs(samples)
    return DigitMetrics(
        confident_share(log_probs),
        class_entropy(log_probs),
        frechet_distance(features, reference),
    )


def _convolution(inputs: int, outputs: int, **kwargs: int) -> list[nn.Module]:
    convolution = nn.Conv2d(inputs, outputs, bias=False, **kwargs)  # type: ignore[arg-type]
    return [convolution, nn.BatchNorm2d(outputs), nn.SiLU()]


def _images(z: Tensor) -> None:
    checks.states(z, 2, "z")
    if z.shape[1:] != (SIDE, SIDE):
        raise ValueError(f"z has shape {tuple(z.shape)}; allowed: (N, {SIDE}, {SIDE})")


def _table(log_probs: Tensor) -> None:
    if log_probs.ndim != 2 or log_probs.numel() == 0:
        raise ValueError(f"log_probs has shape {tuple(log_probs.shape)}; allowed: (N, C), N >= 1")
