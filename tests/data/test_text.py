"""Text as rows of categories: packing, padding, sources, refusals."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from discrete_ca.data import Bytes, Characters, load_text, train_bpe
from discrete_ca.errors import DataError

DOCUMENTS = ["one fish", "two fish", "", "red fish"]


def texts(data):
    return [data.tokenizer.decode(row) for row in data]


def test_packed_documents_are_joined_and_cut():
    data = load_text(DOCUMENTS, length=6, separator="|")
    assert "".join(texts(data)) == "one fish|two fish|red fish"[:24]
    assert data.shape == (6,) and data.present is None and data.name == "text"
    assert data.num_categories == data.tokenizer.size == len(set("one fish|two fish|red fish"))
    assert data.states.dtype == torch.long


def test_windows_overlap_without_copies():
    data = load_text(["abcdefgh"], length=4, stride=2)
    assert texts(data) == ["abcd", "cdef", "efgh"]
    assert data._states.untyped_storage().nbytes() == 8
    rest, held = data.split_off(1, torch.Generator().manual_seed(0))
    assert sorted(texts(rest) + texts(held)) == texts(data) and held.tokenizer is data.tokenizer


@given(
    documents=st.lists(st.text("abc", min_size=1, max_size=9), min_size=1, max_size=6),
    length=st.integers(1, 5),
)
def test_padded_rows_hold_the_documents(documents, length):
    data = load_text(documents, Characters("abc"), length, pad=True)
    rows = texts(data)
    assert "".join(rows) == "".join(documents) and len(rows) >= len(documents)
    pad = data.tokenizer.pad
    assert torch.equal(data.states != pad, data.present)
    assert torch.equal(data.present.long().sort(1, descending=True).values, data.present.long())
    assert data.num_categories == 4 and all(data.present.any(1))


def test_presence_goes_with_the_examples():
    data = load_text(["a", "bb", "ccc"], length=3, pad=True)
    rest, held = data.split_off(1, torch.Generator().manual_seed(1))
    for part in (rest, held):
        assert torch.equal(part.present, part.states != data.tokenizer.pad)


@pytest.mark.parametrize(
    ("tokenizer", "size", "length"),
    [("bytes", 256, 9), (Bytes(), 256, 9), ("characters", 7, 8), ("file", 256, 9)],
)
def test_tokenizers_files_and_folders(tokenizer, size, length, tmp_path):
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text("fishes ü", encoding="utf-8")
    if tokenizer == "file":
        train_bpe(["ab"], 256).save(tmp_path)
        tokenizer = tmp_path / "tokenizer.json"
    data = load_text(tmp_path / "a.txt", tokenizer, length)
    assert (data.num_categories, data.name, texts(data)) == (size, "a", ["fishes ü"])
    both = load_text(str(tmp_path), tokenizer, 2 * length + 1, separator=" ")
    assert texts(both) == ["fishes ü fishes ü"]


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        ("no/such.txt", {}, "source 'no/such.txt' does not exist; allowed: .* as a list"),
        ("to be or not " * 400, {}, "does not exist; allowed: .* as a list"),
        (["ab", 3], {}, "source holds a int; allowed: strings"),
        (["", ""], {}, "source holds no text"),
        ([], {}, "source holds no text"),
        (["abc"], {"length": 4}, "text has 3 tokens; allowed: at least length = 4"),
        (["abc"], {"length": 0}, "length was 0; allowed: a whole number >= 1"),
        (["abc"], {"stride": -1}, "stride was -1"),
        (["abc"], {"pad": True, "stride": 2}, "stride was 2 with pad=True"),
        (["abc"], {"tokenizer": "charcters"}, "tokenizer was 'charcters'; allowed: characters"),
        (["abd"], {"tokenizer": Characters("abc")}, "text holds 'd' at place 2"),
        (["abd"], {"tokenizer": "none.json"}, "tokenizer 'none.json' cannot be read"),
    ],
)
def test_refusals(source, options, message):
    with pytest.raises(DataError, match=message):
        load_text(source, **options)


def test_files_that_are_no_text(tmp_path):
    (tmp_path / "x.txt").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(DataError, match=r"x.txt is not in UTF-8: byte .* at place .*iconv"):
        load_text(tmp_path / "x.txt", length=1)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty holds no text"):
        load_text(tmp_path / "empty")
