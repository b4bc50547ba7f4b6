"""What reports make of the rows of several seeds."""

from benchmarks import report


def test_seeds_become_a_mean_and_a_range():
    row = {"method": "a", "known words": 0.5, "shown": []}
    rows = [{**row, "seed": seed, "loss": value} for seed, value in enumerate((2.0, 3.0))]
    rows.append({"method": "b", "seed": 0, "loss": 1.0})
    first, second = report.spread(
        rows, ["loss"], ["known words", "taken"], left_out=("seed", "shown")
    )
    assert first == {"method": "a", "loss": 2.5, "loss range": "2.000 to 3.000", "known words": 0.5}
    assert second == {"method": "b", "loss": 1.0, "loss range": "1.000 to 1.000"}
