"""The commands that share: push a run to the Hub, list the recipes."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from discrete_ca import hub, runs
from discrete_ca.cli.terminal import Place, console


@dataclass(frozen=True)
class Push:
    """Send a run to the Hugging Face Hub: the kernel, its facts and a model card.

    Every command that takes a run takes user/name afterwards. A README.md in the run's folder is
    sent as it is, in place of the card. Logging in: `hf auth login`.
    """

    run: Place
    """A run's folder, or one that save_pretrained wrote."""
    name: Annotated[str, tyro.conf.Positional]
    """user/name on the Hub; made if there is none."""
    private: bool = False
    """Make a new repository private."""
    revision: str | None = None
    """The branch, made if there is none."""
    license: str | None = None
    """For the card, such as mit."""
    dry_run: bool = False
    """Say what would be sent and print the card; no network."""
    trust_code: bool = False
    """Import classes from outside the package that the run names."""

    def __call__(self) -> None:
        """Do it."""
        if not self.dry_run:
            address = runs.push_run(
                self.run, self.name, private=self.private or None, revision=self.revision,
                license=self.license, trust_code=self.trust_code,
            )  # fmt: skip
            console.print(f"Sent to {address}")
            return
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            runs.write_shared(self.run, self.name, folder, self.trust_code, self.license)
            for file in sorted(folder.iterdir()):
                console.print(f"{file.stat().st_size:12,} bytes  {file.name}")
            console.print()
            console.print((folder / hub.CARD_FILE).read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Recipes:
    """List the recipes that `discrete-ca train FOLDER --config NAME` takes."""

    def __call__(self) -> None:
        """Do it."""
        for name, text in runs.recipes().items():
            console.print(f"{name:20}{text}")
