"""Which columns of a Parquet file hold images, their paths and their labels, and what keys and labels these give."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from raysel.files import as_utf8

LABEL_COLUMNS = ("label", "labels", "class", "cls", "wnid")
"""Columns with the label if no ClassLabel is declared: the first of these in the file."""
_BINARY_COLUMNS = ("image", "img", "jpg", "jpeg", "png", "webp", "bytes")


@dataclass(frozen=True)
class ImageColumns:
    """Where a Parquet file keeps its images and labels. Names are dotted: ``image.bytes``."""

    content: str
    """Column with the bytes of the image files."""
    path: str | None
    """Column with their paths, if there is one."""
    label: str | None
    names: tuple[str, ...] | None
    """Label of each class number, if the schema declares them; a number without a name is not a label."""


def image_columns(schema: pa.Schema) -> ImageColumns | None:
    """The columns of a schema that hold images; None if there are none.

    Columns that the ``huggingface`` metadata declare (features of type Image and ClassLabel) precede others. A column
    of images is a struct with binary ``bytes``, or binary itself, and then declared or named image, img, jpg, jpeg,
    png, webp or bytes.
    """
    features = _features(schema)
    declared = [name for name, feature in features.items() if feature.get("_type") == "Image"]
    candidates = [each for each in schema if each.name in declared] or list(schema)
    found = next((columns for each in candidates if (columns := _content(each, bool(declared)))), None)
    if found is None:
        return None
    classes = {name for name, feature in features.items() if feature.get("_type") == "ClassLabel"} & set(schema.names)
    label = next((name for name in (*LABEL_COLUMNS, *sorted(classes)) if name in classes), None)
    names = tuple(str(name) for name in features[label].get("names", ())) if label else None
    if label is None:
        label = next((name for name in LABEL_COLUMNS if name in schema.names and _is_plain(schema.field(name))), None)
    return ImageColumns(*found, label, names or None)


def column(rows: pa.Table | pa.RecordBatch, name: str) -> pa.Array:
    """A column by its dotted name."""
    first, *inner = name.split(".")
    values = rows[first].combine_chunks() if isinstance(rows, pa.Table) else rows[first]
    for each in inner:
        values = pc.struct_field(values, each)
    return values


def keys_of(paths: pa.Array, shard_name: str) -> pa.Array:
    """The key of each row, string[n]: its path if it is there and unique, or else the shard's name and its number."""
    cleaned = [as_utf8(path) if path else None for path in paths.to_pylist()]
    counts = pc.value_counts(pa.array(cleaned, pa.string()))
    repeated = set(counts.field("values").filter(pc.greater(counts.field("counts"), 1)).to_pylist())
    keys = [path if path and path not in repeated else f"{shard_name}/{row:08d}" for row, path in enumerate(cleaned)]
    return pa.array(keys, pa.string())


def labels_of(values: pa.Array, names: tuple[str, ...] | None) -> pa.Array:
    """The label of each row, string[n], from a column of labels or, with `names`, of class numbers."""
    if names is None or not pa.types.is_integer(values.type):
        texts = values.cast(pa.string())
        return pc.if_else(pc.equal(texts, ""), None, texts)
    known = pc.and_(pc.greater_equal(values, 0), pc.less(values, len(names)))
    return pa.array(names, pa.string()).take(pc.if_else(known, values, None))


def _features(schema: pa.Schema) -> dict[str, Any]:
    try:
        features = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))["info"]["features"]
    except (ValueError, KeyError, TypeError):
        return {}
    return {name: each for name, each in features.items() if isinstance(each, dict)}


def _content(field: pa.Field, declared: bool) -> tuple[str, str | None] | None:
    """(column of bytes, column of paths) of a field that holds images."""
    kind = field.type
    if pa.types.is_struct(kind):
        inside = {kind.field(number).name: kind.field(number) for number in range(kind.num_fields)}
        if "bytes" in inside and _is_binary(inside["bytes"].type):
            return f"{field.name}.bytes", f"{field.name}.path" if "path" in inside else None
    elif _is_binary(kind) and (declared or field.name in _BINARY_COLUMNS):
        return field.name, None
    return None


def _is_binary(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind))


def _is_plain(field: pa.Field) -> bool:
    kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_integer(kind))
