"""Recipes: whole configs of runs that come with the package, as TOML files with a name."""

from __future__ import annotations

from pathlib import Path

from discrete_ca.errors import ConfigError, unknown_name

_FOLDER = Path(__file__).parents[1] / "recipes"


def recipes() -> dict[str, str]:
    """What each recipe trains, by name: the comment on the first line of its file.

    Example:
        >>> recipes()["toys"].split(",")[0]
        'Points about two half circles in the plane'
    """
    files = sorted(_FOLDER.glob("*.toml"))
    return {f.stem: f.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ") for f in files}


def config_file(name: str | Path) -> Path:
    """The file that a name or a path means; a bare name that is a recipe's is the recipe.

    Raises:
        ConfigError: for a bare name that is neither a recipe's nor a file's.

    Example:
        >>> config_file("mnist16").name, config_file("./mnist16").name, config_file("x.toml").name
        ('mnist16.toml', 'mnist16', 'x.toml')
    """
    text, path = str(name), Path(name)
    bare = isinstance(name, str) and text == path.name and not path.suffix
    if not bare or (text not in recipes() and path.exists()):
        return path
    if text not in recipes():
        raise ConfigError(f"{unknown_name('recipe', text, recipes())}; or a TOML file")
    return _FOLDER / f"{text}.toml"
