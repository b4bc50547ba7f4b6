"""Objects to JSON + safetensors and back: a class's constructor arguments are its configuration.

`Configured` records the arguments that an object was made with. `describe` turns such an object
into plain JSON (nested objects become ``{"class": "package.module:Name", "args": {...}}``, tensors
go to the safetensors file, sparse ones as indices and values), `build` makes it again. Nothing is
ever pickled, and code outside this package is imported only when the caller says `trust_code=True`.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from discrete_ca.errors import CheckpointError
from discrete_ca.sealed import read_document, read_sealed, write_sealed

PACKAGE = "discrete_ca"
CONFIG_FILE = "config.json"
MODEL = "model"  # folder of the kernel in that of a run
TOKENIZER_FILE = "tokenizer.json"  # beside them, for kernels of text
WEIGHTS_FILE = "model.safetensors"
_ARGUMENT = "argument:"


class Configured:
    """Mixin that remembers the constructor's arguments, so that the object can be saved.

    Example:
        >>> class Scale(Configured):
        ...     def __init__(self, factor: float = 2.0) -> None:
        ...         self.factor = factor
        >>> Scale(3.0).config
        {'factor': 3.0}
    """

    config: dict[str, Any]
    live: ClassVar[frozenset[str]] = frozenset()
    """Arguments that are attributes of the same name, saved as they are now."""

    def current_config(self) -> dict[str, Any]:
        """The recorded arguments, the `live` ones as they are now."""
        values = getattr(self, "config", {})
        return {k: getattr(self, k, v) if k in self.live else v for k, v in values.items()}

    def check_made(self) -> None:
        """Called when the constructor is done: whether it did what a class needs of it."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Wrap the subclass's own constructor, if it has one."""
        super().__init_subclass__(**kwargs)
        if "__init__" not in cls.__dict__:
            return
        original = cls.__init__
        signature = inspect.signature(original)

        @functools.wraps(original)
        def recording(self: Any, *args: Any, **kwargs: Any) -> None:
            outermost = "config" not in self.__dict__  # that constructor is the one called
            if outermost:
                bound = signature.bind(self, *args, **kwargs)
                bound.apply_defaults()
                bound.arguments.pop(next(iter(signature.parameters)))  # self, whatever it is called
                object.__setattr__(self, "config", dict(bound.arguments))
            original(self, *args, **kwargs)
            if outermost:
                self.check_made()

        cls.__init__ = recording  # type: ignore[method-assign]


def reference(cls: Any) -> str:
    """Name of a class or function as ``package.module:Name``.

    Example:
        >>> reference(Configured)
        'discrete_ca.serialization:Configured'
    """
    return f"{cls.__module__}:{getattr(cls, '__qualname__', '<unnamed>')}"


def model_folder(folder: Path) -> Path:
    """Where the kernel of a run lies: in its model/, or in the folder itself."""
    return folder / MODEL if (folder / MODEL).is_dir() else folder


def imported(name: str) -> Any:
    """What ``package.module:Name`` names, imported; errors are those of the import.

    A module may lie in the folder that one works in, as for ``python -m``.

    Example:
        >>> imported("math:pi")
        3.141592653589793
    """
    module, _, qualified = name.partition(":")
    if module.partition(".")[0] != PACKAGE and os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    found: Any = importlib.import_module(module)
    for part in qualified.split("."):
        found = getattr(found, part)
    return found


def resolve(name: str, trust_code: bool = False) -> Any:
    """The class or function called ``package.module:Name``.

    Raises:
        CheckpointError: for code outside this package without `trust_code=True`, or a name that
            cannot be imported.

    Example:
        >>> resolve("discrete_ca.corruption.linear:Uniform").__name__
        'Uniform'
    """
    module_name = name.partition(":")[0]
    foreign = CheckpointError(
        f"class '{name}' is not part of {PACKAGE}; pass trust_code=True to import it"
    )
    if not trust_code and not f"{module_name}.".startswith(f"{PACKAGE}."):
        raise foreign
    try:
        found = imported(name)
    except (ImportError, AttributeError, ValueError) as error:
        raise CheckpointError(f"class '{name}' cannot be imported: {error}") from error
    home = str(getattr(found, "__module__", ""))
    if not trust_code and not home.startswith(f"{PACKAGE}."):  # reached through an import of ours
        raise foreign
    return found


def describe(value: Any, tensors: dict[str, Tensor], name: str) -> Any:
    """`value` as JSON; tensors are put into `tensors` under `name`.

    Raises:
        CheckpointError: for a value that is neither JSON, a tensor, a class or function with a
            name, nor `Configured`.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.ndarray):
        value = torch.from_numpy(value)
    if isinstance(value, list | tuple):
        return [describe(v, tensors, f"{name}.{i}") for i, v in enumerate(value)]
    if isinstance(value, Tensor) and value.layout is not torch.strided:
        entries = value.detach().cpu().to_sparse_coo().coalesce()
        parts = {"indices": entries.indices(), "values": entries.values()}
        tensors |= {f"{_ARGUMENT}{name}.{key}": t.contiguous() for key, t in parts.items()}
        return {"tensor": name, "sparse": list(value.shape)}
    if isinstance(value, Tensor):
        tensors[_ARGUMENT + name] = value.detach().cpu().contiguous().clone()
        return {"tensor": name}
    if isinstance(value, Configured):
        args = {k: describe(v, tensors, f"{name}.{k}") for k, v in value.current_config().items()}
        return {"class": reference(type(value)), "args": args}
    if isinstance(value, nn.Module):  # can be saved, and loaded when given again
        return {"class": reference(type(value)), "args": None}
    if callable(value) and "<" not in reference(value):
        return {"function": reference(value)}
    raise CheckpointError(
        f"argument '{name}' is a {type(value).__name__} ({value!r:.80}), which cannot be saved; "
        "allowed: numbers, strings, lists, tensors, modules, functions of a module"
    )


def parts(described: Any) -> Iterator[dict[str, Any]]:
    """Every object, function and tensor in what `describe` made, the outermost first.

    Example:
        >>> [part["class"] for part in parts({"class": "a:B", "args": {"c": [{"class": "d:E"}]}})
        ...     if "class" in part]
        ['a:B', 'd:E']
    """
    if isinstance(described, dict):
        yield described
    inside = described.values() if isinstance(described, dict) else described
    if isinstance(described, dict | list):
        for value in inside:
            yield from parts(value)


def build(
    value: Any,
    tensors: Mapping[str, Tensor],
    trust_code: bool = False,
    given: Mapping[str, Any] | None = None,
) -> Any:
    """Make again what `describe` described; `given` overrides arguments of the outermost object."""
    if isinstance(value, list):
        return [build(v, tensors, trust_code) for v in value]
    if not isinstance(value, dict):
        return value
    if "tensor" in value:
        return _stored(value, tensors)
    if "function" in value:
        return resolve(str(value["function"]), trust_code)
    if not isinstance(value.get("class"), str):
        raise CheckpointError(f"{CONFIG_FILE} has an entry without a class: {value!r:.80}")
    args = value.get("args")
    if not isinstance(args, dict):
        raise CheckpointError(
            f"class '{value['class']}' did not record its arguments; make the object and pass it "
            "to load_kernel by its argument's name (net=..., corruption=...)"
        )
    cls = resolve(value["class"], trust_code)
    if not (isinstance(cls, type) and issubclass(cls, Configured)):
        raise CheckpointError(f"class '{value['class']}' is not one that can be loaded")
    made = {
        k: given[k] if given and k in given else build(v, tensors, trust_code)
        for k, v in args.items()
    }
    try:
        return cls(**made)
    except Exception as error:  # whatever a constructor makes of arguments that are not its own
        raise CheckpointError(f"class '{value['class']}' refused its arguments: {error}") from error


def _stored(value: dict[str, Any], tensors: Mapping[str, Tensor]) -> Tensor:
    """A tensor that `describe` stored, sparse or not."""
    name, size = str(value["tensor"]), value.get("sparse")
    parts = [name] if size is None else [f"{name}.indices", f"{name}.values"]
    if not all(_ARGUMENT + part in tensors for part in parts):
        raise CheckpointError(f"tensor '{name}' is missing from {WEIGHTS_FILE}")
    first, *rest = (tensors[_ARGUMENT + part] for part in parts)
    if not rest:
        return first
    try:
        made = torch.sparse_coo_tensor(first, rest[0], size, check_invariants=True)
    except (RuntimeError, TypeError, ValueError) as error:
        raise CheckpointError(f"tensor '{name}' is no sparse tensor: {error}") from error
    return made.coalesce()


def save_module(module: nn.Module, path: str | Path) -> None:
    """Write a `Configured` module to the folder `path`: config.json and model.safetensors.

    Both files are written beside their places and then moved there, so that a failure leaves
    what was there before.

    Raises:
        CheckpointError: for a path that is a file or the folder of a run, whose kernel it would
            stand before, or an argument that cannot be saved.
    """
    folder = Path(path)
    if folder.exists() and not folder.is_dir():
        raise CheckpointError(f"path '{folder}' is a file; allowed: a folder")
    if (folder / MODEL / CONFIG_FILE).exists():
        raise CheckpointError(
            f"path '{folder}' holds a run; allowed: another folder, or '{folder / MODEL}' to put "
            "this in place of the run's kernel"
        )
    tensors: dict[str, Tensor] = {}
    config = {"format": 1, **describe(module, tensors, "kernel")}
    tensors |= {k: v.detach().cpu().contiguous().clone() for k, v in module.state_dict().items()}
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".saving-") as temporary:
        weights, text = Path(temporary, WEIGHTS_FILE), Path(temporary, CONFIG_FILE)
        write_sealed(weights, tensors, text, config)
        os.replace(weights, folder / WEIGHTS_FILE)
        os.replace(text, folder / CONFIG_FILE)


def load_module(
    path: str | Path, trust_code: bool = False, given: Mapping[str, Any] | None = None
) -> Any:
    """Read a module that `save_module` wrote.

    Args:
        path: the folder.
        trust_code: allow classes outside this package.
        given: arguments of the outermost object to use in place of the recorded ones.

    Raises:
        CheckpointError: for missing, truncated or changed files, unknown arguments, weights that
            do not fit, and code that is not trusted.
    """
    folder = Path(path)
    document = read_document(folder / CONFIG_FILE)
    config, _ = document
    if config.get("format") != 1:
        raise CheckpointError(f"'{folder}' has format {config.get('format')!r}; allowed: 1")
    recorded = config.get("args")
    unknown = set(given or ()) - set(recorded if isinstance(recorded, dict) else ())
    if unknown:
        raise CheckpointError(f"arguments {sorted(unknown)} are not among the saved ones")
    tensors, config = read_sealed(folder / WEIGHTS_FILE, folder / CONFIG_FILE, document)
    module = build(config, tensors, trust_code, given)
    weights = {k: v for k, v in tensors.items() if not k.startswith(_ARGUMENT)}
    dtypes = {v.dtype for v in weights.values() if v.is_floating_point()}
    try:
        if dtypes == {torch.float64}:
            module.to(torch.float64)  # first: weights copied into float32 would be rounded
        module.load_state_dict(weights)
    except (RuntimeError, AttributeError) as error:
        raise CheckpointError(f"the weights in '{folder}' do not fit: {error}") from error
    return module
