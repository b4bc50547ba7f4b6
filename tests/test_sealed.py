"""Sealed pairs under damage: refused by name, or read as they were."""

import json
import random
import shutil

import pytest
import torch
from safetensors.torch import save_file

from discrete_ca.errors import CheckpointError
from discrete_ca.sealed import read_sealed, tensors_checksum, write_sealed

TENSORS = {
    "a": torch.arange(6.0).reshape(2, 3),
    "b": torch.tensor(7),
    "half": torch.ones(3, dtype=torch.bfloat16),
    "none": torch.zeros(0),
}
VALUES = {"step": 3, "rows": [{"loss": 0.5}], "name": "x"}


def write(folder, tensors=TENSORS, values=VALUES):
    folder.mkdir(exist_ok=True)
    write_sealed(folder / "x.safetensors", tensors, folder / "x.json", values)
    return folder / "x.safetensors", folder / "x.json"


def same(found):
    tensors, values = found
    equal = all(
        torch.equal(tensors[k], v) and tensors[k].dtype == v.dtype for k, v in TENSORS.items()
    )
    return equal and tensors.keys() == TENSORS.keys() and values == VALUES


def test_round_trip_in_the_same_bytes(tmp_path):
    first, second = write(tmp_path / "first"), write(tmp_path / "second")
    assert same(read_sealed(*first))
    for a, b in zip(first, second, strict=True):
        assert a.read_bytes() == b.read_bytes()


def test_a_file_without_a_seal_is_read_as_it_is(tmp_path):
    save_file(TENSORS, tmp_path / "x.safetensors")
    (tmp_path / "x.json").write_text(json.dumps(VALUES))
    assert same(read_sealed(tmp_path / "x.safetensors", tmp_path / "x.json"))


def test_checksums_see_names_types_shapes_and_values():
    a = torch.arange(4.0)
    changed = [{"b": a}, {"a": a.double()}, {"a": a.reshape(2, 2)}, {"a": a + 1}, {"a": a, "b": a}]
    sums = {tensors_checksum(tensors) for tensors in [{"a": a}, *changed]}
    assert len(sums) == 6


def damage(pair, other, chance):
    """One random harm to one of the two files."""
    place = chance.choice(pair)
    data = bytearray(place.read_bytes())
    kind = chance.choice(["flip", "truncate", "remove", "swap", "insert", "zero", "edit"])
    if kind == "flip":
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    elif kind == "truncate":
        del data[chance.randrange(len(data)) :]
    elif kind == "insert":
        data.insert(chance.randrange(len(data)), chance.randrange(256))
    elif kind == "zero":
        start = chance.randrange(len(data))
        data[start : start + 16] = bytes(len(data[start : start + 16]))
    elif kind == "swap":
        shutil.copy(other[pair.index(place)], place)
        return
    elif kind == "edit":
        pair[1].write_text(pair[1].read_text().replace("3", "4"))
        return
    if kind == "remove":
        place.unlink()
    else:
        place.write_bytes(data)


def test_a_thousand_damaged_pairs_are_refused_by_name_or_read_right(tmp_path):
    chance = random.Random(0)
    other = write(tmp_path / "other", {**TENSORS, "a": TENSORS["a"] + 1}, {**VALUES, "step": 4})
    refused = 0
    for _ in range(1000):
        pair = write(tmp_path / "pair")
        damage(pair, other, chance)
        try:
            assert same(read_sealed(*pair))
        except CheckpointError as error:
            refused += 1
            assert any(str(place) in str(error) for place in pair)
    assert refused > 900


@pytest.mark.parametrize("text", ["[]", "{", '{"a": 1e999999}x', "\x00", "[" * 100_000])
def test_broken_json_is_refused(tmp_path, text):
    tensors, values = write(tmp_path)
    values.write_text(text)
    with pytest.raises(CheckpointError, match=r"x.json'"):
        read_sealed(tensors, values)
