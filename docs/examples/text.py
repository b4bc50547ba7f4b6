"""Text: train on a file, draw new text, fill in a span. ``python text.py --data PATH``.

The passage that it falls back to is William Blake's The Tyger (1794).
"""

import argparse
from itertools import pairwise
from pathlib import Path

import torch

import discrete_ca as dca

TYGER = """Tyger Tyger, burning bright,
In the forests of the night;
What immortal hand or eye,
Could frame thy fearful symmetry?

In what distant deeps or skies,
Burnt the fire of thine eyes?
On what wings dare he aspire?
What the hand, dare seize the fire?

And what shoulder, & what art,
Could twist the sinews of thy heart?
And when thy heart began to beat,
What dread hand? & what dread feet?

What the hammer? what the chain,
In what furnace was thy brain?
What the anvil? what dread grasp,
Dare its deadly terrors clasp!
"""


def main(data: str | None = None, length: int = 32, steps: int = 300, width: int = 64) -> float:
    """Train, show samples, and return the share of their pairs of letters that the text has."""
    torch.manual_seed(0)
    texts = [Path(data).read_text(encoding="utf-8") if data else TYGER]
    examples = dca.data.load_text(texts, length=length, stride=1)
    alphabet = examples.tokenizer
    k = examples.num_categories
    net = dca.nn.Transformer(k, k, width=width, depth=2, heads=4, known=True)
    kernel = dca.CategoricalNoiseKernel(net, dca.corruption.Uniform(k), hold=0.8)
    config = dca.TrainConfig(steps=steps, batch_size=32, learning_rate=3e-3, progress=False)
    dca.Trainer(kernel, dca.Schedule.half_and_half(), examples, config).fit()

    g = torch.Generator().manual_seed(0)
    found = dca.sample(kernel, 8, (length,), moves=16, correctors=1, generator=g)
    for row in found:
        print(repr(alphabet.decode(row)))

    z = examples[0]
    mask = torch.zeros(length, dtype=torch.bool)
    mask[length // 4 : length // 2] = True  # True = generate
    filled = dca.inpaint(kernel, z, mask, n=3, moves=16, generator=g)
    assert torch.equal(filled[:, ~mask], z[~mask].expand(3, -1))
    print(f"filled in, {alphabet.decode(z[mask])!r} in the text:")
    for row in filled:
        print(repr(alphabet.decode(row)))

    pairs = {*pairwise(texts[0])}
    drawn = [pair for row in found for pair in pairwise(alphabet.decode(row))]
    return sum(pair in pairs for pair in drawn) / len(drawn)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", help="a text file")
    parser.add_argument("--length", type=int, default=32, help="characters a row")
    parser.add_argument("--steps", type=int, default=1000)
    given = parser.parse_args()
    share = main(given.data, given.length, given.steps)
    print(f"{share:.1%} of the samples' pairs of letters occur in the text")
