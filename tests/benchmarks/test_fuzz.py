"""The small form of the damaged inputs, with another seed than the benchmark's."""

import random

import pytest
import torch

from benchmarks.fuzz import damaged, fuzz


@pytest.mark.filterwarnings("ignore")  # pillow and numpy warn of damaged files, then refuse them
def test_damaged_inputs_are_read_or_refused(tmp_path):
    threads = torch.get_num_threads()
    row = fuzz(600, seed=1, folder=tmp_path)
    assert row["read"] + row["refused"] == 600
    assert row["refused"] > 300 and row["read"] > 20
    assert torch.get_num_threads() == threads


def test_damage_is_done():
    chance = random.Random(0)
    content = b'{"a": [1, 2], "b": {"c": 0.5}}'
    assert len({damaged(content, chance) for _ in range(200)}) > 150
