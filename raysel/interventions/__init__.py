"""What a neuron's response depends on, by intervention: its images are changed and run again.

A module that defines ``INTERVENTION``, an `Intervention`, is one: it is found by its file. Each changes the whole image
or what the neuron sees of it, in one or several variants; `measured` compares the responses with the activations.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pkgutil import iter_modules

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from raysel.errors import RayselError, did_you_mean
from raysel.interventions.intervention import Intervention

__all__ = ["COLUMNS", "INTERVENTIONS", "Intervention", "chosen", "measured"]


def _discover() -> dict[str, Intervention]:
    modules = [import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__)]
    found = [module.INTERVENTION for module in modules if hasattr(module, "INTERVENTION")]
    return {each.name: each for each in found}


INTERVENTIONS = _discover()
"""Name -> intervention, sorted by name."""

COLUMNS: tuple[pa.Field, ...] = tuple(column for each in INTERVENTIONS.values() for column in each.columns)
"""The columns of all interventions in the neurons table."""


def chosen(names: str | None) -> list[Intervention]:
    """The interventions that ``--interventions`` names, separated by commas; ``grey`` is gray, too.

    Raises:
        RayselError: one of them is unknown.
    """
    found = []
    names = (names or "").replace("grey", "gray")
    for name in dict.fromkeys(name.strip() for name in names.split(",") if name.strip()):
        if name not in INTERVENTIONS:
            raise RayselError(f"unknown intervention {name!r}: {did_you_mean(name, INTERVENTIONS)}")
        found.append(INTERVENTIONS[name])
    return found


def measured(
    intervention: Intervention, responses: NDArray[np.float32], activations: NDArray[np.float32]
) -> dict[str, float | Sequence[float] | None]:
    """The columns of an intervention for one neuron.

    ``index = 1 - sum_j g_j / sum_j a_j``, where the sum over g is the mean over the variants. The curve has
    ``sum_j g_j / sum_j a_j`` of each variant. None if a response is not finite.

    Args:
        intervention: that was made.
        responses: float32 [N, variants]: g, the neuron at the position of its activation, over the changed image.
        activations: float32 [N], positive: a, the activations in rank order.
    """
    if not np.isfinite(responses).all():
        return dict.fromkeys(column.name for column in intervention.columns)
    total = float(np.add.reduce(activations, dtype=np.float64))
    relative = np.add.reduce(responses, axis=0, dtype=np.float64) / total
    values: dict[str, float | Sequence[float] | None] = {intervention.index: 1 - float(relative.mean())}
    if intervention.variants > 1:
        values[intervention.curve] = relative.tolist()
    return values
