"""Markov transition kernels: laws of the next state of a chain, learned by the objectives."""

from discrete_ca.kernels.autoregressive import AutoregressiveKernel
from discrete_ca.kernels.base import TransitionKernel, device_of, load_kernel
from discrete_ca.kernels.categorical import CategoricalNoiseKernel
from discrete_ca.kernels.gaussian import GaussianNoiseKernel, LinearNoise, VariancePreserving

__all__ = [
    "AutoregressiveKernel",
    "CategoricalNoiseKernel",
    "GaussianNoiseKernel",
    "LinearNoise",
    "TransitionKernel",
    "VariancePreserving",
    "device_of",
    "load_kernel",
]
