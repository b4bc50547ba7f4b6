"""Exact random draws: inverse CDFs with uniforms of 53 bits.

Float32 Gumbel noise truncates the tails of a categorical law and lowers its effective temperature
(Zheng et al. 2024, arXiv 2409.02908), and a float32 uniform cannot hit an event rarer than 6e-8.
All draws of categories and holds go through `uniform` and `categorical`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from discrete_ca.errors import NonFiniteError
from discrete_ca.logits import pieces, wide

_BLOCK, _MANY = 16, 128
"""Categories a block, and how many are drawn from by blocks: fewer are faster summed one by one."""


def keyed(*key: int | str) -> torch.Generator:
    """A generator of its own for each key, such as (seed, "noise", step).

    Draws that depend on a key and nothing before need no saved state to be made again.

    Example:
        >>> first, again = (torch.rand(1, generator=keyed(0, "noise", 7)) for _ in range(2))
        >>> bool(first == again)
        True
    """
    return torch.Generator().manual_seed(_number(key))


@contextmanager
def globally_keyed(device: torch.device, *key: int | str) -> Iterator[None]:
    """While open, torch's own generators are a function of the key, and afterwards as before.

    For code that takes no generator, such as dropout in a network.

    Example:
        >>> with globally_keyed(torch.device("cpu"), 0, 7):
        ...     first = torch.rand(1)
        >>> with globally_keyed(torch.device("cpu"), 0, 7):
        ...     print(bool(first == torch.rand(1)))
        True
    """
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(_number(key))
        yield


def _number(key: tuple[int | str, ...]) -> int:
    return int.from_bytes(hashlib.blake2b(repr(key).encode(), digest_size=7).digest(), "big")


def stratified(strata: Tensor, n: int, generator: torch.Generator | None = None) -> Tensor:
    """Indices (n,) of random examples, of each stratum as many as its share, but for rounding.

    Labels that are drawn one by one are uneven by chance, which a distance of laws then counts.

    Args:
        strata: what each example belongs to, such as its label, (N,).
        n: how many; examples repeat where there are fewer.
        generator: source of randomness, of the rounding too.

    Example:
        >>> labels = torch.tensor([7, 4, 7, 7])
        >>> labels[stratified(labels, 8)].sort().values
        tensor([4, 4, 7, 7, 7, 7, 7, 7])
    """
    cpu = torch.device("cpu")
    shuffled = permutation(len(strata), cpu, generator)
    order = shuffled[strata.cpu()[shuffled].argsort(stable=True)]
    offset = uniform((1,), cpu, generator).cpu()
    places = (torch.arange(n, dtype=torch.float64) + offset) * len(strata) / n
    return order[places.long().clamp_max(len(strata) - 1)][permutation(n, cpu, generator)]


def permutation(n: int, device: torch.device, generator: torch.Generator | None = None) -> Tensor:
    """The numbers 0 .. n - 1 in random order, long, (n,), whatever device the generator is of.

    Example:
        >>> permutation(3, torch.device("cpu")).sort().values
        tensor([0, 1, 2])
    """
    return uniform((n,), device, generator).to(device).argsort()


def uniform(
    shape: Sequence[int], device: torch.device, generator: torch.Generator | None = None
) -> Tensor:
    """Uniform draws on [0, 1) in float64, of any shape.

    They are made on the generator's device and moved, so that one seed gives the same numbers
    wherever the model lives.

    Example:
        >>> uniform((2, 3), torch.device("cpu"), torch.Generator().manual_seed(0)).shape
        torch.Size([2, 3])
    """
    source = source_of(generator, device)
    draws = torch.rand(tuple(shape), dtype=torch.float64, device=source, generator=generator)
    return draws.to(device)


def source_of(generator: torch.Generator | None, device: torch.device) -> torch.device:
    """Where draws are made: on the generator's device, or else where they are needed.

    Raises:
        TypeError: for what is no generator, such as a seed.

    Example:
        >>> source_of(0, torch.device("cpu"))
        Traceback (most recent call last):
        TypeError: generator was 0; allowed: a torch.Generator or None
    """
    if generator is None:
        return device
    if not isinstance(generator, torch.Generator):
        raise TypeError(f"generator was {generator!r}; allowed: a torch.Generator or None")
    return generator.device


def categorical(log_weights: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Draw an index from each row of `log_weights`, by inverse CDF in float64.

    Args:
        log_weights: log-probabilities up to a constant a row, shape (..., K); -inf excludes.
        generator: source of randomness.

    Returns:
        Indices, long, shape (...).

    Raises:
        NonFiniteError: for a row that holds NaN, +inf or nothing but -inf.

    Example:
        >>> categorical(torch.tensor([[0.0, -torch.inf], [-torch.inf, 0.0]]))
        tensor([0, 1])
    """
    num = log_weights.shape[-1]
    draw = _draw_two if num == 2 else _draw_few if num < _MANY else _draw_many
    refused = "log_weights are not finite; allowed: numbers and -inf, not all -inf"
    return _drawn(draw, log_weights, refused, generator)


def weighted(weights: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Draw an index from each row of `weights`, by inverse CDF in float64.

    Args:
        weights: probabilities up to a factor a row, shape (..., K); 0 excludes.
        generator: source of randomness.

    Returns:
        Indices, long, shape (...).

    Raises:
        NonFiniteError: for a row that holds NaN, an infinity or less than 0, or nothing but 0.

    Example:
        >>> weighted(torch.tensor([[0.5, 0.0], [0.0, 3.0]]))
        tensor([0, 1])
    """
    refused = "weights are no law; allowed: non-negative finite numbers, not all 0"
    return _drawn(_draw_weighted, weights, refused, generator)


def _drawn(
    draw: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]],
    laws: Tensor,
    refused: str,
    generator: torch.Generator | None,
) -> Tensor:
    """Indices (...) of laws (..., K): `draw` makes them of rows and uniforms, and a number a row.

    Where that number is not finite the row is no law, and refused.
    """
    rows = laws.detach().reshape(-1, laws.shape[-1])
    index, sound = draw(rows, uniform((len(rows),), rows.device, generator))
    if not bool(sound.isfinite().all()):
        raise NonFiniteError(refused)
    return index.reshape(laws.shape[:-1])


def _weights(logits: Tensor, highest: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Weights (N, K), the highest 1 (in at least float32), and the highest log-weight (N,)."""
    logits = logits.to(wide(logits.dtype))  # half precision would cut the tails
    highest = logits.amax(-1) if highest is None else highest
    return (logits - highest[:, None]).exp_(), highest


def _in_pieces(
    work: Callable[..., tuple[Tensor, Tensor]], rows: Tensor, *others: Tensor
) -> tuple[Tensor, Tensor]:
    """What `work` makes of each piece, joined: no copy of the logits is ever whole."""
    parts = [work(*piece) for piece in pieces(rows, *others)]
    first, second = (torch.cat(each) for each in zip(*parts, strict=True))
    return first, second


def _draw_two(rows: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    def work(logits: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
        first, second = logits.double().unbind(-1)
        return (u >= torch.sigmoid(first - second)).long(), torch.maximum(first, second)

    return _in_pieces(work, rows, u)


def _draw_weighted(rows: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    def work(weights: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
        total = weights.sum(-1).log()  # not finite where the sum is 0, NaN or infinite
        return _invert(weights, u)[0], torch.where(weights.amin(-1) < 0, torch.nan, total)

    return _in_pieces(work, rows, u)


def _draw_few(rows: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    def work(logits: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
        weights, highest = _weights(logits)
        return _invert(weights, u)[0], highest

    return _in_pieces(work, rows, u)


def _draw_many(rows: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    """First a block of categories by the blocks' sums, then a member by what is left of u."""
    num = rows.shape[1]

    def block_sums(logits: Tensor) -> tuple[Tensor, Tensor]:
        weights, highest = _weights(logits)
        return _blocks(weights).sum(-1), highest

    def member(sums: Tensor, logits: Tensor, highest: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
        block, rest = _invert(sums, u)
        place = block[:, None] * _BLOCK + torch.arange(_BLOCK, device=u.device)
        chosen = logits.gather(-1, place.clamp(max=num - 1))
        weights, _ = _weights(chosen.masked_fill_(place >= num, -torch.inf), highest)
        index, rest = _invert(weights, rest)
        return block * _BLOCK + index, rest

    sums, highest = _in_pieces(block_sums, rows)
    return _in_pieces(member, sums, rows, highest, u)[0], highest


def _blocks(weights: Tensor) -> Tensor:
    """Weights (N, K) as (N, blocks, `_BLOCK`), filled up with zeros."""
    fill = -weights.shape[1] % _BLOCK
    padded = nn.functional.pad(weights, (0, fill)) if fill else weights
    return padded.reshape(len(weights), -1, _BLOCK)


def _invert(weights: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    """The inverse CDF (N,) of weights (N, K) at u (N,), and where in its step each u fell.

    On a processor the sums go up from left to right, so that no weight of 0 has a step; a device
    that sums otherwise may leave it one of a rounding, 1e-16.
    """
    edges = weights.cumsum(-1, dtype=torch.float64)  # keeps the small ones of float32 weights
    total = edges[:, -1]
    below = torch.nextafter(total, total.new_zeros(()))  # so that rounding reaches no empty step
    target = torch.minimum(u * total, below)[:, None]
    index = (edges <= target).sum(-1, keepdim=True).clamp_(max=weights.shape[1] - 1)
    step = weights.gather(-1, index).double().clamp_min(1e-300)
    rest = 1 - (edges.gather(-1, index) - target) / step
    return index[:, 0], rest[:, 0].clamp_(0.0, 1 - 2**-53)
