"""Data of discrete states: loading, making discrete, and what comes with the package."""

from discrete_ca.data.dataset import DiscreteData
from discrete_ca.data.loading import load
from discrete_ca.data.transforms import binarize, quantize

__all__ = ["DiscreteData", "binarize", "load", "quantize"]
