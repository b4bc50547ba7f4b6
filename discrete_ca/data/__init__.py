"""Data of discrete states: loading, making discrete, and what comes with the package."""

from discrete_ca.data.dataset import DiscreteData
from discrete_ca.data.loading import load
from discrete_ca.data.text import load_text
from discrete_ca.data.tokenizers import (
    Bytes,
    Characters,
    Subwords,
    Tokenizer,
    load_tokenizer,
    train_bpe,
)
from discrete_ca.data.transforms import binarize, quantize

__all__ = [
    "Bytes",
    "Characters",
    "DiscreteData",
    "Subwords",
    "Tokenizer",
    "binarize",
    "load",
    "load_text",
    "load_tokenizer",
    "quantize",
    "train_bpe",
]
