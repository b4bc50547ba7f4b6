"""Moby-Dick, which comes with the package, by characters or by subwords (``--subwords``).

From the command line: discrete-ca train runs/moby --config moby-characters (or moby-subwords)
"""

import argparse

import torch

import discrete_ca as dca
from discrete_ca import metrics


def main(
    subwords: bool = False, minutes: float = 3.0, length: int = 64, width: int = 128
) -> dict[str, float]:
    """Train, write samples, fill in a span; returns measures of the samples beside real text's."""
    torch.manual_seed(0)
    words = "characters"
    if subwords:  # learned on the chapters that are trained on
        words = dca.data.train_bpe([dca.data.embedded.moby_dick("train")], size=8192)
    text = dca.data.load_text("moby_dick", words, length, split="train", stride=length // 2)
    held_out = dca.data.load_text("moby_dick", text.tokenizer, length, split="test")
    k = text.num_categories
    noise = dca.corruption.TokenNoise.from_data(text) if subwords else dca.corruption.Uniform(k)
    net = dca.nn.Transformer(k, noise.num_states, width=width, depth=4, known=True, tied=subwords)
    kernel = dca.CategoricalNoiseKernel(net, noise, hold=0.8)
    config = dca.TrainConfig(minutes=minutes, batch_size=32, progress=False)
    dca.Trainer(kernel, dca.Schedule.half_and_half(), text, config).fit()

    g = torch.Generator().manual_seed(0)
    found = dca.sample(kernel, 64, (length,), moves=32, draw=True, generator=g, progress=False)
    for row in found[:8]:
        print(repr(text.tokenizer.decode(row)))
    z, mask = held_out[0], torch.zeros(length, dtype=torch.bool)
    mask[length // 3 : length // 2] = True  # True = generate
    print(f"filled in, {text.tokenizer.decode(z[mask])!r} in the book:")
    for row in dca.inpaint(kernel, z, mask, n=4, moves=32, generator=g, progress=False):
        print(repr(text.tokenizer.decode(row)))

    suite = metrics.SequenceSuite(held_out.states, k, text.tokenizer.decode)
    return metrics.with_floor(suite, found, text.states, g)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subwords", action="store_true")
    parser.add_argument("--minutes", type=float, default=3.0)
    given = parser.parse_args()
    for measure in metrics.rows(main(given.subwords, given.minutes)):
        print("{:50}{:>12}{:>12}".format(*measure))
