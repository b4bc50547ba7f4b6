"""The quick form of the costs of near tokens: what it measures is there and is counted right."""

import torch

from benchmarks import token_noise
from discrete_ca.corruption.sparse import SparseRows


def test_the_quick_form(tmp_path):
    found = token_noise.main(["--quick", "--folder", str(tmp_path)])
    assert (tmp_path / "quick/token_noise.json").exists()
    rows = {row["k"]: row for row in found["rows"]}
    assert [*rows] == ["4", "32", "hub"]
    for k, row in rows.items():
        assert row["pairs"] == row["sites"] * (256 if k == "hub" else int(k))
        assert all(row[f"{name}, ns a pair"] > 0 for name in token_noise.backends())


def test_the_ring_is_even():
    near = SparseRows(token_noise.ring(50, 7), 50, "near")
    assert near.in_degree(torch.arange(50)).tolist() == [7] * 50
    assert near.start.diff().tolist() == [7] * 50
