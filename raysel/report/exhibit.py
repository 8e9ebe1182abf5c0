"""What every figure of a report consists of: a function that collects its data, and one that draws it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import pyarrow as pa
from matplotlib.figure import Figure


class NotShownError(Exception):
    """A figure has nothing to show; the text says why, in one sentence for the page."""


@dataclass(frozen=True)
class Findings:
    """The data of a figure. Subclasses add what is drawn, such as pictures."""

    table: pa.Table
    """The content of its CSV file."""
    caption: str
    """Plain text below the figure."""


S = TypeVar("S")
F = TypeVar("F", bound=Findings)


@dataclass(frozen=True)
class Exhibit(Generic[S, F]):
    """One figure, or a table, of an index or of several."""

    name: str
    """Stem of its files."""
    title: str
    collect: Callable[[S], F]
    """Pure function of what the page is about. Raises `NotShownError` if there is nothing to show."""
    draw: Callable[[F], Figure] | None
    """None for a table, which the page shows as it is."""
