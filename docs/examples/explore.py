"""Design with the chain: variants, locks, paint, blends, a preference. ``python explore.py``.

Trains a small kernel for a moment first; ``--run runs/demo`` takes a trained one.
"""

import argparse
from pathlib import Path

import torch

import discrete_ca as dca
from discrete_ca.explore import Session, refine
from discrete_ca.runs import load_run


def train(steps: int) -> dca.CategoricalNoiseKernel:
    """A kernel for binarized digits."""
    torch.manual_seed(0)
    net = dca.nn.UNet(2, 2, widths=(16, 32), blocks=1, head_width=8, known=True)
    kernel = dca.CategoricalNoiseKernel(net, dca.corruption.Uniform(2), hold=0.9)
    data = dca.data.load("binarized_mnist")
    config = dca.TrainConfig(steps=steps, batch_size=32, learning_rate=5e-3, progress=False)
    dca.Trainer(kernel, dca.Denoising(), data, config).fit()
    return kernel


def main(run: str | None = None, out: str = "explored", steps: int = 300, n: int = 4) -> float:
    """Explore from a digit; return the share of the cells that a wish for a twentieth changed."""
    kernel = load_run(run).kernel if run else train(steps)
    session = Session(kernel, (28, 28), seed=0)
    digit = session.start_from_file("test:3")

    left = torch.arange(28) < 14
    session.lock(left)  # the left half stays as it is
    found = session.knobs_for(1 / 20, steps=8, n=n)
    print(f"a twentieth: level {found.level:.2f}, {found.changed:.0%} measured, {found.nfe} NFE")
    near = session.variants(n, level=found.level, hold=found.hold, steps=found.steps)
    assert all(torch.equal(v.design[:, left], digit.design[:, left]) for v in near)

    session.pick(near[0], near[1])
    blends = session.blend(n=n, moves=8)  # where the two agree stays
    session.pick(blends[0])
    session.unlock()
    dot = torch.zeros(28, 28, dtype=torch.bool)
    dot[2:5, 22:25] = True
    session.paint(dot, 1)  # a held dot of ink, upper right
    session.note("with a dot")
    strip = session.walk(n, level=0.3, steps=2)
    assert all(bool(frame.design[dot].all()) for frame in strip)

    def bold(z: torch.Tensor) -> torch.Tensor:
        return z.double().mean((-2, -1)) * 100  # percent of ink

    bolder = refine(session, bold, 4, candidates=n, node=strip[-1], temperature=0.5)
    print(f"ink: {bolder.scores[0]:.1f} % -> {bolder.scores[-1]:.1f} %, {bolder.nfe} NFE")

    folder = Path(out)
    session.export(folder / "walk.gif", [digit, *near, *blends, *strip, *bolder.nodes])
    session.export(folder / "variants.png", near)
    session.save(folder / "session")
    again = Session.load(folder / "session", kernel)
    assert again.replay() == []  # every design made anew, bit for bit
    print(f"{len(again)} designs for {again.tree.nfe()} network evaluations, in {folder}")
    return found.changed


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", help="the folder of a run on binarized digits")
    parser.add_argument("--out", default="explored")
    parser.add_argument("--steps", type=int, default=300)
    given = parser.parse_args()
    main(given.run, given.out, given.steps)
