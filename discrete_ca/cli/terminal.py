"""What every command shares: the terminal and how a folder is named."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import torch
import tyro
from rich.console import Console

console = Console(highlight=False, soft_wrap=True, markup=False)
Place = Annotated[Path, tyro.conf.Positional]


def best_device() -> torch.device:
    """A GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
