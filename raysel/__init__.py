"""raysel: what is every neuron of a trained convolutional network selective to?

``raysel.open("path/to/index")`` opens an index for reading.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from raysel.store import open_index as open

__all__ = ["open"]


def __getattr__(name: str) -> Any:
    # Arrow is only loaded by who opens an index: every command imports this package first.
    if name == "open":
        from raysel.store import open_index

        return open_index
    raise AttributeError(f"module 'raysel' has no attribute {name!r}")
