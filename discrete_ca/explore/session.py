"""A session of designing with a chain: explore, lock, paint, pick, blend, go back, save.

The verbs of `edits` and `proposals` on a `Workspace`; nothing here draws.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from discrete_ca import files
from discrete_ca.data import Tokenizer
from discrete_ca.diagnostics import mixing
from discrete_ca.explore import edits, exporting, knobs, proposals
from discrete_ca.explore.operations import Operation
from discrete_ca.explore.storage import Record
from discrete_ca.explore.studio import Studio, as_array
from discrete_ca.explore.tree import Node
from discrete_ca.explore.workspace import Where, Workspace

_TUNERS = 32


class Session(Workspace):
    """A tree of designs over a kernel.

    Where one design comes of an operation it is picked; where several come one picks among them.

    Args:
        kernel: any kernel over categories; it is never left changed.
        shape: S, the shape of a design: (28, 28), (3, 32, 32), (256,), (4, 64).
        num_categories: K; None for that of the kernel.
        seed: with it and the number of an operation every draw is the same again.
        tokenizer: what makes text of designs, where they are text.

    Attributes:
        tree: the designs.

    Raises:
        ValueError: for a shape or K that is not allowed.

    Example:
        >>> from discrete_ca import CategoricalNoiseKernel, corruption, nn
        >>> kernel = CategoricalNoiseKernel(nn.MLP(2, 2, shape=(5,)), corruption.Uniform(2))
        >>> session = Session(kernel, (5,))
        >>> first = session.start(torch.tensor([0, 1, 1, 0, 0]))
        >>> locked = session.lock(torch.tensor([True, False, False, False, False]))
        >>> near = session.variants(n=4, level=0.3, steps=2)
        >>> [int(node.design[0]) for node in near], near[0].nfe
        ([0, 0, 0, 0], 12)
        >>> session.pick(near[2]).id, session.undo().id, session.replay()
        (5, 2, [])
    """

    def _become(self, record: Record, studio: Studio | None, tokenizer: Tokenizer | None) -> None:
        super()._become(record, studio, tokenizer)
        self._tuners: dict[Any, knobs.Tuner] = {}

    # -- beginning --------------------------------------------------------------------------------

    def start(self, design: Any, locked: Any = None, label: int | None = None) -> Node:
        """Begin with a design from data.

        Args:
            design: categories of shape S.
            locked: cells that no draw may change, such as padding: boolean, True = locked.
            label: its class, for `label` to say again; no draw is told it by itself.

        Raises:
            DataError: for another shape, or values that are no categories.
            ValueError: for a label that is no whole number >= 0.
        """
        studio = self.studio
        given = None if locked is None else studio.cells(locked, "locked", least=0)
        return self._one(edits.Begin(design=studio.design(design), locked=given, label=label))

    def start_from_file(
        self, source: str | Path, settings: Mapping[str, Any] | None = None
    ) -> Node:
        """Begin with a file: a picture, .npy, .npz, .txt (``file.npz:3``), or ``test:3``, a digit.

        Its categories are kept in the session, and its class where the file or the digits say one
        (see `label`); not its name. Padding is locked.

        Args:
            source: the file.
            settings: how it is read: `binarize`, `quantize`, as the data of the run were.

        Raises:
            DataError: for a file that cannot be read or does not fit.
        """
        design, label, present = files.read_design(
            str(source), self.shape, self.num_categories, settings, self.tokenizer
        )
        return self.start(design, None if present is None else ~present, label)

    def start_from_noise(self, n: int = 8, **settings: Any) -> list[Node]:
        """Begin with n designs that the kernel makes of noise.

        Args:
            n: how many.
            settings: `moves`, `correctors`, `hold`, `label`, `draw`, `guidance`, `metropolis`.

        Raises:
            ValueError: for noise that does not forget, or settings out of range.
        """
        return self.do(proposals.FromNoise(n=n, **self._set(settings)), [])

    def start_from_sketch(
        self, sketch: Any, n: int = 8, held: bool = True, **settings: Any
    ) -> list[Node]:
        """Begin with n designs around a few cells.

        Args:
            sketch: categories of shape S, -1 where anything may be.
            n: how many.
            held: keep the sketched cells locked; otherwise they are a hint.
            settings: as for `start_from_noise`.

        Raises:
            DataError: for another shape, values that are no categories, or nothing open.
        """
        given = self.studio.design(sketch, "sketch", least=-1)
        return self.do(
            proposals.FromSketch(sketch=given, n=n, held=held, **self._set(settings)), []
        )

    # -- drawing ----------------------------------------------------------------------------------

    def variants(
        self, n: int = 8, *, node: Where = None, level: float = 0.2, hold: float | None = None,
        steps: int = 20, label: int | None = None, draw: bool = False, guidance: float = 0.0,
        metropolis: bool = False,
    ) -> list[Node]:  # fmt: skip
        """N neighbours of the picked design; where several are picked, shared out by weight.

        Args:
            n: how many.
            node: of which; None for what is picked.
            level: b: low stays near, high goes far.
            hold: h: near 1 is slow and faithful; None for the kernel's own.
            steps: steps of the chain.
            label: the class to draw, for kernels that are told it.
            draw: read out by a draw instead of the mode.
            guidance: how much louder the label is.
            metropolis: refuse steps that break detailed balance; see `discrete_ca.metropolis`.

        Raises:
            ValueError: for settings out of range.
        """
        settings = {
            "level": level, "hold": hold, "steps": steps, "label": label, "draw": draw,
            "guidance": guidance, "metropolis": metropolis,
        }  # fmt: skip
        # refused as a whole, before any is drawn
        whole = proposals.Variants(n=n, **self._set(settings))
        pick = self.tree.picked if node is None else None
        if pick is None or len(pick.ids) == 1:
            return self.do(whole, [self.node(node)])
        self.tree.room(whole.count)
        return [
            made
            for parent, share in zip(pick.ids, pick.shares(n), strict=True)
            if share
            for made in self.do(replace(whole, n=share), [self.tree[parent]], pick=False)
        ]

    def walk(
        self, n: int = 8, *, node: Where = None, level: float = 0.2, hold: float | None = None,
        steps: int = 1, label: int | None = None, draw: bool = False, guidance: float = 0.0,
        metropolis: bool = False,
    ) -> list[Node]:  # fmt: skip
        """A strip of n designs along one chain, `steps` apart.

        From a design that lies on a chain at this level (of `walk` or `propose`) the chain goes on.

        Args:
            n: how many.
            node: from where; None for what is picked.
            level: b.
            hold: h; None for the kernel's own.
            steps: steps of the chain between two of them.
            label: the class to draw.
            draw: read out by a draw instead of the mode.
            guidance: how much louder the label is.
            metropolis: refuse steps that break detailed balance.
        """
        settings = {
            "level": level, "hold": hold, "steps": steps, "label": label, "draw": draw,
            "guidance": guidance, "metropolis": metropolis,
        }  # fmt: skip
        return self.do(proposals.Walk(n=n, **self._set(settings)), [self.node(node)])

    def propose(
        self, n: int = 8, *, node: Where = None, level: float = 0.2, hold: float | None = None,
        steps: int = 4, label: int | None = None, draw: bool = False, guidance: float = 0.0,
        metropolis: bool = False,
    ) -> list[Node]:  # fmt: skip
        """N candidates beside the picked design, for a person to pick one or stay.

        Whoever picks with odds exp(s/τ), again and again, draws from the chain's law tilted by it
        (see `selection`); `refine` does it with a function.

        Args:
            n: how many.
            node: beside which; None for what is picked.
            level: b.
            hold: h; None for the kernel's own.
            steps: steps of the chain to a hidden centre, and from it to each.
            label: the class to draw.
            draw: read out by a draw instead of the mode.
            guidance: how much louder the label is.
            metropolis: refuse steps that break detailed balance.
        """
        settings = {
            "level": level, "hold": hold, "steps": steps, "label": label, "draw": draw,
            "guidance": guidance, "metropolis": metropolis,
        }  # fmt: skip
        return self.do(proposals.Propose(n=n, **self._set(settings)), [self.node(node)])

    def inpaint(self, mask: Any, n: int = 8, *, node: Where = None, **settings: Any) -> list[Node]:
        """Draw a part of the picked design anew; the rest and what is locked stay.

        Args:
            mask: True = generate, boolean, of shape S or one that broadcasts to it.
            n: how many.
            node: of which; None for what is picked.
            settings: `moves`, `correctors`, `hold`, `label`, `draw`, `guidance`, `metropolis`.
        """
        given = self.studio.cells(mask, "mask")
        return self.do(proposals.Inpaint(mask=given, n=n, **self._set(settings)), [self.node(node)])

    def blend(
        self, nodes: Iterable[int | Node] | None = None, n: int = 8, **settings: Any
    ) -> list[Node]:
        """N designs between several: cells on which they agree stay, the rest is drawn again.

        Args:
            nodes: the designs, two at least; None for those that are picked.
            n: how many.
            settings: `moves`, `correctors`, `hold`, `label`, `draw`, `guidance`, `metropolis`.

        Raises:
            ValueError: for fewer than two, designs that agree everywhere, or that lock a cell to
                different categories.
        """
        parents = self.picked if nodes is None else [self.node(node) for node in nodes]
        return self.do(proposals.Blend(n=n, **self._set(settings)), parents)

    # -- by hand ----------------------------------------------------------------------------------

    def lock(self, cells: Any, node: Where = None) -> Node:
        """Lock cells: no draw from here on changes them.

        Args:
            cells: True = lock, boolean, of shape S or one that broadcasts to it.
            node: of which design; None for what is picked.
        """
        return self._one(edits.Lock(cells=self.studio.cells(cells, "cells")), self.node(node))

    def unlock(self, cells: Any = True, node: Where = None) -> Node:
        """Let cells change again; all of them unless said."""
        return self._one(edits.Unlock(cells=self.studio.cells(cells, "cells")), self.node(node))

    def paint(self, cells: Any, values: Any, held: bool = True, node: Where = None) -> Node:
        """Give cells the categories that you want.

        Args:
            cells: True = paint, boolean, of shape S or one that broadcasts to it.
            values: one category, or categories of shape S.
            held: lock them; otherwise they are a hint that draws start from and may change.
            node: of which design; None for what is picked.

        Raises:
            DataError: for locked cells, or values that are no categories.
        """
        where = self.studio.cells(cells, "cells")
        given = as_array(values, "values")
        return self._one(edits.Paint(cells=where, values=given, held=held), self.node(node))

    # -- knobs ------------------------------------------------------------------------------------

    def knobs_for(
        self, change: float, *, node: Where = None, hold: float | None = None, steps: int = 20,
        n: int = 16, label: int | None = None, metropolis: bool = False, tolerance: float = 0.01,
    ) -> knobs.Knobs:  # fmt: skip
        """The level and hold whose variants change about that share of the unlocked cells.

        Measured on short runs, which are remembered: a second wish for the same design costs less,
        and the same wish nothing. See `knobs.Tuner.for_change`.

        Args:
            change: the share, such as 1/5.
            node: of which design; None for what is picked.
            hold: h to begin with; None for the kernel's own.
            steps: steps of the variants.
            n: runs a measurement.
            label: the class to draw.
            metropolis: refuse steps that break detailed balance.
            tolerance: how near is near enough.
        """
        tuner = self.tuner(node, steps=steps, n=n, label=label, metropolis=metropolis)
        return tuner.for_change(change, hold=hold, tolerance=tolerance)

    def tuner(
        self, node: Where = None, *, steps: int = 20, n: int = 16, label: int | None = None,
        guidance: float = 0.0, metropolis: bool = False,
    ) -> knobs.Tuner:  # fmt: skip
        """What measures how much settings change a design; it remembers what it measured.

        Args:
            node: of which design; None for what is picked.
            steps: steps of the variants.
            n: runs a measurement.
            label: the class to draw.
            guidance: how much louder the label is.
            metropolis: refuse steps that break detailed balance.
        """
        design = self.node(node)
        cells = design.design.numpy().tobytes(), design.locked.numpy().tobytes()
        key = (*cells, steps, n, label, guidance, metropolis)
        tuner = self._tuners.pop(key, None) or knobs.Tuner(
            self.studio, design, steps, n, label, self.seed, guidance, metropolis
        )
        self._tuners[key] = tuner  # the latest last
        if len(self._tuners) > _TUNERS:
            del self._tuners[next(iter(self._tuners))]
        return tuner

    def trade_off(
        self, levels: Sequence[float], *, node: Where = None, **settings: Any
    ) -> list[mixing.TradeOff]:
        """Fidelity against mixing of this kernel from this design; see `knobs.trade_off`."""
        return knobs.trade_off(self.studio, self.node(node), levels, seed=self.seed, **settings)

    # -- files ------------------------------------------------------------------------------------

    def export(
        self, path: str | Path, nodes: Iterable[int | Node] | None = None,
        pitches: Callable[[Tensor], Tensor] | None = None, **settings: float,
    ) -> None:  # fmt: skip
        """Write designs in the format of the suffix: .png .gif .mid .txt .npz .npy.

        Args:
            path: the file.
            nodes: which, in this order; None for those that are picked.
            pitches: of music, categories to MIDI pitches, negative for rests; see `export`.
            settings: for .mid, `steps_a_beat`, `beats_a_minute`, `velocity`.

        Raises:
            ConfigError: for a suffix that is not known or cannot hold such designs.
        """
        chosen = self.picked if nodes is None else [self.node(node) for node in nodes]
        if not chosen:
            raise ValueError("nodes was empty; allowed: at least one design")
        designs = torch.stack([node.design for node in chosen])
        pad = None if self.tokenizer is None else self.tokenizer.pad
        exporting.export(
            path, designs, self.num_categories, tokenizer=self.tokenizer, pitches=pitches,
            present=None if pad is None else designs != pad, **settings,
        )  # fmt: skip

    # -- helpers ----------------------------------------------------------------------------------

    def _set(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Settings with the hold that the recipe writes down."""
        return {**settings, "hold": self.studio.hold(settings.get("hold"))}

    def _one(self, operation: Operation, *parents: Node) -> Node:
        return self.do(operation, parents)[0]
