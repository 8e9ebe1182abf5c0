"""Labels from a table of one's own."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from raysel.errors import RayselError
from raysel.files.paths import redact_uri
from raysel.images.file_names import IMAGE_SUFFIXES, suffix
from raysel.images.labels.label_lists import read_label_list, read_label_map, renamed
from raysel.images.text_tables import column_names, text_columns

KEY_COLUMNS = ("key", "path", "file", "filename")
"""Columns that hold the key unless another is named: the first of these that is there, else the first of all."""


def read_labels(path: str, key_column: str | None, label_column: str, label_map: str | None = None) -> pa.Table:
    """Read which image has which label, from CSV (``.csv``, ``.tsv``), Parquet or a list (``.txt``), by path or URI.

    Args:
        path: the table's file; of lists see `read_label_list`.
        key_column: column that holds the images' keys; None: see `KEY_COLUMNS`.
        label_column: column that holds the labels; numbers are taken as text. Empty ones are null.
        label_map: file that says which label to use for which; see `read_label_map`. None: as they are.

    Returns:
        key string, label string; keys are distinct and not null.

    Raises:
        RayselError: the file is missing or unreadable, a column is missing (it lists those there are), or one key has
            two labels.
    """
    shown = redact_uri(path)
    mapping = read_label_map(label_map) if label_map is not None else None
    if suffix(path.partition("?")[0]) == "txt":
        return read_label_list(path, mapping)
    if key_column is None:
        names = column_names(path)
        key_column = next((name for name in KEY_COLUMNS if name in names), names[0])
    keys, labels = text_columns(path, [key_column, label_column])
    keys = pc.replace_substring_regex(keys, pattern=r"^(\./+)+", replacement="")
    distinct = (
        pa.table({"key": keys, "label": labels}).filter(pc.is_valid(keys)).group_by(["key", "label"]).aggregate([])
    )
    distinct = distinct.select(["key", "label"]).sort_by([("key", "ascending"), ("label", "ascending")])
    twice = _repeated(distinct["key"])
    if len(twice):
        raise RayselError(f"key {twice[0].as_py()!r} has several labels in {shown}: keep one row per image")
    return distinct.combine_chunks() if mapping is None else renamed(distinct.combine_chunks(), mapping)


def match_labels(keys: pa.Array, labels: pa.Table) -> pa.Array:
    """The label of each key, string[n], null where there is none; see `ImagesList.with_labels`.

    Raises:
        RayselError: not one key is in the table.
    """
    theirs, values = labels["key"].combine_chunks(), labels["label"].combine_chunks()
    place = pc.index_in(keys, value_set=theirs)
    if place.null_count:
        place = pc.coalesce(place, _place(_stem(keys), _stem(theirs), alone=False))
    if place.null_count:
        by_base_name = _place(_base_stem(keys), _base_stem(theirs), alone=True)
        place = pc.coalesce(place, _where_folders_agree(by_base_name, _stem(keys), _stem(theirs)))
    if place.null_count == len(place):
        theirs_example = repr(theirs[0].as_py()) if len(theirs) else "nothing at all"
        raise RayselError(
            f"no image is in the label table: images have keys like {keys[0].as_py()!r}, the table {theirs_example}"
        )
    return values.take(place)


def _place(keys: pa.Array, theirs: pa.Array, alone: bool) -> pa.Array:
    """int32[n]: the table's row for each shortened key; null where none or several, or (`alone`) keys are alike."""
    place = pc.index_in(keys, value_set=theirs, skip_nulls=True)
    ambiguous = pc.is_in(keys, value_set=_repeated(theirs))
    if alone:
        ambiguous = pc.or_(ambiguous, pc.is_in(keys, value_set=_repeated(keys)))
    return pc.if_else(ambiguous, None, place)


def _where_folders_agree(place: pa.Array, keys: pa.Array, theirs: pa.Array) -> pa.Array:
    """`place`, null where both keys have folders and neither is the end of the other: ``b/0`` is not ``a/0``."""
    found = np.flatnonzero(place.is_valid().to_numpy(zero_copy_only=False))
    pairs = zip(keys.take(pa.array(found)).to_pylist(), theirs.take(place.drop_null()).to_pylist(), strict=True)
    agree = np.zeros(len(place), dtype=bool)
    agree[found] = [f"/{ours}".endswith(f"/{other}") or f"/{other}".endswith(f"/{ours}") for ours, other in pairs]
    return pc.if_else(pa.array(agree), place, None)


def _repeated(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    counts = pc.value_counts(values)
    return counts.field("values").filter(pc.greater(counts.field("counts"), 1))


def _stem(keys: pa.Array) -> pa.Array:
    return pc.replace_substring_regex(keys, pattern=rf"(?i)\.({'|'.join(IMAGE_SUFFIXES)})$", replacement="")


def _base_stem(keys: pa.Array) -> pa.Array:
    return pc.replace_substring_regex(_stem(keys), pattern=r"(?s)^.*/", replacement="")
