"""The command that serves a run to a browser."""

import sys
import tempfile

import numpy as np
import pytest

pytest.importorskip("fastapi")
from starlette.testclient import TestClient

import discrete_ca as dca
from discrete_ca import server
from discrete_ca.cli import main
from discrete_ca.runs import SavedRun
from discrete_ca.server import serving
from tests.server.helpers import kernel


@pytest.fixture
def run(tmp_path):
    kernel(shape=(4, 6), categories=5).save_pretrained(tmp_path / "run")
    np.save(tmp_path / "designs.npy", np.ones((3, 4, 6), dtype=np.int64))
    return tmp_path / "run"


def asked(run, monkeypatch, *words):
    """What the command would serve, and where."""
    found = []
    monkeypatch.setattr(serving, "serve", lambda app, address, tell: found.append((app, address)))
    code = main(["explore", str(run), "--shape", "4", "6", *words])
    return code, found


def test_what_is_served(run, monkeypatch, tmp_path):
    designs = str(tmp_path / "designs.npy")
    code, [(app, address)] = asked(
        run, monkeypatch, "--designs", designs, "--lowest-pitch", "59", "--rest", "0", "--port", "0"
    )
    assert code == 0 and address == server.Address(port=0)
    with TestClient(app, base_url="http://127.0.0.1") as client:
        facts = client.get("/api/model").json()
        assert (facts["name"], facts["kind"], facts["examples"]) == ("run", "music", 3)
        client.post("/api/sessions", json={})
    assert len([*(run / "explore").glob("*/session.json")]) == 1


def test_others_need_a_token(run, monkeypatch, tmp_path):
    code, [(_, address)] = asked(run, monkeypatch, "--host", "0.0.0.0", "--folder", str(tmp_path))
    assert code == 0 and len(address.token) >= 32


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["--port", "70000"], "port was 70000"),
        (["--token", "x"], "token is short"),
        (["--designs", "nowhere.npy"], "nowhere.npy"),
        (["--designs", "flat.npy"], "designs have shape (24,); allowed: (4, 6)"),
        (["--designs", "high.npy"], "designs hold values outside 0 .. 4"),
        (["--lowest-pitch", "126"], "the highest pitch was 130"),
    ],
)
def test_what_is_refused(run, monkeypatch, capsys, words, error):
    monkeypatch.chdir(run.parent)
    np.save("flat.npy", np.ones((3, 24), dtype=np.int64))
    np.save("high.npy", np.full((3, 4, 6), 5))
    assert asked(run, monkeypatch, *words)[0] == 2
    assert error in capsys.readouterr().err


def test_without_its_libraries(run, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "fastapi", None)
    assert main(["explore", str(run)]) == 2
    assert "pip install 'discrete_ca[explore]'" in capsys.readouterr().err


def test_a_port_that_is_taken():
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        with pytest.raises(ValueError, match="cannot be had"):
            server.serve(None, server.Address(port=taken.getsockname()[1]))


def test_designs_to_begin_with_are_the_runs_own_where_they_are_there(tmp_path):
    def facts(shape, source):
        net = dca.nn.MLP(2, 2, shape, width=8)
        kernel = dca.CategoricalNoiseKernel(net, dca.corruption.Uniform(2))
        about = {"config": {"data": {"source": source}}} if source else {}
        folder = tempfile.mkdtemp(dir=tmp_path)  # a server each
        app = server.application(SavedRun(kernel, shape, 2, about), "run", folder)
        with TestClient(app, base_url="http://127.0.0.1") as client:
            found = client.get("/api/model").json()
            labels.append(client.get("/api/examples/0?count=2").json()["labels"])
            return found["examples"], found["examples_of"]

    labels = []

    np.save(tmp_path / "x.npy", np.arange(12).reshape(3, 4) % 2)
    own = str(tmp_path / "x.npy")
    assert facts((4,), own) == (3, "the data")
    assert facts((4,), str(tmp_path / "gone.npy")) == (0, "the data")
    present = np.array([[1, 1, 1, 1], [1, 1, 0, 0], [1, 1, 1, 1]], dtype=bool)
    states = np.arange(12).reshape(3, 4) % 2
    np.savez(tmp_path / "padded.npz", states=states, present=present, labels=[5, 6, 7])
    assert facts((4,), str(tmp_path / "padded.npz")) == (2, "the data")  # those without padding
    assert labels == [[None, None], [], [5, 7]]
    assert facts((28, 28), own) == facts((28, 28), "") == (10_000, "MNIST's test digits")
    assert labels[3:] == [[None, None]] * 2  # a digit is no class of other data
    assert facts((28, 28), "binarized_mnist") == (10_000, "the data")
    assert labels[5] == [7, 2]


def test_designs_of_a_file_bring_their_labels(tmp_path):
    states = np.arange(12).reshape(3, 4) % 2
    run = SavedRun(None, (4,), 2, {})
    np.savez(tmp_path / "x.npz", states=states, labels=[2, 0, 1])
    found = server.read_examples(tmp_path / "x.npz", run)
    assert found.labels.tolist() == [2, 0, 1] and found[1].tolist() == [0, 1, 0, 1]
    np.save(tmp_path / "x.npy", states)
    assert server.read_examples(tmp_path / "x.npy", run).labels is None
    np.savez(tmp_path / "x.npz", states=states, labels=[2, 0])
    with pytest.raises(ValueError, match="labels have shape"):
        server.read_examples(tmp_path / "x.npz", run)
