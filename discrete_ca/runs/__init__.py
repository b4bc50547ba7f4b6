"""Training runs as plain data: their config, what it builds, the folder that holds them."""

from discrete_ca.hub import RUN_FILE
from discrete_ca.runs.build import build_kernel, build_schedule
from discrete_ca.runs.config import KernelConfig, NetConfig, RecipeConfig, RunConfig
from discrete_ca.runs.folder import (
    SavedRun,
    describe,
    load_run,
    remember,
    remembered,
    save_model,
)
from discrete_ca.runs.measuring import Comparison, build_comparison
from discrete_ca.runs.recipes import recipes
from discrete_ca.runs.sharing import push_run, write_shared
from discrete_ca.runs.source import DataConfig
from discrete_ca.runs.watching import build_observers
from discrete_ca.serialization import MODEL

__all__ = [
    "MODEL",
    "RUN_FILE",
    "Comparison",
    "DataConfig",
    "KernelConfig",
    "NetConfig",
    "RecipeConfig",
    "RunConfig",
    "SavedRun",
    "build_comparison",
    "build_kernel",
    "build_observers",
    "build_schedule",
    "describe",
    "load_run",
    "push_run",
    "recipes",
    "remember",
    "remembered",
    "save_model",
    "write_shared",
]
