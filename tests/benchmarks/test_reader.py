"""The reader of held-out text: dull text does not win."""

from benchmarks import reader
from discrete_ca import data


def test_dull_text_is_easy_to_read_and_far_from_text():
    windows = data.load_text("moby_dick", length=64, split="test")
    judge = reader.Reader(windows, 64, 0)
    row = windows.tokenizer.encode("the " * 16)
    dull, real = judge.looks(row.expand(64, 64)), judge.looks(judge.windows)
    assert dull[reader.CROSS] < real[reader.CROSS]
    assert dull[reader.DIVERGENCE] > 0.5 > real[reader.DIVERGENCE]
    assert dull["distinct 4-grams"] < 0.01 < 0.6 < real["distinct 4-grams"]
    assert dull["shown"][0] == "the " * 16
