"""The images that build the neurons' features, of all neurons at once."""

from __future__ import annotations

import numpy as np

from raysel.query.kept import kept
from raysel.query.profiles.sparse_profiles import Profiles
from raysel.store import Index


@kept
def top_images(index: Index) -> Profiles:
    """Relative activations w of each neuron's N images, float32, a column per image; read once."""
    first = {layer: index.row_of(layer, 0) for layer in index.layers}
    n = index.neurons["n"].to_numpy()
    parts = [(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))]
    for batch in index.table("rankings.parquet").batches(["layer", "channel", "rank", "image", "w"]):
        layers = batch["layer"]
        of_layer = np.array([first[name] for name in layers.dictionary.to_pylist()], np.int64)
        rows = of_layer[layers.indices.to_numpy()] + batch["channel"].to_numpy()
        builds = batch["rank"].to_numpy() < n[rows]
        image, w = batch["image"].to_numpy()[builds], batch["w"].to_numpy()[builds]
        parts.append((rows[builds], image, w.astype(np.float32)))
    rows, images, w = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Profiles.of(rows, images, w, len(n))
