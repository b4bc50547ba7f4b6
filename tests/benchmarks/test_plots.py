"""Figures show what the reports hold."""

import json

import pytest

from benchmarks import plots
from benchmarks.pages import DOCS

RESULTS = DOCS / "results"


def rows_of(name):
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))["rows"]


def points(panel, label):
    (line,) = [line for line in panel.get_lines() if line.get_label() == label]
    return list(zip(*line.get_data(), strict=True))


def test_every_report_that_can_be_drawn_has_its_figure(tmp_path):
    benchmarks = {
        path.stem: json.loads(path.read_text(encoding="utf-8"))["benchmark"]
        for path in RESULTS.glob("*.json")
    }
    drawn = {name for name, benchmark in benchmarks.items() if benchmark in plots.FIGURES}
    assert {path.stem for path in RESULTS.glob("*.png")} >= drawn
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "digits_told.json").write_bytes((RESULTS / "digits_told.json").read_bytes())
    (tmp_path / "in" / "cost.json").write_bytes((RESULTS / "cost.json").read_bytes())
    (made,) = plots.draw(tmp_path / "in", tmp_path)  # no figure of costs
    assert made == tmp_path / "digits_told.png" and made.stat().st_size > 5000


def test_a_frontier_is_total_variation_over_the_inverse_gap():
    rows = rows_of("exact_law_raised")
    figure = plots.frontier(rows)
    assert len(figure.axes) == 4  # a level a panel
    level = 0.3
    here = [row for row in rows if row["b"] == level and row["method"] == "denoising"]
    here.sort(key=lambda row: row["h"])
    panel = figure.axes[1]
    assert panel.get_title() == "random laws, b = 0.3"
    assert points(panel, "denoising") == [(1 / row["spectral gap"], row["TV"]) for row in here]
    assert points(panel, "denoising, Metropolis steps") == [
        (1 / row["Metropolis gap"], row["Metropolis TV"]) for row in here
    ]


def test_a_drift_goes_over_steps_with_the_floor_beside():
    rows = rows_of("digits_told")
    panel = plots.drift(rows).axes[0]
    here = [row for row in rows if (row["b"], row["h"], row["method"]) == (0.3, 0.5, "guided")]
    assert points(panel, "guided") == [(row["steps"], row["Frechet"]) for row in here]
    assert points(panel, "as many real digits")[0][1] == rows[0]["Frechet"]


@pytest.mark.parametrize(
    ("name", "draw", "value"),
    [
        ("peers_exact_random", plots.peers_exact, "TV"),
        ("peers_networks", plots.peers_networks, "Frechet"),
    ],
)
def test_samplers_stand_over_evaluations(name, draw, value):
    rows, figure = rows_of(name), draw(rows_of(name))
    sampler = "D3PM, uniform"
    wanted = {(row["at most NFE"], row[value]) for row in rows if row["sampler"] == sampler}
    found = [point for panel in figure.axes for point in points(panel, sampler)]
    assert set(found) == wanted and len(found) == len(wanted)


def test_text_drifts_over_steps_and_samples_stand_over_evaluations():
    rows = rows_of("text")
    *chains, samples = plots.text(rows).axes
    value = "3-gram divergence"
    for panel, hold in zip(chains, (0.5, 0.8), strict=True):
        here = [row for row in rows if (row.get("h"), row["sampler"]) == (hold, "with head")]
        assert points(panel, "with head") == [(row["steps"], row[value]) for row in here]
        low, high = map(float, here[-1][f"{value} range"].split(" to "))
        bars = [bar.get_segments()[0] for bar in panel.collections]
        assert any(
            (bar == [[here[-1]["steps"], low], [here[-1]["steps"], high]]).all() for bar in bars
        )
    here = [row for row in rows if row["sampler"] == "MDLM (D3PM, absorbing)"]
    assert points(samples, here[0]["sampler"]) == [(r["at most NFE"], r[value]) for r in here]
    assert points(samples, "as much real text")[0][1] == rows[0][value]
