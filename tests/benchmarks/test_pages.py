"""The page of results is what its script makes of the reports."""

import json
import re

import pytest

from benchmarks import pages

ROOT = pages.DOCS.parent


def report(name):
    return json.loads((pages.DOCS / f"results/{name}.json").read_text(encoding="utf-8"))["rows"]


def medians(name, method, hold, value, law="random"):
    """By level."""
    return {
        row["b"]: row[value]
        for row in report(name)
        if (row["method"], row["h"], row["law"]) == (method, hold, law)
    }


def test_the_page_is_made_of_the_reports():
    made = pages.page(pages.DOCS / "results")
    assert (pages.DOCS / "results.md").read_text(encoding="utf-8") == made
    assert made.count("\n## ") == len(list((pages.DOCS / "results").glob("*.json"))) > 0


def test_a_long_row_is_a_list():
    text = "".join(pages.listed([{"people": 20, "wait (ms)": 38.642}]))
    assert text.splitlines() == [
        "| quantity | value |", "| --- | --- |", "| people | 20 |", "| wait (ms) | 38.64 |", "",
    ]  # fmt: skip


def test_a_table_has_what_its_rows_have():
    rows = [{"K": 2, "ratio": 1.05}, {"K": 16, "ratio": 1.125, "more": "x"}]
    text = "".join(pages.plain(rows))
    assert text.splitlines()[0] == "| K | ratio | more |"
    assert text.splitlines()[3] == "| 16 | 1.125 | x |"


@pytest.mark.parametrize(
    ("line", "name", "method", "value"),
    [
        ("denoising", "raised", "denoising", "TV"),
        ("`Schedule.default()` with an adjustment head", "raised", "default (adjustment head)",
         "TV"),
        ("`Schedule.default()`, Metropolis steps", "raised", "default (adjustment head)",
         "Metropolis TV"),
        ("denoising, Metropolis steps", "raised", "denoising", "Metropolis TV"),
        ("the best denoiser there can be (no network)", "limit", "limit: denoising", "TV"),
        ("optimum of contrastive adjustment (no network)", "uniform_random", "limit: CA, λ = 0",
         "TV"),
        ("the best denoiser there can be, Metropolis steps (no network)", "limit",
         "limit: denoising", "Metropolis TV"),
    ],
)  # fmt: skip
def test_the_table_of_the_readme_says_what_reports_say(line, name, method, value):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (cells,) = re.findall(rf"^\| {re.escape(line)} \| (.*) \|$", text, re.M)
    found = medians(f"exact_law_{name}", method, 0.5, value)
    for typed, (_, measured) in zip(cells.split(" | "), sorted(found.items()), strict=True):
        digits = len(typed.partition(".")[2])
        assert float(typed) == round(measured, digits), (line, typed, measured)


@pytest.mark.parametrize(
    ("name", "law", "hold"),
    [
        ("uniform_patches", "patches", 0.5), ("uniform_patches", "patches", 0.8),
        ("raised", "random", 0.5), ("raised", "random", 0.8),
        ("absorbing", "random", 0.5), ("ordinal", "random", 0.5),
    ],
)  # fmt: skip
def test_tables_of_what_chains_converge_to_say_what_reports_say(name, law, hold):
    text = (pages.DOCS / "measurements.md").read_text(encoding="utf-8")
    methods = {row["method"] for row in report(f"exact_law_{name}")}
    assert "denoising" in methods
    for method in methods:
        if method.startswith(("denoising", "CA, λ = 0.01", "default", "half")):
            row = " | ".join([f"| {method}", *_cells(f"exact_law_{name}", method, hold, law)])
            assert row in text, row


def _cells(name, method, hold, law):
    tv = medians(name, method, hold, "TV", law)
    closer = medians(name, method, hold, "closer than denoising (x)", law)
    spread = medians(name, method, hold, "closer than denoising (x) quartiles", law)
    if method == "denoising":
        return [f"{tv[b]:.4f}" for b in sorted(tv)]
    return [f"{tv[b]:.4f} ({closer[b]:.2f}; {spread[b]})" for b in sorted(tv)]
