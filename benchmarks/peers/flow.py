"""The package flow-matching as it is: its mixture path, its scheduler, its solver.

It is an extra (`pip install -c constraints.txt ".[bench]"`; its licence, CC BY-NC, is not this
package's) and imported when used.
"""

from __future__ import annotations

from importlib.util import find_spec

import torch
from torch import Tensor

from benchmarks.peers.samplers import Denoiser, padded

MISSING = "flow-matching is not installed"


def installed() -> bool:
    """Whether the package is there."""
    return find_spec("flow_matching") is not None


def draw_flow(
    denoiser: Denoiser,
    source: Tensor,
    x: Tensor,
    steps: int,
    power: float = 1.0,
    divergence_free: float = 0.0,
) -> Tensor:
    """Run its `MixtureDiscreteEulerSolver` from states to clean ones.

    Its draws come from torch's own generator; seed that.

    Args:
        denoiser: of the noise ``(1 - b) I + b`` source, b = 1 - κ: its mixture path's.
        source: p_0 a site, (V,).
        x: states at time 0, (B, *S); left as they are.
        steps: network evaluations, evenly spaced in time, 2 or more.
        power: n of its `PolynomialConvexScheduler`, κ = t^n.
        divergence_free: coefficient of its divergence-free term, from the second step on.
    """
    from flow_matching.path import MixtureDiscreteProbPath
    from flow_matching.path.scheduler import PolynomialConvexScheduler
    from flow_matching.solver import MixtureDiscreteEulerSolver
    from flow_matching.utils import ModelWrapper

    states, path = len(source), MixtureDiscreteProbPath(PolynomialConvexScheduler(n=power))

    class Wrapper(ModelWrapper):  # type: ignore[misc]
        def forward(self, x: Tensor, t: Tensor) -> Tensor:
            level = 1 - float(path.scheduler(t[:1]).alpha_t)
            return padded(denoiser(x, level), states)

    solver = MixtureDiscreteEulerSolver(Wrapper(torch.nn.Identity()), path, states, source.float())
    found: Tensor = solver.sample(
        x_init=x,
        step_size=1 / steps,
        div_free=(lambda t: divergence_free * float(t > 0)) if divergence_free else 0.0,
    )
    return found
