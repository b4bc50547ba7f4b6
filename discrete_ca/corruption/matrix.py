"""Users' own corruption matrices: a limit (sparse or not), a function of the level, a generator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from discrete_ca import checks, draws
from discrete_ca.corruption.base import Corruption
from discrete_ca.corruption.mixture import Mixture
from discrete_ca.corruption.sparse import SparseRows


class Matrix(Corruption):
    """Noise given by a matrix, in one of four ways (theory, section 3.2).

    * ``Matrix(R)``: a tensor, an array or rows of shape (K, V), the limit of a linear family
      ``Q_b = (1 - b) I + b R``.
    * ``Matrix(R)`` with a sparse R makes a `SparseMatrix`, which never becomes dense.
    * ``Matrix(f)``: a callable b -> (K, V) with f(0) the (padded) identity. To be saved, it must be
      a function of an importable module.
    * ``Matrix(generator=G, time=T)``: ``Q_b = expm(T b G)`` for a generator G of shape (K, K), rows
      summing to 0 and non-negative off the diagonal. A long T nearly forgets; `forgets` says
      whether it does to 1e-9.

    Raises:
        ValueError: for matrices that are not row-stochastic or not of one shape, an f whose
            f(0) is not the identity, or a G that is no generator.

    Example:
        >>> Matrix(torch.tensor([[0.0, 1.0], [1.0, 0.0]])).matrix(0.25)
        tensor([[0.7500, 0.2500],
                [0.2500, 0.7500]], dtype=torch.float64)
    """

    limit: Tensor | None
    rates: Tensor | None

    def __new__(cls, source: Any = None, **_: Any) -> Matrix:
        """A sparse limit has a class of its own."""
        sparse = isinstance(source, Tensor) and source.layout is not torch.strided
        return super().__new__(SparseMatrix if sparse and cls is Matrix else cls)

    def __init__(
        self,
        source: Tensor | Callable[[float], Tensor] | None = None,
        *,
        generator: Tensor | None = None,
        time: float = 8.0,
    ) -> None:
        if (source is None) == (generator is None):
            raise ValueError("Matrix takes exactly one of source and generator")
        if not time > 0:
            raise ValueError(f"time was {time}; allowed: a number > 0")
        source, generator = _tensor(source), _tensor(generator)
        given = source if isinstance(source, Tensor) else generator
        first = given if given is not None else source(0.0)  # type: ignore[operator, misc]
        if first.ndim != 2:
            raise ValueError(f"matrix has shape {tuple(first.shape)}; allowed: (K, V)")
        super().__init__(first.shape[0], first.shape[1])
        self.function = source if given is None else None
        self.time = float(time)
        self.linear = isinstance(source, Tensor)
        self.register_buffer("limit", source.double() if isinstance(source, Tensor) else None)
        self.register_buffer("rates", None if generator is None else self._rates(generator))
        for level in (0.0, 0.5, 1.0):
            q = self.checked_matrix(level)
            if level == 0.0 and not torch.allclose(q, torch.eye(*q.shape).to(q)):
                raise ValueError("matrix(0) is not the identity; at level 0 nothing may change")

    @staticmethod
    def _rates(generator: Tensor) -> Tensor:
        if generator.layout is not torch.strided:
            raise ValueError("generator is a sparse tensor; allowed: a dense one")
        g = generator.double()
        off = g - torch.diag(g.diagonal()) if g.shape[0] == g.shape[1] else g
        if g.shape[0] != g.shape[1] or bool((off < 0).any()) or float(g.sum(-1).abs().max()) > 1e-6:
            raise ValueError(
                f"generator of shape {tuple(g.shape)} is not a rate matrix; allowed: (K, K), "
                "non-negative off the diagonal, rows summing to 0"
            )
        return g

    def matrix(self, level: float) -> Tensor:
        """Q_b, shape (K, V)."""
        if self.limit is not None:
            identity = torch.eye(*self.limit.shape).to(self.limit)
            return (1 - level) * identity + level * self.limit
        if self.rates is not None:
            return torch.linalg.matrix_exp(self.time * level * self.rates)
        assert self.function is not None
        return self.function(level)  # type: ignore[operator, no-any-return]

    def _sample(self, z: Tensor, b: Tensor, generator: torch.Generator | None) -> Tensor:
        if self.limit is None:
            return super()._sample(z, b, generator)
        redraw = draws.uniform(z.shape, z.device, generator) < checks.spread(b, z)
        fresh = draws.weighted(self.limit[z], generator)
        return torch.where(redraw, fresh, z)

    def log_likelihood(self, x: Tensor, level: checks.Level) -> Tensor:
        """``log Q_b[., x_i]``, shape (B, *S, K)."""
        if self.limit is None:
            return super().log_likelihood(x, level)
        b = checks.spread(checks.levels(level, x.shape[0], x.device), x).unsqueeze(-1).double()
        every = torch.arange(self.num_categories, device=x.device)
        return ((1 - b) * (x.unsqueeze(-1) == every) + b * self.limit.T[x]).log()


def _tensor(given: Any) -> Any:
    """Arrays and lists of rows as tensors; anything else as it is."""
    rows = isinstance(given, np.ndarray | list | tuple)
    return torch.from_numpy(np.array(given, dtype=np.float64)) if rows else given


class SparseMatrix(Mixture, Matrix):
    """A linear family ``Q_b = (1 - b) I + b R`` with a sparse limit R, which stays sparse.

    Args:
        source: R, a sparse tensor of any layout, shape (K, V), rows summing to 1.

    Raises:
        TypeError: for what is not a floating tensor.
        ValueError: for entries that are not finite or negative, and rows that are empty or do not
            sum to 1.

    Example:
        >>> limit = torch.tensor([[0.0, 1.0], [1.0, 0.0]]).to_sparse()
        >>> noise = Matrix(limit)
        >>> noise, noise.matrix(0.25)
        (SparseMatrix(
          num_categories=2, num_states=2
          (near): SparseRows(2 x 2, 2 entries)
        ), tensor([[0.7500, 0.2500],
                [0.2500, 0.7500]], dtype=torch.float64))
    """

    linear = True

    def __init__(self, source: Tensor) -> None:
        if isinstance(source, Tensor) and source.ndim != 2:
            raise ValueError(f"source has shape {tuple(source.shape)}; allowed: (K, V)")
        near = SparseRows(source, source.shape[1], "source")
        super().__init__(near.num_rows, near.num_states, near)

    def weights(self, b: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """``(1 - b, b, 0)``."""
        return 1 - b, b, torch.zeros_like(b)

    @property
    def rules_out(self) -> bool:
        """Whether a state may rule out a category: counted first, for R may be large."""
        assert self.near is not None
        few = len(self.near.value) < self.num_categories * (self.num_states - 1)
        return few or super().rules_out

    @property
    def forgets(self) -> bool:
        """Whether the rows of R are equal."""
        assert self.near is not None
        return self.near.rows_equal
