"""The tables of an index: every column with its type and a one-line description."""

from __future__ import annotations

from functools import cache

import pyarrow as pa

_NAME = pa.dictionary(pa.int32(), pa.string())


def _column(name: str, kind: pa.DataType, description: str, nullable: bool = False) -> pa.Field:
    return pa.field(name, kind, nullable=nullable, metadata={"description": description})


_NEURONS = (
    _column("layer", _NAME, "Name of the tapped layer"),
    _column("channel", pa.int32(), "Channel of the layer, from 0"),
    _column("layer_depth", pa.int32(), "Position of the layer in the network, from 0"),
    _column("rf_size", pa.int32(), "Longer side of the receptive field, pixels of the network's input"),
    _column("rf_height", pa.int32(), "Height of the receptive field, pixels"),
    _column("rf_width", pa.int32(), "Width of the receptive field, pixels"),
    _column("rf_stride", pa.float64(), "Pixels from the receptive field of one row of the map to the next"),
    _column("rf_offset", pa.float64(), "First pixel row that row 0 of the map sees; negative where it sees padding"),
    _column("rf_stride_x", pa.float64(), "As rf_stride, from one column of the map to the next"),
    _column("rf_offset_x", pa.float64(), "As rf_offset, the first pixel column that column 0 of the map sees"),
    _column("rf_exact", pa.bool_(), "False if positions may see less than their crops show"),
    _column("rf_reason", pa.string(), "Why positions may see less; null if rf_exact", nullable=True),
    _column("a_max", pa.float32(), "Highest activation over all images; null if dead", nullable=True),
    _column("n", pa.int32(), "Number of images that build the neuron feature and the indexes"),
    _column("dead", pa.bool_(), "True if no image activates the neuron: a_max and all indexes are null"),
    _column("saturated", pa.int32(), "Number of entries of the ranking whose activation equals a_max"),
)

RANKINGS = pa.schema(
    [
        _column("layer", _NAME, "Name of the tapped layer"),
        _column("channel", pa.int32(), "Channel of the layer, from 0"),
        _column("rank", pa.int32(), "Position in the neuron's ranking, from 0, highest activation first"),
        _column("image", pa.int64(), "Id of the image in the images table"),
        _column("activation", pa.float32(), "Spatial maximum of the neuron's map for this image"),
        _column("w", pa.float64(), "Relative activation: activation / a_max"),
        _column("row", pa.int32(), "Row of the maximum in the layer's map"),
        _column("column", pa.int32(), "Column of the maximum in the layer's map"),
        _column("x0", pa.int32(), "Left edge of what the position sees, pixels of the input; may lie outside of it"),
        _column("y0", pa.int32(), "Upper edge"),
        _column("x1", pa.int32(), "Right edge, exclusive"),
        _column("y1", pa.int32(), "Lower edge, exclusive"),
        _column("label", _NAME, "Label of the image; null if it has none", nullable=True),
    ]
)

IMAGES = pa.schema(
    [
        _column("image", pa.int64(), "Id: position of the key in sorted order, from 0"),
        _column("key", pa.string(), "File path below the source's root, or tar member without extension"),
        _column("label", _NAME, "Label; null if it has none", nullable=True),
        _column("shard", pa.int32(), "Shard that contains the image, in the shards table"),
        _column("offset", pa.int64(), "First byte of the image in its file; its row in Parquet and in a table of URIs"),
        _column("length", pa.int64(), "Bytes of the image"),
    ]
)

SHARDS = pa.schema(
    [
        _column("shard", pa.int32(), "Number of the shard, from 0"),
        _column("name", pa.string(), "Path below the source's root"),
        _column("size", pa.int64(), "Bytes"),
        _column("etag", pa.string(), "Changes with the shard's content: etag, or size and time", nullable=True),
    ]
)

CLASSES = pa.schema(
    [
        _column("label", pa.string(), "Label as the images have it"),
        _column("name", pa.string(), "Readable name; null if unknown", nullable=True),
        _column("wnid", pa.string(), "WordNet 3.0 id; null if unknown", nullable=True),
        _column("hypernyms", pa.list_(pa.string()), "Ids of all concepts above it; null if unknown", nullable=True),
        _column("images", pa.int64(), "Number of usable images with this label; null if not counted", nullable=True),
    ]
)

QUARANTINE = pa.schema(
    [
        _column("image", pa.int64(), "Id of the image; null if the fault was found before it had one", nullable=True),
        _column("key", pa.string(), "Key of the image", nullable=True),
        _column("shard", pa.string(), "Shard that contains it", nullable=True),
        _column("reason", pa.string(), "Why it was not used"),
    ]
)

FEATURES = pa.schema(
    [
        _column("channel", pa.int32(), "Channel of the layer that names the file, from 0"),
        _column("height", pa.int32(), "Rows of the neuron feature, pixels"),
        _column("width", pa.int32(), "Columns of the neuron feature, pixels"),
        _column(
            "picture", pa.binary(), "Neuron feature, lossless WebP, 8 bits; transparent where no crop shows the pixel"
        ),
        _column(
            "feature",
            pa.binary(),
            "Neuron feature, little-endian float16[height, width, 3], RGB in [0, 1]; null without float_features",
            nullable=True,
        ),
        _column("count", pa.binary(), "Number of crops that show each pixel, little-endian uint16[height, width]"),
    ]
)

SHEETS = pa.schema(
    [
        _column("channel", pa.int32(), "Channel of the layer that names the file, from 0"),
        _column("picture", pa.binary(), "JPEG: the neuron's crops in rank order, row by row on a grid of cells"),
        _column("crops", pa.int32(), "Number of crops on the picture"),
        _column("columns", pa.int32(), "Number of crops in one row of the grid"),
        _column("crop_height", pa.int32(), "Height of a crop, pixels of the picture"),
        _column("crop_width", pa.int32(), "Width of a crop, pixels of the picture"),
        _column("cell_height", pa.int32(), "Height of a cell; the crop is in its upper left corner"),
        _column("cell_width", pa.int32(), "Width of a cell"),
    ]
)


@cache
def neurons_schema() -> pa.Schema:
    """Schema of ``neurons.parquet``: the columns of the neuron itself, those of every
    index in `selectivity`, and those of `interventions`."""
    from raysel.interventions import COLUMNS
    from raysel.selectivity import columns

    reserved = ("feature", "sheet")  # which derived chunks have beside the neurons' columns
    taken = {*(field.name for field in (*_NEURONS, *COLUMNS)), *reserved}
    return pa.schema([*_NEURONS, *columns(taken), *COLUMNS])


def schemas() -> dict[str, pa.Schema]:
    """Table -> schema, in the order of the documentation."""
    return {
        "neurons": neurons_schema(),
        "rankings": RANKINGS,
        "images": IMAGES,
        "shards": SHARDS,
        "classes": CLASSES,
        "quarantine": QUARANTINE,
        "features": FEATURES,
        "sheets": SHEETS,
    }


def documented() -> list[tuple[str, str, str, str]]:
    """(table, column, type, description) of every column of an index, for the README's table of columns."""
    return [
        (table, field.name, type_name(field.type), field.metadata[b"description"].decode())
        for table, schema in schemas().items()
        for field in schema
    ]


def type_name(kind: pa.DataType) -> str:
    """A column's type as its readers see it: a dictionary is only how repeated text is stored."""
    if pa.types.is_dictionary(kind):
        return type_name(kind.value_type)
    if pa.types.is_list(kind):
        return f"list<{type_name(kind.value_type)}>"
    return str(kind)
