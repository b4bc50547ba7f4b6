"""Distribution objects: what `TransitionKernel.transition` returns, and what a network reads out.

A chain or an objective asks a distribution to `sample`, for `log_prob`, `mode` or `entropy`, and
never which type it is. Log-probabilities are summed over sites: shape (B,).
"""

from discrete_ca.distributions.base import Distribution, Transition, sum_sites
from discrete_ca.distributions.categorical import Categorical
from discrete_ca.distributions.normal import Normal
from discrete_ca.distributions.transition import CategoricalTransition, held_or_fresh

__all__ = [
    "Categorical",
    "CategoricalTransition",
    "Distribution",
    "Normal",
    "Transition",
    "held_or_fresh",
    "sum_sites",
]
