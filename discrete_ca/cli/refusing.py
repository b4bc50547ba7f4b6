"""What the parser of arguments refuses, in one line, with the nearest option."""

from __future__ import annotations

import dataclasses
import difflib
import re
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

_BORDERS, _RULES = "│|╭╮╰╯+ ", "─-"  # the parser draws them by what the place of output takes
_USUAL = {"--n": "--count", "--num": "--count", "--output": "--out"}
"""What options are called elsewhere."""


def options(command: Any, prefix: str = "--") -> Iterator[str]:
    """The options of a command, a dataclass; those of settings have the names of their tables."""
    for name, hint in typing.get_type_hints(command).items():
        if not dataclasses.is_dataclass(hint):
            yield prefix + name.replace("_", "-")
        else:  # the settings of a run stand at the top
            yield from options(hint, prefix if name == "run" else f"{prefix}{name}.")


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The option that was probably meant.

    Example:
        >>> nearest("--n", ["--count"]), nearest("--steps", ["--seed", "--train.steps"])
        ('--count', '--train.steps')
        >>> nearest("--train.step", ["--train.steps"]), nearest("--xyz", ["--count"])
        ('--train.steps', None)
    """
    every = list(known)
    if _USUAL.get(word) in every:
        return _USUAL[word]
    inner = [option for option in every if option.endswith(f".{word.lstrip('-')}")]
    return next(iter(inner or difflib.get_close_matches(word, every, n=1)), None)


def one_line(said: str, given: Sequence[str], commands: Mapping[str, Any]) -> str:
    """The first paragraph of the parser's box, and which option was probably meant.

    Args:
        said: the box.
        given: the arguments.
        commands: the dataclass of each command, by name.
    """
    lines = [line.strip(_BORDERS) for line in re.sub(r"\x1b\[[0-9;]*m", "", said).splitlines()]
    parted = ["" if set(line) <= {*_RULES} else line for line in lines[1:]]  # below the title
    text = "\n".join(parted).strip("\n").partition("\n\n")[0]
    text = " ".join(text.split()).replace("{None}|", "")
    text = re.sub(r"Error parsing (?!--)\S+: ", "", text)  # a name of the parser's own
    text = re.sub(r" \(applied to [\w -]+\)", "", text)
    unknown = re.match(r"Unrecognized (?:or misplaced )?options: ([\w.-]+)", text)
    if unknown:
        command = commands.get(name := given[0])
        meant = nearest(unknown[1], commands if command is None else options(command))
        text += f"; did you mean {meant}?" if meant else ""
        text += f" (discrete-ca {'' if command is None else name + ' '}--help lists all)"
    return text
