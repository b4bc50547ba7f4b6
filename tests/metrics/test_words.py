from __future__ import annotations

from discrete_ca.metrics import share_of_known_words, vocabulary
from discrete_ca.metrics.words import words


def test_words_stand_between_spaces_and_line_ends():
    assert words("Call me\nIshmael.  -- 'Tis  well-known!") == [
        "Call", "me", "Ishmael", "Tis", "well-known",
    ]  # fmt: skip
    assert words(" ... ") == []


def test_share_counts_every_time_a_word_occurs():
    known = vocabulary(["The whale, the sea."])
    assert known == {"The", "whale", "the", "sea"}
    assert share_of_known_words(["the the whale", "qxz"], known) == 3 / 4
    assert share_of_known_words(["the whale"], []) == 0.0


def test_words_that_a_window_cuts_are_left_out():
    assert share_of_known_words(["hale the sea an"], {"the", "sea"}, windows=True) == 1.0
    assert share_of_known_words(["hale the sea an"], {"the", "sea"}) == 0.5
    assert share_of_known_words(["a"], {"a"}, windows=True) == 0.0


def test_no_words_at_all():
    assert share_of_known_words([], {"a"}) == 0.0
