"""Data: loading, making discrete or real-valued, and what comes with the package."""

from discrete_ca.data.continuous import ContinuousData, load_continuous
from discrete_ca.data.dataset import DiscreteData
from discrete_ca.data.loading import load
from discrete_ca.data.transforms import binarize, quantize

__all__ = ["ContinuousData", "DiscreteData", "binarize", "load", "load_continuous", "quantize"]
