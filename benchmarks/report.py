"""Reports of benchmarks: a table on the terminal, JSON with the environment beside it."""

from __future__ import annotations

import argparse
import json
import platform
import shlex
import statistics
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

import discrete_ca
from discrete_ca.sealed import write_json


def parser(description: str | None, quick: str) -> argparse.ArgumentParser:
    """The arguments that every benchmark has: ``--quick`` and ``--folder``."""
    made = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--quick", action="store_true", help=quick)
    made.add_argument("--folder", default="runs/benchmarks")
    return made


class Folder(str):
    """A report's folder that knows the other words of the command line; `parse` makes it."""

    words: Sequence[str] = ()


def parse(parser: argparse.ArgumentParser, argv: list[str] | None) -> argparse.Namespace:
    """The arguments, the folder as a `Folder`; the quick form writes to one of its own."""
    given = parser.parse_args(argv)
    place = argparse.ArgumentParser(add_help=False)
    place.add_argument("--folder")
    given.folder = Folder(given.folder + "/quick" * given.quick)
    given.folder.words = place.parse_known_args(argv)[1]
    return given


def environment() -> dict[str, Any]:
    """What the numbers were measured on."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "discrete_ca": discrete_ca.__version__,
        "machine": platform.machine(),
        "threads": torch.get_num_threads(),
    }


def show(title: str, rows: list[dict[str, Any]]) -> None:
    """Print rows as a table; numbers with four significant digits."""
    table = Table(title=title, title_justify="left")
    names = list(dict.fromkeys(name for row in rows for name in row))
    for name in names:
        number = isinstance(rows[0].get(name), int | float)
        table.add_column(name, justify="right" if number else "left")
    for row in rows:
        cells = [row.get(name, "") for name in names]
        table.add_row(*(f"{c:.4g}" if isinstance(c, float) else str(c) for c in cells))
    Console(width=None if len(names) < 9 else 200).print(table)


def append(name: str, rows: list[dict[str, Any]], folder: str) -> None:
    """Add raw rows to ``folder/name.jsonl``, so that an interrupted run has not lost them."""
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    with (place / f"{name}.jsonl").open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


def appended(name: str, folder: str, **about: Any) -> list[dict[str, Any]]:
    """The raw rows in ``folder/name.jsonl`` that hold these values; none where it is not there."""
    path = Path(folder) / f"{name}.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [row for row in map(json.loads, lines) if about.items() <= row.items()]


class Kept:
    """Rows of a benchmark that are measured once, though a run of it was interrupted.

    Args:
        name: of the benchmark.
        folder: where they are kept, as `append` does.
        anew: measure again what is there.
        **about: what rows of such a run are told apart by; only those that hold it are taken.
    """

    def __init__(self, name: str, folder: str, anew: bool = False, **about: Any) -> None:
        self.name, self.folder, self.about = name, folder, about
        self.found = [] if anew else appended(name, folder, **about)

    def rows(
        self, key: dict[str, Any], measured: Callable[[], Iterable[dict[str, Any]]]
    ) -> list[dict[str, Any]]:
        """The rows that hold `key`, of an earlier run or measured now, with `about` in them."""
        here = [row for row in self.found if key.items() <= row.items()]
        if not here:
            here = [{**key, **self.about, **row} for row in measured()]
            append(self.name, here, self.folder)
            self.found += here
        return here


def spread(
    rows: list[dict[str, Any]],
    ranged: Sequence[str],
    others: Sequence[str],
    left_out: Sequence[str] = ("seed",),
) -> list[dict[str, Any]]:
    """A row for all seeds: means of measures, and of some the lowest and the highest beside.

    Args:
        rows: one for each seed; what is no measure and not left out tells them apart.
        ranged: measures that have the lowest and the highest beside them.
        others: measures of which the mean says enough.
        left_out: what no row shall have.
    """
    found: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        about = {k: v for k, v in row.items() if k not in (*ranged, *others, *left_out)}
        found.setdefault(tuple(about.items()), []).append(row)
    made = []
    for key, each in found.items():
        line = dict(key)
        for name in (*ranged, *others):
            values = [row[name] for row in each if isinstance(row.get(name), float)]
            if values:
                line[name] = statistics.mean(values)
            if values and name in ranged:
                line[f"{name} range"] = f"{min(values):.3f} to {max(values):.3f}"
        made.append(line)
    return made


def write(name: str, rows: list[dict[str, Any]], folder: str, **settings: Any) -> dict[str, Any]:
    """Print the rows and write ``folder/name.json``; returns what was written.

    Args:
        name: of the benchmark, as a module of this package.
        rows: the table.
        folder: where to; one that `parse` gave knows the command line, which is written too.
        **settings: what the rows were made with.
    """
    made: dict[str, Any] = {"benchmark": name}
    if isinstance(folder, Folder):
        made["command"] = shlex.join(["python", "-m", f"benchmarks.{name}", *folder.words])
    made |= {"settings": settings, "environment": environment(), "rows": rows}
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    write_json(place / f"{name}.json", made)
    show(name, rows)
    return made
