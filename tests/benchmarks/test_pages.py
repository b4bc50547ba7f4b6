"""The page of results is what its script makes of the reports."""

from benchmarks import pages


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
