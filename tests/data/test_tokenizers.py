"""Tokenizers: round trips, what is refused, what is saved."""

import builtins
import json

import pytest
import tokenizers
import torch
from hypothesis import given
from hypothesis import strategies as st

from discrete_ca.data import Bytes, Characters, Subwords, load_tokenizer, train_bpe
from discrete_ca.data.tokenizers import from_dict
from discrete_ca.errors import DataError

TEXT = "Tyger Tyger, burning bright,\nIn the forests of the night; ü 🙂"
BPE = train_bpe([TEXT] * 4, 300)
KINDS = {"characters": Characters.of([TEXT]), "bytes": Bytes(), "subwords": BPE}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("pad", [False, True])
def test_round_trips(kind, pad, tmp_path):
    coder = KINDS[kind].padded() if pad else KINDS[kind]
    ids = coder.encode(TEXT)
    assert ids.dtype == torch.long and ids.ndim == 1 and ids.max() < coder.size
    assert coder.decode(ids) == TEXT == coder.decode(ids.tolist())
    assert coder.decode([]) == "" and len(coder.encode("")) == 0
    coder.save(tmp_path)
    again = load_tokenizer(tmp_path / "tokenizer.json")
    assert type(again) is type(coder) and again.to_dict() == coder.to_dict()
    assert (again.size, again.pad) == (coder.size, coder.pad)
    assert torch.equal(again.encode(TEXT), ids)


@pytest.mark.parametrize("kind", KINDS)
def test_a_pad_is_one_more_category_that_means_nothing(kind):
    plain, coder = KINDS[kind], KINDS[kind].padded()
    assert plain.pad is None and coder.pad == plain.size == coder.size - 1
    ids = coder.encode("the night")
    assert torch.equal(ids, plain.encode("the night"))
    assert coder.decode([coder.pad, *ids.tolist(), coder.pad]) == "the night"
    assert coder.padded().to_dict() == coder.to_dict()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [-1, 100_000])
def test_ids_that_are_no_categories_are_refused(kind, value):
    size = KINDS[kind].size
    with pytest.raises(DataError, match=rf"ids hold the value {value}; allowed: 0 .. {size - 1}"):
        KINDS[kind].decode(torch.tensor([0, value]))
    with pytest.raises(DataError, match=f"ids hold the value {size}"):
        KINDS[kind].decode([size])


@given(text=st.text())
def test_every_text_survives_bytes_characters_and_subwords(text):
    for coder in (Bytes(), BPE, Characters.of([text, "ab"])):
        assert coder.decode(coder.encode(text)) == text


def test_bytes_that_are_no_text_are_shown_as_such():
    assert Bytes().decode([65, 255]) == "A\ufffd"


def test_characters_outside_the_alphabet_are_named():
    with pytest.raises(DataError, match=r"text holds 'z' at place 2; allowed: the 3 characters"):
        Characters("abc").encode("abz")
    with pytest.raises(DataError, match="alphabet was 'aba'; allowed: every character once"):
        Characters("aba")
    with pytest.raises(DataError, match="alphabet was 'a'; allowed: at least two"):
        Characters("a")
    assert Characters("zyx").encode("xyz").tolist() == [2, 1, 0]


def test_bpe_is_no_larger_than_asked():
    assert BPE.size <= 300
    assert len(BPE.encode("Tyger Tyger")) < 6
    assert train_bpe(["ab"], 256).size == 256
    with pytest.raises(DataError, match="size was 100; allowed: >= 256"):
        train_bpe(["ab"], 100)


def words(**pad):
    """A tokenizer of whole words, as another library's file would have it."""
    vocabulary = {"[UNK]": 0, "[PAD]": 1, "to": 2, "be": 3, "[END]": 7}  # ids with a gap
    library = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="[UNK]"))
    library.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    library.add_special_tokens(["[END]"])
    library.enable_truncation(2)
    if pad:
        library.enable_padding(**pad)
    return library


def test_a_file_of_another_library(tmp_path):
    words(pad_id=1, pad_token="[PAD]", length=6).save(str(tmp_path / "tokenizer.json"))
    coder = load_tokenizer(tmp_path)
    assert (coder.size, coder.pad) == (8, 1)
    ids = coder.encode("to be [END] to")  # whole, and without pads
    assert ids.tolist() == [2, 3, 7, 2]
    assert coder.decode([*ids.tolist(), 1]) == "to be [END] to"
    assert coder.padded() is coder
    coder.save(tmp_path)
    again = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert again.padding["pad_id"] == 1 and again.token_to_id("be") == 3


def test_what_the_caller_has_is_left_alone():
    library = words(pad_id=1, pad_token="[PAD]")

    class Fast:
        backend_tokenizer = library

    for given_ in (library, Fast()):
        assert Subwords(given_).encode("to be to be").tolist() == [2, 3, 2, 3]
    assert library.truncation is not None and library.padding is not None
    with pytest.raises(DataError, match="tokenizer was a int; allowed: a tokenizers.Tokenizer"):
        Subwords(3)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot be read"),
        ("[1]", "holds a list; allowed: an object"),
        ('{"kind": "character"}', "unknown kind of tokenizer 'character'; did you mean 'charac"),
        ('{"kind": "characters"}', "tokenizer cannot be read: KeyError"),
        ('{"kind": "characters", "alphabet": "aa", "pad": false}', "every character once"),
        ('{"version": "1.0"}', "tokenizer cannot be read"),
    ],
)
def test_files_that_cannot_be_read(content, message, tmp_path):
    (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(DataError, match=message):
        load_tokenizer(tmp_path)
    with pytest.raises(DataError, match="none.json' cannot be read"):
        load_tokenizer(tmp_path / "none.json")


def test_the_library_is_asked_for_by_name(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "tokenizers":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    values = json.loads(json.dumps(BPE.to_dict()))
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"pip install 'discrete_ca\[text\]'"):
        from_dict(values)
    assert from_dict(Characters("ab").to_dict()).size == 2
