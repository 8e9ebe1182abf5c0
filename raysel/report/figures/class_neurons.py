"""Neurons over the range of class selectivity, with crops and tag clouds (the paper's Fig. 7)."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from matplotlib.figure import Figure
from PIL import Image

from raysel.query.measures import CHANCE, CLASS, EXCESS, has, values
from raysel.query.words.concepts_above import concepts_above
from raysel.report.drawing.board import Board, crop_grid, feature_tile
from raysel.report.drawing.style import ORANGE, RULE, SOFT_INK, short
from raysel.report.drawing.tag_cloud import tag_cloud
from raysel.report.exhibit import Exhibit, Findings
from raysel.report.figures.choosing import examples, neuron_of, size_of
from raysel.report.figures.missing_values import require
from raysel.store import Index, Neuron

NEURONS = 7


@dataclass(frozen=True)
class ClassNeurons(Findings):
    """`table` has a row per neuron and tag: layer, channel, n, class_selectivity, class_chance, class_excess,
    receptive_field, kind (``class`` or ``concept``), tag, share."""

    pictures: dict[str, tuple[Image.Image, Image.Image]]
    """Address -> feature and crops."""


def collect(index: Index) -> ClassNeurons:
    """Neurons evenly spaced by rank of class selectivity above chance, the highest first, each of another layer if
    there are enough; of class selectivity where chance is unknown."""
    require(index, CLASS)
    measure = EXCESS if has(index, EXCESS) else CLASS
    rows, pictures = [], {}
    for row in _chosen(index, measure):
        neuron = index.neuron(*neuron_of(index, row))
        pictures[neuron.address] = feature_tile(neuron), crop_grid(neuron, 5, 5)
        shown = {name: neuron.row.get(name) for name in ("layer", "channel", "n", CLASS, CHANCE, EXCESS)}
        shown["receptive_field"] = size_of(index, row)
        shares = {"class": _class_shares(neuron), "concept": _concept_shares(index, neuron)}
        rows += [{**shown, "kind": kind, "tag": tag, "share": share}
                 for kind, of_kind in shares.items() for tag, share in of_kind.items()]  # fmt: skip
    above = " above chance" if measure == EXCESS else ""
    caption = (
        f"Neurons from the most to the least selective to classes{above}: feature, 25 best crops, and tag clouds, in "
        "which a tag is as large as its share f of the activation (Eq. 3). In an orange frame: the classes. "
    )
    caption += (
        "Right: the ten largest of these classes, each framed, and the concepts above them. Concepts above all classes "
        "are left out."
        if any(row["kind"] == "concept" for row in rows)
        else "There is no second cloud, because the labels are not in a hierarchy of concepts."
    )
    return ClassNeurons(pa.Table.from_pylist(rows), caption, pictures)


def _chosen(index: Index, measure: str) -> list[int]:
    """From high to low: for each target the closest neuron of a layer that was not chosen yet."""
    measured = values(index, measure)
    known = np.flatnonzero(examples(index) & ~np.isnan(measured))
    if not len(known):  # no neuron with many images has a value: take those with few
        known = np.flatnonzero(~np.isnan(measured))
    names = index.neurons["layer"].cast("string").to_pylist()
    chosen: list[int] = []
    for target in np.linspace(measured[known].max(), max(measured[known].min(), 0), min(NEURONS, len(known))):
        free = np.array([row for row in known.tolist() if row not in chosen])
        used = [names[row] for row in chosen]
        distance = np.abs(measured[free] - target) + 0.03 * np.array([used.count(names[row]) for row in free])
        chosen.append(int(free[np.argmin(distance)]))
    return sorted(chosen, key=lambda row: -measured[row])


def _class_shares(neuron: Neuron) -> dict[str, float]:
    """Name -> share of the neuron's classes; two classes of one name, as ImageNet's cranes, are one tag."""
    shares: dict[str, float] = defaultdict(float)
    for each in neuron.classes:
        shares[each.name] += each.share
    return dict(shares)


def _concept_shares(index: Index, neuron: Neuron) -> dict[str, float]:
    """Name -> share of the neuron's classes and of the concepts above them; empty if its classes have none.

    A class above other classes, such as dog beside beagle, has its own share and theirs.
    """
    above = concepts_above(index)
    shares: dict[str, float] = defaultdict(float)
    if not any(above.get(each.label) for each in neuron.classes):
        return {}
    for each in neuron.classes:
        if each.label in above:
            for name in [each.name, *map(index.concept_name, above[each.label])]:
                shares[name] += each.share
    return dict(shares)


def draw(found: ClassNeurons) -> Figure:
    rows = found.table.to_pylist()
    clouds = 2 if any(row["kind"] == "concept" for row in rows) else 1
    tile, line, gap = 1.45, 1.9, 0.12
    left = 0.1 + 2 * (tile + 0.1) + 0.15
    width = (9.9 - left - (clouds - 1) * gap) / clouds
    board = Board(len(found.pictures) * line + 0.05)
    for place, (address, (feature, crops)) in enumerate(found.pictures.items()):
        tags = [row for row in rows if f"{row['layer']}:{row['channel']}" == address]
        y = place * line + 0.1
        board.text(f"{short(tags[0]['layer'], 40)}:{tags[0]['channel']}", 0.1, y, 8)
        board.text(_numbers(tags[0]), 9.9, y, 7.5, SOFT_INK, ha="right")
        top = y + 0.22
        for x, picture in ((0.1, feature), (0.1 + tile + 0.1, crops)):
            board.picture(picture, x, top, tile, tile)
            board.frame(x, top, tile, tile, RULE, 0.5)
        classes = {each["tag"]: each["share"] for each in tags if each["kind"] == "class"}
        concepts = {each["tag"]: each["share"] for each in tags if each["kind"] == "concept"}
        board.picture(tag_cloud(classes, (width, tile)), left, top, width, tile)
        board.frame(left, top, width, tile, ORANGE, 1.4)
        right = left + width + gap
        if concepts:
            board.picture(tag_cloud(concepts, (width, tile), classes), right, top, width, tile)
        elif clouds == 2:
            board.text("No concepts are known above these classes.", right + 0.2, top + 0.6, 8, SOFT_INK)
        if clouds == 2:
            board.frame(right, top, width, tile, RULE, 0.5)
    return board.figure


def _numbers(row: dict[str, Any]) -> str:
    parts = [f"class selectivity {row[CLASS]:.2f}"]
    if row[CHANCE] is not None:
        parts.append(f"by chance {row[CHANCE]:z.2f}")
    if row[EXCESS] is not None:
        parts.append(f"excess {row[EXCESS]:z.2f}")
    return "   ·   ".join([*parts, f"{row['n']} images", f"{row['receptive_field']}"])


CLASS_NEURONS = Exhibit("fig7-class-neurons", "Fig. 7: neurons over the range of class selectivity", collect, draw)
