"""The images that build the neurons' features, of all neurons at once."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from raysel.query.kept import kept
from raysel.query.profiles import Profiles
from raysel.store import Index


@kept
def top_images(index: Index) -> Profiles:
    """Relative activations w of each neuron's N images, a column per image; read once."""
    first = _first_rows(index)
    n = index.neurons["n"].to_numpy()
    parts: list[tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.float32]]] = []
    for batch in index.table("rankings.parquet").batches(["layer", "channel", "rank", "image", "w"]):
        layers = batch["layer"].dictionary_encode() if pa.types.is_string(batch["layer"].type) else batch["layer"]
        of_layer = np.array([first[name] for name in layers.dictionary.to_pylist()], np.int64)
        rows = of_layer[layers.indices.to_numpy()] + batch["channel"].to_numpy()
        builds = batch["rank"].to_numpy() < n[rows]
        image, w = batch["image"].to_numpy()[builds], batch["w"].to_numpy()[builds]
        parts.append((rows[builds].astype(np.int32), image, w.astype(np.float32)))
    rows, images, w = (np.concatenate(column) for column in zip(*parts, strict=True)) if parts else ([], [], [])
    known, columns = np.unique(images, return_inverse=True)
    return Profiles.of(rows, columns, w, (len(n), len(known)))
