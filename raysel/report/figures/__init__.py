"""The figures of a report, one module each: what the paper shows, and what its readers ask next.

A module has a pure function from an open index to data, which is also written as CSV, and a function that draws the
data with matplotlib. `EXHIBITS` lists them in the order of the page. They need the packages of ``raysel[report]``.
"""

from typing import Any

from raysel.report.figures.exhibit import Exhibit, Findings, NotShownError
from raysel.report.figures.layer_counts import LAYER_COUNTS
from raysel.report.figures.selectivity_bars import CLASS_BARS, COLOR_BARS

__all__ = ["EXHIBITS", "Exhibit", "Findings", "NotShownError"]

EXHIBITS: tuple[Exhibit[Any], ...] = (
    COLOR_BARS,
    CLASS_BARS,
    LAYER_COUNTS,
)
