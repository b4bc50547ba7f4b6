"""Pictures of images, categorical or real-valued: grids as PNG and films as GIF."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from discrete_ca import checks

if TYPE_CHECKING:
    from PIL.Image import Image

    from discrete_ca.diagnostics.mixing import TradeOff

UNKNOWN = -1
"""A site drawn in its own colour: one that is to be generated."""

_PAPER, _GAP, _UNKNOWN_COLOUR = 255, (224, 224, 228), (150, 185, 235)


def grid(
    images: Tensor, columns: int, num_categories: int = 2, scale: int = 3, gap: int = 1
) -> Image:
    """Images side by side, category 0 white and the last black; `UNKNOWN` sites in blue.

    Real numbers are drawn as if [-1, 1] were the range of categories, what lies beyond at its ends,
    and NaN in blue.

    Args:
        images: categories or floats, (N, H, W), or (N, 3, H, W) for colour.
        columns: images a row.
        num_categories: K.
        scale: screen pixels a site.
        gap: sites between images.

    Raises:
        ValueError: for other shapes.

    Example:
        >>> grid(torch.zeros(6, 4, 4, dtype=torch.long), columns=3, scale=1).size
        (16, 11)
    """
    from PIL import Image

    checks.positive(columns, "columns")
    colour = images.ndim == 4 and images.shape[1] == 3
    if not colour and images.ndim != 3:
        raise ValueError(
            f"images has shape {tuple(images.shape)}; allowed: (N, H, W) or (N, 3, H, W)"
        )
    images = images.cpu()
    if images.is_floating_point():
        levels = (255 * (images.clamp(-1, 1) + 1) / 2).round()
        images, num_categories = levels.nan_to_num(nan=UNKNOWN).long(), 256
    light = (images.clamp_min(0) * 255 / max(num_categories - 1, 1)).round().to(torch.uint8)
    if colour:
        pixels = light.movedim(1, -1)
        unknown = (images == UNKNOWN).any(1)
    else:
        pixels = (_PAPER - light).unsqueeze(-1).expand(*light.shape, 3).clone()
        unknown = images == UNKNOWN
    pixels[unknown] = torch.tensor(_UNKNOWN_COLOUR, dtype=torch.uint8)
    count, height, width = pixels.shape[:3]
    rows = -(-count // columns)
    size = (rows * (height + gap) + gap, columns * (width + gap) + gap)
    canvas = torch.tensor(_GAP, dtype=torch.uint8).repeat(*size, 1)
    for i in range(count):
        top = gap + (i // columns) * (height + gap)
        left = gap + (i % columns) * (width + gap)
        canvas[top : top + height, left : left + width] = pixels[i]
    picture = Image.fromarray(canvas.numpy())
    return picture.resize((size[1] * scale, size[0] * scale), Image.Resampling.NEAREST)


def plot_trade_off(
    curves: Mapping[str, Sequence[TradeOff]], path: str | Path, measure: str
) -> None:
    """Draw fidelity against autocorrelation time, one line a kernel, points marked by level.

    Args:
        curves: points of `diagnostics.mixing.trade_off`, by the kernel's name.
        path: where the picture goes.
        measure: what the fidelity is, for the axis; lower is better.

    Raises:
        ValueError: for no curves.
    """
    if not curves:
        raise ValueError("curves is empty; allowed: at least one name with its points")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    for name, points in curves.items():
        x = [p.autocorrelation_time for p in points]
        y = [p.fidelity for p in points]
        axes.plot(x, y, "o-", label=name)
        for p in points:
            axes.annotate(f"b = {p.level:g}", (p.autocorrelation_time, p.fidelity), fontsize=7)
    axes.set(xscale="log", xlabel="autocorrelation time (steps)", ylabel=measure)
    axes.legend()
    figure.savefig(str(path), dpi=130)


def save_film(frames: Sequence[Image], path: str | Path, milliseconds: int = 80) -> None:
    """Write frames as an endless GIF.

    Raises:
        ValueError: for no frames.
    """
    if not frames:
        raise ValueError("frames is empty; allowed: at least one picture")
    first, *rest = frames
    first.save(path, save_all=True, append_images=rest, duration=milliseconds, loop=0)
