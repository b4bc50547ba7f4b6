"""Designs and trees as JSON: arrays as base64 of their bytes, row by row, lowest byte first."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Iterable
from typing import Any

import numpy as np
from torch import Tensor

from discrete_ca.explore import Node, Session


def bytes_of(num_categories: int) -> int:
    """Bytes a cell: 1, 2 or 4.

    Example:
        >>> bytes_of(2), bytes_of(257)
        (1, 2)
    """
    return 1 if num_categories <= 1 << 8 else 2 if num_categories <= 1 << 16 else 4


def packed(values: Tensor, num_categories: int) -> str:
    """Categories as base64.

    Example:
        >>> import torch
        >>> packed(torch.tensor([[1, 2], [3, 4]]), 5)
        'AQIDBA=='
    """
    array = values.numpy().astype(f"<u{bytes_of(num_categories)}")
    return base64.b64encode(array.tobytes()).decode()


def packed_cells(cells: Tensor) -> str:
    """A mask as base64, a bit a cell, the first in the highest bit; empty where none is True."""
    if not bool(cells.any()):
        return ""
    return base64.b64encode(np.packbits(cells.numpy()).tobytes()).decode()


def node_of(session: Session, node: Node) -> dict[str, Any]:
    """A node of a session for the page."""
    operation = node.recipe.operation
    settings = {
        field.name: value
        for field in dataclasses.fields(operation)
        if not isinstance(value := getattr(operation, field.name), Tensor)
    }
    return {
        "id": node.id,
        "parents": list(node.parents),
        "operation": operation.name,
        "settings": settings,
        "label": session.label(node),
        "batch": f"{node.recipe.seed}-{operation.name}",
        "place": node.place,
        "nfe": node.nfe,
        "seconds": round(node.seconds, 3),
        "acceptance": node.recipe.acceptance,
        "stars": node.stars,
        "note": node.note,
        "design": packed(node.design, session.num_categories),
        "locked": packed_cells(node.locked),
    }


def nodes_of(session: Session, nodes: Iterable[Node]) -> list[dict[str, Any]]:
    """Nodes of a session for the page."""
    return [node_of(session, node) for node in nodes]


def state_of(session: Session, version: int) -> dict[str, Any]:
    """Where a session stands, without its designs."""
    tree = session.tree
    return {
        "version": version,
        "count": len(tree),
        "limit": tree.limit,
        "next_id": tree.next_id,
        "picked": [] if tree.picked is None else list(tree.picked.ids),
        "can_undo": tree.place > 0,
        "can_redo": tree.place + 1 < len(tree.history),
        "nfe": tree.nfe(),
    }
