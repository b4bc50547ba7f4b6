"""The command line, ``discrete-ca``: flags and TOML in one schema, errors of one line."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import io
import operator
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from discrete_ca.errors import ConfigError, MissingLibraryError

UNEXPECTED, USAGE = 1, 2
SHORT = {
    "--data": "--data.source",
    "--net": "--net.kind",
    "--kernel": "--kernel.kind",
    "--corruption": "--kernel.corruption",
    "--recipe": "--recipe.kind",
    "--train.lr": "--train.learning-rate",
}
"""Short names of settings."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; the exit code: 0, 2 for what was refused, 1 for a fault, 130 if interrupted.

    Args:
        argv: the arguments; None for those of the process. ``--debug`` shows tracebacks.
    """
    given = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in given
    given = [word for word in given if word != "--debug"]
    try:
        command = _parse(given)
        command()
    except KeyboardInterrupt as stopped:
        saved = f": {stopped}; go on with --resume" if str(stopped) else ""
        print(f"interrupted{saved}", file=sys.stderr)
        return 130
    except BrokenPipeError:  # what reads the output has seen enough
        sys.stdout = None  # type: ignore[assignment]
        return 0
    except (ValueError, TypeError, OSError, MissingLibraryError) as error:
        if debug:
            raise
        text = " ".join(str(error).split()).replace("resume=True", "--resume")
        text = text.replace("trust_code=True", "--trust-code")
        print(f"error: {text}", file=sys.stderr)
        return USAGE
    except Exception as error:
        if debug:
            raise
        print(f"error: unexpected {error!r}; --debug shows where", file=sys.stderr)
        return UNEXPECTED
    except SystemExit as done:  # the help was shown
        return done.code if isinstance(done.code, int) else USAGE
    return 0


def _parse(given: list[str]) -> Any:
    import tyro

    from discrete_ca.cli.exploring import Explore
    from discrete_ca.cli.refusing import one_line
    from discrete_ca.cli.reporting import Bench, Demo, Eval, Exact, Info
    from discrete_ca.cli.running import Inpaint, Sample, Variants
    from discrete_ca.cli.sharing import Push, Recipes
    from discrete_ca.cli.training import Train

    if given[:1] == ["bench"] and given[1:] and not given[1].startswith("-"):
        return Bench(given[1], tuple(given[2:]))  # which parses its options itself
    run, given = _config(given)
    kinds: tuple[Any, ...] = (
        Train, Sample, Variants, Inpaint, Explore, Eval, Exact, Info, Push, Recipes, Demo, Bench,
    )  # fmt: skip

    def subcommand(kind: Any) -> Any:
        settings: dict[str, Any] = {"name": kind.__name__.lower()}
        if kind is Train:
            settings["default"] = Train(tyro.MISSING, run)
        return Annotated[kind, tyro.conf.subcommand(**settings)]

    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            return tyro.cli(
                functools.reduce(operator.or_, map(subcommand, kinds)),
                prog="discrete-ca",
                description="Discrete-state generative modelling with stationary Markov kernels.",
                args=given,
            )
    except SystemExit as done:
        if not done.code:  # the help was shown
            raise
        commands = {kind.__name__.lower(): kind for kind in kinds}
        raise ConfigError(one_line(said.getvalue(), given, commands)) from None


def _config(given: list[str]) -> tuple[Any, list[str]]:
    """The settings that ``--config`` gives, else the defaults, and the other arguments."""
    from discrete_ca.runs import RunConfig, remembered

    run, rest = RunConfig(), []
    if given[:1] == ["train"] and "--resume" in given:
        for word in given[1:]:  # the folder may stand anywhere; others hold no settings
            run = remembered(Path(word)) or run
    words = iter(given)
    for word in words:
        name, equals, value = word.partition("=")
        if name == "--config" and given[0] == "train":
            path = value if equals else next(words, None)
            if not path:
                raise ConfigError("--config was given without a file")
            run = RunConfig.from_toml(path)
        else:
            rest.append(SHORT.get(name, name) + equals + value)
    flags = {word.partition("=")[0] for word in rest}
    train = run.train  # a budget on the line replaces that of the file
    if "--train.steps" in flags:
        train = dataclasses.replace(train, steps=1, minutes=None)
    elif "--train.minutes" in flags:
        train = dataclasses.replace(train, steps=None, minutes=1.0)
    return dataclasses.replace(run, train=train), rest
