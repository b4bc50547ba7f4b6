"""The trainer: budget, phases, averages, rates, resuming, refusals."""

import itertools
import json
import signal
from types import SimpleNamespace

import datasets
import pytest
import torch
from torch import nn

import discrete_ca as dca
from discrete_ca.errors import CheckpointError, ConfigError, DataError, NonFiniteError
from discrete_ca.training import checkpoints
from discrete_ca.training.batches import Batches
from discrete_ca.training.checkpoints import load_state
from discrete_ca.training.ema import EMA
from discrete_ca.training.progress import Progress

DATA = torch.randint(0, 2, (64, 3), generator=torch.Generator().manual_seed(0))


def make_kernel(head=True):
    torch.manual_seed(0)
    return dca.CategoricalNoiseKernel(
        dca.nn.MLP(2, 2, shape=(3,), width=16),
        dca.corruption.Uniform(2),
        hold=0.5,
        adjustment=dca.nn.AdjustmentHead(2) if head else None,
    )


def config(**values):
    return dca.TrainConfig(**{"steps": 20, "batch_size": 16, "progress": False, **values})


def weights(kernel):
    return {name: value.clone() for name, value in kernel.state_dict().items()}


def same(a, b):
    return all(torch.equal(a[name], b[name]) for name in a)


def test_a_seed_gives_the_same_weights():
    first, second, other = make_kernel(), make_kernel(), make_kernel()
    for kernel, seed in ((first, 1), (second, 1), (other, 2)):
        dca.Trainer(kernel, dca.Denoising(), DATA, config(seed=seed)).fit()
    assert same(weights(first), weights(second))
    assert not same(weights(first), weights(other))


def test_phases_train_their_part_and_no_other():
    kernel = make_kernel()
    before = weights(kernel)
    seen = []

    class Watch(dca.ContrastiveAdjustment):
        def losses(self, kernel, z, x, b, given, generator):
            seen.append(weights(kernel))
            return super().losses(kernel, z, x, b, given, generator)

    schedule = dca.Schedule(
        (
            dca.Phase(dca.Denoising(), 0.5, ("net",)),
            dca.Phase(Watch(denoising_weight=0.0), 0.5, ("adjustment",)),
        )
    )
    dca.Trainer(kernel, schedule, DATA, config()).fit()
    after = weights(kernel)
    assert len(seen) == 10
    for name in after:
        if name.startswith("net.") and "frequencies" not in name:
            assert not torch.equal(before[name], seen[0][name])
            assert torch.equal(seen[0][name], after[name])  # frozen from then on
        if name.startswith("adjustment."):
            assert torch.equal(before[name], seen[0][name])
    assert not same({k: v for k, v in seen[0].items() if k.startswith("adjustment.")}, after)
    assert all(p.requires_grad for p in kernel.parameters())
    assert not kernel.training


def test_the_kernel_has_the_averaged_weights():
    kernels = [make_kernel(head=False) for _ in range(2)]
    for kernel, ema in zip(kernels, (0.0, 0.9), strict=True):
        dca.Trainer(kernel, dca.Denoising(), DATA, config(ema=ema)).fit()
    assert not same(weights(kernels[0]), weights(kernels[1]))


def test_average_matches_its_formula():
    weight = nn.Parameter(torch.zeros(1, dtype=torch.float64))
    average, wanted = EMA([weight], decay=0.5), 0.0
    for step in range(1, 13):
        weight.data.fill_(float(step))
        average.update()
        decay = min(0.5, (1 + step) / (10 + step))
        wanted = decay * wanted + (1 - decay) * step
    average.copy_to_parameters()
    assert weight.item() == pytest.approx(wanted, rel=1e-12)


def test_learning_rate_warms_up_decays_and_starts_anew_with_another_part():
    kernel = make_kernel()
    rates = []
    trainer = dca.Trainer(
        kernel, dca.Schedule.default(0.5), DATA, config(steps=200, warmup=4, learning_rate=1.0)
    )
    update = trainer._update

    def watch(*args):
        loss = update(*args)
        rates.append(trainer.part.optimizer.param_groups[0]["lr"])
        return loss

    trainer._update = watch
    trainer.fit()
    for begin, factor in ((0, 1.0), (100, 2.5)):  # the head's phase has its own rate
        part = [rate / factor for rate in rates[begin : begin + 100]]
        assert part[0] == pytest.approx(0.2, rel=1e-2)
        assert max(part) > 0.95 and part.index(max(part)) == 4
        assert part[-1] < 0.02
        assert part[50] == pytest.approx(0.505, rel=1e-2)  # the middle of a cosine from 1 to 0.01


def test_one_objective_after_another_on_the_same_part_shares_one_decay():
    trainer = dca.Trainer(make_kernel(False), dca.Schedule.half_and_half(), DATA, config())
    assert trainer.progress.stretch() == (0.0, 1.0)
    for _ in range(15):
        trainer.progress.advance(0.1)
    assert trainer.progress.phase == 1 and trainer.progress.stretch() == (0.0, 1.0)


def test_a_budget_in_minutes_ends(monkeypatch):
    ticks = itertools.count(0.0, 0.01)  # a step takes a hundredth of a second
    clock = SimpleNamespace(monotonic=lambda: next(ticks))
    monkeypatch.setattr("discrete_ca.training.trainer.time", clock)
    settings = config(steps=None, minutes=0.01)
    trainer = dca.Trainer(make_kernel(), dca.Schedule.default(), DATA, settings).fit()
    assert trainer.step == 60 and trainer.seconds == pytest.approx(0.6)
    assert trainer.progress.phase == 1


def test_resuming_goes_on_where_the_run_stopped(tmp_path):
    class Stop(Exception):
        pass

    class Interrupted(dca.Denoising):
        def losses(self, kernel, *rest):
            if trainer.step == 30:
                raise Stop
            return super().losses(kernel, *rest)

    settings = config(steps=60, folder=str(tmp_path / "run"), save_minutes=1e-9)
    trainer = dca.Trainer(make_kernel(False), Interrupted(), DATA, settings)
    with pytest.raises(Stop):
        trainer.fit()
    stopped = {name: value.clone() for name, value in trainer.kernel.state_dict().items()}
    averages = [average.clone() for average in trainer.part.ema.averages]
    moments = [
        trainer.part.optimizer.state[p]["exp_avg"].clone() for p in trainer.part.ema.parameters
    ]
    found = {}

    class Watch(dca.Denoising):
        def losses(self, kernel, *rest):
            if not found:
                found["step"] = again.step
                found["weights"] = weights(kernel)
                found["averages"] = [average.clone() for average in again.part.ema.averages]
                slots = [again.part.optimizer.state[p] for p in again.part.ema.parameters]
                found["moments"] = [slot["exp_avg"].clone() for slot in slots]
            return super().losses(kernel, *rest)

    again = dca.Trainer(make_kernel(False), Watch(), DATA, settings)
    again.fit(resume=True)
    assert found["step"] == 30 and again.step == 60 and again.part.ema.step == 60
    assert same(stopped, found["weights"])
    for before, after in ((averages, found["averages"]), (moments, found["moments"])):
        assert len(before) == len(after) > 0
        assert all(torch.equal(x, y) for x, y in zip(before, after, strict=True))
    lines = (tmp_path / "run/metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [20, 40, 60]


def test_what_the_caller_froze_stays_frozen():
    kernel = make_kernel()
    kernel.net.requires_grad_(False)
    before = weights(kernel.net)
    objective = dca.ContrastiveAdjustment(denoising_weight=0.0)
    dca.Trainer(kernel, objective, DATA, config()).fit()
    assert same(before, weights(kernel.net))
    assert not any(p.requires_grad for p in kernel.net.parameters())
    assert all(p.requires_grad for p in kernel.adjustment.parameters())
    with pytest.raises(ConfigError, match="which has no free parameters"):
        phase = dca.Phase(dca.Denoising(), train=("net",))
        dca.Trainer(kernel, dca.Schedule((phase,)), DATA, config())


def states_in(folder):
    return sorted(place.name for place in (folder / "states").iterdir())


def test_the_newest_states_are_kept_and_a_run_can_be_extended(tmp_path):
    settings = config(folder=str(tmp_path), save_minutes=1e-9)
    dca.Trainer(make_kernel(), dca.Denoising(), DATA, settings).fit()
    assert states_in(tmp_path) == ["00000019", "00000020"]
    (tmp_path / "states/.saving-x").mkdir()  # left by a run killed while it saved
    longer = config(steps=25, folder=str(tmp_path))
    assert dca.Trainer(make_kernel(), dca.Denoising(), DATA, longer).fit(resume=True).step == 25
    assert states_in(tmp_path) == ["00000020", "00000025"]
    with pytest.raises(ConfigError, match="resume was True without a folder"):
        dca.Trainer(make_kernel(), dca.Denoising(), DATA, config()).fit(resume=True)


def test_a_second_trainer_is_kept_out(tmp_path):
    settings = config(folder=str(tmp_path))

    class Nested(dca.Denoising):
        def losses(self, *given):
            if not refused:
                with pytest.raises(CheckpointError, match="is in use by another trainer"):
                    second = dca.Trainer(make_kernel(False), dca.Denoising(), DATA, settings)
                    second.fit(resume=True)
                refused.append(1)
            return super().losses(*given)

    refused = []
    dca.Trainer(make_kernel(False), Nested(), DATA, settings).fit()
    assert refused


def test_a_full_disk_is_named_and_harms_nothing(tmp_path, monkeypatch):
    settings = config(folder=str(tmp_path), save_minutes=1e-9)
    trainer = dca.Trainer(make_kernel(False), dca.Denoising(), DATA, settings)
    write = checkpoints.write_sealed

    def full(place, *rest):
        write(place, *rest)
        if trainer.step > 7:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints, "write_sealed", full)
    with pytest.raises(CheckpointError, match=r"step 8 cannot be saved in .*No space left"):
        trainer.fit()
    monkeypatch.undo()
    assert states_in(tmp_path) == ["00000006", "00000007"]
    again = dca.Trainer(make_kernel(False), dca.Denoising(), DATA, settings).fit(resume=True)
    assert again.step == 20


def test_a_run_is_not_overwritten(tmp_path):
    settings = config(folder=str(tmp_path / "run"))
    dca.Trainer(make_kernel(), dca.Denoising(), DATA, settings).fit()
    place = tmp_path / "run/states/00000020/state.safetensors"
    before = place.read_bytes()
    with pytest.raises(CheckpointError, match="holds a run already; pass resume=True"):
        dca.Trainer(make_kernel(), dca.Denoising(), DATA, settings).fit()
    assert place.read_bytes() == before
    wide = dca.CategoricalNoiseKernel(
        dca.nn.MLP(2, 2, shape=(3,), width=8), dca.corruption.Uniform(2)
    )
    with pytest.raises(CheckpointError, match="does not fit this kernel"):
        dca.Trainer(wide, dca.Denoising(), DATA, settings).fit(resume=True)
    assert place.read_bytes() == before
    (tmp_path / "file").write_text("mine")
    with pytest.raises(CheckpointError, match="is a file; allowed: a folder"):
        bad = config(folder=str(tmp_path / "file"))
        dca.Trainer(make_kernel(), dca.Denoising(), DATA, bad).fit()
    assert (tmp_path / "file").read_text() == "mine"


def test_the_newest_whole_state_is_taken_and_the_damaged_named(tmp_path, caplog):
    settings = config(folder=str(tmp_path), save_minutes=1e-9)
    dca.Trainer(make_kernel(), dca.Denoising(), DATA, settings).fit()
    place = tmp_path / "states/00000020/state.safetensors"
    place.write_bytes(place.read_bytes()[:-10])
    state = load_state(tmp_path)
    assert state.numbers["step"] == 19
    assert "passed over" in caplog.text and "00000020/state.safetensors' cannot" in caplog.text
    older = tmp_path / "states/00000019/state.json"
    older.write_text(older.read_text().replace('"step": 19', '"step": 18'))
    with pytest.raises(CheckpointError, match=r"no state in .* is whole: .*00000019/state.json"):
        dca.Trainer(make_kernel(), dca.Denoising(), DATA, settings).fit(resume=True)


def test_steps_without_a_finite_gradient_are_left_out():
    class Sometimes(dca.Denoising):
        def losses(self, kernel, z, x, b, given, generator):
            loss = super().losses(kernel, z, x, b, given, generator)
            return loss * float("nan") if trainer.step % 2 else loss

    kernel = make_kernel(False)
    trainer = dca.Trainer(kernel, Sometimes(), DATA, config())
    trainer.fit()
    assert trainer.part.ema.step == 10
    assert all(torch.isfinite(p).all() for p in kernel.parameters())

    class Never(dca.Denoising):
        def losses(self, kernel, z, x, b, given, generator):
            loss = super().losses(kernel, z, x, b, given, generator)
            return loss * float("nan")

    kernel = make_kernel(False)
    before = weights(kernel)
    with pytest.raises(NonFiniteError, match="101 steps in a row"):
        dca.Trainer(kernel, Never(), DATA, config(steps=500)).fit()
    assert same(before, weights(kernel))


class Failing(nn.Module):
    """A network that returns NaN at some calls."""

    def __init__(self, bad):
        super().__init__()
        self.net, self.bad, self.calls = dca.nn.MLP(2, 2, shape=(3,), width=16), bad, 0

    def forward(self, x, b):
        self.calls += 1
        return self.net(x, b) * (float("nan") if self.bad(self.calls) else 1.0)


@pytest.mark.parametrize(
    "objective", [dca.Denoising(), dca.ContrastiveAdjustment(denoising_weight=0.0)]
)
def test_steps_in_which_a_network_fails_are_left_out_and_counted(objective):
    torch.manual_seed(0)
    kernel = dca.CategoricalNoiseKernel(Failing(lambda n: n in (5, 6)), dca.corruption.Uniform(2))
    trainer = dca.Trainer(kernel, objective, DATA, config()).fit()
    assert trainer.step == 20 and 1 <= trainer.skipped <= 2
    assert trainer.part.ema.step == 20 - trainer.skipped
    assert trainer.history[-1]["skipped"] == trainer.skipped
    assert all(torch.isfinite(p).all() for p in kernel.parameters())


def test_losses_that_are_infinite_are_left_out_too(tmp_path):
    class Infinite(dca.Denoising):
        def losses(self, kernel, z, x, b, given, generator):
            return super().losses(kernel, z, x, b, given, generator) + float("inf")

    kernel = make_kernel(False)
    before = weights(kernel)
    settings = config(steps=500, folder=str(tmp_path))
    with pytest.raises(NonFiniteError, match="101 .*; the last: the mean loss was inf"):
        dca.Trainer(kernel, Infinite(), DATA, settings).fit()
    assert same(before, weights(kernel))
    assert states_in(tmp_path) == ["00000101"]  # what was learned until then is on disk
    assert '"loss": null' in (tmp_path / "metrics.jsonl").read_text()


@pytest.mark.parametrize(("first", "then", "expected"), [(20, 30, 30), (30, 44, 44), (16, 8, 16)])
def test_a_run_of_phases_ends_where_the_new_budget_says(first, then, expected, tmp_path):
    settings = config(steps=first, folder=str(tmp_path))
    dca.Trainer(make_kernel(), dca.Schedule.default(), DATA, settings).fit()
    longer = config(steps=then, folder=str(tmp_path))
    again = dca.Trainer(make_kernel(), dca.Schedule.default(), DATA, longer).fit(resume=True)
    assert again.step == expected


def test_a_shorter_budget_ends_the_phase_that_it_passed(tmp_path):
    """Stopped at 25 of 60 in the first phase, gone on with 40 in all: 15 are left for the other."""

    class Stopping(dca.Denoising):
        def losses(self, *given):
            if trainer.step == 24:
                signal.raise_signal(signal.SIGINT)
            return super().losses(*given)

    def schedule(objective):
        adjust = dca.ContrastiveAdjustment(denoising_weight=0.0)
        return dca.Schedule(
            (dca.Phase(objective, 0.5, ("net",)), dca.Phase(adjust, 0.5, ("adjustment",)))
        )

    settings = config(steps=60, folder=str(tmp_path), ema=0.0)
    trainer = dca.Trainer(make_kernel(), schedule(Stopping()), DATA, settings)
    with pytest.raises(KeyboardInterrupt, match="step 25 is saved"):
        trainer.fit()
    net = weights(trainer.kernel.net)
    shorter = config(steps=40, folder=str(tmp_path), ema=0.0)
    again = dca.Trainer(make_kernel(), schedule(dca.Denoising()), DATA, shorter)
    again.fit(resume=True)
    assert again.step == 40 and again.progress.steps == [25, 15]
    after = weights(again.kernel.net)  # the second phase leaves them alone
    assert net.keys() == after.keys() and all(torch.equal(net[key], after[key]) for key in net)


def test_going_on_with_a_run_that_is_done_changes_nothing_on_disk(tmp_path):
    settings = config(folder=str(tmp_path), observe_every=7)

    def measure(kernel):
        return {"one": 1.0}

    def fit(resume):
        dca.Trainer(make_kernel(False), dca.Denoising(), DATA, settings, [measure]).fit(resume)

    fit(False)
    before = {place: place.read_bytes() for place in tmp_path.rglob("*") if place.is_file()}
    fit(True)
    after = {place: place.read_bytes() for place in tmp_path.rglob("*") if place.is_file()}
    assert before == after


def test_short_runs_have_their_row_too(tmp_path):
    settings = config(steps=7, folder=str(tmp_path))
    dca.Trainer(make_kernel(False), dca.Denoising(), DATA, settings).fit()
    (row,) = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert row["step"] == 7 and row["loss"] > 0


def test_other_parts_of_a_batch_are_warned_of(tmp_path, caplog):
    settings = config(steps=10, folder=str(tmp_path))
    dca.Trainer(make_kernel(False), dca.Denoising(), DATA, settings).fit()
    other = config(steps=12, folder=str(tmp_path), accumulate=4)
    dca.Trainer(make_kernel(False), dca.Denoising(), DATA, other).fit(resume=True)
    assert "cut into 1 parts and are now cut into 4" in caplog.text
    with pytest.raises(ConfigError, match="batch_size was 16; allowed: a multiple of 3"):
        dca.Trainer(make_kernel(False), dca.Denoising(), DATA, config(accumulate=3))


def test_a_part_that_is_not_there_is_refused_with_the_nearest_name():
    phase = dca.Phase(dca.Denoising(), train=("adjustmnt",))
    with pytest.raises(ConfigError, match="unknown part of the kernel 'adjustmnt'; did you mean"):
        dca.Trainer(make_kernel(), dca.Schedule((phase,)), DATA, config())
    with pytest.raises(
        ConfigError, match="Known: corruption, net; make the kernel with adjustment="
    ):
        dca.Trainer(make_kernel(False), dca.Schedule.default(), DATA, config())


def test_batches_go_through_the_data_once_an_epoch_with_their_labels():
    class Labelled:
        labels = torch.arange(10)

        def __len__(self):
            return 10

        def __getitem__(self, index):
            return index[:, None]

    stream = Batches(Labelled(), 5, seed=0)
    first, second = stream(0), stream(1)
    seen = torch.cat([first[0], second[0]]).flatten()
    assert sorted(seen.tolist()) == list(range(10))
    assert torch.equal(seen, torch.cat([first[1], second[1]]))
    later = Batches(Labelled(), 5, seed=0)
    assert torch.equal(later(3)[0], stream(3)[0])  # whatever came before
    assert torch.equal(later(1)[0], second[0])
    assert not torch.equal(torch.cat([stream(2)[0], stream(3)[0]]).flatten(), seen)
    z, label, _ = Batches(lambda n, g: torch.rand(n, 2, generator=g), 3, seed=0)(7)
    assert z.shape == (3, 2) and label is None
    assert torch.equal(Batches(lambda n, g: torch.rand(n, 2, generator=g), 3, seed=0)(7)[0], z)
    with pytest.raises(DataError, match="data has 0 examples; allowed: at least one"):
        Batches(torch.zeros(0, 1), 5, seed=0)


def everything(trainer):
    """All that a finished run leaves."""
    slots = trainer.part.optimizer.state_dict()["state"]
    return {
        **weights(trainer.kernel),
        **{f"ema.{i}": v for i, v in enumerate(trainer.part.ema.averages)},
        **{f"{i}.{k}": v for i, slot in slots.items() for k, v in slot.items()},
    }


class Killed(Exception):
    """Raised where a run is cut off."""


def ends(trainer, folder, cut=None):
    """Go on with what is in the folder; whether it came to its end, and was not cut off before."""
    update = trainer._update

    def watch(*given):
        if trainer.step == cut:
            raise Killed
        return update(*given)

    trainer._update = watch
    try:
        trainer.fit(resume=folder.exists())
    except Killed:
        return False
    return True


@pytest.mark.parametrize("cuts", [(1,), (7, 19, 20, 21, 35), (20,), (39,)])
def test_a_run_that_was_cut_off_ends_bit_for_bit_as_one_that_was_not(cuts, tmp_path):
    """Two parts and a data set of 4 batches an epoch, so that cuts fall into epochs and parts."""

    def run(folder, cut=None):
        settings = config(steps=40, folder=str(folder), save_minutes=1e-9, seed=3)
        trainer = dca.Trainer(make_kernel(), dca.Schedule.default(), DATA, settings)
        return trainer if ends(trainer, folder, cut) else None

    whole = run(tmp_path / "whole")
    for cut in cuts:
        assert run(tmp_path / "cut", cut) is None
    parts = run(tmp_path / "cut")
    first, second = everything(whole), everything(parts)
    assert first.keys() == second.keys()
    assert same(first, second)
    losses = [[row["loss"] for row in trainer.history] for trainer in (whole, parts)]
    assert len(losses[0]) == 2 and losses[0] == losses[1]
    assert whole.step == parts.step == 40


class Rows:
    """The examples of DATA one by one; a source without a state of its own."""

    def __iter__(self):
        return ({"states": row} for row in DATA)


def streamed(**options):
    rows = datasets.Dataset.from_dict({"states": DATA.tolist()}).to_iterable_dataset(num_shards=3)
    return dca.data.StreamedData(rows, 2, buffer=32, **options)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(
    "source",
    [lambda: dca.data.MappedData(DATA.numpy()), lambda: dca.data.StreamedData(Rows(), 2), streamed],
    ids=["mapped", "stream", "stream with marks"],
)
def test_runs_on_data_that_are_not_in_memory_go_on_bit_for_bit(source, workers, tmp_path):
    """A stream of 64 examples in blocks of 2 batches, cut within a block and at a block's end."""

    def run(folder, cut=None, workers=workers):
        settings = config(steps=15, folder=str(folder), save_minutes=1e-9, workers=workers)
        trainer = dca.Trainer(make_kernel(False), dca.Denoising(), source(), settings)
        ends(trainer, folder, cut)
        return trainer

    whole = run(tmp_path / "whole", workers=0)
    for cut in (3, 8, 11):
        run(tmp_path / "cut", cut)
    state = load_state(tmp_path / "cut")
    assert bool(state.numbers["data"]) == isinstance(whole.data, dca.data.StreamedData)
    assert same(everything(whole), everything(run(tmp_path / "cut")))


def test_dropout_is_a_function_of_the_step(tmp_path):
    class Dropping(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = dca.nn.MLP(2, 2, shape=(3,), width=16)

        def forward(self, x, b):
            return nn.functional.dropout(self.net(x, b), 0.5, self.training)

    def train(steps, resume, folder):
        torch.manual_seed(0)
        kernel = dca.CategoricalNoiseKernel(Dropping(), dca.corruption.Uniform(2))
        torch.rand(steps)  # whatever was drawn before
        settings = config(steps=steps, folder=str(tmp_path / folder), final_learning_rate=1.0)
        before = torch.get_rng_state()
        trainer = dca.Trainer(kernel, dca.Denoising(), DATA, settings).fit(resume=resume)
        assert torch.equal(torch.get_rng_state(), before)
        return everything(trainer)

    whole = train(20, False, "whole")
    train(11, False, "cut")
    assert same(whole, train(20, True, "cut"))


def test_an_interrupt_ends_the_step_and_saves(tmp_path):
    class Interrupting(dca.Denoising):
        def losses(self, *given):
            if trainer.step == 5:
                signal.raise_signal(signal.SIGTERM)
            return super().losses(*given)

    before = signal.getsignal(signal.SIGTERM)
    settings = config(folder=str(tmp_path / "run"))
    trainer = dca.Trainer(make_kernel(False), Interrupting(), DATA, settings)
    with pytest.raises(KeyboardInterrupt, match="step 6 is saved in"):
        trainer.fit()
    assert signal.getsignal(signal.SIGTERM) is before
    again = dca.Trainer(make_kernel(False), dca.Denoising(), DATA, settings)
    assert again.fit(resume=True).step == 20
    whole = dca.Trainer(make_kernel(False), dca.Denoising(), DATA, config()).fit()
    assert same(everything(again), everything(whole))


def test_minutes_become_steps_once_the_speed_is_known():
    progress = Progress(
        dca.Schedule.default(0.25), config(steps=None, minutes=1.0, learning_rate=1.0, warmup=0)
    )
    for _ in range(4):
        progress.advance(1.0)
        assert progress.steps == [None, None] and progress.learning_rate(9) == 1.0
    progress.advance(1.0)  # 5 of 45 seconds: more than a tenth
    assert progress.steps == [45, None]
    saved = json.loads(json.dumps(progress.state()))
    for _ in range(40):
        assert progress.phase == 0
        progress.advance(99.0)  # slower from now on: the number stays
    assert progress.phase == 1
    progress.advance(3.0)
    assert progress.steps == [45, 5]
    again = Progress(dca.Schedule.default(0.25), config(steps=None, minutes=1.0))
    again.restore(saved)
    assert again.steps == [45, None] and again.done == 5
    with pytest.raises(ValueError, match="allowed: 1 phases"):
        Progress(dca.Schedule.of(dca.Denoising()), config()).restore(saved)


def test_other_minutes_change_what_is_left_in_proportion():
    minutes = {"steps": None, "minutes": 1.0}
    progress = Progress(dca.Schedule.default(0.25), config(**minutes))
    for _ in range(5):
        progress.advance(1.0)
    saved = json.loads(json.dumps(progress.state()))
    longer = Progress(dca.Schedule.default(0.25), config(steps=None, minutes=2.0))
    longer.restore(saved)
    assert longer.steps == [90, None] and longer.done == 5
    counted = Progress(dca.Schedule.default(0.25), config(steps=40))
    counted.restore(saved)
    assert counted.steps == [30, 10]
    back = Progress(dca.Schedule.default(0.25), config(**minutes))
    back.restore(json.loads(json.dumps(counted.state())))
    assert back.steps == [None, None]


def test_phases_too_short_for_a_step_are_passed_over():
    shares = dca.Schedule(tuple(dca.Phase(dca.Denoising(), share) for share in (0.01, 0.98, 0.01)))
    progress = Progress(shares, config(steps=20))
    assert progress.phase == 1 and progress.steps == [0, 20, 0]
    for _ in range(20):
        assert not progress.finished
        progress.advance(0.1)
    assert progress.finished


def test_a_run_that_is_done_is_not_run_again():
    trainer = dca.Trainer(make_kernel(False), dca.Denoising(), DATA, config()).fit()
    before = weights(trainer.kernel)
    assert trainer.fit().step == 20
    assert same(before, weights(trainer.kernel))


def test_labels_that_are_missing_are_warned_of(caplog):
    def trained(num_classes, data):
        caplog.clear()
        net = dca.nn.MLP(2, 2, shape=(3,), width=8, num_classes=num_classes)
        kernel = dca.CategoricalNoiseKernel(net, dca.corruption.Uniform(2))
        dca.Trainer(kernel, dca.Denoising(), data, config(steps=2)).fit()
        return [record.getMessage() for record in caplog.records]

    told = trained(4, DATA)
    assert len(told) == 1 and "takes labels, but the data have none" in told[0]
    assert trained(4, dca.DiscreteData(DATA, labels=torch.arange(64) % 4)) == []
    assert trained(None, DATA) == []


def test_arguments_in_the_wrong_order_are_refused():
    with pytest.raises(ConfigError, match=r"objective was a Tensor; .*Trainer\(kernel, objective,"):
        dca.Trainer(make_kernel(), DATA, dca.Denoising(), config())


def test_fewer_examples_than_a_batch_are_trained_on_with_a_note(caplog):
    def told(data):
        caplog.clear()
        net = dca.nn.MLP(8, 8, shape=(8,), width=8)
        kernel = dca.CategoricalNoiseKernel(net, dca.corruption.Uniform(8))
        trainer = dca.Trainer(kernel, dca.Denoising(), data, config(steps=2)).fit()
        assert trainer.step == 2 and trainer.config.batch_size == 16  # the setting stays
        return [record.getMessage() for record in caplog.records]

    text = dca.data.load_text(["to be or not to be"], length=8)
    (said,) = told(text)
    assert f"have {len(text)} examples, fewer than batch_size = 16" in said
    assert f"batch_size = {len(text)} (--train.batch-size) is once" in said
    assert "windows of text (--data.length)" in said
    (said,) = told(torch.zeros(15, 8, dtype=torch.long))
    assert "goes through them 1.07 times" in said and "windows" not in said
    assert told(torch.zeros(16, 8, dtype=torch.long)) == []


def test_slow_runs_say_early_how_they_go(capsys, monkeypatch):
    """Off a terminal a line comes after ten seconds, before the first row, with what is left."""
    seconds = iter(range(0, 10_000, 3))
    monkeypatch.setattr("discrete_ca.training.watching.time.monotonic", lambda: next(seconds))
    monkeypatch.setattr("discrete_ca.training.trainer._REPORT_EVERY", 1000)
    dca.Trainer(make_kernel(), dca.Denoising(), DATA, config(progress=True)).fit()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and lines[1].startswith("100% step 20")
    assert "steps/s" in lines[0] and lines[0].endswith("s left") and "nan" not in lines[0]


def test_states_that_the_noise_does_not_know_are_refused_before_work_starts():
    states = torch.zeros(50, 3, dtype=torch.long)
    states[37, 1] = 2
    with pytest.raises(ValueError, match=r"data holds values in \[0, 2\]; allowed: 0 .. 1"):
        dca.Trainer(
            dca.CategoricalNoiseKernel(dca.nn.MLP(2, 2, shape=(3,)), dca.corruption.Uniform(2)),
            dca.Denoising(), states, dca.TrainConfig(steps=1, progress=False),
        )  # fmt: skip
