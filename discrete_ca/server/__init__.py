"""Exploring in the browser: the server of ``discrete-ca explore`` and its page.

It needs the libraries of the extra ``[explore]``, which are imported when it is used. Nothing is
fetched from anywhere else: the page is the files in ``static/``.
"""

from __future__ import annotations

from typing import Any

__all__ = ["Address", "application", "read_examples", "serve"]


def __getattr__(name: str) -> Any:
    """Load the server when it is asked for.

    Raises:
        ImportError: where its libraries are missing, with what to install.
    """
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        import fastapi  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "the browser server needs fastapi and uvicorn: pip install 'discrete_ca[explore]'"
        ) from error
    from discrete_ca.server import examples, serving

    return getattr(examples if name == "read_examples" else serving, name)
