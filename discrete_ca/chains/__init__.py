r"""Running a kernel: stationary runs, annealed sampling, variants, inpainting (theory, section 6).

Costs are counted in network evaluations (NFE), one an example and step. Where a run has T moves
and c correctors a move, an annealed run costs T (1 + c) and one more for the read-out.
"""

from discrete_ca.chains.annealed import inpaint, sample
from discrete_ca.chains.batches import RunInfo
from discrete_ca.chains.levels import cosine_levels, linear_levels
from discrete_ca.chains.stationary import read_out, run, variants

__all__ = [
    "RunInfo",
    "cosine_levels",
    "inpaint",
    "linear_levels",
    "read_out",
    "run",
    "sample",
    "variants",
]
