"""Model cards: what a kernel is, what came of it and how it is used, from what was recorded.

The same facts stand on a card on the Hub and in what ``discrete-ca info`` prints.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from discrete_ca import metrics, serialization
from discrete_ca.data.loading import NAMES
from discrete_ca.serialization import PACKAGE, Configured

_QUIET = {"source", "folder", "progress", "save_minutes"}  # of one machine, or told elsewhere
_CHAIN = ("moves", "correctors")  # settings of `sample` that a report may hold


def shown(value: Any) -> str:
    """A value in one line, with the arguments that it was made with.

    Example:
        >>> from discrete_ca.corruption import Ordinal
        >>> shown(Ordinal(16))
        'Ordinal(num_categories=16, scale=0.5)'
    """
    if isinstance(value, Configured):
        args = ", ".join(f"{k}={shown(v)}" for k, v in value.current_config().items())
        return f"{type(value).__name__}({args})"
    if isinstance(value, Tensor):
        return f"tensor of shape {tuple(value.shape)}"
    if isinstance(value, nn.Module):
        return type(value).__name__
    return serialization.reference(value) if callable(value) else repr(value)


@dataclass(frozen=True)
class ModelCard:
    """What there is to say of a kernel; `str` of it is the text of README.md on the Hub.

    Args:
        kernel: the kernel.
        name: its folder, or "user/name" on the Hub.
        about: what run.json holds, {} where there is none.
        measured: reports of measurements; see `discrete_ca.metrics.rows`.
        license: such as "mit"; None says nothing.

    Example:
        >>> import discrete_ca as dca
        >>> kernel = dca.CategoricalNoiseKernel(dca.nn.MLP(2, 2, (5,)), dca.corruption.Uniform(2))
        >>> card = ModelCard(kernel, "user/name", {"data": {"shape": [5]}})
        >>> card.facts()["kernel"]["corruption"]
        'Uniform(num_categories=2)'
        >>> card.commands()[-1]
        'discrete-ca inpaint user/name --design FILE:0 --span 0 2'
    """

    kernel: nn.Module
    name: str
    about: Mapping[str, Any] = field(default_factory=dict)
    measured: Sequence[Mapping[str, Any]] = ()
    license: str | None = None

    @property
    def shape(self) -> tuple[int, ...] | None:
        """S of its data; None where nothing says."""
        shape = _table(self.about, "data").get("shape")
        return None if shape is None else tuple(shape)

    @property
    def num_categories(self) -> int | None:
        """K; None for a kernel without categories."""
        noise = getattr(self.kernel, "corruption", None)
        of_noise = getattr(noise, "num_categories", None)
        return _table(self.about, "data").get("num_categories", of_noise)

    def facts(self) -> dict[str, dict[str, str]]:
        """What is known, by subject: the kernel, its data, its settings, what training cost."""
        count = sum(p.numel() for p in self.kernel.parameters())
        kernel = {"class": type(self.kernel).__name__, "parameters": f"{count:,}"}
        if isinstance(self.kernel, Configured):
            arguments = self.kernel.current_config().items()
            kernel |= {k: shown(v) for k, v in arguments if v is not None}
        settings = {
            f"{part}.{k}": str(v)
            for part in ("data", "recipe", "train")
            for k, v in _table(_table(self.about, "config"), part).items()
            if v is not None and k not in _QUIET
        }
        cost = metrics.rows(_table(self.about, "training"))
        data = {k: str(v) for k, v in _table(self.about, "data").items() if v is not None}
        if "num_classes" in data and not self.kernel.told_label:
            data["num_classes"] += " (the network is not told the labels: --net.labels)"
        found = {
            "kernel": kernel,
            "data": data,
            "settings": settings,
            "training": {what: value for what, value, _ in cost},
        }
        return {subject: values for subject, values in found.items() if values}

    def commands(self) -> list[str]:
        """Command lines to try; none where nothing says what the states are."""
        shape, k, start = self.shape, self.num_categories, self._start()
        numbers = start is not None and start.is_floating_point()
        if k is None and not numbers:
            return []
        if shape is None:
            return [f"discrete-ca sample {self.name} --count 64 --shape S"]
        source = _table(_table(self.about, "config"), "data").get("source")
        # its examples, or such digits, come with the package
        embedded = source in NAMES or (shape == (28, 28) and (numbers or k in (2, 16)))
        design = f"--design {'test:0' if embedded else 'FILE:0'}"
        label = " --label 0" if self.kernel.told_label else ""  # a design's own is told unsaid
        found = [f"variants {{}} {design} --level 0.3"]
        if start is not None:
            found.insert(0, f"sample {{}} --count 64{label}")
            if len(shape) >= 2:
                height, width = shape[-2:]
                found.append(f"inpaint {{}} {design} --box {height // 2} {height} 0 {width}")
            elif shape:
                found.append(f"inpaint {{}} {design} --span 0 {max(shape[0] // 2, 1)}")
        return [f"discrete-ca {line.format(self.name)}" for line in found]

    def usage(self) -> str:
        """Python that loads the kernel by its name, samples, makes variants and inpaints."""
        shape, arguments = self.shape, serialization.describe(self.kernel, {}, "kernel")["args"]
        given = {k: v["class"] for k, v in arguments.items() if _unrecorded(v)}
        trust = ["trust_code=True"] if self._foreign() else []
        loading = [f'"{self.name}"', *trust, *(f"{k}={k}" for k in given)]
        label = ", label=0" if self.kernel.told_label else ""
        lines = [
            "import torch",
            "import discrete_ca as dca",
            "",
            *(f"{k} = ...  # a {reference}, made as it was" for k, reference in given.items()),
            f"kernel = dca.load_kernel({', '.join(loading)})",
            "g = torch.Generator().manual_seed(0)",
            f"shape = {'...  # S, of one example' if shape is None else shape}",
        ]
        starts = self._start() is not None
        if starts:
            steps = {k: v for r in self.measured for k, v in r.items() if k in _CHAIN}
            settings = "".join(f", {k}={v}" for k, v in steps.items()) + label
            lines += [f"x = dca.sample(kernel, 16, shape{settings}, generator=g)", "design = x[0]"]
        else:
            lines += ["design = ...  # a clean example, of that shape"]
        lines += [f"near = dca.variants(kernel, design, n=8, level=0.2{label}, generator=g)"]
        if starts and shape:
            rows = len(shape) >= 2
            half = f"..., {shape[-2] // 2}:, :" if rows else f":{max(shape[0] // 2, 1)}"
            lines += [
                "mask = torch.zeros(shape, dtype=torch.bool)",
                f"mask[{half}] = True  # True = generate",
                f"filled = dca.inpaint(kernel, design, mask, n=8{label}, generator=g)",
            ]
        return "\n".join(lines)

    def _foreign(self) -> list[str]:
        """Modules outside this package that loading imports."""
        described = serialization.describe(self.kernel, {}, "kernel")
        names = [
            part.get("class", part.get("function"))
            for part in serialization.parts(described)
            if not _unrecorded(part)
        ]
        modules = {name.partition(":")[0] for name in names if isinstance(name, str)}
        return sorted(m for m in modules if not f"{m}.".startswith(f"{PACKAGE}."))

    def _start(self) -> Tensor | None:
        """A draw from the law at level 1, where it is known: an annealed run can start there."""
        kernel: Any = self.kernel
        try:
            start: Tensor = kernel.initial(1, (1,), torch.Generator())
        except (NotImplementedError, ValueError):
            return None
        return start

    def __str__(self) -> str:
        from huggingface_hub import ModelCardData

        tags = ["discrete-diffusion", "markov-chain", "contrastive-adjustment"]
        data = ModelCardData(library_name=PACKAGE, license=self.license, tags=tags)
        return "\n".join(["---", data.to_yaml(), "---\n", *self._body()])

    def _body(self) -> Iterator[str]:
        yield f"# {self.name.rpartition('/')[2]}\n"
        yield (
            f"A Markov kernel for the Python package `{PACKAGE}`: run it, and it walks through its "
            "data; a noise level says how far a step goes "
            "([arXiv 2303.05497](https://arxiv.org/abs/2303.05497)).\n"
        )
        yield f"```python\n{self.usage()}\n```\n"
        if modules := self._foreign():
            yield f"Loading imports {', '.join(modules)}, which this repository does not hold.\n"
        if commands := self.commands():
            yield "\n".join(["```console", *(f"$ {line}" for line in commands), "```\n"])
        for subject, values in self.facts().items():
            yield f"## {subject.capitalize()}\n"
            yield from (f"- {key}: `{value}`" for key, value in values.items())
            yield ""
        yield "## Measurements\n"
        for report in self.measured:
            yield "| measure | value | of real data |\n| --- | --- | --- |"
            yield from (f"| {' | '.join(row)} |" for row in metrics.rows(report))
            yield ""
        if not self.measured:
            yield "None were taken.\n"


def _table(values: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """A table of a file that anyone may have written: {} for anything else."""
    found = values.get(key)
    return found if isinstance(found, Mapping) else {}


def _unrecorded(described: Any) -> bool:
    """Whether this stands for a module that did not record its arguments."""
    return isinstance(described, dict) and "class" in described and described["args"] is None
