"""The page of results, docs/results.md, from the reports of benchmarks under docs/results/.

    python -m benchmarks.pages

A report is what a benchmark wrote as JSON; its figure, where there is one, is that of
`benchmarks.plots` or its own. Nothing on the page is typed: a test compares the two.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent.parent / "docs"
_HEAD = """# Results

Made by `python -m benchmarks.pages` from the reports in `docs/results/`, as benchmarks wrote them.
What the numbers mean is in {doc}`measurements`.
"""

Row = dict[str, Any]


def shown(value: Any) -> str:
    """A cell: numbers with four significant digits.

    Example:
        >>> shown(0.123456), shown("a"), shown(12)
        ('0.1235', 'a', '12')
    """
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def table(names: list[str], cells: list[list[str]]) -> str:
    """A table in Markdown."""
    lines = [names, ["---"] * len(names), *cells]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def exact_law(rows: list[Row]) -> Iterator[str]:
    """For each noise, law and hold: a method and level a line."""
    keys = list(dict.fromkeys((row["noise"], row["law"], row["h"]) for row in rows))
    for noise, law, hold in sorted(keys):
        here = [row for row in rows if (row["noise"], row["law"], row["h"]) == (noise, law, hold)]
        refused = any("Metropolis TV" in row for row in here)
        names = ["", "b", "TV", "times closer", "gap", "TV at 32 NFE"]
        names += ["TV, Metropolis", "times closer", "than plain", "gap"] * refused
        cells = []
        for row in sorted(here, key=lambda row: row["b"]):
            line = [row["method"], str(row["b"]), _quartered(row, "TV", 4)]
            line += [_quartered(row, "closer than denoising (x)", 2)]
            line += [*_shown(row, "spectral gap", 3), *_shown(row, "TV at 32 NFE", 4)]
            if refused:
                line += [_quartered(row, "Metropolis TV", 4)]
                line += [_quartered(row, "Metropolis closer than denoising (x)", 2)]
                line += [_quartered(row, "Metropolis closer than plain (x)", 2)]
                line += _shown(row, "Metropolis gap", 3)
            cells.append([*line, f"{row['training seconds']:.0f}"])
        runs = max(row["runs"] for row in here)
        yield f"### {noise} noise, {law} laws, hold {hold}\n\n"
        yield f"Medians of {runs}, in brackets the quartiles; times closer than denoising (limits: "
        yield "than its limit), ratios law by law; TV at 32 NFE: after as many steps from pure "
        yield "noise; s: seconds of training a network."
        if refused:
            yield " Metropolis: the same kernel with such steps, beside denoising and beside its "
            yield "own plain chain."
        yield "\n\n" + table([*names, "s"], cells) + "\n"


def _quartered(row: Row, name: str, digits: int) -> str:
    """A median with its quartiles; of one value, itself."""
    (median,) = _shown(row, name, digits)
    spread = row.get(f"{name} quartiles") if row["runs"] > 1 else None
    return f"{median} ({spread})" if spread else median


def _shown(row: Row, name: str, digits: int) -> list[str]:
    value = row.get(name, "")
    return [f"{value:.{digits}f}" if isinstance(value, float | int) else value]


def _spread(row: Row, name: str) -> str:
    spread = f" ± {row[f'{name} sd']:.2f}" if row["runs"] > 1 else ""
    return f"{row[name]:.2f}{spread}"


_TITLES = {
    "states": "States at b = {b}",
    "read-outs": "Read-outs at b = {b}",
    "plane": "Read-outs at b = {b} as points of the plane",
}
_AT_ZERO = {"read-outs": "Annealed samples", "plane": "Annealed samples as points of the plane"}


def planar(rows: list[Row]) -> Iterator[str]:
    """States and read-outs of each level: a method and number of steps a line, laws beside."""
    laws = list(dict.fromkeys(row["law"] for row in rows))
    for name, b in product(("states", "read-outs", "plane"), sorted({row["b"] for row in rows})):
        here = [row for row in rows if row["b"] == b and name in row]
        found: dict[str, list[Row]] = {}
        for row in here:
            steps = row["steps"] if isinstance(row["steps"], str) else f"{row['steps']} steps"
            found.setdefault(f"{row['method']}, {steps}", []).append(row)
        cells = []
        for line, each in found.items():
            values = {row["law"]: _spread(row, name) for row in each}
            mean = sum(row[name] for row in each) / len(each)
            cells.append([line, *(values[law] for law in laws), f"{mean:.2f}"])
        if cells:
            title = _TITLES[name] if b else _AT_ZERO[name]
            yield f"### {title.format(b=b)}\n\n"
            yield "Unbiased MMD^2 in units of 1e-4: mean ± standard deviation over seeds.\n\n"
            yield table(["", *laws, "mean"], cells) + "\n"


def plain(rows: list[Row]) -> Iterator[str]:
    """The rows as they are."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    yield table(names, [[shown(row.get(name, "")) for name in names] for row in rows]) + "\n"


def _by_nfe(rows: list[Row], cell: Callable[[Row], str]) -> str:
    """A sampler a line, network evaluations side by side; `cell` writes a row."""
    budgets = sorted({row["at most NFE"] for row in rows if row["at most NFE"] != ""})
    found: dict[str, dict[Any, Row]] = {}
    for row in rows:
        found.setdefault(row["sampler"], {})[row["at most NFE"]] = row
    cells = []
    for name, here in found.items():
        if "" in here:  # one for all, such as real data or a package that is not there
            cells.append([name, cell(here[""]), *[""] * (len(budgets) - 1)])
        else:
            cells.append([name, *(cell(here[n]) if n in here else "" for n in budgets)])
    return table(["", *(f"{n} NFE" for n in budgets)], cells) + "\n"


def peers_exact(rows: list[Row]) -> Iterator[str]:
    """For each kind of law: a sampler a line."""
    for law in dict.fromkeys(row["law"] for row in rows):
        yield f"### Exact denoiser, {law}\n\n"
        yield "Median total variation to the data law; in brackets, the setting and, where it is "
        yield "not all, the evaluations used.\n\n"

        def cell(row: Row) -> str:
            used = "" if row["NFE"] == row["at most NFE"] else f"; {row['NFE']:g} NFE"
            return f"{row['TV']:.4f} ({row['setting']}{used})"

        yield _by_nfe([row for row in rows if row["law"] == law], cell)


def peers_networks(rows: list[Row]) -> Iterator[str]:
    """For each data set and budget: a sampler a line."""

    def cell(row: Row) -> str:
        if "Frechet" not in row:
            return str(row["setting"])
        found = shown(row["Frechet"])
        if "whole shapes" in row:
            found += f", {row['whole shapes']:.0%} whole"
        if "setting" not in row:
            return found
        speed = f"{row['samples a second']:.0f}/s"
        used = "" if row["NFE"] == row["at most NFE"] else f", {row['NFE']:g} NFE"
        return f"{found} ({speed}; {row['setting']}{used})"

    for data, budget in dict.fromkeys((row["data"], row["budget (steps)"]) for row in rows):
        if budget == "":
            continue
        yield f"### {data}, {budget} steps of training\n\n"
        yield "Frechet distance, of shapes that of pixels and the share that are whole; in "
        yield "brackets, samples a second of one thread, the setting and, "
        yield "where they are not all, the evaluations used.\n\n"
        of = [row for row in rows if row["data"] == data]
        yield _by_nfe([row for row in of if row["budget (steps)"] in ("", budget)], cell)


def text(rows: list[Row]) -> Iterator[str]:
    """For each level and hold, chains by their steps; then samples by their evaluations."""

    def both(row: Row) -> str:
        ranges = f"({row['cross-entropy range']}); {row['3-gram divergence']:.3f}"
        return f"{row['cross-entropy']:.2f} {ranges} ({row['3-gram divergence range']})"

    real = next(row for row in rows if row["part"] == "real")
    shares = ["as at the start", "taken", "distinct 4-grams", "known words"]
    told = "Cross-entropy of the reader's 5-gram model (nats a character); divergence of 3-grams "
    told += "(nats): mean (lowest to highest) of the seeds."
    for b, h in dict.fromkeys((row["b"], row["h"]) for row in rows if row["part"] == "chains"):
        here = [row for row in rows if (row.get("b"), row.get("h")) == (b, h)]
        found: dict[str, list[Row]] = {}
        for row in here:
            found.setdefault(row["sampler"], []).append(row)
        at = [f"{row['steps']} steps" for row in next(iter(found.values()))]
        cells = [["real text", both(real), *[""] * (len(at) - 1), *_shares(real, shares)]]
        for name, each in found.items():
            cells.append([name, *map(both, each), *_shares(each[-1], shares)])
        yield f"### Chains at b = {b}, hold {h}\n\n{told} Shares are those of the last step.\n\n"
        yield table(["", *at, *shares], cells) + "\n"

    def cell(row: Row) -> str:
        known = ", ".join(f"{row[name]:.2f} {name}" for name in shares[2:])
        return f"{both(row)}; {known}" + (f"; {row['setting']}" if "setting" in row else "")

    yield f"### Samples from noise\n\n{told}\n\n"
    drawn = [row for row in rows if row["part"] == "samples"]
    yield _by_nfe([{**real, "at most NFE": ""}, *drawn], cell)


def _shares(row: Row, names: list[str]) -> list[str]:
    return [cell for name in names for cell in _shown(row, name, 2)]


def listed(rows: list[Row]) -> Iterator[str]:
    """A quantity a line, for a row that is too long for the page."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [[name, *(shown(row.get(name, "")) for row in rows)] for name in names]
    yield table(["quantity", *("value" for _ in rows)], cells) + "\n"


_CLOSER, _GAPS = "closer than the factorised network (x)", "gap / the factorised network's"


def autoregressive(rows: list[Row]) -> Iterator[str]:
    """A method a line, levels side by side."""
    yield f"Medians of {rows[0]['laws']} laws: TV, times closer than the factorised network (the "
    yield "least of the laws in brackets); spectral gap, and in brackets over the factorised "
    yield "network's (median, least). s: seconds of training a network on a busy machine.\n\n"
    levels = sorted({row["b"] for row in rows})
    found: dict[str, dict[float, Row]] = {}
    for row in rows:
        found.setdefault(row["method"], {})[row["b"]] = row
    cells = []
    for method, here in found.items():
        line = [method]
        for row in (here[b] for b in levels):
            closer = row[_CLOSER]
            if closer != "exact":
                closer = f"{row['TV']:.4f}, {closer:.2f} ({row['least of the laws (x)']:.2f})"
            line.append(closer)
            ratios = f"{row[_GAPS]:.2f}, {row['least gap / its']:.2f}"
            line.append(f"{row['spectral gap']:.3f} ({ratios})")
        cells.append([*line, f"{here[levels[0]]['training seconds']:.0f}"])
    names = [name for b in levels for name in (f"TV at b = {b}", "gap")]
    yield table(["", *names, "s"], cells) + "\n"


_TABLES = {
    "autoregressive": autoregressive,
    "exact_law": exact_law,
    "planar": planar,
    "cost": listed,
    "serving": listed,
    "peers.exact": peers_exact,
    "peers.networks": peers_networks,
    "text": text,
}


def page(folder: Path) -> str:
    """The page, from all reports in a folder."""
    parts = [_HEAD]
    for path in sorted(folder.glob("*.json")):
        report = json.loads(path.read_text(encoding="utf-8"))
        told = {**report["settings"], **report["environment"]}
        settings = ", ".join(f"{name} {value}" for name, value in told.items())
        command = report.get("command", f"python -m benchmarks.{report['benchmark']}")
        parts.append(f"\n## {path.stem}\n\n`{command}`: {settings}.\n\n")
        if path.with_suffix(".png").exists():
            parts.append(f"![{path.stem}, drawn](results/{path.stem}.png)\n\n")
        made = _TABLES.get(report["benchmark"], plain)
        parts += made(report["rows"])
    return "".join(parts).rstrip() + "\n"


if __name__ == "__main__":
    (DOCS / "results.md").write_text(page(DOCS / "results"), encoding="utf-8")
