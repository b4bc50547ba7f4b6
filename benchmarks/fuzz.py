"""Damaged inputs through the public loaders (python -m benchmarks.fuzz).

Valid files of every kind are damaged at random and read again. Each must be read, or be refused
with a ValueError that names the file or the key: never another exception, never a hang.
"""

from __future__ import annotations

import json
import random
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

import discrete_ca as dca
from benchmarks import report
from discrete_ca import files
from discrete_ca.runs import RunConfig, load_run

TOML = """[data]
source = "binarized_mnist"
binarize = 8
[net]
widths = [16, 32]
labels = false
[kernel]
hold = 0.5
corruption = "uniform"
[train]
steps = 100
learning_rate = 2e-3
betas = [0.9, 0.99]
"""
WORDS = [b"nan", b"inf", b"-1", b"1e999", b"null", b"{}", b"[]", b'""', b"true", b"\xff\xfe", b"\0"]


def valid(folder: Path) -> dict[str, tuple[Path, Callable[[Path], Any]]]:
    """A valid file of each kind, and what reads it."""
    g = np.random.default_rng(0)
    states = g.integers(0, 2, (3, 8, 8))
    np.save(folder / "states.npy", states)
    np.savez(folder / "states.npz", states=states, labels=np.arange(3))
    (folder / "tokens.txt").write_text("0 1 0 1\n1 1 1 1\n")
    Image.fromarray((states[0] * 255).astype(np.uint8)).save(folder / "mask.png")
    (folder / "run.toml").write_text(TOML)
    net = dca.nn.MLP(2, 2, shape=(4,), width=8)
    kernel = dca.CategoricalNoiseKernel(net, dca.corruption.Uniform(2))
    kernel.save_pretrained(folder / "kernel")
    # without its seal, so that what is wrong inside is met and not the damage as such
    weights = folder / "kernel/model.safetensors"
    save_file(load_file(weights), weights)

    def design(path: Path) -> Any:
        return files.read_design(str(path), (4,) if path.suffix == ".txt" else (8, 8), 2).states

    def mask(path: Path) -> Any:
        return files.read_mask(str(path), (8, 8))

    def kernel_of(path: Path) -> Any:
        return load_run(path.parent)

    return {
        "config TOML": (folder / "run.toml", RunConfig.from_toml),
        "states .npy": (folder / "states.npy", design),
        "states .npz": (folder / "states.npz", design),
        "data .npz": (folder / "states.npz", dca.data.load),
        "tokens .txt": (folder / "tokens.txt", design),
        "picture": (folder / "mask.png", design),
        "mask picture": (folder / "mask.png", mask),
        "mask .npy": (folder / "states.npy", mask),
        "model config.json": (folder / "kernel/config.json", kernel_of),
        "model weights": (folder / "kernel/model.safetensors", kernel_of),
    }


def damaged(content: bytes, chance: random.Random) -> bytes:
    """One to three random harms: bits, cuts, repeats, words that mean trouble, values of JSON."""
    data = bytearray(content)
    for _ in range(chance.randint(1, 3)):
        kind = chance.randrange(6)
        at = chance.randrange(len(data) + 1)
        if kind == 0 and data:
            data[min(at, len(data) - 1)] ^= 1 << chance.randrange(8)
        elif kind == 1:
            del data[at:]
        elif kind == 2:
            del data[at : at + chance.randint(1, 20)]
        elif kind == 3:
            data[at:at] = chance.choice(WORDS)
        elif kind == 4:
            data[at:at] = data[at : at + chance.randint(1, 60)]
        else:
            data = bytearray(_other_value(bytes(data), chance))
    return bytes(data)


def _other_value(content: bytes, chance: random.Random) -> bytes:
    """JSON with one value replaced; other content as it is."""
    try:
        tree = json.loads(content)
    except ValueError:
        return content
    spots: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:
        pairs = node.items() if isinstance(node, dict) else enumerate(node)
        for key, value in list(pairs):
            spots.append((node, key))
            if isinstance(value, dict | list):
                walk(value)

    if isinstance(tree, dict | list):
        walk(tree)
    if spots:
        node, key = chance.choice(spots)
        node[key] = chance.choice([None, -1, 0, 10**12, 0.5, "x", [], {}, True, [1, "a"], 1e308])
    return json.dumps(tree).encode()


def fuzz(count: int, seed: int, folder: Path) -> dict[str, Any]:
    """Damage and read; refuse the first failure that is not a ValueError with a name."""
    chance = random.Random(seed)
    kinds = valid(folder)
    outcomes: Counter[str] = Counter()
    for i in range(count):
        name = chance.choice(list(kinds))
        path, read = kinds[name]
        content = path.read_bytes()
        path.write_bytes(damaged(content, chance))
        try:
            read(path)
            outcomes["read"] += 1
        except ValueError as error:
            outcomes["refused"] += 1
            if not str(error).strip():
                raise AssertionError(f"input {i} ({name}): an error without a text") from error
        except Exception as error:
            keep = path.read_bytes()
            raise AssertionError(f"input {i} ({name}): {error!r} for {keep!r:.300}") from error
        finally:
            path.write_bytes(content)
    return {"inputs": count, **outcomes}


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Run it and write its report."""
    parser = report.parser(__doc__, quick="500 inputs")
    parser.add_argument("--seed", type=int, default=0)
    given = report.parse(parser, argv)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        row = fuzz(500 if given.quick else 10_000, given.seed, Path(place))
    return report.write("fuzz", [row], given.folder, seed=given.seed)


if __name__ == "__main__":
    main()
