"""Sharing a run: what of its folder goes to the Hub, with a model card."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from discrete_ca import hub
from discrete_ca.card import ModelCard
from discrete_ca.data.loading import NAMES
from discrete_ca.errors import CheckpointError
from discrete_ca.runs.folder import SavedRun, load_run
from discrete_ca.sealed import read_json, write_json
from discrete_ca.serialization import CONFIG_FILE, WEIGHTS_FILE, model_folder


def write_shared(
    run: str | Path,
    repo_id: str,
    folder: Path,
    trust_code: bool = False,
    license: str | None = None,
) -> SavedRun:
    """Write into an empty folder what `push_run` sends.

    These are the kernel's files, bit for bit; run.json without what tells of the machine (the
    paths of the data and of the run); the reports of measurements; and a model card, README.md,
    the run's own where it has one.

    Raises:
        CheckpointError: for a name that is none, a run that cannot be loaded, or a licence beside
            a card of the run's own.
    """
    hub.check_name(repo_id)
    source = hub.local_folder(run)
    own = source / hub.CARD_FILE
    if own.exists() and license is not None:
        raise CheckpointError(
            f"license was {license!r}; allowed: None, since {own} is sent as it is"
        )
    saved = load_run(source, trust_code)
    for name in (CONFIG_FILE, WEIGHTS_FILE):
        shutil.copyfile(model_folder(source) / name, folder / name)
    if saved.tokenizer is not None:  # of best weights it lies in the run's model/
        saved.tokenizer.save(folder)
    about = _without_places(saved.about)
    if about:
        write_json(folder / hub.RUN_FILE, about)
    reports = {name: read_json(source / name) for name in hub.MEASURED if (source / name).exists()}
    for name, report in reports.items():
        write_json(folder / name, report)
    if own.exists():
        shutil.copyfile(own, folder / hub.CARD_FILE)
    else:
        card = ModelCard(saved.kernel, repo_id, about, [*reports.values()], license)
        (folder / hub.CARD_FILE).write_text(str(card), encoding="utf-8")
    return saved


def push_run(
    run: str | Path,
    repo_id: str,
    *,
    private: bool | None = None,
    revision: str | None = None,
    license: str | None = None,
    trust_code: bool = False,
) -> str:
    """Send a run, or a saved kernel, to the Hugging Face Hub; `load_run` loads it by its name.

    Args:
        run: its folder.
        repo_id: "user/name"; made if there is none.
        private: make a new repository private; None for the account's default.
        revision: the branch, made if there is none; None for the main one.
        license: for the card, such as "mit"; None says nothing.
        trust_code: import classes from outside the package that the run names.

    Returns:
        The address of the commit.

    Raises:
        CheckpointError: for a name that is none, a run that cannot be loaded, or where the Hub
            refuses or cannot be reached.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_shared(run, repo_id, folder, trust_code, license)
        return hub.upload(folder, repo_id, private=private, revision=revision)


def _without_places(about: dict[str, Any]) -> dict[str, Any]:
    """What run.json holds, with the name of the data in place of their path, and no folder."""
    config = about.get("config")
    if not isinstance(config, dict):
        return about
    data, train = ({**(config.get(part) or {})} for part in ("data", "train"))
    source = data.get("source")
    if source is not None and source not in NAMES and not hub.is_name(str(source)):
        data["source"] = Path(source).name
    if data.get("tokenizer") is not None:
        data["tokenizer"] = Path(data["tokenizer"]).name
    train.pop("folder", None)
    return {**about, "config": {**config, "data": data, "train": train}}
