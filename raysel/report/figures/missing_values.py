"""Why an index has no values in a column."""

from __future__ import annotations

from raysel.interventions import INTERVENTIONS
from raysel.query.measures import CLASS, has
from raysel.report.exhibit import NotShownError
from raysel.store import Index


def require(index: Index, column: str) -> None:
    """Raise `NotShownError` with the reason if a column has no values."""
    if has(index, column):
        return
    if column.startswith("class_") and not index.manifest.counts.classes:
        raise NotShownError("The images have no labels, so nothing is known about classes.")
    if not has(index, "a_max"):
        raise NotShownError("No image activates any neuron.")
    if column == CLASS and column in index.neurons.column_names:
        raise NotShownError("No neuron has two labeled images, which class selectivity needs.")
    if name := {each.index: each.name for each in INTERVENTIONS.values()}.get(column):
        raise NotShownError(f"No intervention {name} was made: raysel derive INDEX --interventions {name} adds it.")
    raise NotShownError(f"This index has no values in the column {column}.")
