"""Families, networks, laws and statistics that several test files use."""

from __future__ import annotations

import math

import numpy as np
import torch
from hypothesis import strategies as st
from scipy import stats
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from discrete_ca.corruption import (
    Absorbing,
    Corruption,
    Matrix,
    Ordinal,
    TokenNoise,
    Uniform,
    near_ordinal,
)
from discrete_ca.diagnostics import exact

SHAPES = [(), (5,), (4, 4), (3, 8, 8)]
FALSE_ALARM = 1e-6  # probability that one right sampler fails one `assert_counts`


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def f64(*values):
    return torch.tensor(values, dtype=torch.float64)


# -- corruptions ----------------------------------------------------------------------------------


def stochastic(rows, columns, seed, zeros=0.0):
    """A random row-stochastic matrix, with a share of exact zeros."""
    g = seeded(seed)
    weights = torch.rand(rows, columns, dtype=torch.float64, generator=g)
    weights[torch.rand(rows, columns, generator=g) < zeros] = 0.0
    weights[:, 0] += 1e-3
    return weights / weights.sum(-1, keepdim=True)


def near_tokens(level):
    """Near tokens first, forgetting noise at b = 1: 3 categories, 4 states, not linear in b."""
    near = torch.zeros(3, 4, dtype=torch.float64)
    near[:, :3] = torch.tensor([[0.0, 1, 0], [0.5, 0, 0.5], [0, 1, 0]])
    forgetting = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64).expand(3, 4)
    stays, moves = 1 - level, level * (1 - level) * 0.7
    return stays * torch.eye(3, 4).double() + moves * near + (level - moves) * forgetting


def rates(size, seed=0):
    """A generator of a chain: non-negative off the diagonal, rows summing to 0."""
    g = torch.rand(size, size, dtype=torch.float64, generator=seeded(seed))
    g -= torch.diag(g.diagonal())
    return g - torch.diag(g.sum(-1))


def hubs(size):
    """Near tokens of which the first is near to all others and the last near to none."""
    near = torch.zeros(size, size, dtype=torch.float64)
    near[:, 0] = 0.75
    near[:, 1] += 0.25
    near[1] = 0.0
    near[1, [0, 2]] = 0.5
    return near.to_sparse()


FAMILIES = {
    "uniform-2": Uniform(2),
    "uniform-5": Uniform(5),
    "absorbing-2": Absorbing(2),
    "absorbing-4": Absorbing(4),
    "ordinal-2": Ordinal(2),
    "ordinal-3": Ordinal(3),
    "ordinal-16": Ordinal(16),
    "ordinal-5-wide": Ordinal(5, scale=2.0),
    "matrix-square": Matrix(stochastic(4, 4, 0)),
    "matrix-wide": Matrix(stochastic(3, 5, 1, zeros=0.3)),
    "matrix-callable": Matrix(near_tokens),
    "matrix-generator": Matrix(generator=rates(4)),
    "matrix-sparse": Matrix(stochastic(3, 5, 2, zeros=0.6).to_sparse()),
    "tokens-3": TokenNoise(3, mask=0.5, frequencies=f64(0.6, 0.3, 0.1), near=near_ordinal(3)),
    "tokens-5": TokenNoise(
        5, uniform=0.3, frequencies=f64(0.5, 0, 0.2, 0.2, 0.1), near=hubs(5), alpha=0.9
    ),
    "tokens-linear": TokenNoise(4, mask=0.2, uniform=0.3, frequencies=f64(0.4, 0.3, 0.2, 0.1)),
}
LINEAR = [name for name, family in FAMILIES.items() if family.linear]
SMALL = ["uniform-2", "absorbing-2", "ordinal-3", "matrix-wide", "matrix-callable", "tokens-3"]


class Dense(Corruption):
    """A user's corruption: the matrices of another family and nothing else."""

    def __init__(self, other, linear=False):
        super().__init__(other.num_categories, other.num_states)
        self.other, self.linear = other, linear

    def matrix(self, level):
        return self.other.matrix(level)


# Exact binary fractions, so that a level is the same number in float32 and float64.
fractions = st.one_of(st.sampled_from([0.0, 1.0]), st.integers(0, 1 << 20).map(lambda n: n / 2**20))
family_names = st.sampled_from(sorted(FAMILIES))


# -- networks -------------------------------------------------------------------------------------


class Smooth(nn.Module):
    """Logits of any rank that depend on the site's own state, all other states and the level."""

    def __init__(self, num_categories, num_states, seed=0, scale=1.0):
        super().__init__()
        g = seeded(seed)

        def table(*shape):
            return nn.Parameter(scale * torch.randn(*shape, dtype=torch.float64, generator=g))

        self.own, self.others = (table(num_states, num_categories) for _ in range(2))
        self.slope = table(num_categories)

    def forward(self, x, b):
        onehot = nn.functional.one_hot(x, len(self.own)).to(self.own)
        flat = onehot.reshape(len(x), -1, len(self.own))
        pooled = ((flat.sum(1, keepdim=True) - flat) / flat.shape[1]).reshape(onehot.shape)
        level = b.to(self.slope).reshape(-1, *(1,) * x.ndim)
        return onehot @ self.own + pooled @ self.others + level * self.slope


class Told(Smooth):
    """A `Smooth` network that takes labels and the mask of known sites."""

    def forward(self, x, b, label=None, known=None):
        logits = super().forward(x, b)
        if label is not None:
            logits = logits + label.to(logits).reshape(-1, *(1,) * x.ndim) * self.slope
        if known is not None:
            logits = logits + (~known).to(logits).unsqueeze(-1) * self.slope.flip(0)
        return logits


class Fixed(nn.Module):
    """Whatever it was given, for every state."""

    def __init__(self, out):
        super().__init__()
        self.out = out

    def forward(self, x, b):
        return self.out.expand(*x.shape, self.out.shape[-1])


class Counting(nn.Module):
    """Counts the calls of a network and the examples in them."""

    def __init__(self, net):
        super().__init__()
        self.net, self.calls, self.examples, self.levels = net, 0, 0, []

    def forward(self, x, b):
        self.calls, self.examples = self.calls + 1, self.examples + len(x)
        self.levels.append(float(b[0]))
        return self.net(x, b)


def random_law(num_categories, shape, seed=0, sharpness=1.5):
    """A peaked law over K^D clean states in the order of `exact.states`."""
    count = num_categories ** math.prod(shape)
    logits = torch.randn(count, dtype=torch.float64, generator=seeded(seed))
    return (sharpness * logits).softmax(0)


class Posterior(nn.Module):
    """The exact marginals p(z_i | x), by enumeration: the best denoiser of a law."""

    def __init__(self, law, corruption, shape):
        super().__init__()
        self.law, self.corruption = law, corruption
        z = exact.states(corruption.num_categories, shape)
        self.z = z.reshape(len(law), -1)

    def evidence(self, x, b, known):
        """Q_b[., x_i], (B, D, K), from the matrices; a point mass at sites known clean."""
        flat = x.reshape(len(x), -1)
        q = torch.stack([self.corruption.matrix(float(level)).double() for level in b.unique()])
        index = (b[:, None] == b.unique()).long().argmax(1)
        found = q.transpose(1, 2)[index[:, None], flat]
        if known is not None:
            clean = nn.functional.one_hot(flat, found.shape[-1] + 1)[..., :-1].to(found)
            found = torch.where(known.reshape(flat.shape).unsqueeze(-1), found, clean)
        return found

    def marginals(self, x, b, known=None):
        seen = self.evidence(x, b, known)
        sites = torch.arange(self.z.shape[1])
        joint = self.law * seen[:, sites, self.z].prod(-1)
        joint = joint / joint.sum(-1, keepdim=True)
        onehot = nn.functional.one_hot(self.z, self.corruption.num_categories).double()
        found = torch.einsum("bn,ndk->bdk", joint, onehot)
        found = torch.where(found.isnan(), 1.0 / found.shape[-1], found)  # states of no mass
        return found.log().reshape(*x.shape, -1)

    def forward(self, x, b):
        return self.marginals(x, b)


def walks(count):
    """Pieces of four voices that walk at random, as lists (count, 64, 4)."""
    steps = torch.randint(-1, 2, (count, 64, 4), generator=seeded())
    return (steps.cumsum(1).clamp(-6, 6) + torch.tensor([72, 65, 58, 50])).tolist()


class InformedPosterior(Posterior):
    """A `Posterior` that takes the known sites as clean."""

    def forward(self, x, b, known=None):
        return self.marginals(x, b, known)


# -- statistics and memory ------------------------------------------------------------------------


def assert_counts(counts, probs, least=10.0):
    """Chi-square of rows of counts against rows of laws, at the false-alarm rate `FALSE_ALARM`.

    Cells that are expected less than `least` times are pooled in their row; impossible cells must
    be empty.
    """
    counts, probs = np.asarray(counts, dtype=float), np.asarray(probs, dtype=float)
    counts = np.atleast_2d(counts).reshape(-1, counts.shape[-1])
    probs = np.atleast_2d(probs).reshape(-1, probs.shape[-1])
    assert counts.shape == probs.shape
    assert np.allclose(probs.sum(-1), 1, atol=1e-9)
    assert counts[probs <= 1e-15].sum() == 0, "an impossible state was drawn"
    statistic, freedom = 0.0, 0
    for row, law in zip(counts, probs, strict=True):
        expected = law * row.sum()
        order = np.argsort(-expected)
        row, expected = row[order], expected[order]
        few = int((expected >= least).sum())
        if 0 < expected[few:].sum() < least:  # too little even together: joined to the last cell
            few = max(0, few - 1)
        seen = np.append(row[:few], row[few:].sum())
        mean = np.append(expected[:few], expected[few:].sum())
        seen, mean = seen[mean > 0], mean[mean > 0]
        statistic += ((seen - mean) ** 2 / mean).sum()
        freedom += len(mean) - 1
    if freedom > 0:
        assert stats.chi2.sf(statistic, freedom) > FALSE_ALARM, (statistic, freedom)


def counts_of(index, size):
    return torch.bincount(index.reshape(-1), minlength=size)


def code(x, values):
    """The place of states (N, *S) in the order of `exact.states`."""
    flat = x.reshape(len(x), -1)
    return (flat * values ** torch.arange(flat.shape[1] - 1, -1, -1)).sum(-1)


class LargestStorage(TorchDispatchMode):
    """Remembers the bytes of the largest tensor that any operation returns, but views of some."""

    def __init__(self, *but):
        super().__init__()
        self.bytes, self.but = 0, {t.untyped_storage().data_ptr() for t in but}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(out):
            if isinstance(leaf, torch.Tensor) and (
                leaf.untyped_storage().data_ptr() not in self.but
            ):
                self.bytes = max(self.bytes, leaf.untyped_storage().nbytes())
        return out
