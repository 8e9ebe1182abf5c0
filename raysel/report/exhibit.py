"""What every figure of a report consists of: a function that collects its data, and one that draws it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import pyarrow as pa
from matplotlib.figure import Figure

from raysel.store import Index


class NotShownError(Exception):
    """A figure has nothing to show for this index; the text says why, in one sentence for the page."""


@dataclass(frozen=True)
class Findings:
    """The data of a figure. Subclasses add what is drawn, such as pictures."""

    table: pa.Table
    """The content of its CSV file."""
    caption: str
    """Plain text below the figure."""


F = TypeVar("F", bound=Findings)


@dataclass(frozen=True)
class Exhibit(Generic[F]):
    """One figure, or a table."""

    name: str
    """Stem of its files."""
    title: str
    collect: Callable[[Index], F]
    """Pure function of the index. Raises `NotShownError` if there is nothing to show."""
    draw: Callable[[F], Figure] | None
    """None for a table, which the page shows as it is."""
