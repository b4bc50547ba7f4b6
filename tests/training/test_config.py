"""Training settings are checked before work starts."""

import pytest

from discrete_ca.errors import ConfigError
from discrete_ca.training import TrainConfig


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"steps": 1, "minutes": 1.0}, "exactly one must be given"),
        ({}, "exactly one must be given"),
        ({"steps": 0}, "steps was 0; allowed: a whole number >= 1"),
        ({"steps": 1.5}, "steps was 1.5"),
        ({"minutes": -1.0}, "minutes was -1.0; allowed: a number > 0"),
        ({"minutes": float("nan")}, "minutes was nan"),
        ({"steps": 1, "batch_size": 0}, "batch_size was 0"),
        ({"steps": 1, "learning_rate": 0.0}, "learning_rate was 0.0"),
        ({"steps": 1, "warmup": -1}, "warmup was -1"),
        ({"steps": 1, "workers": -1}, "workers was -1; allowed: a whole number >= 0"),
        ({"steps": 1, "workers": 0.5}, "workers was 0.5"),
        ({"steps": 1, "ema": 1.0}, r"ema was 1.0; allowed: \[0, 1\)"),
        ({"steps": 1, "betas": (1.5, 2.0)}, "betas was"),
        ({"steps": 1, "weight_decay": -0.1}, "weight_decay was -0.1"),
        ({"steps": 1, "final_learning_rate": 2.0}, "final_learning_rate was 2.0"),
    ],
)
def test_bad_values_are_refused(values, message):
    with pytest.raises(ConfigError, match=message):
        TrainConfig(**values)


def test_unknown_keys_are_refused_with_the_nearest_name():
    with pytest.raises(ConfigError, match="unknown key 'batchsize'; did you mean 'batch_size'?"):
        TrainConfig.from_dict({"steps": 1, "batchsize": 2})
    assert TrainConfig.from_dict({"steps": 3}) == TrainConfig(steps=3)
