"""What every command shares: the terminal and how a run is named."""

from __future__ import annotations

from typing import Annotated

import torch
import tyro
from rich.console import Console

console = Console(highlight=False, soft_wrap=True, markup=False)
Place = Annotated[str, tyro.conf.Positional]
"""A run's folder, or its name on the Hub."""


def best_device() -> torch.device:
    """A GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
