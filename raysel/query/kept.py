"""What is computed from an index once, and kept as long as the index is open."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TypeVar
from weakref import WeakKeyDictionary

from raysel.store import Index

T = TypeVar("T")


def kept(compute: Callable[[Index], T]) -> Callable[[Index], T]:
    """Keep the result of a function of an open index, which must not refer to the index."""
    results: WeakKeyDictionary[Index, T] = WeakKeyDictionary()

    @wraps(compute)
    def once(index: Index) -> T:
        if index not in results:
            results[index] = compute(index)
        return results[index]

    return once
