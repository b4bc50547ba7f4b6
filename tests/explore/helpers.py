"""Kernels and sessions that several tests of this folder use."""

from __future__ import annotations

import torch

from discrete_ca import CategoricalNoiseKernel, TransitionKernel
from discrete_ca.diagnostics import exact
from discrete_ca.distributions import Transition
from discrete_ca.explore import Session
from tests.helpers import FAMILIES, Smooth, seeded


class Row(Transition):
    """The rows of a transition matrix as laws over whole states."""

    def __init__(self, kernel, x):
        self.kernel, self.probs = kernel, kernel.P[exact.index(x, kernel.num_states)]

    def sample(self, generator=None):
        drawn = torch.multinomial(self.probs, 1, generator=generator)[:, 0]
        return self.kernel.space[drawn]

    def log_prob(self, y):
        return self.probs.gather(1, exact.index(y, self.kernel.num_states)[:, None])[:, 0].log()


class Table(TransitionKernel):
    """A user's kernel from a matrix over all states; it has no read-out, no noise and no hold."""

    def __init__(self, P, values, shape):
        super().__init__()
        self.P, self.num_states, self.space = P, values, exact.states(values, shape)

    def transition(self, x, level, target_level=None, label=None, known=None):
        return Row(self, x)


def reversible(size, seed):
    """A random kernel in detailed balance that seldom leaves a state, and its stationary law."""
    flow = torch.rand(size, size, dtype=torch.float64, generator=seeded(seed)) ** 4
    flow = flow + flow.T + torch.diag(4 * torch.rand(size, generator=seeded(seed + 1)).double())
    return flow / flow.sum(1, keepdim=True), flow.sum(1) / flow.sum()


def circling(size, seed):
    """A random kernel that goes round: far from detailed balance."""
    P = torch.rand(size, size, dtype=torch.float64, generator=seeded(seed)) ** 4
    P = P / P.sum(1, keepdim=True) + 3 * torch.eye(size).double().roll(1, 1)
    return P / P.sum(1, keepdim=True)


def smooth_kernel(name="uniform-2", hold=0.6, net=Smooth):
    family = FAMILIES[name]
    return CategoricalNoiseKernel(net(family.num_categories, family.num_states), family, hold)


def session_of(name="uniform-2", shape=(5,), seed=0, **options):
    return Session(smooth_kernel(name, **options), shape, seed=seed)


def same_node(one, other):
    states = (one.state is None) == (other.state is None)
    if one.state is not None and other.state is not None:
        states = torch.equal(one.state, other.state)
    return (
        states
        and torch.equal(one.design, other.design)
        and torch.equal(one.locked, other.locked)
        and (one.id, one.place, one.level, one.note, one.stars, one.parents)
        == (other.id, other.place, other.level, other.note, other.stars, other.parents)
        and (one.nfe, one.seconds) == (other.nfe, other.seconds)
    )
