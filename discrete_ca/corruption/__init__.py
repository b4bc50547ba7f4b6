"""Corruptions: what noise is, as matrices Q_b between clean categories and noisy states."""

from discrete_ca.corruption.base import Corruption
from discrete_ca.corruption.linear import Absorbing, Uniform
from discrete_ca.corruption.matrix import Matrix, SparseMatrix
from discrete_ca.corruption.near import (
    near_from_confusion,
    near_from_embedding,
    near_keyboard,
    near_ordinal,
)
from discrete_ca.corruption.ordinal import Ordinal
from discrete_ca.corruption.tokens import TokenNoise

__all__ = [
    "Absorbing",
    "Corruption",
    "Matrix",
    "Ordinal",
    "SparseMatrix",
    "TokenNoise",
    "Uniform",
    "near_from_confusion",
    "near_from_embedding",
    "near_keyboard",
    "near_ordinal",
]
