"""Trackers that `accelerate` knows: tensorboard, wandb, mlflow and others, by name."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from discrete_ca.errors import ConfigError, unknown_name
from discrete_ca.training.config import TrainConfig

if TYPE_CHECKING:
    from PIL.Image import Image


class Trackers:
    """The trackers of a run; those that write files do so in its folder.

    Args:
        config: the run; `trackers` names them.

    Raises:
        ConfigError: for a name that is unknown, or whose package is not installed.
    """

    def __init__(self, config: TrainConfig) -> None:
        self._config = config
        self._kinds: list[Any] = []
        self._trackers: list[Any] = []
        if not config.trackers:
            return
        from accelerate.tracking import LOGGER_TYPE_TO_CLASS, filter_trackers

        for name in config.trackers:
            if name not in LOGGER_TYPE_TO_CLASS:
                raise ConfigError(unknown_name("tracker", name, LOGGER_TYPE_TO_CLASS))
            if not filter_trackers([name], config.folder):
                raise ConfigError(f"tracker '{name}' needs a package that is not installed")
            self._kinds.append(LOGGER_TYPE_TO_CLASS[name])

    def __enter__(self) -> Trackers:
        settings = {
            name: value if isinstance(value, bool | int | float | str) else str(value)
            for name, value in dataclasses.asdict(self._config).items()
        }
        for kind in self._kinds:
            place = (self._config.folder,) if kind.requires_logging_directory else ()
            tracker = kind("discrete_ca", *place)
            tracker.start()
            tracker.store_init_configuration(settings)
            self._trackers.append(tracker)
        return self

    def __exit__(self, *_: object) -> None:
        for tracker in self._trackers:
            tracker.finish()
        self._trackers = []

    def log(self, row: Mapping[str, float]) -> None:
        """A row of numbers, at its step."""
        numbers = {name: value for name, value in row.items() if name != "step"}
        for tracker in self._trackers:
            tracker.log(numbers, step=int(row["step"]))

    def log_pictures(self, pictures: Mapping[str, Image], step: int) -> None:
        """Pictures by name, to the trackers that take them."""
        import numpy as np

        for tracker in self._trackers:
            if not pictures or not hasattr(tracker, "log_images"):
                continue
            given: dict[str, Any] = {name: [picture] for name, picture in pictures.items()}
            if tracker.name == "tensorboard":  # it takes arrays (N, C, H, W) alone
                for name, picture in pictures.items():
                    given[name] = np.asarray(picture.convert("RGB")).transpose(2, 0, 1)[None]
            tracker.log_images(given, step=step)
