"""Makes fixture/v1: a tiny kernel and a session with every operation, saved in format 1.

``python -m tests.explore.make_fixture FOLDER``. The committed files stay as they are: versions to
come must read them and replay them to the same bytes, and a new format gets a folder of its own.
The kernel computes in float64, so that rounding on another machine cannot change a draw.
"""

import sys
from pathlib import Path

import torch

import discrete_ca as dca
from discrete_ca.explore import Session, refine


def kernel():
    torch.manual_seed(0)
    net = dca.nn.MLP(3, 3, shape=(2, 4), width=8).double()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return dca.CategoricalNoiseKernel(net, dca.corruption.Uniform(3), hold=0.7)


def session(kernel):
    found = Session(kernel, (2, 4), seed=11)
    first = found.start([[0, 1, 2, 0], [1, 1, 2, 2]], locked=[True, False, False, False])
    found.note("the first")
    near = found.variants(3, level=0.4, steps=3)
    found.star(4, node=near[1])
    found.pick(near[0], near[2], weights=[1, 3])
    found.blend(n=2, moves=4)
    found.variants(4, level=0.3, steps=2, draw=True)
    strip = found.walk(3, node=first, level=0.5, hold=0.2, steps=2)
    found.walk(2, node=strip[-1], level=0.5, hold=0.2)
    found.pick(strip[1])
    found.lock(torch.tensor([[False], [True]]))
    found.unlock(torch.tensor([True, False, False, False]))
    found.paint(torch.tensor([False, True, True, False]), 2, held=False, node=near[1])
    found.inpaint(torch.tensor([[True], [False]]), 2, moves=3)
    found.start_from_noise(2, moves=4)
    sketched = found.start_from_sketch([[2, -1, -1, -1], [-1, -1, -1, 0]], 2, moves=3)
    refine(found, lambda z: z.double().sum((-2, -1)), 5, candidates=3, node=sketched[0])
    found.undo()
    return found


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    made = kernel()
    made.save_pretrained(folder / "kernel")
    session(made).save(folder / "session")
    (folder / "session/.lock").unlink(missing_ok=True)
