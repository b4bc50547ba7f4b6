"""Training runs as plain data: their config, what it builds, the folder that holds them."""

from discrete_ca.runs.build import build_kernel, build_schedule
from discrete_ca.runs.config import DataConfig, KernelConfig, NetConfig, RecipeConfig, RunConfig
from discrete_ca.runs.folder import (
    MODEL,
    RUN_FILE,
    SavedRun,
    describe,
    load_run,
    remember,
    remembered,
    save_model,
)

__all__ = [
    "MODEL",
    "RUN_FILE",
    "DataConfig",
    "KernelConfig",
    "NetConfig",
    "RecipeConfig",
    "RunConfig",
    "SavedRun",
    "build_kernel",
    "build_schedule",
    "describe",
    "load_run",
    "remember",
    "remembered",
    "save_model",
]
