"""raysel: what is every neuron of a trained convolutional network selective to?

``raysel.open("path/to/index")`` opens an index to read and to search.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from raysel.query import open_searchable as open

__all__ = ["open"]


def __getattr__(name: str) -> Any:
    # Arrow is only loaded by who opens an index: every command imports this package first.
    if name == "open":
        from raysel.query import open_searchable

        return open_searchable
    raise AttributeError(f"module 'raysel' has no attribute {name!r}")
