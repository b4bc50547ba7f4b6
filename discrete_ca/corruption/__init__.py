"""Corruptions: what noise is, as matrices Q_b between clean categories and noisy states."""

from discrete_ca.corruption.base import Corruption
from discrete_ca.corruption.linear import Absorbing, Uniform
from discrete_ca.corruption.matrix import Matrix
from discrete_ca.corruption.ordinal import Ordinal

__all__ = ["Absorbing", "Corruption", "Matrix", "Ordinal", "Uniform"]
