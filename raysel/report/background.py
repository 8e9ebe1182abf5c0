"""What a reader must know to judge the figures: data set, network, options, and what chance would give."""

from __future__ import annotations

from typing import Any

import numpy as np

from raysel.query.measures import CHANCE, has, values
from raysel.store import Index


def facts(index: Index) -> list[tuple[str, str]]:
    """(term, text) pairs in the order of the page."""
    manifest, counts = index.manifest, index.manifest.counts
    derive: dict[str, Any] = manifest.config.get("derive", {})
    classes = f"{counts.classes:,} classes" if counts.classes else "no labels"
    unused = f" ({counts.quarantined:,} more could not be used)" if counts.quarantined else ""
    listed = [
        ("Images", f"{manifest.source.uri} ({manifest.source.kind}): {counts.usable:,} images{unused}, {classes}"),
        ("Network", f"{manifest.network.name}, weights {manifest.network.weights[:12]}"),
        ("Neurons", f"{counts.neurons:,} in {len(index.layers)} layers, {counts.dead:,} of them dead"),
        ("N", _n(index, derive)),
        ("Thresholds", _thresholds(derive)),
        ("Made", f"{manifest.created:%Y-%m-%d}, raysel {manifest.software.get('raysel', 'of unknown version')}"),
    ]
    return [(term, text) for term, text in listed if text]


def _n(index: Index, derive: dict[str, Any]) -> str:
    n = index.neurons["n"].to_numpy()
    alive = n[n > 0]
    found = f"; on average {alive.mean():.0f}, from {alive.min()} to {alive.max()}" if len(alive) else ""
    if "n_max" not in derive:
        return f"The images that build a neuron feature{found}"
    least = derive["min_relative_activation"]
    return f"Each neuron's first {derive['n_max']} images with relative activation w of at least {least:g}{found}"


def _thresholds(derive: dict[str, Any]) -> str:
    parts = []
    if "class_threshold" in derive:
        parts.append(f"classes are counted until their shares reach th = {derive['class_threshold']:g} (Eq. 4)")
    if "color_space" in derive:
        parts.append(f"opponent space of Eq. 2: {derive['color_space']}")
    if derive.get("receptive_field") == "effective":
        parts.append("crops show the effective receptive field")
    return "; ".join(parts)


def chance_note(index: Index) -> str:
    """How far class selectivity can be trusted; empty without classes."""
    classes = index.manifest.counts.classes
    if not classes:
        return ""
    if not has(index, CHANCE):
        return (
            "What chance would give is unknown for this index (it is defined for th = 1 and at least two labeled "
            "images per neuron). With few classes, class selectivity is high whatever a neuron does: compare neurons "
            "with each other, and do not read the values as such."
        )
    chance = values(index, CHANCE)
    chance = chance[~np.isnan(chance)]
    return (
        f"Chance: with {classes:,} classes, a neuron whose images were drawn at random would have a class selectivity "
        f"of {chance.mean():z.2f} on average (from {chance.min():z.2f} to {chance.max():z.2f}, depending on its N). "
        "With few classes the value is high whatever a neuron does. Only what exceeds chance says something about a "
        "neuron: excess is 0 at chance and 1 if all images are of one class."
    )
