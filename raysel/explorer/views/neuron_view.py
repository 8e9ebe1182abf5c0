"""One neuron: everything that its page shows."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np

from raysel.explorer.charts.color_cloud import ColorCloud, color_cloud
from raysel.explorer.charts.curves import ActivationCurve, Turns, activation_curve, turns
from raysel.explorer.picture_cache import Pictures, Sheet
from raysel.query.words.concepts_above import concepts_above
from raysel.selectivity.color_naming import NAMES
from raysel.store import ClassShare, Index, Neuron

_MOST_CLASSES = 12
_MOST_CONCEPTS = 30
_SIZES = 6
"""Sizes of a word in the cloud of concepts."""
_LEAST_SHARE = 0.005


@dataclass(frozen=True)
class ShownCrop:
    """One crop on the contact sheet."""

    rank: int
    activation: float
    w: float
    label: str
    """Readable name of the image's class; empty if it has none."""
    x: int
    """Left edge on the sheet, pixels."""
    y: int


@dataclass(frozen=True)
class NameShare:
    """Share of one basic color name."""

    name: str
    feature: float
    crops: float


@dataclass(frozen=True)
class Concept:
    """A word in the cloud of concepts."""

    name: str
    share: float
    size: int
    """1 to 6."""


@dataclass(frozen=True)
class NeuronView:
    """Everything that the page of a neuron shows."""

    address: str
    layer: str
    channel: int
    row: dict[str, Any]
    numbers: list[tuple[str, Any, str]]
    """(column, value, description) of every plain column that has a value."""
    previous: str | None
    """Address of the neuron before it in the network."""
    next: str | None
    sheet: Sheet | None
    crops: list[ShownCrop]
    curve: ActivationCurve | None
    least_w: float | None
    """Least relative activation of the images that build the feature, as the run was asked."""
    cloud: ColorCloud | None
    color_names: list[NameShare]
    classes: list[ClassShare]
    more_classes: int
    concepts: list[Concept]
    turns: Turns | None
    mirrored: list[tuple[int, float]]
    """(axis in degrees, relative activation)"""


def neuron_view(pictures: Pictures, neuron: Neuron) -> NeuronView:
    """Collect the page of one neuron."""
    index, row = pictures.index, neuron.row
    previous, following = neighbors(index, neuron)
    derive = index.manifest.config.get("derive", {})
    ranking = _ranking(index, neuron)
    sheet = pictures.sheet(neuron.layer, neuron.channel)
    return NeuronView(
        neuron.address,
        neuron.layer,
        neuron.channel,
        row,
        _numbers(index, row),
        previous,
        following,
        sheet,
        _crops(index, sheet, ranking),
        activation_curve(ranking["w"], row["n"]) if ranking["w"] else None,
        derive.get("min_relative_activation"),
        _cloud(neuron, derive.get("color_space", "authors")),
        _color_names(row),
        neuron.classes[:_MOST_CLASSES],
        max(0, len(neuron.classes) - _MOST_CLASSES),
        concepts(index, neuron),
        turns(row["orientation_curve"]) if row.get("orientation_curve") else None,
        [(45 * place, value) for place, value in enumerate(row.get("symmetry_curve") or [])],
    )


def _ranking(index: Index, neuron: Neuron) -> dict[str, list[Any]]:
    """Some columns of the neuron's ranking: reading all of them takes twice as long."""
    columns = ["layer", "channel", "activation", "w", "label"]
    table = index.table("rankings.parquet").where(columns, layer=neuron.layer, channel=neuron.channel)
    found: dict[str, list[Any]] = table.to_pydict()
    return found


def neighbors(index: Index, neuron: Neuron) -> tuple[str | None, str | None]:
    """Addresses of the neurons before and after one in the order of the network."""
    place = index.row_of(neuron.layer, neuron.channel)
    near = index.neurons.select(["layer", "channel"]).slice(max(place - 1, 0), 2 if place == 0 else 3).to_pylist()
    named = [f"{each['layer']}:{each['channel']}" for each in near]
    here = named.index(neuron.address)
    return (named[here - 1] if here else None), (named[here + 1] if here + 1 < len(named) else None)


def concepts(index: Index, neuron: Neuron) -> list[Concept]:
    """The concepts above the neuron's classes, by name: each class counts once for every concept above it.

    Concepts above every class of the index are left out.
    """
    above = concepts_above(index)
    shares: dict[str, float] = defaultdict(float)
    for each in neuron.classes:
        for concept in above.get(each.label, ()):
            shares[concept] += each.share
    largest = sorted(shares.items(), key=lambda item: (-item[1], item[0]))[:_MOST_CONCEPTS]
    named = {index.concept_name(concept): min(share, 1.0) for concept, share in reversed(largest)}
    return [Concept(name, share, max(1, round(_SIZES * share))) for name, share in sorted(named.items())]


def _numbers(index: Index, row: dict[str, Any]) -> list[tuple[str, Any, str]]:
    found = []
    for field in index.neurons.schema:
        value = row[field.name]
        if value is not None and not isinstance(value, list | dict) and field.name not in ("layer", "channel"):
            found.append((field.name, value, (field.metadata or {}).get(b"description", b"").decode()))
    return found


def _crops(index: Index, sheet: Sheet | None, ranking: dict[str, list[Any]]) -> list[ShownCrop]:
    if sheet is None:
        return []
    names = index.class_names
    return [
        ShownCrop(rank, activation, w, names.get(label, label) or "", *sheet.corner(rank))
        for rank, (activation, w, label) in enumerate(
            zip(ranking["activation"], ranking["w"], ranking["label"], strict=True)
        )
        if rank < sheet.crops
    ]


def _cloud(neuron: Neuron, space: Any) -> ColorCloud | None:
    feature, count = neuron.feature, neuron.count
    if feature is None or count is None:
        return None
    return color_cloud(np.nan_to_num(feature), count, neuron.row["n"], space)


def _color_names(row: dict[str, Any]) -> list[NameShare]:
    """The names with a visible share, in the fixed order of the names."""
    feature, crops = row.get("color_names") or {}, row.get("crop_color_names") or {}
    shares = [NameShare(name, feature.get(name) or 0.0, crops.get(name) or 0.0) for name in NAMES]
    return [each for each in shares if max(each.feature, each.crops) >= _LEAST_SHARE]
