"""Which neurons an image activates most, where in it, and what they are selective to."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import TypeAdapter

from raysel.config import Preprocessing
from raysel.errors import BadImageError, RayselError
from raysel.files import read_bytes, redact_uri
from raysel.images import decode
from raysel.neurons import first_neurons
from raysel.query.question import NeuronTable
from raysel.query.selection import in_layers, layers_matching, window
from raysel.store import Index, recorded_crop_fields, recorded_taps, source_images

RELATIVE = "relative"
BOX = ("x0", "y0", "x1", "y1")
_SEEN = pa.schema(
    [
        pa.field("activation", pa.float32(), nullable=False),
        pa.field(RELATIVE, pa.float64(), nullable=False),
        *(pa.field(name, pa.int32(), nullable=False) for name in ("row", "column", *BOX)),
    ]
)


@dataclass(frozen=True)
class Explanation(NeuronTable):
    """The neurons that an image activates most. `table` has their rows of the neurons table, and after them

    - ``activation``, float32: spatial maximum of the neuron's map for this image;
    - ``relative``, float64: activation / a_max; above 1 if no image of the index activates the neuron as much;
    - ``row``, ``column``, int32: position of the maximum in the layer's map;
    - ``x0``, ``y0``, ``x1``, ``y1``, int32: what this position sees, pixels of the network's input; ends are exclusive.
    """

    image: str
    """Key of the image, or the path of the file."""
    pixels: Callable[[], NDArray[np.uint8]] = field(repr=False)
    """Reads the image as the network sees it: uint8[H, W, 3], RGB."""


def explain(
    index: Index,
    image: int | str | os.PathLike[str],
    layer: str | None = None,
    limit: int | None = 20,
    *,
    images: str | None = None,
    weights: str | None = None,
) -> Explanation:
    """The neurons that an image activates most relative to their own maximum.

    An image of the index is looked up in the rankings: only neurons that rank it among their `rank_depth` images are
    known to respond to it. The network is run over any other image.

    Args:
        index: an open index.
        image: id or key of an image of the index, else the path or URI of an image file. Text is a key if there is
            such a key, else an id if it is a number.
        layer: glob over layer names: only neurons of these layers.
        limit: maximum number of neurons, at least 1.
        images: where the images of the index are now, if they were moved.
        weights: where the weights are now, if they were moved.

    Returns:
        Neurons by ``relative``, highest first. Of equal ones, as of a network with ReLU6, first those for which fewer
        images reach the maximum (``saturated``), then in the order of the network.

    Raises:
        RayselError: there is no such image, file or layer; or the network cannot be run, such as without its weights.
    """
    layers = layers_matching(index.layers, layer or "*")
    name = str(image) if isinstance(image, int) else os.fspath(image)
    known = _known(index, image if isinstance(image, int) else name)
    if known is not None:
        number, key = known
        rows, seen = _ranked(index, number)
        return _explanation(index, rows, seen, layers, limit, key, lambda: _pixels_of(index, number, images))
    try:
        content = read_bytes(name, "image file")
    except RayselError as error:
        ids = f"an id (0 to {index.manifest.counts.images - 1})"
        raise RayselError(f"{redact_uri(name)!r} is not {ids} or key of this index: {error}") from None
    pixels = _decoded(content, redact_uri(name), index)
    rows, seen = _run(index, pixels, weights)
    return _explanation(index, rows, seen, layers, limit, redact_uri(name), lambda: pixels)


def _known(index: Index, image: int | str) -> tuple[int, str] | None:
    """(id, key) of an image of the index; None if it is not one. Keys may be numbers, and come before ids."""
    if isinstance(image, str):
        found = index.table("images.parquet").where(key=image)
        if len(found):
            return found["image"][0].as_py(), image
        if not image.isdecimal():
            return None
    number = int(image)
    if not 0 <= number < index.manifest.counts.images:
        return None
    return number, index.images_of([number])["key"][0].as_py()


def _ranked(index: Index, image: int) -> tuple[NDArray[np.int64], pa.Table]:
    """The rows of the neurons that rank an image, and what they saw in it; columns of `_SEEN`."""
    columns = ["layer", "channel", "image", "activation", "w", "row", "column", *BOX]
    batches = (
        batch.filter(pc.equal(batch["image"], image)) for batch in index.table("rankings.parquet").batches(columns)
    )
    found = [batch for batch in batches if len(batch)]
    if not found:
        return np.empty(0, np.int64), _SEEN.empty_table()
    table = pa.Table.from_batches([batch.set_column(0, "layer", batch["layer"].cast(pa.string())) for batch in found])
    addresses = zip(table["layer"].to_pylist(), table["channel"].to_pylist(), strict=True)
    rows = np.array([index.row_of(*address) for address in addresses], np.int64)
    return rows, table.rename_columns({"w": RELATIVE}).select(_SEEN.names).cast(_SEEN)


def _decoded(content: bytes, shown: str, index: Index) -> NDArray[np.uint8]:
    preprocessing = TypeAdapter(Preprocessing).validate_python(index.manifest.network.preprocessing)
    try:
        return decode(content, preprocessing)
    except BadImageError as error:
        raise RayselError(f"{shown} cannot be decoded: {error}") from None


def _pixels_of(index: Index, image: int, images: str | None) -> NDArray[np.uint8]:
    ((_, key, content),) = source_images(index, [image], images)
    return _decoded(content, key, index)


def _run(index: Index, pixels: NDArray[np.uint8], weights: str | None) -> tuple[NDArray[np.int64], pa.Table]:
    """As `_ranked`, of every neuron with a positive activation, by a run of the network."""
    from raysel.pipeline.record import indexed_network  # takes a second, and is needed for images from outside only
    from raysel.pipeline.scan.extractor import extract_activations

    manifest = index.manifest
    network, fault = indexed_network(manifest, weights)
    if fault:
        raise RayselError(f"{fault}: restore them, or give the right weights with --weights")
    activations, positions = extract_activations(network, pixels[None], int(manifest.counters["scan.batch"]))
    rows, parts = [], [_SEEN.empty_table()]
    taps, maxima = recorded_taps(manifest), pc.fill_null(index.neurons["a_max"], np.inf).to_numpy()
    for tap, first, crop_field in zip(taps, first_neurons(taps), recorded_crop_fields(manifest), strict=False):
        activation, position = activations[0, first:][: tap.channels], positions[0, first:][: tap.channels]
        firing = np.flatnonzero(np.isfinite(activation) & (activation > 0))
        y, x = np.divmod(position[firing], tap.map_size[1])
        y0, x0, y1, x1 = crop_field.boxes(position[firing], tap.map_size[1]).T
        own = index.row_of(tap.layer, 0) + firing
        relative = activation[firing].astype(np.float64) / maxima[own]
        columns = [activation[firing], relative, y, x, x0, y0, x1, y1]
        parts.append(
            pa.Table.from_arrays([pa.array(c).cast(f.type) for c, f in zip(columns, _SEEN, strict=True)], schema=_SEEN)
        )
        rows.append(own)
    return np.concatenate(rows), pa.concat_tables(parts)


def _explanation(
    index: Index,
    rows: NDArray[np.int64],
    seen: pa.Table,
    layers: list[str],
    limit: int | None,
    image: str,
    pixels: Callable[[], NDArray[np.uint8]],
) -> Explanation:
    within = np.flatnonzero(in_layers(index.neurons, layers)[rows])
    saturated = index.neurons["saturated"].to_numpy()[rows]
    order = within[np.lexsort((rows[within], saturated[within], -seen[RELATIVE].to_numpy()[within]))]
    order = window(order, limit)
    table, seen = index.neurons.take(pa.array(rows[order])), seen.take(pa.array(order))
    for column, values in zip(seen.schema, seen.columns, strict=True):
        table = table.append_column(column, values)
    return Explanation(table, index, image, pixels)
