"""The folder of a run: what it was started with, what came of it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from discrete_ca import hub
from discrete_ca.checks import Known
from discrete_ca.data import (
    ContinuousData,
    DiscreteData,
    Examples,
    StreamedData,
    Tokenizer,
    load_tokenizer,
)
from discrete_ca.errors import CheckpointError, ConfigError, DataError
from discrete_ca.hub import RUN_FILE
from discrete_ca.kernels import GaussianNoiseKernel, TransitionKernel, load_kernel
from discrete_ca.kernels.corrupted import CorruptionKernel
from discrete_ca.metrics import PitchCoding
from discrete_ca.runs.config import RunConfig
from discrete_ca.sealed import read_json, write_json
from discrete_ca.serialization import CONFIG_FILE, MODEL, TOKENIZER_FILE, model_folder
from discrete_ca.training.records import BEST

SETTINGS_FILE = "settings.json"
_MAY_CHANGE = {  # what leaves the law that is learned as it is
    "steps", "minutes", "progress", "folder", "save_minutes", "accumulate", "workers", "compile",
    "observe_every", "best", "trackers",
}  # fmt: skip


def remembered(folder: Path) -> RunConfig | None:
    """The settings that the run in a folder was started with; None where there is none.

    Raises:
        CheckpointError: for a file that cannot be read.
        ConfigError: for settings that are not allowed.
    """
    place = folder / SETTINGS_FILE
    if not place.exists():
        return None
    values = read_json(place)
    if isinstance(values.get("kernel"), dict):  # those of older runs do not say, and had none
        values["kernel"].setdefault("add_evidence", False)
    return RunConfig.from_dict(values)


def remember(folder: Path, config: RunConfig, anew: bool = False) -> None:
    """Write down what a run is started with; one that goes on must have the same.

    Args:
        folder: the run's.
        config: its settings.
        anew: that nothing was trained there yet, so that any settings may be taken.

    Raises:
        ConfigError: for a setting that differs and changes what is learned.
    """
    before = None if anew else remembered(folder)
    if before is None:
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / SETTINGS_FILE, config.to_dict())
        return
    old, new = before.to_dict(), config.to_dict()
    for part, values in new.items():
        for name, value in values.items():
            if value != old[part][name] and not (part == "train" and name in _MAY_CHANGE):
                raise ConfigError(
                    f"{part}.{name} was {value!r}, but the run in '{folder}' was started with "
                    f"{old[part][name]!r}; allowed: the same"
                )


@dataclass(frozen=True)
class SavedRun:
    """A trained kernel with what its folder says of it.

    Args:
        kernel: the kernel.
        shape: S of its data; None where the folder does not say.
        num_categories: K; None likewise, and for real-valued states.
        about: what run.json holds, {} where there is none.
        tokenizer: what makes text of its states; None where the run has none.
    """

    kernel: TransitionKernel
    shape: tuple[int, ...] | None
    num_categories: int | None
    about: dict[str, Any]
    tokenizer: Tokenizer | None = None

    @property
    def continuous(self) -> bool:
        """Whether its states are real numbers."""
        data = self.about.get("config", {}).get("data", {})
        return isinstance(self.kernel, GaussianNoiseKernel) or bool(data.get("continuous"))

    def coding(self, lowest: int | None = None, rest: int | None = None) -> PitchCoding | None:
        """Which pitch a category means; None for data that are no music.

        Args:
            lowest: the MIDI pitch of category 0; None for what the run says (music that
                `data.load_scores` read).
            rest: the category of a rest, likewise.
        """
        name = self.about.get("data", {}).get("name")
        own = PitchCoding.of_scores(name) if isinstance(name, str) else None
        if lowest is None and rest is None:
            return own
        own = own or PitchCoding()
        return PitchCoding(
            own.lowest if lowest is None else lowest, own.rest if rest is None else rest
        )

    def examples(self, split: str | None = None) -> DiscreteData | ContinuousData | None:
        """The run's own data, read again where they lie on this machine.

        Args:
            split: of their source; None for what was trained on.

        Returns:
            None where they are not there any more, are a stream or have no such split.
        """
        if "config" not in self.about:
            return None
        config = RunConfig.from_dict(self.about["config"]).data
        if config.streaming or (hub.is_name(config.source) and not Path(config.source).exists()):
            return None
        if split is not None:
            config = dataclasses.replace(config, split=split)
        try:
            found = config.load()
        except (ConfigError, DataError, OSError):
            return None
        fits = (tuple(found.shape), found.num_categories) == (self.shape, self.num_categories)
        return found if fits and not isinstance(found, StreamedData) else None

    def padding(self, count: int, generator: torch.Generator | None = None) -> Known | None:
        """Which sites of so many examples are data, as in rows of the run's data drawn by chance.

        Returns:
            What chains take as `known`, (mask, values), each (count, *S); None where the data have
            no padding.

        Raises:
            DataError: for data that can no longer be read.
        """
        if not self.about.get("data", {}).get("padded"):
            return None
        examples = RunConfig.from_dict(self.about["config"]).data.load()
        if not isinstance(examples, DiscreteData) or examples.present is None:
            raise DataError(f"{examples.name} has no padding any more; allowed: the run's data")
        rows = torch.randint(len(examples), (count,), generator=generator)
        return examples.present[rows], examples[rows]


def save_model(folder: Path, kernel: TransitionKernel, examples: Examples) -> None:
    """Write the kernel into a run's folder, with the tokenizer of its data beside it."""
    kernel.save_pretrained(folder / MODEL)
    if isinstance(examples, DiscreteData) and examples.tokenizer is not None:
        examples.tokenizer.save(folder / MODEL)


def describe(
    config: RunConfig,
    examples: Examples,
    training: dict[str, Any],
) -> dict[str, Any]:
    """What run.json holds: the config, the data's shape and what training cost."""
    count = None if isinstance(examples, StreamedData) else len(examples)
    data: dict[str, Any] = {
        "name": examples.name, "count": count, "shape": list(examples.shape),
        "num_categories": examples.num_categories,
    }  # fmt: skip
    if getattr(examples, "present", None) is not None:
        data["padded"] = True
    if examples.num_classes is not None:
        data["num_classes"] = examples.num_classes
    return {"config": config.to_dict(), "data": data, "training": training}


def load_run(path: str | Path, trust_code: bool = False, revision: str | None = None) -> SavedRun:
    """The kernel in a run's folder, or in a folder that `save_pretrained` wrote.

    Args:
        path: the folder, or "user/name" on the Hub where there is no such folder.
        trust_code: import classes from outside this package, named in the config.
        revision: branch, tag or commit on the Hub.

    Raises:
        CheckpointError: for a folder without a kernel, one that cannot be loaded, or a name on the
            Hub that cannot be fetched.
    """
    folder = hub.local_folder(path, revision)
    place = model_folder(folder)
    if not place.is_dir():
        raise CheckpointError(
            f"run '{folder}' is not a folder; allowed: a run, a saved kernel, or 'user/name' on "
            "the Hub"
        )
    if not (place / CONFIG_FILE).exists() and (folder / SETTINGS_FILE).exists():
        raise CheckpointError(
            f"the run in '{folder}' has not ended; go on with it: "
            f"discrete-ca train {folder} --resume"
        )
    kernel = load_kernel(place, trust_code)
    own = folder.name != BEST or (folder / RUN_FILE).exists()
    told = folder if own else folder.parent  # the best weights of a run
    about = read_json(told / RUN_FILE) if (told / RUN_FILE).exists() else {}
    facts = about.get("data", {})
    try:
        shape = tuple(int(n) for n in facts["shape"]) if "shape" in facts else None
        categories = facts.get("num_categories")
        if categories is None and isinstance(kernel, CorruptionKernel):
            categories = kernel.corruption.num_categories
        categories = None if categories is None else int(categories)
    except (TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(
            f"'{folder / RUN_FILE}' has data that cannot be read: {error}"
        ) from error
    words = place if (place / TOKENIZER_FILE).exists() else model_folder(told)
    tokenizer = load_tokenizer(words) if (words / TOKENIZER_FILE).exists() else None
    if tokenizer is not None and categories is not None and tokenizer.size != categories:
        raise CheckpointError(
            f"'{words / TOKENIZER_FILE}' has {tokenizer.size} categories; allowed: {categories}, "
            "as the kernel has"
        )
    return SavedRun(kernel, shape, categories, about, tokenizer)
