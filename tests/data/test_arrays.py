"""Files of arrays: .npy, .npz and .pt."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from discrete_ca.data import DiscreteData, load
from discrete_ca.errors import DataError

STATES = np.array([[0, 1, 2], [2, 1, 0]])


@pytest.mark.parametrize(
    "dtype", ["bool", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", ">i2", ">u4", ">i8"]
)
def test_npy_of_any_integer_dtype(tmp_path, dtype):
    states = STATES.astype(dtype)
    np.save(tmp_path / "x.npy", states)
    data = load(tmp_path / "x.npy")
    assert data.name == "x" and data.labels is None
    assert data.num_categories == (2 if dtype == "bool" else 3)
    assert data.states.tolist() == states.astype(int).tolist()


@pytest.mark.parametrize("key", ["data", "states"])
@pytest.mark.parametrize("label", ["labels", "label"])
def test_npz_with_the_usual_names(tmp_path, key, label):
    np.savez(tmp_path / "x.npz", **{key: STATES, label: np.array([1, 0]), "other": np.zeros(9)})
    data = load(str(tmp_path / "x.npz"), num_categories=5)
    assert data.states.tolist() == STATES.tolist() and data.labels.tolist() == [1, 0]
    assert data.num_categories == 5


def test_npz_with_the_only_array(tmp_path):
    np.savez_compressed(tmp_path / "x.npz", STATES)
    assert load(tmp_path / "x.npz").states.tolist() == STATES.tolist()


def test_npz_with_named_arrays(tmp_path):
    np.savez(tmp_path / "x.npz", a=STATES, b=STATES[:, 0], data=np.zeros(3))
    data = load(tmp_path / "x.npz", states_key="a", label_key="b")
    assert data.states.tolist() == STATES.tolist() and data.labels.tolist() == [0, 2]


def test_pt_of_a_tensor_and_of_a_dict(tmp_path):
    x = torch.from_numpy(STATES)
    torch.save(x, tmp_path / "x.pt")
    torch.save({"states": x.to(torch.uint16), "labels": torch.tensor([1, 0])}, tmp_path / "y.pt")
    assert torch.equal(load(tmp_path / "x.pt").states, x)
    data = load(tmp_path / "y.pt")
    assert torch.equal(data.states, x) and data.labels.tolist() == [1, 0]


def test_numbers_become_categories(tmp_path):
    u = np.array([[0.0, 0.3, 0.5, 1.0]])
    np.save(tmp_path / "x.npy", u)
    np.save(tmp_path / "signed.npy", 2 * u - 1)
    np.save(tmp_path / "bytes.npy", (u * 255).astype(np.uint8))
    np.save(tmp_path / "whole.npy", np.array([[0, 3, 5, 9]]))
    assert load(tmp_path / "x.npy", quantize=4).states.tolist() == [[0, 1, 2, 3]]
    assert load(tmp_path / "x.npy", quantize=4).num_categories == 4
    assert load(tmp_path / "x.npy", binarize=0.3).states.tolist() == [[0, 1, 1, 1]]
    signed = load(tmp_path / "signed.npy", quantize=2, value_range=(-1, 1), num_categories=2)
    assert signed.states.tolist() == [[0, 0, 1, 1]]
    assert load(tmp_path / "bytes.npy", quantize=2).states.tolist() == [[0, 0, 0, 1]]
    assert load(tmp_path / "whole.npy", quantize=5, value_range=(0, 9)).states.tolist() == [
        [0, 1, 2, 4]
    ]
    drawn = load(tmp_path / "x.npy", stochastic=True, generator=torch.Generator().manual_seed(0))
    assert drawn.num_categories == 2 and drawn.states[0, 0] == 0 and drawn.states[0, 3] == 1


def test_whole_numbers_in_floats_are_categories(tmp_path):
    np.save(tmp_path / "x.npy", STATES.astype(np.float32))
    for in_memory in (True, False):
        data = load(tmp_path / "x.npy", in_memory=in_memory)
        assert data.num_categories == 3 and data.states.tolist() == STATES.tolist()
    np.save(tmp_path / "x.npy", STATES.astype(float) + np.inf)
    with pytest.raises(DataError, match="states have dtype torch.float64"):
        load(tmp_path / "x.npy")


def test_a_table_and_named_labels_are_refused_with_what_to_do(tmp_path):
    (tmp_path / "x.csv").write_text("0,1\n2,1\n")
    with pytest.raises(DataError, match=r"\.json .*\.txt .* np\.save\('x.npy', np\.loadtxt"):
        load(tmp_path / "x.csv")
    names = ["cat", "dog"] * 2
    np.savez(tmp_path / "x.npz", states=np.arange(4), labels=names)
    np.save(tmp_path / "x.npy", np.arange(4))
    with pytest.raises(DataError, match=r"np.unique\(names, return_inverse=True\)"):
        load(tmp_path / "x.npz")
    with pytest.raises(DataError, match=r"labels have dtype <U3.*np.unique"):
        DiscreteData(torch.arange(4), labels=names)
    with pytest.raises(DataError, match=r"np.savez\('x.npz', states=x, labels=y\)"):
        load(tmp_path / "x.npy", label_key="y")


@pytest.mark.parametrize(
    ("array", "options", "message"),
    [
        (STATES / 2, {}, r"states have dtype torch.float64; .* \(see quantize and binarize"),
        (STATES.astype(complex), {}, "states have dtype complex128; allowed: integers, booleans"),
        (STATES.astype(str), {}, "states have dtype <U"),
        (STATES.astype("M8[s]"), {}, "states have dtype datetime64"),
        (STATES - 1, {}, "states hold the value -1"),
        (STATES, {"num_categories": 2}, r"states hold the value 2; allowed: 0 \.\. 1"),
        (STATES, {"quantize": 2}, "value_range was None; allowed: value_range="),
        (STATES, {"quantize": 1, "value_range": (0, 2)}, "levels was 1"),
        (STATES / 2, {"quantize": 0}, "levels was 0"),
        (STATES / 2, {"quantize": 2, "num_categories": 1}, "num_categories was 1"),
        (STATES / 2, {"quantize": 4, "num_categories": 3}, "states hold the value 3"),
        (STATES, {"quantize": 2, "binarize": 1}, "binarize and quantize were given together"),
        (
            STATES,
            {"stochastic": True, "binarize": 1},
            "binarize and stochastic were given",
        ),
        (STATES, {"value_range": (0, 2)}, r"value_range was \(0, 2\); allowed: None without"),
        (STATES, {"split": "test"}, "split was 'test'; allowed: 'train', since .* has no others"),
        (STATES, {"states_key": "x"}, "states_key and label_key were 'x' and None; allowed: None"),
        (np.zeros((0, 3), int), {}, r"states have shape \(0, 3\)"),
    ],
)
def test_refusals(tmp_path, array, options, message):
    np.save(tmp_path / "x.npy", array)
    with pytest.raises(DataError, match=message):
        load(tmp_path / "x.npy", **options)


def test_npz_refusals(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, images=STATES, others=STATES)
    with pytest.raises(DataError, match="holds images, others; allowed: one named states or data"):
        load(path)
    with pytest.raises(DataError, match="unknown states_key 'image'; did you mean 'images'"):
        load(path, states_key="image")
    with pytest.raises(DataError, match="unknown label_key 'other'; did you mean 'others'"):
        load(path, label_key="other")
    np.savez(path, labels=np.zeros(2, int))
    with pytest.raises(DataError, match="holds labels; allowed: one named"):
        load(path)
    np.savez(path, data=STATES, labels=np.array([0.5, 1.0]))
    with pytest.raises(DataError, match=r"labels have dtype torch\.float64"):
        load(path)
    np.savez(path, data=STATES, labels=np.array([0, 1, 2]))
    with pytest.raises(DataError, match=r"labels have shape \(3,\); allowed: \(2,\)"):
        load(path)


def test_pt_refusals(tmp_path):
    path = tmp_path / "x.pt"
    torch.save([1, 2], path)
    with pytest.raises(DataError, match="states are a list; allowed: an array or a tensor"):
        load(path)
    torch.save({"states": "text"}, path)
    with pytest.raises(DataError, match="states 'states' are a str"):
        load(path)


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".pt"])
def test_truncated_altered_and_missing_files(tmp_path, suffix):
    path = tmp_path / f"x{suffix}"
    with pytest.raises(DataError, match=f"x{suffix} does not exist"):
        load(path)
    states = np.random.default_rng(0).integers(0, 9, (50, 20))
    if suffix == ".npy":
        np.save(path, states)
    elif suffix == ".npz":
        np.savez_compressed(path, states)
    else:
        torch.save(torch.from_numpy(states), path)
    content = path.read_bytes()
    for broken in (content[: len(content) // 2], content[:20], b"", b"\x00" * 200):
        path.write_bytes(broken)
        with pytest.raises(DataError, match=f"x{suffix} could not be read: "):
            load(path)


class Harmful:
    def __reduce__(self):
        return (pytest.fail, ("unpickled",))


def test_nothing_is_unpickled(tmp_path):
    np.save(tmp_path / "x.npy", np.array([Harmful()], dtype=object), allow_pickle=True)
    torch.save({"states": Harmful()}, tmp_path / "x.pt")
    np.savez(tmp_path / "x.npz", data=np.array([Harmful()], dtype=object))
    for name in ("x.npy", "x.pt", "x.npz"):
        with pytest.raises(DataError, match="could not be read: "):
            load(tmp_path / name)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("binarised_mnist", "unknown data 'binarised_mnist'; did you mean 'binarized_mnist'?"),
        ("/nowhere/at/all", "or a file or folder that exists, or a data set of the Hub"),
        (5, "source was 5; allowed: a name, a path"),
        (torch.zeros(2), r"source was tensor.* DiscreteData\(tensor\)"),
    ],
)
def test_unknown_sources(source, message):
    with pytest.raises(DataError, match=message):
        load(source)


def test_other_files_are_refused(tmp_path):
    (tmp_path / "x.dat").write_text("1,2")
    with pytest.raises(DataError, match=r"x.dat is a file; allowed: .npy, .npz, .pt, .json"):
        load(tmp_path / "x.dat")


def test_arguments_that_mean_nothing_are_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((4, 2), dtype=np.int64))
    with pytest.raises(DataError, match="split was None; allowed: a name"):
        load(tmp_path / "a.npy", split=None)
    with pytest.raises(DataError, match="binarize was nan; allowed: a finite threshold"):
        load(tmp_path / "a.npy", binarize=float("nan"))
    with pytest.raises(DataError, match="source was ''; allowed: a name"):
        load("")
