"""A run that several processes share: ``python -m tests.training.shared_run SETTINGS.json``."""

import json
import signal
import sys

import torch

import discrete_ca as dca


def train(settings, stop_at=None):
    """In float64; with `stop_at`, the first process gets a SIGTERM at that step."""
    data = torch.randint(0, 2, (100, 5), generator=torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    kernel = dca.CategoricalNoiseKernel(
        dca.nn.MLP(2, 2, shape=(5,), width=16, known=True), dca.corruption.Uniform(2),
        adjustment=dca.nn.AdjustmentMLP(2, shape=(5,), width=8), hold=0.5,
    ).double()  # fmt: skip
    config = dca.TrainConfig(batch_size=16, progress=False, ema=0.9, warmup=2, **settings)
    observers = [dca.training.HeldOut(data[:20])]
    trainer = dca.Trainer(kernel, dca.Schedule.default(), data, config, observers)
    if stop_at is not None:
        update = trainer._update

        def watch(*given):
            if trainer.step == stop_at - 1 and trainer.processes.first:
                signal.raise_signal(signal.SIGTERM)
            return update(*given)

        trainer._update = watch
    return trainer.fit(resume=trainer.has_state())


if __name__ == "__main__":
    torch.set_num_threads(1)
    given = json.loads(sys.argv[1])
    try:
        trainer = train(given["settings"], given["stop_at"])
        print(trainer.processes.count, trainer.step)
    except KeyboardInterrupt as interrupt:
        print(interrupt)
    finally:
        if torch.distributed.is_initialized():  # else its threads may outlive the interpreter
            torch.distributed.destroy_process_group()
