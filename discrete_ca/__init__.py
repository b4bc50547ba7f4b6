"""Discrete-state generative modelling with Markov kernels whose stationary law is the data."""

from discrete_ca import corruption, data, diagnostics, distributions, nn
from discrete_ca.chains import RunInfo, cosine_levels, inpaint, linear_levels, run, sample, variants
from discrete_ca.kernels import (
    CategoricalNoiseKernel,
    GaussianNoiseKernel,
    TransitionKernel,
    load_kernel,
)
from discrete_ca.objectives import (
    ContrastiveAdjustment,
    Denoising,
    InverseLevel,
    Objective,
    Phase,
    Schedule,
)
from discrete_ca.training import TrainConfig, Trainer

__version__ = "0.1.0"

__all__ = [
    "CategoricalNoiseKernel",
    "ContrastiveAdjustment",
    "Denoising",
    "GaussianNoiseKernel",
    "InverseLevel",
    "Objective",
    "Phase",
    "Schedule",
    "TrainConfig",
    "Trainer",
    "TransitionKernel",
    "RunInfo",
    "cosine_levels",
    "data",
    "distributions",
    "metrics",
    "inpaint",
    "linear_levels",
    "run",
    "sample",
    "variants",
    "corruption",
    "diagnostics",
    "load_kernel",
    "nn",
]
