"""The command that serves a run to a browser: explore."""

from __future__ import annotations

import webbrowser
from dataclasses import dataclass, replace
from pathlib import Path

from discrete_ca import runs, server
from discrete_ca.cli.terminal import Place, best_device, console
from discrete_ca.errors import ConfigError


@dataclass(frozen=True)
class Explore:
    """Explore a run in the browser: variants, painting, locking, walks, a tree of designs.

    Everything that you do is saved as you do it. Needs: pip install 'discrete_ca[explore]'.
    """

    run: Place
    """A run's folder, one that save_pretrained wrote, or user/name on the Hub."""
    folder: Path | None = None
    """Where sessions are kept; explore/ in the run's folder unless said."""
    designs: Path | None = None
    """An array file (.npz, .npy) with designs to begin with, and their labels; unless said, the
    run's own data where they are there, else MNIST digits where they fit."""
    host: str = "127.0.0.1"
    """The interface to listen on; others than this machine's own must know a token."""
    port: int = 8017
    """The port; 0 for a free one."""
    token: str | None = None
    """The token, 16 characters or more; by chance unless said, none on this machine alone."""
    lowest_pitch: int | None = None
    """For voices (C, T): the MIDI pitch of category 0, where the run does not say."""
    rest: int | None = None
    """For voices: the category that is a rest, likewise."""
    shape: tuple[int, ...] = ()
    """S, where the run does not say."""
    open: bool = False
    """Open the browser."""
    trust_code: bool = False
    """Import classes from outside the package that the run names."""

    def __call__(self) -> None:
        """Do it."""
        try:
            address = server.Address(self.host, self.port, self.token)
        except ImportError as error:
            raise ConfigError(str(error)) from error
        saved = runs.load_run(self.run, self.trust_code)
        saved = replace(saved, shape=self.shape or saved.shape)
        saved.kernel.to(best_device())
        local = Path(self.run)
        folder = self.folder or (
            local / "explore" if local.is_dir() else Path("explore", local.name)
        )
        app = server.application(
            saved, local.name, folder,
            examples=None if self.designs is None else server.read_examples(self.designs, saved),
            coding=saved.coding(self.lowest_pitch, self.rest), address=address,
        )  # fmt: skip

        def tell(url: str) -> None:
            console.print(f"Open {url} (Ctrl-C ends it; sessions are kept in {folder}/).")
            if self.open:
                webbrowser.open(url)

        server.serve(app, address, tell)
