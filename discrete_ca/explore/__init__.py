"""Designing with a chain: exploring, locking, picking and refining, without a screen.

`Session` is a tree of designs over any kernel of categories; `refine` walks it by a score.
"""

from discrete_ca.explore.edits import Begin, Lock, Paint, Unlock
from discrete_ca.explore.knobs import Knobs, Tuner, strangeness
from discrete_ca.explore.midi import midi_bytes, write_midi
from discrete_ca.explore.operations import Made, Operation
from discrete_ca.explore.proposals import (
    Blend,
    FromNoise,
    FromSketch,
    Inpaint,
    Propose,
    Variants,
    Walk,
)
from discrete_ca.explore.refining import Refined, refine
from discrete_ca.explore.selection import Selected, select, selection_matrix
from discrete_ca.explore.session import Session
from discrete_ca.explore.studio import Studio, kernel_checksum
from discrete_ca.explore.tree import Node, Pick, Recipe, Tree

__all__ = [
    "Begin",
    "Blend",
    "FromNoise",
    "FromSketch",
    "Inpaint",
    "Knobs",
    "Lock",
    "Made",
    "Node",
    "Operation",
    "Paint",
    "Pick",
    "Propose",
    "Recipe",
    "Refined",
    "Selected",
    "Session",
    "Studio",
    "Tree",
    "Tuner",
    "Unlock",
    "Variants",
    "Walk",
    "kernel_checksum",
    "midi_bytes",
    "refine",
    "select",
    "selection_matrix",
    "strangeness",
    "write_midi",
]
