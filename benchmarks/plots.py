"""Figures of the page of results, from the reports of benchmarks under docs/results/.

    python -m benchmarks.plots

A figure stands beside its report, docs/results/NAME.png. Nothing is drawn but what a report holds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.pages import DOCS, Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = (
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#8c564b",
    "#999999", "#7f3fbf", "#bcbd22", "#17a589", "#c0392b", "#5d6d7e",
)  # fmt: skip


def _sheet(count: int, across: int = 4, width: float = 3.4) -> tuple[Figure, list[Axes]]:
    """Panels side by side."""
    from matplotlib.figure import Figure

    across = min(count, across)
    down = -(-count // across)
    figure = Figure((width * across, 3.2 * down + 1.0), layout="constrained")
    axes = figure.subplots(down, across, squeeze=False).flatten().tolist()
    for empty in axes[count:]:
        empty.remove()
    return figure, axes[:count]


def _finish(figure: Figure, axes: Iterable[Axes]) -> Figure:
    """Plain numbers on axes of orders of magnitude, and one legend for all panels, below them."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    named: dict[str, Any] = {}
    for panel in axes:
        panel.grid(True, which="major", alpha=0.25)
        for axis in (panel.xaxis, panel.yaxis):
            if axis.get_scale() == "log":
                axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=9))
                axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
                axis.set_minor_formatter(NullFormatter())
        for artist, name in zip(*panel.get_legend_handles_labels(), strict=True):
            named.setdefault(name, artist)
    figure.legend(
        list(named.values()), list(named), loc="outside lower center", fontsize=8, frameon=False,
        ncols=int(figure.get_figwidth() // 2.6),
    )  # fmt: skip
    return figure


def _colours(names: Iterable[str]) -> dict[str, str]:
    found = list(dict.fromkeys(names))
    return {name: _COLOURS[i % len(_COLOURS)] for i, name in enumerate(found)}


def frontier(rows: list[Row]) -> Figure:
    """Fidelity against speed: stationary TV over 1 / spectral gap, a line through the holds."""
    levels, laws = sorted({row["b"] for row in rows}), list(dict.fromkeys(r["law"] for r in rows))
    places = [(law, level) for law in laws for level in levels]
    figure, axes = _sheet(len(places), across=len(levels))
    colours = _colours(row["method"].removeprefix("limit: ") for row in rows)
    for panel, (law, level) in zip(axes, places, strict=True):
        for name in dict.fromkeys(row["method"] for row in rows):
            here = [r for r in rows if (r["law"], r["b"], r["method"]) == (law, level, name)]
            here.sort(key=lambda row: row["h"])
            limit = name.startswith("limit: ")
            style: Row = {"color": colours[name.removeprefix("limit: ")], "markersize": 4}
            if here:
                panel.plot(
                    [1 / r["spectral gap"] for r in here], [r["TV"] for r in here],
                    ":" if limit else "-", marker="o", label=name, **style,
                )  # fmt: skip
            refused = [row for row in here if "Metropolis TV" in row]
            if refused:
                panel.plot(
                    [1 / r["Metropolis gap"] for r in refused],
                    [r["Metropolis TV"] for r in refused],
                    "--", marker="s", label=f"{name}, Metropolis steps", **style,
                )  # fmt: skip
        panel.set(
            xscale="log", yscale="log", title=f"{law} laws, b = {level}",
            xlabel="1 / spectral gap (steps)",
        )  # fmt: skip
    for panel in axes[:: len(levels)]:
        panel.set_ylabel("stationary total variation")
    return _finish(figure, axes)


def _line(panel: Axes, rows: list[Row], over: str, value: str, name: str, **style: Any) -> None:
    """A measure over something; a bar from the lowest to the highest of seeds, where there are."""
    panel.plot(
        [r[over] for r in rows], [r[value] for r in rows], marker="o", markersize=4, label=name,
        **style,
    )  # fmt: skip
    for row in rows:
        if f"{value} range" in row:
            low, high = map(float, row[f"{value} range"].split(" to "))
            panel.vlines(row[over], low, high, color=style["color"], alpha=0.5)


def drift(rows: list[Row]) -> Figure:
    """Frechet distance of read-outs over the steps of a chain."""
    real = [row for row in rows if row["method"] == "real digits"]
    chains = [row for row in rows if row["method"] != "real digits"]
    places = list(dict.fromkeys((row["b"], row["h"]) for row in chains))
    figure, axes = _sheet(len(places), width=4.2)
    colours = _colours(row["method"] for row in chains)
    for panel, (level, hold) in zip(axes, places, strict=True):
        for name, colour in colours.items():
            here = [r for r in chains if (r["b"], r["h"], r["method"]) == (level, hold, name)]
            if here:
                _line(panel, here, "steps", "Frechet", name, color=colour)
        for row in real:
            panel.axhline(row["Frechet"], color="0.4", ls=":", label="as many real digits")
        panel.set(xscale="log", title=f"b = {level}, h = {hold}", xlabel="steps")
        panel.set_ylim(bottom=0)
    axes[0].set_ylabel("Frechet distance to test digits")
    return _finish(figure, axes)


def _by_nfe(rows: list[Row], places: list[Any], place: Callable[[Row], Any], value: str) -> Figure:
    """A measure over network evaluations, a line a sampler, a panel a place."""
    figure, axes = _sheet(len(places), across=2, width=6.0)
    drawn = [row for row in rows if row.get(value) is not None and row["at most NFE"] != ""]
    colours = _colours(row["sampler"] for row in drawn)
    for panel, where in zip(axes, places, strict=True):
        for name, colour in colours.items():
            here = [row for row in drawn if place(row) == where and row["sampler"] == name]
            if here:
                style = "-" if "chain" in name else "--"
                _line(panel, here, "at most NFE", value, name, color=colour, ls=style)
        panel.set(xscale="log", yscale="log", xlabel="network evaluations, at most", ylabel=value)
    return _finish(figure, axes)


def peers_exact(rows: list[Row]) -> Figure:
    """Total variation of samples to the data law, with the best denoiser there can be."""
    laws = list(dict.fromkeys(row["law"] for row in rows))
    figure = _by_nfe(rows, laws, lambda row: row["law"], "TV")
    for panel, law in zip(figure.axes, laws, strict=True):
        panel.set_title(f"exact denoiser, {law}")
    return figure


def peers_networks(rows: list[Row]) -> Figure:
    """Frechet distance of samples to test digits, networks of equal training."""

    def place(row: Row) -> Any:
        return row["data"], row["budget (steps)"]

    places = list(dict.fromkeys(place(row) for row in rows if row["budget (steps)"] != ""))
    figure = _by_nfe(rows, places, place, "Frechet")
    for panel, (data, budget) in zip(figure.axes, places, strict=True):
        panel.set_title(f"{data}, {budget} steps of training")
        for row in rows:
            if row["budget (steps)"] == "" and row["data"] == data and "Frechet" in row:
                panel.axhline(row["Frechet"], color="0.4", ls=":")
    return figure


def text(rows: list[Row]) -> Figure:
    """Divergence of 3-grams: of chains over their steps, of samples over their evaluations."""
    parts: dict[Any, list[Row]] = {}
    for row in rows:
        place = (row["b"], row["h"]) if row["part"] == "chains" else row["part"]
        parts.setdefault(place, []).append(row)
    (floor,), value = parts.pop("real"), "3-gram divergence"
    figure, axes = _sheet(len(parts), across=3, width=4.4)
    colours, ticks = _colours(row["sampler"] for row in rows), []
    for panel, (place, of) in zip(axes, parts.items(), strict=True):
        over = "at most NFE" if place == "samples" else "steps"
        ticks.append(sorted({row[over] for row in of}))
        for name in dict.fromkeys(row["sampler"] for row in of):
            here = [row for row in of if row["sampler"] == name]
            style = "--" if "MD" in name or "D3PM" in name else "-"
            _line(panel, here, over, value, name, color=colours[name], ls=style)
        panel.axhline(floor[value], color="0.4", ls=":", label="as much real text")
        if place == "samples":
            panel.set(xscale="log", title="samples", xlabel="network evaluations, at most")
        else:
            panel.set_xscale("symlog", linthresh=1)  # the first read-out is at 0
            panel.set(
                title="chains, b = {}, h = {}".format(*place), xlabel="steps", xlim=(-0.2, None)
            )
    axes[0].set_ylabel(f"{value} to held-out text")
    _finish(figure, axes)
    for panel, at in zip(axes, ticks, strict=True):  # where there is something, alone
        panel.set_xticks(at, map(str, at))
    return figure


FIGURES = {
    "exact_law": frontier,
    "digits": drift,
    "peers.exact": peers_exact,
    "peers.networks": peers_networks,
    "text": text,
}
"""What is drawn of a benchmark's report."""


def draw(folder: Path, to: Path) -> list[Path]:
    """Draw every report in a folder that has a figure; returns the files."""
    made = []
    for path in sorted(folder.glob("*.json")):
        report = json.loads(path.read_text(encoding="utf-8"))
        if report["benchmark"] in FIGURES:
            made.append(to / f"{path.stem}.png")
            FIGURES[report["benchmark"]](report["rows"]).savefig(made[-1], dpi=80)
    return made


if __name__ == "__main__":
    print(*draw(DOCS / "results", DOCS / "results"), sep="\n")
