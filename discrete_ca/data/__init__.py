"""Data: loading, making discrete or real-valued, and what comes with the package."""

from discrete_ca.data.continuous import ContinuousData, load_continuous
from discrete_ca.data.dataset import DiscreteData
from discrete_ca.data.loading import load
from discrete_ca.data.mapped import MappedData
from discrete_ca.data.scores import load_scores
from discrete_ca.data.streams import StreamedData, stream
from discrete_ca.data.text import load_text
from discrete_ca.data.tokenizers import (
    Bytes,
    Characters,
    Subwords,
    Tokenizer,
    load_tokenizer,
    train_bpe,
)
from discrete_ca.data.transforms import Transform, binarize, quantize

Examples = DiscreteData | ContinuousData | StreamedData
"""What a run is trained on."""

__all__ = [
    "Bytes",
    "Characters",
    "ContinuousData",
    "DiscreteData",
    "Examples",
    "MappedData",
    "StreamedData",
    "Subwords",
    "Tokenizer",
    "Transform",
    "binarize",
    "load",
    "load_continuous",
    "load_scores",
    "load_text",
    "load_tokenizer",
    "quantize",
    "stream",
    "train_bpe",
]
