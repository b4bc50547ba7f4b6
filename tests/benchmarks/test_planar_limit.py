"""The best denoiser of a planar law beside Bayes' rule."""

import torch

from benchmarks.planar_chains import NOISE
from benchmarks.planar_laws import LAWS
from benchmarks.planar_limit import BestDenoiser
from tests.helpers import seeded


def test_the_best_denoiser_is_bayes_rule():
    law, level, draws = LAWS["2spirals"], 0.3, 4000
    best = BestDenoiser([law], [level], kept=2, draws=draws)
    z = law.sample(draws, seeded(7))[:, best.sites]
    x = law.sample(6, seeded(1))
    out = best(x, torch.full((6,), level), torch.zeros(6, dtype=torch.long))
    own = NOISE.log_likelihood(x, torch.full((6,), level))
    found = (out + own).softmax(-1)[..., 1]
    flips = level / 2
    for state, probs in zip(x, found, strict=True):
        same = (z == state[best.sites]).double()
        weight = ((1 - flips) * same + flips * (1 - same)).prod(1)
        want = (weight[:, None] * z).sum(0) / weight.sum()
        torch.testing.assert_close(probs[best.sites].double(), want, atol=1e-5, rtol=1e-4)
        others = probs[[5, 30]] - torch.where(state[[5, 30]] == 1, 1 - flips, flips)
        assert others.abs().max() < 1e-6  # what is not kept is noise
