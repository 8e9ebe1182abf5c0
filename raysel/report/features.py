"""Neuron features layer by layer, the clearest first (the paper's Fig. 3a)."""

from __future__ import annotations

from PIL import Image, ImageDraw, ImageFont

from raysel.query import Question, find
from raysel.store import Index, Neuron

TILE = 72
GAP = 6
CAPTION = 22
MIN_IMAGES = 20
"""A feature of fewer images is sharp because few crops were averaged, not because the neuron is selective."""


def draw_features(index: Index, per_layer: int = 12) -> Image.Image:
    """A row of neuron features for each layer, scaled to one size, below the layer's name and receptive field.

    Args:
        index: an open index.
        per_layer: maximum number of features in a row: those that `clearest` names first.

    Returns:
        an RGB picture.
    """
    line = CAPTION + TILE + GAP
    picture = Image.new("RGB", (per_layer * (TILE + GAP) + GAP, len(index.layers) * line + GAP), "white")
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(13)
    for row, layer in enumerate(index.layers):
        top = GAP + row * line
        row_of_layer = find(index, Question(layer=layer, limit=1)).table.to_pylist()[0]
        size = f"{row_of_layer['rf_height']} x {row_of_layer['rf_width']} px"
        draw.text((GAP, top), f"{layer}   receptive field {size}", fill="#333333", font=font)
        for column, neuron in enumerate(clearest(index, layer)[:per_layer]):
            feature = neuron.picture
            assert feature is not None, "a neuron that is not dead has a feature"
            scale = TILE / max(feature.size)
            tile = feature.resize([max(1, round(side * scale)) for side in feature.size], Image.Resampling.NEAREST)
            picture.paste(tile, (GAP + column * (TILE + GAP), top + CAPTION), tile)
    return picture


def clearest(index: Index, layer: str) -> list[Neuron]:
    """The neurons of a layer with at least `MIN_IMAGES` images, by how much the pixels of their features differ."""
    found = find(index, Question(layer=layer, where=f"n >= {MIN_IMAGES}", sort="layer"))
    return sorted(found, key=_contrast, reverse=True)


def _contrast(neuron: Neuron) -> float:
    """Standard deviation over the pixels that at least half of the crops show, weighted by their share of the feature.

    Other pixels, at the border of the images, are averages of few crops: their contrast says nothing about the neuron.
    """
    feature, count = neuron.feature, neuron.count
    if feature is None or count is None:
        return 0.0
    common = 2 * count >= neuron.row["n"]
    return float(feature[common].std(axis=0).mean()) * float(common.mean()) if common.any() else 0.0
