"""Metrics: how close samples are to the data, how varied they are, and whether they are copies."""

from discrete_ca.metrics.chorales import ChoraleMetrics, PitchCoding, chorale_metrics
from discrete_ca.metrics.copies import nearest_distance, share_of_copies, share_of_repeats
from discrete_ca.metrics.divergences import (
    jensen_shannon,
    kullback_leibler,
    law,
    total_variation,
)
from discrete_ca.metrics.features import (
    Extractor,
    PrincipalComponents,
    extract,
    values_of_sites,
)
from discrete_ca.metrics.floors import Measures, floor, halves, with_floor
from discrete_ca.metrics.frechet import frechet_distance, gaussian_distance, gaussian_fit
from discrete_ca.metrics.garbage import GARBAGE
from discrete_ca.metrics.judge import (
    DigitMetrics,
    Judge,
    class_entropy,
    confident_share,
    digit_metrics,
    load_judge,
)
from discrete_ca.metrics.manifold import ManifoldMetrics, manifold_metrics
from discrete_ca.metrics.mmd import (
    GaussianSimilarity,
    HammingSimilarity,
    PolynomialSimilarity,
    Similarity,
    mmd_squared,
)
from discrete_ca.metrics.ngram_model import CrossEntropy, NGramModel
from discrete_ca.metrics.ngrams import (
    NGramDivergences,
    ngram_codes,
    ngram_divergences,
    share_seen,
)
from discrete_ca.metrics.report import MEASURES, Measure, floor_name, rows
from discrete_ca.metrics.suites import (
    ChoraleSuite,
    DigitSuite,
    ImageSuite,
    PointSuite,
    SequenceSuite,
)
from discrete_ca.metrics.words import share_of_known_words, vocabulary

__all__ = [
    "GARBAGE",
    "MEASURES",
    "ChoraleMetrics",
    "ChoraleSuite",
    "CrossEntropy",
    "DigitMetrics",
    "DigitSuite",
    "Extractor",
    "GaussianSimilarity",
    "HammingSimilarity",
    "ImageSuite",
    "Judge",
    "ManifoldMetrics",
    "Measure",
    "Measures",
    "NGramDivergences",
    "NGramModel",
    "PitchCoding",
    "PointSuite",
    "PolynomialSimilarity",
    "PrincipalComponents",
    "SequenceSuite",
    "Similarity",
    "chorale_metrics",
    "class_entropy",
    "confident_share",
    "digit_metrics",
    "extract",
    "floor",
    "floor_name",
    "frechet_distance",
    "gaussian_distance",
    "gaussian_fit",
    "halves",
    "jensen_shannon",
    "kullback_leibler",
    "law",
    "load_judge",
    "manifold_metrics",
    "mmd_squared",
    "nearest_distance",
    "ngram_codes",
    "ngram_divergences",
    "rows",
    "share_of_copies",
    "share_of_known_words",
    "share_of_repeats",
    "share_seen",
    "total_variation",
    "values_of_sites",
    "vocabulary",
    "with_floor",
]
