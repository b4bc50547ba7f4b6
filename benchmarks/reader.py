"""A reader of held-out text, who says of samples how far from text they are.

The cross-entropy of a 5-gram model (nats a character) alone is won by dull text, which is easy to
foretell; the Jensen-Shannon divergence of 3-grams (nats) and the share of distinct 4-grams are not.
Both depend on how many windows there are: compare with as many real ones.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from discrete_ca.data import DiscreteData
from discrete_ca.metrics import SequenceSuite, ngram_codes

CROSS, DIVERGENCE = "cross-entropy", "3-gram divergence"
SHOWN = 6


class Reader:
    """Held-out text: some windows apart, the others to judge by.

    Args:
        windows: text that no network has seen.
        count: how many windows are set apart.
        seed: of the choice.
    """

    def __init__(self, windows: DiscreteData, count: int, seed: int) -> None:
        others, apart = windows.split(count, seed)
        assert windows.tokenizer is not None
        self.windows, self.decode = apart[torch.arange(count)], windows.tokenizer.decode
        self.num_categories = windows.num_categories
        rest = others[torch.arange(len(others))]
        self.suite = SequenceSuite(rest, windows.num_categories, self.decode)

    def looks(self, z: Tensor) -> dict[str, Any]:
        """What it makes of windows (N, T), and the first of them."""
        found = self.suite(z)
        codes = ngram_codes(z, 4, self.num_categories)
        return {
            CROSS: found[f"cross_entropy_{self.suite.model.order}"],
            DIVERGENCE: found["divergence_3"],
            "distinct 4-grams": len(codes.unique()) / len(codes),
            "known words": found["known_words"],
            "shown": [self.decode(each) for each in z[:SHOWN]],
        }
