"""Training: one loop for every kernel and objective."""

from discrete_ca.training.config import TrainConfig
from discrete_ca.training.observers import HeldOut, Mixing, Observer, Samples
from discrete_ca.training.trainer import Trainer

__all__ = ["HeldOut", "Mixing", "Observer", "Samples", "TrainConfig", "Trainer"]
