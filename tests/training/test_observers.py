"""What observers find, and what is kept of it."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

import discrete_ca as dca
from discrete_ca.errors import ConfigError
from discrete_ca.training import HeldOut, Mixing, Samples

DATA = torch.tensor([[0, 0, 0], [1, 1, 1]]).repeat(40, 1)


def make_kernel():
    torch.manual_seed(0)
    net = dca.nn.MLP(2, 2, shape=(3,), width=32)
    return dca.CategoricalNoiseKernel(net, dca.corruption.Uniform(2), hold=0.5)


def config(tmp_path, **values):
    values = {"steps": 60, "batch_size": 16, "observe_every": 20, "progress": False, **values}
    return dca.TrainConfig(folder=str(tmp_path / "run"), **values)


def test_held_out_loss_falls_and_is_that_of_the_averaged_weights(tmp_path):
    kernel, held_out = make_kernel(), HeldOut(DATA)
    before = held_out(kernel)["held_out"]
    trainer = dca.Trainer(kernel, dca.Denoising(), DATA, config(tmp_path), [held_out])
    trainer.fit()
    rows = [row for row in trainer.history if "held_out" in row]
    assert [row["step"] for row in rows] == [0, 20, 40, 60]
    assert rows[0]["held_out"] == before
    assert rows[-1]["held_out"] < 0.9 * before < 0.9 * 3 * 0.6932 * 1.1
    assert rows[-1]["held_out"] == held_out(kernel)["held_out"]  # after fit: the averages
    lines = (tmp_path / "run/metrics.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == trainer.history


def test_observing_changes_nothing_in_what_is_learned(tmp_path):
    def noisy(kernel):
        torch.rand(5)
        return {"twice": 2.0}

    found = []
    for observers in ([], [HeldOut(DATA), noisy]):
        kernel = make_kernel()
        dca.Trainer(kernel, dca.Denoising(), DATA, config(tmp_path / str(len(found))), observers
                    ).fit()  # fmt: skip
        found.append(torch.cat([p.detach().flatten() for p in kernel.parameters()]))
    assert torch.equal(*found)


def test_the_best_weights_are_kept_and_a_resumed_run_remembers_them(tmp_path):
    values = iter([5.0, 3.0, 4.0, 2.5, 9.0])

    def score(kernel):
        return {"score": next(values)}

    settings = config(tmp_path, best="score", steps=40)
    first = dca.Trainer(make_kernel(), dca.Denoising(), DATA, settings, [score]).fit()
    assert first.records.best == ("score", 3.0)
    place = tmp_path / "run/best/model.safetensors"
    at_20 = place.read_bytes()
    longer = config(tmp_path, best="score", steps=80)
    again = dca.Trainer(make_kernel(), dca.Denoising(), DATA, longer, [score]).fit(resume=True)
    assert again.records.best == ("score", 2.5) and place.read_bytes() != at_20
    best = dca.load_kernel(tmp_path / "run/best")
    assert not torch.equal(next(best.parameters()), next(again.kernel.parameters()))


def test_measures_of_any_kind_of_number_and_none_that_is_not_finite(tmp_path):
    values = iter([np.float32("nan"), torch.tensor(3.0), np.float32(2.0), 5])

    def score(kernel):
        return {"score": next(values)}

    settings = config(tmp_path, best="score")
    trainer = dca.Trainer(make_kernel(), dca.Denoising(), DATA, settings, [score]).fit()
    assert trainer.records.best == ("score", 2.0)
    lines = (tmp_path / "run/metrics.jsonl").read_text().splitlines()
    assert json.loads(lines[0])["score"] is None
    renamed = config(tmp_path, best="other", steps=80)
    again = dca.Trainer(
        make_kernel(), dca.Denoising(), DATA, renamed, [lambda kernel: {"other": 100.0}]
    ).fit(resume=True)
    assert again.records.best == ("other", 100.0)  # measures are not compared with one another


def test_a_best_that_nothing_measures_is_refused_before_training(tmp_path):
    trainer = dca.Trainer(
        make_kernel(), dca.Denoising(), DATA, config(tmp_path, best="held"), [HeldOut(DATA)]
    )
    with pytest.raises(ConfigError, match="unknown best 'held'; did you mean 'held_out'"):
        trainer.fit()
    assert trainer.step == 0
    with pytest.raises(ConfigError, match="best was 'x'; allowed: with observe_every"):
        dca.TrainConfig(steps=1, best="x", folder="y")


def test_samples_and_mixing_are_drawn_and_measured(tmp_path):
    torch.manual_seed(0)
    net = dca.nn.UNet(2, 2, widths=(8, 8), patch=2)
    kernel = dca.CategoricalNoiseKernel(net, dca.corruption.Uniform(2), hold=0.5)
    data = torch.randint(0, 2, (32, 8, 8), generator=torch.Generator().manual_seed(0))
    observers = [
        Samples((8, 8), 2, count=4, moves=2),
        Mixing(data[:8], (0.5, 1.0), steps=8, fidelity=lambda z: float(z.double().mean())),
    ]
    settings = config(tmp_path, steps=2, observe_every=2)
    trainer = dca.Trainer(kernel, dca.Denoising(), data, settings, observers).fit()
    row = trainer.history[-1]
    assert 0 < row["changed/0.5"] < 1 and 0 < row["changed/1"] < 1
    assert 0 < row["ess_a_step/0.5"] < 3 and 0 < row["fidelity/1"] < 1
    pictures = sorted(place.name for place in (tmp_path / "run/observed").iterdir())
    assert pictures == ["samples-00000000.png", "samples-00000002.png"]
    for name in pictures:
        with Image.open(tmp_path / "run/observed" / name) as picture:
            assert picture.size == (2 * 3 * 8 + 3 * 3, 2 * 3 * 8 + 3 * 3)


class Watched(dca.CategoricalNoiseKernel):
    """Remembers the states that steps start from and end in."""

    def transition(self, x, *args, **given):
        law = super().transition(x, *args, **given)
        self.states = [*getattr(self, "states", []), law.x, law.sample()]
        return law


@pytest.mark.parametrize("observer", [HeldOut, Mixing])
def test_observers_leave_padding_alone(observer):
    torch.manual_seed(0)
    net = dca.nn.MLP(3, 3, shape=(6,), width=16)
    kernel = Watched(net, dca.corruption.Uniform(3), hold=0.0)
    present = (torch.arange(6) < torch.randint(1, 6, (64, 1))).expand(64, 6)
    z = torch.where(present, torch.randint(0, 3, (64, 6)), 2)
    observer(z, present=present)(kernel)
    assert kernel.states and all(torch.equal(x[~present], z[~present]) for x in kernel.states)
    kernel.states = []
    observer(z)(kernel)
    assert not all(torch.equal(x[~present], z[~present]) for x in kernel.states)


def test_samples_of_music_are_piano_rolls():
    kernel = dca.CategoricalNoiseKernel(dca.nn.MLP(3, 3, shape=(2, 8)), dca.corruption.Uniform(3))
    look = Samples((2, 8), 3, count=4, moves=1, pitches=lambda z: 10 * z + 50)
    picture = look(kernel)["samples"]
    assert picture.size == (3 * (2 * 8 + 3), 3 * (2 * 23 + 3))  # two a row, 49 to 71 high


def test_trackers_get_rows_and_pictures(tmp_path, monkeypatch):
    from accelerate import tracking

    class Memory(tracking.GeneralTracker):
        name = "memory"
        requires_logging_directory = True
        rows, pictures, finished = [], [], []

        def __init__(self, run_name, logging_dir):
            super().__init__()

        def start(self):
            pass

        tracker = None

        def store_init_configuration(self, values):
            assert values["steps"] == 60

        def log(self, values, step=None, **_):
            self.rows.append((step, values))

        def log_images(self, values, step=None, **_):
            self.pictures.append((step, values))

        def finish(self):
            self.finished.append(True)

    monkeypatch.setitem(tracking.LOGGER_TYPE_TO_CLASS, "memory", Memory)

    def picture(kernel):
        return {"dot": Image.new("L", (2, 2)), "one": 1}

    settings = config(tmp_path, trackers=("memory",))
    dca.Trainer(make_kernel(), dca.Denoising(), DATA, settings, [picture]).fit()
    assert [step for step, values in Memory.rows if "loss" in values] == [20, 40, 60]
    assert [step for step, values in Memory.rows if "one" in values] == [0, 20, 40, 60]
    assert [step for step, _ in Memory.pictures] == [0, 20, 40, 60]
    assert Memory.pictures[0][1]["dot"][0].size == (2, 2) and Memory.finished == [True]


def test_trackers_that_cannot_be_used_are_refused(tmp_path, monkeypatch):
    def trainer(name):
        settings = config(tmp_path, trackers=(name,))
        return dca.Trainer(make_kernel(), dca.Denoising(), DATA, settings)

    with pytest.raises(ConfigError, match="unknown tracker 'tensorbord'; did you mean 'tensorb"):
        trainer("tensorbord").fit()
    from accelerate import tracking

    monkeypatch.setattr(tracking, "get_available_trackers", lambda: [])
    with pytest.raises(ConfigError, match="tracker 'wandb' needs a package that is not installed"):
        trainer("wandb").fit()
    with pytest.raises(ConfigError, match=r"trackers was \('wandb',\); allowed: with a folder"):
        settings = dca.TrainConfig(steps=1, trackers=("wandb",))
        dca.Trainer(make_kernel(), dca.Denoising(), DATA, settings)


def test_tensorboard_gets_what_it_can_read(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    def picture(kernel):
        return {"dot": Image.new("L", (3, 2))}

    settings = config(tmp_path, trackers=("tensorboard",))
    dca.Trainer(make_kernel(), dca.Denoising(), DATA, settings, [picture]).fit()
    events = EventAccumulator(str(tmp_path / "run/discrete_ca"))
    events.Reload()
    assert [event.step for event in events.Scalars("loss")] == [20, 40, 60]
    assert (events.Images("dot")[0].width, events.Images("dot")[0].height) == (3, 2)
