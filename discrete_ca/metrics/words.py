"""Words of sampled text: the share of them that real text has too."""

from __future__ import annotations

import string
from collections import Counter
from collections.abc import Collection, Iterable


def words(text: str) -> list[str]:
    """What stands between spaces and line ends, without punctuation at its ends.

    Example:
        >>> words("'Tis so, my lord.")
        ['Tis', 'so', 'my', 'lord']
    """
    stripped = (word.strip(string.punctuation) for word in text.split())
    return [word for word in stripped if word]


def vocabulary(texts: Iterable[str]) -> set[str]:
    """The different words of texts.

    Example:
        >>> sorted(vocabulary(["to be,", "or not to be"]))
        ['be', 'not', 'or', 'to']
    """
    return {word for text in texts for word in words(text)}


def share_of_known_words(
    texts: Iterable[str], known: Collection[str], *, windows: bool = False
) -> float:
    """Share of the words of texts, counted as often as they occur, that are in a vocabulary.

    Args:
        texts: the samples.
        known: such as `vocabulary` of the training text.
        windows: texts are cut out of longer ones, so that the first and the last word of each may
            be parts of words; they are left out.

    Returns:
        A share; 0 where there are no words.

    Example:
        >>> share_of_known_words(["ot to be o"], {"to", "be"}, windows=True)
        1.0
    """
    counts: Counter[str] = Counter()
    for text in texts:
        if windows:
            text = " ".join(text.split()[1:-1])
        counts.update(words(text))
    total = counts.total()
    return sum(n for word, n in counts.items() if word in known) / total if total else 0.0
