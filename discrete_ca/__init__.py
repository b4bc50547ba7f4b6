"""Discrete-state generative modelling with Markov kernels whose stationary law is the data."""

from discrete_ca import corruption, data, diagnostics, distributions, draws, metrics, nn
from discrete_ca.chains import (
    RunInfo,
    cosine_levels,
    inpaint,
    linear_levels,
    read_out,
    run,
    sample,
    variants,
)
from discrete_ca.data import DiscreteData
from discrete_ca.kernels import (
    AutoregressiveKernel,
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
from discrete_ca.renoising import Renoising
from discrete_ca.training import TrainConfig, Trainer

__version__ = "0.1.0"

__all__ = [
    "AutoregressiveKernel",
    "CategoricalNoiseKernel",
    "ContrastiveAdjustment",
    "Denoising",
    "DiscreteData",
    "GaussianNoiseKernel",
    "InverseLevel",
    "Objective",
    "Phase",
    "Renoising",
    "RunInfo",
    "Schedule",
    "TrainConfig",
    "Trainer",
    "TransitionKernel",
    "corruption",
    "cosine_levels",
    "data",
    "diagnostics",
    "distributions",
    "draws",
    "inpaint",
    "linear_levels",
    "load_kernel",
    "metrics",
    "nn",
    "read_out",
    "run",
    "sample",
    "variants",
]
