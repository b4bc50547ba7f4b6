"""Metrics: how close samples are to the data, how varied they are, and whether they are copies."""

from discrete_ca.metrics.copies import nearest_distance, share_of_copies
from discrete_ca.metrics.frechet import (
    Extractor,
    extract,
    frechet_distance,
    gaussian_distance,
    gaussian_fit,
)
from discrete_ca.metrics.garbage import GARBAGE
from discrete_ca.metrics.judge import (
    DigitMetrics,
    Judge,
    class_entropy,
    confident_share,
    digit_metrics,
    load_judge,
)
from discrete_ca.metrics.report import MEASURES, Measure, rows

__all__ = [
    "GARBAGE",
    "MEASURES",
    "DigitMetrics",
    "Extractor",
    "Judge",
    "Measure",
    "class_entropy",
    "confident_share",
    "digit_metrics",
    "extract",
    "frechet_distance",
    "gaussian_distance",
    "gaussian_fit",
    "load_judge",
    "nearest_distance",
    "rows",
    "share_of_copies",
]
