r"""Noise over tokens: what stays, near tokens, and noise that forgets (theory, section 3.2).

    Q_b = (1 − b) I + b (1 − b) α S + b (1 − (1 − b) α) N,      0 ≤ α < 1

S leads to tokens that are near, N to one law whatever the token was: a mask state, the tokens'
frequencies, all tokens alike, or a mix. The share of S falls with b, so that b = 1 forgets and an
annealed run has an exact start. With α = 0 the family is linear.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Self

import torch
from torch import Tensor

from discrete_ca import checks
from discrete_ca.corruption.mixture import Mixture
from discrete_ca.corruption.sparse import SparseRows
from discrete_ca.errors import DataError

_SITES = 1 << 22  # that are counted at once
_TOLERANCE = 1e-6


class TokenNoise(Mixture):
    """Token noise: to near tokens at first, to a mask, the frequencies or any token in the end.

    ``Q_b = (1 - b) I + b (1 - b) α S + b (1 - (1 - b) α) N`` (theory, section 3.2).

    Args:
        num_categories: K.
        mask: weight of the mask state in N; above 0 the mask is one more state, V - 1 = K.
        uniform: weight in N of all tokens alike.
        frequencies: π, probabilities of the tokens, shape (K,); what `mask` and `uniform` leave of
            1 is its weight in N.
        near: S, shape (K, K), rows summing to 1: a sparse tensor (see `near_from_embedding` and
            those beside it) or a dense one.
        alpha: α in [0, 1), how much of the noise is near at small levels; None for 0.5 with `near`
            and 0 without.

    Raises:
        TypeError: for frequencies or `near` that are no floating tensors.
        ValueError: for weights that do not sum to 1, frequencies that are negative or do not sum
            to 1, a `near` of another shape, with negative entries, or with rows that are empty or
            do not sum to 1, an alpha outside [0, 1) or without `near`.

    Example:
        >>> frequencies, near = torch.tensor([0.7, 0.2, 0.1]), torch.eye(3).roll(1, 1)
        >>> noise = TokenNoise(3, mask=0.5, frequencies=frequencies, near=near)
        >>> noise.matrix(0.5)
        tensor([[0.6312, 0.1625, 0.0188, 0.1875],
                [0.1312, 0.5375, 0.1438, 0.1875],
                [0.2562, 0.0375, 0.5188, 0.1875]], dtype=torch.float64)
        >>> TokenNoise(3, mask=1.0).matrix(1.0)[0]
        tensor([0., 0., 0., 1.], dtype=torch.float64)
    """

    def __init__(
        self,
        num_categories: int,
        mask: float = 0.0,
        uniform: float = 0.0,
        frequencies: Tensor | None = None,
        near: Tensor | None = None,
        alpha: float | None = None,
    ) -> None:
        k = checks.positive(num_categories, "num_categories")
        if alpha is None:
            alpha = 0.0 if near is None else 0.5
        alpha = checks.probability(alpha, "alpha", below_one=True)
        if alpha > 0 and near is None:
            raise ValueError(f"alpha was {alpha} without near; allowed: 0")
        law = _fresh(k, mask, uniform, frequencies)
        if near is not None and near.shape != (k, k):
            raise ValueError(f"near has shape {tuple(near.shape)}; allowed: {(k, k)}")
        sparse = None if near is None else SparseRows(near, len(law), "near")
        super().__init__(k, len(law), sparse if alpha > 0 else None, law)
        self.alpha = alpha
        self.linear = alpha == 0

    @classmethod
    def from_data(
        cls,
        data: Any,
        num_categories: int | None = None,
        mask: float = 0.5,
        uniform: float = 0.0,
        near: Tensor | None = None,
        alpha: float | None = None,
        floor: float = 1.0,
    ) -> Self:
        """Noise with the frequencies of the tokens in `data`.

        By default half of what is forgotten is masked, which tells the network where it must
        guess, and half becomes other tokens, which a chain can put right in place: contrastive
        adjustment gains nothing from masks alone (theory, section 7).

        Args:
            data: integers of shape (N, *S), or what gives them by slices (a `DiscreteData`).
            num_categories: K; None for ``data.num_categories``.
            mask: as of the class.
            uniform: as of the class.
            near: as of the class.
            alpha: as of the class.
            floor: a token that is seen less often counts as if seen so often: tokens that only
                other data hold can be reached too.

        Raises:
            DataError: for data that are no integers, out of range or empty.
            ValueError: as the class.

        Example:
            >>> data = torch.tensor([[0, 0, 1], [0, 1, 0]])
            >>> TokenNoise.from_data(data, 3, mask=0.0).fresh
            tensor([0.5714, 0.2857, 0.1429], dtype=torch.float64)
        """
        k = num_categories if num_categories is not None else getattr(data, "num_categories", None)
        if k is None:
            raise ValueError("num_categories was None; allowed: K, where the data do not say it")
        if not 0 <= floor < float("inf"):
            raise ValueError(f"floor was {floor}; allowed: a number >= 0")
        seen = token_counts(data, k).double().clamp_min(floor)
        return cls(k, mask, uniform, seen / seen.sum(), near, alpha)

    @property
    def mask_state(self) -> int | None:
        """The index of the mask state, K; None where there is none."""
        return self.num_categories if self.num_states > self.num_categories else None

    @property
    def forgets(self) -> bool:
        """True: at level 1 every row is N."""
        return True

    @property
    def rules_out(self) -> bool:
        """Whether it forgets to masks alone, so that every other state is the token itself.

        Tokens of frequency 0 are in no data that `check_data` lets pass.
        """
        return self._masks_alone

    def weights(self, b: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """``(1 - b, b (1 - b) α, b (1 - (1 - b) α))``."""
        near = (1 - b) * self.alpha
        return 1 - b, b * near, b * (1 - near)

    def check_data(self, data: Any) -> None:
        """Refuse data with tokens that the noise forgets to with probability 0.

        Such tokens hardly ever stand in a noisy state, and an annealed run cannot start from them.

        Raises:
            DataError: for such data, naming the first such token, and as `from_data`.
        """
        counts = token_counts(data, self.num_categories)
        lost = (counts > 0) & (self.fresh[: self.num_categories] == 0).to(counts.device)
        if bool(lost.any()) and not self._masks_alone:
            token = int(lost.long().argmax())
            raise DataError(
                f"the data hold token {token} {int(counts[token])} times, of which frequencies "
                "say 0; allowed: frequencies above 0 for every token of the data (`from_data`)"
            )

    @property
    def _masks_alone(self) -> bool:
        return float(self.fresh[: self.num_categories].sum()) == 0


def _fresh(k: int, mask: float, uniform: float, frequencies: Tensor | None) -> Tensor:
    """N, in float64, over K tokens and the mask state where `mask` is above 0."""
    checks.probability(mask, "mask")
    checks.probability(uniform, "uniform")
    rest = 1 - mask - uniform
    if rest < -_TOLERANCE or (frequencies is None and rest > _TOLERANCE):
        without = " without frequencies" if frequencies is None else ""
        allowed = "1" if frequencies is None else "at most 1, the rest being that of frequencies"
        raise ValueError(f"mask + uniform was {mask + uniform:g}{without}; allowed: {allowed}")
    law = torch.full((k,), uniform / k, dtype=torch.float64)
    if frequencies is not None:
        law = law.to(frequencies.device) + max(rest, 0.0) * _probabilities(frequencies, k)
    if mask > 0:
        law = torch.cat([law, law.new_full((1,), mask)])
    return law / law.sum()


def _probabilities(frequencies: Tensor, k: int) -> Tensor:
    if not frequencies.is_floating_point():
        raise TypeError(f"frequencies have dtype {frequencies.dtype}; allowed: floating point")
    if frequencies.shape != (k,):
        raise ValueError(f"frequencies have shape {tuple(frequencies.shape)}; allowed: {(k,)}")
    p = frequencies.detach().double()
    if not bool(p.isfinite().all()) or bool((p < 0).any()):
        worst = float(p.nan_to_num(nan=-torch.inf, posinf=-torch.inf).min())
        raise ValueError(f"frequencies hold {worst:g}; allowed: finite numbers >= 0")
    if abs(float(p.sum()) - 1) > _TOLERANCE:
        raise ValueError(f"frequencies sum to {float(p.sum()):g}; allowed: 1")
    return p / p.sum()


def token_counts(data: Any, num_categories: int) -> Tensor:
    """How often each category stands in `data`, long, shape (K,); counted slice by slice.

    Args:
        data: integers of shape (N, *S), or what gives them by slices.
        num_categories: K.

    Raises:
        DataError: for data that are no integers, out of range or empty.

    Example:
        >>> token_counts(torch.tensor([[0, 2], [2, 2]]), 4)
        tensor([1, 0, 3, 0])
    """
    counts = torch.zeros(num_categories, dtype=torch.long)
    for part in _slices(data):
        if part.is_floating_point() or part.is_complex():
            raise DataError(f"data have dtype {part.dtype}; allowed: integers")
        low, high = (int(v) for v in part.aminmax())
        if low < 0 or high >= num_categories:
            raise DataError(
                f"data hold values in [{low}, {high}]; allowed: 0 .. {num_categories - 1}"
            )
        counts += torch.bincount(part.reshape(-1), minlength=num_categories).cpu()
    if not int(counts.sum()):
        raise DataError("data hold no tokens; allowed: at least one")
    return counts


def _slices(data: Any) -> Iterator[Tensor]:
    count = len(data)
    size = max(1, _SITES // max(1, torch.as_tensor(data[:1]).numel())) if count else 1
    for first in range(0, count, size):
        part = torch.as_tensor(data[first : first + size])
        if part.numel():
            yield part
