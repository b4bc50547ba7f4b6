"""Operations are read as they were written; a file can name them and nothing else."""

import json

import pytest
import torch

from discrete_ca.errors import CheckpointError, DataError
from discrete_ca.explore import (
    Begin,
    Blend,
    FromNoise,
    FromSketch,
    Inpaint,
    Lock,
    Paint,
    Propose,
    Unlock,
    Variants,
    Walk,
)
from discrete_ca.explore.operations import MAX_DESIGNS, MAX_STEPS, decode, encode, perform
from discrete_ca.explore.operations import _registry as registry
from tests.explore.helpers import session_of

MASK = torch.tensor([True, False, True])
ALL = [
    Begin(design=torch.tensor([0, 1, 1])), Begin(design=torch.tensor([0, 1, 1]), locked=MASK),
    Lock(cells=MASK), Unlock(cells=MASK), Paint(cells=MASK, values=torch.tensor(1), held=False),
    FromNoise(n=3, hold=0.5, label=2, draw=True, moves=5, correctors=0),
    FromSketch(sketch=torch.tensor([-1, 0, 1]), held=False), Inpaint(mask=MASK, moves=3),
    Blend(n=2), Variants(n=4, level=0.1, hold=0.25, steps=7), Walk(n=2), Propose(draw=True),
]  # fmt: skip


@pytest.mark.parametrize("operation", ALL, ids=lambda o: o.name)
def test_written_and_read(operation):
    arrays = {"array:0": torch.ones(1)}  # of another operation
    values = json.loads(json.dumps(encode(operation, arrays)))
    found = decode(values, arrays)
    assert type(found) is type(operation)
    for name, value in vars(operation).items():
        other = getattr(found, name)
        assert torch.equal(value, other) if isinstance(value, torch.Tensor) else value == other


def test_every_operation_is_among_them():
    assert {operation.name for operation in ALL} == set(registry)


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ({"name": "variant"}, "unknown operation 'variant'; did you mean 'variants'"),
        ({}, "unknown operation 'None'"),
        ({"name": ["variants"]}, "unknown operation"),
        ({"name": "os:system"}, "unknown operation 'os:system'"),
        ({"name": "variants", "path": 1}, "operation 'variants' cannot be read.*path"),
        ({"name": "variants", "n": "/etc/passwd"}, "has n = '/etc/passwd'; allowed: numbers"),
        ({"name": "variants", "n": [1]}, "has n ="),
        ({"name": "variants", "n": MAX_DESIGNS + 1}, "n was 257; allowed: 1 .. 256"),
        ({"name": "variants", "n": True}, "n was True"),
        ({"name": "variants", "n": 1e400}, "n was inf"),
        ({"name": "variants", "n": None}, "cannot be read"),
        ({"name": "variants", "steps": MAX_STEPS + 1}, "steps was 10001"),
        ({"name": "variants", "level": 1.5}, "level was 1.5"),
        ({"name": "variants", "level": float("nan")}, "level was nan"),
        ({"name": "variants", "hold": -1}, "hold was -1"),
        ({"name": "variants", "label": 1 << 40}, "label was"),
        ({"name": "variants", "draw": 1}, "draw was 1; allowed: True or False"),
        ({"name": "noise", "moves": 5000, "correctors": 5}, "moves with correctors was 30000"),
        ({"name": "noise", "correctors": -1}, "correctors was -1"),
        ({"name": "lock"}, "operation 'lock' cannot be read.*cells"),
        ({"name": "lock", "cells": {"array": "array:9"}}, "array 'cells' that is missing"),
        ({"name": "lock", "cells": {"array": ["array:0"]}}, "array 'cells' that is missing"),
        ({"name": "lock", "cells": {"path": "x"}}, "array 'cells' that is missing"),
        ({"name": "paint", "cells": {"array": "array:0"}, "values": {"array": "array:0"},
          "held": 2}, "held was 2"),
        ({"name": "sketch", "sketch": {"array": "array:0"}, "held": 0}, "held was 0"),
    ],
)  # fmt: skip
def test_what_a_file_may_not_say(values, match):
    with pytest.raises(CheckpointError, match=match):
        decode(values, {"array:0": torch.ones(1)})


@pytest.mark.parametrize(
    "operation", [Lock(cells=3.0), Lock(cells=None), Begin(design=True), Inpaint(mask=1)]
)
def test_arrays_that_are_none_are_refused_when_used(operation):
    session = session_of()
    node = session.start([0, 1, 1, 0, 0])
    with pytest.raises(DataError):
        session.do(operation, [] if isinstance(operation, Begin) else [node])
    assert len(session) == 1


def test_the_number_of_parents_is_checked():
    session = session_of()
    node = session.start([0, 1, 1, 0, 0])
    for operation, parents in ((Blend(), [node]), (Variants(), []), (FromNoise(), [node])):
        with pytest.raises(ValueError, match=rf"{operation.name} was given {len(parents)} designs"):
            perform(operation, session.studio, parents, 0, 1)
