"""Train the judge of digits and write judge.safetensors beside this file.

Run with `python discrete_ca/metrics/assets/train_judge.py`; about five minutes on one core. Every
step sees half as many images that are no digits as digits, an equal part of each kind of garbage;
their loss counts `GARBAGE_WEIGHT`, because some spliced digits do look like digits and the judge
should be sure of those that are. Prints the test accuracy and the confident share of digits and of
each kind of garbage.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from discrete_ca import data
from discrete_ca.metrics import GARBAGE, Judge, confident_share, load_judge
from discrete_ca.metrics.judge import JUDGE_FILE, NUM_DIGITS

GARBAGE_WEIGHT = 0.15


def digits(split: str) -> tuple[Tensor, Tensor]:
    """Images (N, 28, 28) and labels (N,) of a split."""
    loaded = data.load("binarized_mnist", split=split)
    assert loaded.labels is not None
    return loaded.states, loaded.labels


def moved(z: Tensor, generator: torch.Generator) -> Tensor:
    """Images moved by at most a pixel either way, one move for the whole batch."""
    down, right = (int(move) for move in torch.randint(-1, 2, (2,), generator=generator))
    return z.roll((down, right), (1, 2))


def garbage(z: Tensor, generator: torch.Generator) -> Tensor:
    """As many images that are no digits, an equal part of each kind."""
    parts = z.tensor_split(len(GARBAGE))
    made = [make(part, generator) for make, part in zip(GARBAGE.values(), parts, strict=True)]
    return torch.cat(made)


def train(z: Tensor, labels: Tensor, epochs: int, batch: int, generator: torch.Generator) -> Judge:
    """A judge of digits `z` (N, 28, 28) with `labels` (N,): AdamW, one cycle of its rate."""
    judge = Judge()
    weight = torch.ones(NUM_DIGITS + 1)
    weight[NUM_DIGITS] = GARBAGE_WEIGHT
    steps = epochs * (len(z) // batch)
    optimizer = torch.optim.AdamW(judge.parameters(), weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=4e-3, total_steps=steps)
    for epoch in range(epochs):
        judge.train()
        total = 0.0
        order = torch.randperm(len(z), generator=generator)
        for rows in order[: len(z) // batch * batch].reshape(-1, batch):
            images = moved(z[rows], generator)
            others = garbage(images[: batch // 2], generator)
            target = torch.cat([labels[rows], torch.full((len(others),), NUM_DIGITS)])
            logits = judge(torch.cat([images, others]))
            loss = torch.nn.functional.cross_entropy(logits, target, weight)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()
            total += loss.item()
        print(f"epoch {epoch + 1} of {epochs}: loss {total / (len(z) // batch):.4f}", flush=True)
    return judge


def save(judge: Judge, path: Path) -> None:
    """Write the judge in float16, but for whole numbers."""
    state = {
        name: value.half() if value.is_floating_point() else value
        for name, value in judge.state_dict().items()
    }
    save_file({name: value.contiguous() for name, value in state.items()}, path)


def report(judge: Judge, z: Tensor, labels: Tensor, generator: torch.Generator) -> None:
    """Print the accuracy on digits and the confident share of them and of garbage."""
    log_probs = judge.log_probs(z)
    print(f"accuracy {(log_probs.argmax(1) == labels).double().mean().item():.4f}")
    print(f"confident share: digits {confident_share(log_probs):.4f}")
    for name, make in GARBAGE.items():
        print(f"    {name} {confident_share(judge.log_probs(make(z, generator))):.4f}")


def main() -> None:
    """Train, save, load again and report on the test split."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=JUDGE_FILE)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.manual_seed(arguments.seed)  # the weights' first values
    generator = torch.Generator().manual_seed(arguments.seed)
    judge = train(*digits("train"), arguments.epochs, arguments.batch, generator)
    save(judge, arguments.out)
    report(load_judge(arguments.out), *digits("test"), generator)


if __name__ == "__main__":
    main()
