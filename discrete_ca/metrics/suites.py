"""Suites: which measures suit which kind of data.

A suite is made once from real examples, the reference, and measures any number of sets against
them: the samples, and as many real examples for the floor (`discrete_ca.metrics.with_floor`).
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from discrete_ca.metrics.chorales import PitchCoding, chorale_metrics
from discrete_ca.metrics.features import PrincipalComponents, thinned
from discrete_ca.metrics.frechet import frechet_distance
from discrete_ca.metrics.judge import digit_metrics, load_judge
from discrete_ca.metrics.manifold import manifold_metrics
from discrete_ca.metrics.mmd import GaussianSimilarity, HammingSimilarity, mmd_squared
from discrete_ca.metrics.ngram_model import NGramModel
from discrete_ca.metrics.ngrams import ngram_divergences, share_seen
from discrete_ca.metrics.words import share_of_known_words, vocabulary

_COMPONENTS, _MOST, _MOST_OF_MMD = 64, 10_000, 2_000
_FINE = 0.1  # bandwidth of points, as a share of the median distance: details count too
_ORDER, _ORDER_OF_FEW, _FEW = 3, 5, 256  # of n-gram models; longer for characters and bytes


class DigitSuite:
    """Binarized MNIST digits: what the judge says.

    Args:
        reference: real digits, long, shape (M, 28, 28), values 0 and 1.

    Example:
        >>> import torch
        >>> digits = torch.eye(28, dtype=torch.long).expand(4, 28, 28)
        >>> DigitSuite(digits)(digits)["frechet_distance"]
        0.0
    """

    def __init__(self, reference: Tensor) -> None:
        self.judge = load_judge()
        self.features = self.judge.features(reference)

    def __call__(self, samples: Tensor) -> dict[str, float]:
        """Measures of samples (N, 28, 28), N >= 2, by name."""
        return digit_metrics(samples, self.features, self.judge).as_dict()


class ImageSuite:
    """Images, and any states whose values have an order: MMD, Fréchet, precision and recall.

    MMD compares states site by site; the others the first 64 principal components of the values,
    fitted on the reference. A large reference is thinned, to every k-th example: to at most 10,000,
    and to 2,000 for MMD, which is unbiased at any size.

    Args:
        reference: real examples, long, shape (M, *S), M >= 4, not all equal.

    Example:
        >>> import torch
        >>> g = torch.Generator().manual_seed(0)
        >>> x, real = torch.randint(2, (2, 50, 4, 4), generator=g)
        >>> [*ImageSuite(real)(x)]
        ['mmd_hamming', 'frechet_components', 'precision', 'recall', 'density', 'coverage']
    """

    def __init__(self, reference: Tensor) -> None:
        reference = thinned(reference, _MOST)
        self.reference = thinned(reference, _MOST_OF_MMD)
        self.similarity = HammingSimilarity.median(reference)
        self.components = PrincipalComponents(reference, _COMPONENTS)
        self.features = self.components(reference)

    def __call__(self, samples: Tensor) -> dict[str, float]:
        """Measures of samples (N, *S), N >= 4, by name."""
        features = self.components(samples)
        return {
            "mmd_hamming": mmd_squared(samples, self.reference, self.similarity),
            "frechet_components": frechet_distance(features, self.features),
            **manifold_metrics(features, self.features).as_dict(),
        }


class SequenceSuite:
    """Sequences of tokens: n-gram divergences, and what an n-gram model of real text makes of them.

    Divergences are those of Jensen and Shannon for n up to 3; the model is an `NGramModel` of order
    5, or of order 3 above 256 categories, and no longer than the rows.

    Args:
        reference: real sequences, long, shape (M, T), best not those trained on.
        num_categories: K.
        decode: from the tokens (T,) of a row to its text, where words stand between spaces; None
            for no measure of words.

    Example:
        >>> import torch
        >>> real = torch.tensor([[0, 1, 0, 1], [1, 0, 1, 0]])
        >>> SequenceSuite(real, 2)(real)["divergence_2"]
        0.0
    """

    def __init__(
        self,
        reference: Tensor,
        num_categories: int,
        decode: Callable[[Tensor], str] | None = None,
    ) -> None:
        self.reference, self.num_categories = reference, num_categories
        longest = reference.shape[1]
        order = _ORDER_OF_FEW if num_categories <= _FEW else _ORDER
        self.orders = range(1, min(_ORDER, longest) + 1)
        self.model = NGramModel(min(order, longest), num_categories).fit(reference)
        self.decode = decode
        self.words = vocabulary(map(decode, reference)) if decode is not None else set()

    def __call__(self, samples: Tensor) -> dict[str, float]:
        """Measures of samples (N, T), by name."""
        K, n = self.num_categories, self.orders[-1]
        found = {
            f"divergence_{m}": ngram_divergences(samples, self.reference, m, K).jensen_shannon
            for m in self.orders
        }
        found[f"seen_{n}"] = share_seen(samples, self.reference, n, K)
        found[f"cross_entropy_{self.model.order}"] = self.model.cross_entropy(samples).nats
        if self.decode is not None:
            texts = map(self.decode, samples)
            found["known_words"] = share_of_known_words(texts, self.words, windows=True)
        return found


class PointSuite:
    """Points of real numbers: MMD with a Gaussian similarity.

    Its bandwidth is a tenth of the median distance of points of the reference.

    Args:
        reference: real points, shape (M, *S), M >= 2, not all equal.

    Example:
        >>> import torch
        >>> g = torch.Generator().manual_seed(0)
        >>> x, real = torch.randn(2, 100, 2, generator=g)
        >>> abs(PointSuite(real)(x)["mmd_gaussian"]) < 0.02
        True
    """

    def __init__(self, reference: Tensor) -> None:
        self.reference = thinned(reference.flatten(1), _MOST_OF_MMD)
        median = GaussianSimilarity.median(self.reference).bandwidth
        self.similarity = GaussianSimilarity(_FINE * median)

    def __call__(self, samples: Tensor) -> dict[str, float]:
        """Measures of samples (N, *S), N >= 2, by name."""
        return {"mmd_gaussian": mmd_squared(samples.flatten(1), self.reference, self.similarity)}


class ChoraleSuite:
    """Music in voices: its chords and voice-leading; see `ChoraleMetrics`.

    Args:
        reference: real music as categories, long, shape (M, C, T), best not what was trained on.
        coding: which pitch a category means.

    Example:
        >>> import torch
        >>> scores = torch.tensor([[[67, 69], [60, 60]]])
        >>> ChoraleSuite(scores)(scores)["held"]
        0.5
    """

    def __init__(self, reference: Tensor, coding: PitchCoding | None = None) -> None:
        self.coding = PitchCoding() if coding is None else coding
        self.reference = self.coding.pitches(reference)

    def __call__(self, samples: Tensor) -> dict[str, float]:
        """Measures of samples (N, C, T), by name."""
        return chorale_metrics(self.coding.pitches(samples), self.reference).as_dict()
