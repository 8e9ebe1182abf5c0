"""Which row of a label table belongs to which image."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from raysel.errors import RayselError
from raysel.images.file_names import IMAGE_SUFFIXES


def match_labels(keys: pa.Array, labels: pa.Table) -> pa.Array:
    """The label of each key, string[n], null if there is none; see `ImagesList.with_labels`.

    Raises:
        RayselError: no key is in the table.
    """
    theirs, values = labels["key"].combine_chunks(), labels["label"].combine_chunks()
    row = pc.index_in(keys, value_set=theirs)
    if row.null_count:
        row = pc.coalesce(row, _unique_row(_stem(keys), _stem(theirs), keys_unique=False))
    if row.null_count:
        by_base_name = _unique_row(_base_stem(keys), _base_stem(theirs), keys_unique=True)
        row = pc.coalesce(row, _where_folders_agree(by_base_name, _stem(keys), _stem(theirs)))
    if row.null_count == len(row):
        example = f"keys like {theirs[0].as_py()!r}" if len(theirs) else "no keys"
        raise RayselError(
            f"no image is in the label table: images have keys like {keys[0].as_py()!r}, the table has {example}; "
            "name another key column with --label-key"
        )
    return values.take(row)


def repeated(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    """The values that occur more than once."""
    counts = pc.value_counts(values)
    return counts.field("values").filter(pc.greater(counts.field("counts"), 1))


def _unique_row(keys: pa.Array, theirs: pa.Array, keys_unique: bool) -> pa.Array:
    """int32[n]: the row of each key in the table; null if there is none or several, or the key must be unique too."""
    row = pc.index_in(keys, value_set=theirs, skip_nulls=True)
    ambiguous = pc.is_in(keys, value_set=repeated(theirs))
    if keys_unique:
        ambiguous = pc.or_(ambiguous, pc.is_in(keys, value_set=repeated(keys)))
    return pc.if_else(ambiguous, None, row)


def _where_folders_agree(row: pa.Array, keys: pa.Array, theirs: pa.Array) -> pa.Array:
    """`row`, null where both keys have folders and neither is the end of the other: ``b/0`` is not ``a/0``."""
    found = np.flatnonzero(row.is_valid().to_numpy(zero_copy_only=False))
    pairs = zip(keys.take(pa.array(found)).to_pylist(), theirs.take(row.drop_null()).to_pylist(), strict=True)
    agree = np.zeros(len(row), dtype=bool)
    agree[found] = [f"/{ours}".endswith(f"/{other}") or f"/{other}".endswith(f"/{ours}") for ours, other in pairs]
    return pc.if_else(pa.array(agree), row, None)


def _stem(keys: pa.Array) -> pa.Array:
    return pc.replace_substring_regex(keys, pattern=rf"(?i)\.({'|'.join(IMAGE_SUFFIXES)})$", replacement="")


def _base_stem(keys: pa.Array) -> pa.Array:
    return pc.replace_substring_regex(_stem(keys), pattern=r"(?s)^.*/", replacement="")
