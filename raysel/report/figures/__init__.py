"""The figures of a report, one module each: what the paper shows, and what its readers ask next.

A module has a pure function from an open index to data, which is also written as CSV, and a function that draws the
data with matplotlib. `EXHIBITS` lists them in the order of the page. They need the packages of ``raysel[report]``.
"""

from typing import Any

from raysel.report.exhibit import Exhibit, Findings, NotShownError
from raysel.report.figures.class_neurons import CLASS_NEURONS
from raysel.report.figures.color_name_bars import COLOR_NAME_BARS
from raysel.report.figures.color_range import COLOR_RANGE
from raysel.report.figures.distributions import DISTRIBUTIONS
from raysel.report.figures.features_and_crops import FEATURES_AND_CROPS
from raysel.report.figures.hue_wheel import HUE_WHEEL
from raysel.report.figures.layer_counts import LAYER_COUNTS
from raysel.report.figures.ranked_activations import RANKED_ACTIVATIONS
from raysel.report.figures.scatters import COLOR_AND_CLASS, GRAY_AND_COLOR
from raysel.report.figures.selectivity_bars import CLASS_BARS, COLOR_BARS
from raysel.report.figures.sharp_and_blurred import SHARP_AND_BLURRED
from raysel.store import Index

__all__ = ["EXHIBITS", "Exhibit", "Findings", "NotShownError"]

EXHIBITS: tuple[Exhibit[Index, Any], ...] = (
    RANKED_ACTIVATIONS,
    FEATURES_AND_CROPS,
    SHARP_AND_BLURRED,
    COLOR_RANGE,
    COLOR_BARS,
    CLASS_BARS,
    CLASS_NEURONS,
    LAYER_COUNTS,
    COLOR_AND_CLASS,
    GRAY_AND_COLOR,
    HUE_WHEEL,
    COLOR_NAME_BARS,
    DISTRIBUTIONS,
)
