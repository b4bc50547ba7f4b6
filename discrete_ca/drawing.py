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

LIGHT = 256
"""Levels of light in a picture of bytes."""

_PAPER, _GAP, _UNKNOWN_COLOUR = 255, (224, 224, 228), (150, 185, 235)
_BLACK_KEYS, _WHITE_KEY, _BLACK_KEY, _BAR_LINE = (1, 3, 6, 8, 10), 255, 236, 200
_VOICES = ((200, 50, 50), (225, 140, 20), (40, 140, 70), (40, 90, 190))


def grid(
    images: Tensor, columns: int, num_categories: int = 2, scale: int = 3, gap: int = 1
) -> Image:
    """Images side by side: of two categories the last is black on white, of more it is light.

    So grey levels look as in the pictures that they were read from, where bright is high. Real
    numbers are drawn as light too, -1 black and 1 white, what lies beyond at the ends. `UNKNOWN`
    sites, and NaN, are blue.

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
        shade = _PAPER - light if num_categories == 2 else light
        pixels = shade.unsqueeze(-1).expand(*light.shape, 3).clone()
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


def rolls(pitches: Tensor, bar: int = 16) -> Tensor:
    """Music as piano rolls: pictures for `grid`, time to the right, high notes above.

    Each voice has its colour, rows of black keys are grey, and a line begins each bar.

    Args:
        pitches: MIDI pitches, negative for rests, (N, C, T).
        bar: steps a bar.

    Returns:
        Colours, (N, 3, R, T) of `LIGHT` levels, R the range of the pitches.

    Example:
        >>> rolls(torch.tensor([[[67, 69], [60, -1]]])).shape
        torch.Size([1, 3, 12, 2])
    """
    sounding = pitches[pitches >= 0]
    low, high = (int(sounding.min()), int(sounding.max())) if len(sounding) else (60, 60)
    keys = torch.arange(high + 1, low - 2, -1)
    black = torch.isin(keys % 12, torch.tensor(_BLACK_KEYS))
    paper = torch.where(black, _BLACK_KEY, _WHITE_KEY)
    found = paper[None, None, :, None].repeat(len(pitches), 3, 1, pitches.shape[2])
    found[..., ::bar] = found[..., ::bar].clamp_max(_BAR_LINE)
    for voice in reversed(range(pitches.shape[1])):  # the highest is seen where two agree
        struck = (pitches[:, voice, None, :] == keys[:, None]).unsqueeze(1)  # (N, 1, R, T)
        colour = torch.tensor(_VOICES[voice % len(_VOICES)])[:, None, None]
        found = torch.where(struck, colour, found)
    return found


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
