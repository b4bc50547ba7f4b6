"""Data of discrete states: loading, making discrete, and what comes with the package."""

from discrete_ca.data.dataset import DiscreteData
from discrete_ca.data.loading import load
from discrete_ca.data.mapped import MappedData
from discrete_ca.data.streams import StreamedData, stream
from discrete_ca.data.transforms import Transform, binarize, quantize

__all__ = [
    "DiscreteData",
    "MappedData",
    "StreamedData",
    "Transform",
    "binarize",
    "load",
    "quantize",
    "stream",
]
