"""Chorales in four voices: ``python chorales.py --data FILE.json`` (see `data.load_scores`).

From the command line: discrete-ca train runs/chorales --config chorales --data FILE.json
"""

import argparse
from pathlib import Path

import torch

import discrete_ca as dca
from discrete_ca import drawing, metrics
from discrete_ca.explore.midi import write_midi


def main(data: str, minutes: float = 3.0, folder: str = ".", width: int = 128) -> dict[str, float]:
    """Train, compose, harmonise a soprano; returns measures of the samples beside real music's."""
    torch.manual_seed(0)
    songs, test = (dca.data.load_scores(data, split, stride=16) for split in ("train", "test"))
    coding = metrics.PitchCoding.of_scores(songs.name)
    k, voices = songs.num_categories, songs.shape[0]
    net = dca.nn.Transformer(k, k, channels=voices, width=width, depth=4, known=True, period=16)
    kernel = dca.CategoricalNoiseKernel(net, dca.corruption.Uniform(k), hold=0.8)
    config = dca.TrainConfig(minutes=minutes, batch_size=32, progress=False)
    dca.Trainer(kernel, dca.Schedule.half_and_half(), songs, config).fit()

    g = torch.Generator().manual_seed(0)
    found = dca.sample(kernel, 32, songs.shape, moves=32, generator=g, progress=False)
    mask = torch.ones(songs.shape, dtype=torch.bool)
    mask[0] = False  # True = generate: all voices below the soprano of a piece that is not known
    filled = dca.inpaint(kernel, test[0], mask, n=2, moves=32, generator=g, progress=False)
    for name, pieces in {"samples": found[:4], "harmonised": filled}.items():
        rolls = drawing.grid(drawing.rolls(coding.pitches(pieces)), 1, drawing.LIGHT)
        rolls.save(Path(folder) / f"chorales-{name}.png")
        write_midi(Path(folder) / f"chorales-{name}.mid", coding.pitches(pieces[0]))
    return metrics.with_floor(metrics.ChoraleSuite(test.states, coding), found, songs.states, g)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True)
    parser.add_argument("--minutes", type=float, default=3.0)
    given = parser.parse_args()
    for measure in metrics.rows(main(given.data, given.minutes)):
        print("{:50}{:>12}{:>12}".format(*measure))
