"""What a run looks at while it trains, chosen by its data."""

from __future__ import annotations

from discrete_ca import files
from discrete_ca.data import ContinuousData, DiscreteData, Examples, StreamedData
from discrete_ca.kernels import TransitionKernel
from discrete_ca.metrics import PitchCoding
from discrete_ca.objectives import ContrastiveAdjustment, Denoising, Objective
from discrete_ca.runs.build import KERNELS
from discrete_ca.runs.config import RunConfig
from discrete_ca.training import HeldOut, Mixing, Observer, Samples

_HELD_OUT, _CHAINS = 1000, 64


def build_observers(
    config: RunConfig,
    kernel: TransitionKernel,
    examples: Examples,
    held_out: DiscreteData | ContinuousData | None,
) -> list[Observer]:
    """The observers of a run: held-out loss where there are such examples, samples, mixing.

    Args:
        config: the run.
        kernel: what it trains.
        examples: what is trained on.
        held_out: what is not.
    """
    if not config.train.observe_every:
        return []  # nothing would look
    seed = config.train.seed
    found: list[Observer] = []
    if config.kernel.kind in KERNELS:
        objective: Objective = Denoising(unlabelled_share=0.0)
    else:  # a user's own may have no read-out
        objective = ContrastiveAdjustment(denoising_weight=0.0, unlabelled_share=0.0)
    if held_out is not None:
        some = slice(0, _HELD_OUT)
        labels = None if held_out.labels is None else held_out.labels[some].long()
        present = getattr(held_out, "present", None)
        present = None if present is None else present[some]
        found.append(HeldOut(held_out[some], labels, objective, seed, present))
    shape = tuple(examples.shape)
    starts_known = getattr(getattr(kernel, "corruption", None), "forgets", True)
    if starts_known and files.is_image(shape):
        coding = PitchCoding.of_scores(examples.name)
        pitches = None if coding is None else coding.pitches
        found.append(Samples(shape, examples.num_categories, seed=seed, pitches=pitches))
    if isinstance(examples, StreamedData):
        starts, present = examples.take(0, _CHAINS)[0].long(), None
    else:
        starts, present = examples[:_CHAINS], getattr(examples, "present", None)
    present = None if present is None else present[:_CHAINS]
    found.append(Mixing(starts, seed=seed, present=present))
    return found
