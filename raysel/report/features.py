"""Neuron features layer by layer, the well defined ones first (the paper's Fig. 3a)."""

from __future__ import annotations

from PIL import Image, ImageDraw, ImageFont

from raysel.store import Index, Neuron

TILE = 72
GAP = 6
CAPTION = 22
MIN_IMAGES = 20
"""A feature of fewer images is sharp because little was averaged, not because the neuron is tuned."""


def draw_features(index: Index, per_layer: int = 12) -> Image.Image:
    """A row of neuron features for each layer, all scaled to one size, under the layer's name and receptive field.

    Well defined are the features whose pixels differ most after the averaging over crops: highest standard deviation
    over space.

    Args:
        index: what to show.
        per_layer: features in a row, at most.

    Returns:
        an RGB picture.
    """
    line = CAPTION + TILE + GAP
    picture = Image.new("RGB", (per_layer * (TILE + GAP) + GAP, len(index.layers) * line + GAP), "white")
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(13)
    for row, layer in enumerate(index.layers):
        top = GAP + row * line
        size = index.find(layer=layer, limit=1)["rf_size"][0].as_py()
        draw.text((GAP, top), f"{layer}   receptive field {size} px", fill="#333333", font=font)
        for column, neuron in enumerate(well_defined(index, layer)[:per_layer]):
            shown = neuron.picture
            assert shown is not None, "a living neuron has a feature"
            tile = shown.convert("RGBA").resize((TILE, TILE), Image.Resampling.NEAREST)
            picture.paste(tile, (GAP + column * (TILE + GAP), top + CAPTION), tile)
    return picture


def well_defined(index: Index, layer: str) -> list[Neuron]:
    """The living neurons of a layer with at least `MIN_IMAGES` images, those with the clearest feature first."""
    channels = index.find(layer=layer, ranges={"n": (MIN_IMAGES, None)})["channel"].to_pylist()
    neurons = [index.neuron(layer, channel) for channel in sorted(channels)]
    return sorted(neurons, key=_spread, reverse=True)


def _spread(neuron: Neuron) -> float:
    feature, count = neuron.feature, neuron.count
    if feature is None or count is None:
        return 0.0
    # At the border of the images a few crops make sharp patches that say nothing of the neuron.
    common = 2 * count >= neuron.row["n"]
    return float(feature[common].std(axis=0).mean()) * float(common.mean()) if common.any() else 0.0
