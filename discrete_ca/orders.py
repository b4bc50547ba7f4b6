r"""Random orders of N things: each place read alone, however large N is.

Up to `LISTED` things an order is a list, drawn evenly from all N! of them. Above that a list would
cost 8 bytes a thing (800 MB for 10^8), and an order is computed instead: a place is written as
:math:`p = l b + r` with :math:`l < a`, :math:`r < b`, :math:`a b \ge N`, and rounds

.. math:: l \leftarrow l + F_i(r) \bmod a, \qquad r \leftarrow r + F_{i+1}(l) \bmod b

of keyed hashes F permute the a b places; one that lands at N or above walks on until it does not
(Black and Rogaway 2002, "Ciphers with arbitrary finite domains", methods 2 and 3). Few walk, since
a b exceeds N by less than a, about the root of N.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from discrete_ca import draws

LISTED = 1 << 20
"""The largest N whose orders are lists, of 8 MB."""

_ROUNDS = 8

Places = NDArray[np.uint64]


class Order:
    """A random order of 0 .. N - 1, the same for the same key.

    Args:
        length: N.
        key: what the order depends on, such as (seed, "order", epoch).

    Example:
        >>> Order(5, "example")(torch.arange(5)).sort().values
        tensor([0, 1, 2, 3, 4])
        >>> Order(10**12, "example")(torch.tensor([0, 10**12 - 1])).shape
        torch.Size([2])
    """

    def __init__(self, length: int, *key: int | str) -> None:
        self.length = length
        generator = draws.keyed(*key)
        if length <= LISTED:
            self._listed: Tensor | None = torch.randperm(length, generator=generator)
        else:
            self._listed, self._keys = None, round_keys(generator)

    def __call__(self, places: Tensor) -> Tensor:
        """What stands at each of the places, long, 0 .. N - 1."""
        if self._listed is not None:
            return self._listed[places]
        return torch.from_numpy(permute(places.numpy(), self.length, self._keys))


def round_keys(generator: torch.Generator) -> Places:
    """Keys of the rounds of `permute`, 64 bits each."""
    halves = torch.randint(1 << 32, (2, _ROUNDS), generator=generator).numpy().astype(np.uint64)
    return (halves[0] << np.uint64(32)) | halves[1]


def permute(places: NDArray[np.int64], length: int, keys: Places) -> NDArray[np.int64]:
    """Where a keyed bijection of 0 .. N - 1 sends each of the places.

    Example:
        >>> keys = round_keys(torch.Generator().manual_seed(0))
        >>> sorted(permute(np.arange(6), 6, keys).tolist())
        [0, 1, 2, 3, 4, 5]
    """
    a = math.isqrt(length - 1) + 1
    b = -(-length // a)
    found = _rounds(places.astype(np.uint64), a, b, keys)
    outside = np.flatnonzero(found >= length)
    while len(outside):
        found[outside] = _rounds(found[outside], a, b, keys)
        outside = outside[found[outside] >= length]
    return found.astype(np.int64)


def _rounds(places: Places, a: int, b: int, keys: Places) -> Places:
    sizes = np.uint64(a), np.uint64(b)
    halves = list(np.divmod(places, sizes[1]))
    for i, key in enumerate(keys):
        side = i % 2
        halves[side] = (halves[side] + _hashed(halves[1 - side] + key) % sizes[side]) % sizes[side]
    found: Places = halves[0] * sizes[1] + halves[1]
    return found


def _hashed(values: Places) -> Places:
    """The finalizer of SplitMix64 (Steele, Lea and Flood 2014); products wrap, as they should."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
