"""Reading labels: from a table, from a list without a header as ImageNet has, and under other names."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from raysel.errors import RayselError
from raysel.files import open_file, read_bytes, redact_uri, suffix
from raysel.images.labels.matching import repeated
from raysel.images.text_tables import column_names, text_columns

KEY_COLUMNS = ("key", "path", "file", "filename")
"""Columns with the key unless another is named: the first of these in the table, or else its first column."""
VALIDATION_KEY = "ILSVRC2012_val_{:08d}"
"""Name of the i-th image, from 1, of ImageNet's validation set."""
_WNID = re.compile(r"n\d{8}")


def read_labels(path: str, key_column: str | None, label_column: str, label_map: str | None = None) -> pa.Table:
    """Read the labels of images from CSV (``.csv``, ``.tsv``), Parquet or a list (``.txt``), by path or URI.

    A list either has lines ``NAME LABEL``, as Caffe's ``val.txt``; or line i is the label of ImageNet's i-th validation
    image: a wnid, as in ``imagenet_2012_validation_synset_labels.txt``, or a class number from 1 to 1000, as in the
    devkit's ``ILSVRC2012_validation_ground_truth.txt``. The devkit numbers classes in its own order, not that of the
    wnids, so class numbers need a `label_map`.

    Args:
        path: path or URI of the table or list.
        key_column: column with the images' keys; None: see `KEY_COLUMNS`.
        label_column: column with the labels; numbers are read as text. Empty labels are null.
        label_map: file that says which label to use for which; see `read_label_map`. None: labels are used as they are.

    Returns:
        key string, label string; keys are distinct and not null.

    Raises:
        RayselError: the file is missing or unreadable; a column is missing (the message lists those it has); one key
            has two labels; the lines of a list differ in their number of words, or are class numbers without a map; a
            label is not in the map.
    """
    mapping = read_label_map(label_map) if label_map is not None else None
    if suffix(path) == "txt":
        labels = _read_list(path, mapping is not None)
    else:
        if key_column is None:
            names = column_names(path)
            key_column = next((name for name in KEY_COLUMNS if name in names), names[0])
        keys, values = text_columns(path, [key_column, label_column])
        keys = pc.replace_substring_regex(keys, pattern=r"^(\./+)+", replacement="")
        labels = pa.table({"key": keys, "label": values}).filter(pc.is_valid(keys))
    labels = labels.group_by(["key", "label"]).aggregate([]).select(["key", "label"])
    labels = labels.sort_by([("key", "ascending"), ("label", "ascending")]).combine_chunks()
    twice = repeated(labels["key"])
    if len(twice):
        raise RayselError(
            f"images with several labels in {redact_uri(path)}: {len(twice):,}, the first is {twice[0].as_py()!r}; "
            "keep one row per image"
        )
    return labels if mapping is None else _renamed(labels, mapping)


def read_label_map(path: str) -> dict[str, str]:
    """Read the replacements of labels: label as it is found -> label to use.

    Args:
        path: CSV or Parquet (the first column to the second, or ``ILSVRC2012_ID`` to ``WNID`` if it has both), a JSON
            object, or the ILSVRC 2012 devkit's ``meta.mat`` (class number to wnid; needs scipy).

    Raises:
        RayselError: the file is missing, unreadable, or in none of these forms.
    """
    shown = redact_uri(path)
    if suffix(path) == "mat":
        return _devkit(path)
    if suffix(path) == "json":
        with open_file(path, "label map") as file:
            content = json.loads(file.read())
        if not isinstance(content, dict) or not all(isinstance(value, str | int) for value in content.values()):
            raise RayselError(f'{shown} is not a label map: write {{"label": "label to use"}}')
        return {key: str(value) for key, value in content.items()}
    names = column_names(path)
    devkit = [name for name in ("ILSVRC2012_ID", "WNID") if name in names]
    if len(names) < 2:
        raise RayselError(f"{shown} has one column: a label map needs two, from and to")
    old, new = text_columns(path, devkit if len(devkit) == 2 else names[:2])
    return {key: value for key, value in zip(old.to_pylist(), new.to_pylist(), strict=True) if key and value}


def _read_list(path: str, mapped: bool) -> pa.Table:
    """The keys and labels of a text file without a header."""
    shown = redact_uri(path)
    try:
        lines = read_bytes(path, "list of labels").decode("utf-8").splitlines()
    except UnicodeDecodeError:
        raise RayselError(f"{shown} is not UTF-8: save it as UTF-8") from None
    rows = [line.split() for line in lines if line.strip()]
    widths = {len(row) for row in rows}
    if widths not in ({1}, {2}):
        raise RayselError(
            f"{shown} is not a list of labels: write one word per line (a label) or two (an image, its label)"
        )
    labels = [row[-1] for row in rows]
    if widths == {1} and not mapped and not all(_WNID.fullmatch(label) for label in labels):
        raise RayselError(
            f"{shown} contains class numbers of the ILSVRC 2012 devkit, which has its own order: with --label-map, "
            "give the devkit's meta.mat or a CSV of ILSVRC2012_ID, WNID"
        )
    keys = [row[0] for row in rows] if widths == {2} else [VALIDATION_KEY.format(i + 1) for i in range(len(rows))]
    return pa.table({"key": pa.array(keys, pa.string()), "label": pa.array(labels, pa.string())})


def _renamed(labels: pa.Table, mapping: Mapping[str, str]) -> pa.Table:
    """The table (columns key, label) with every label replaced by what it maps to; null stays null."""
    old = labels["label"].to_pylist()
    unknown = next((label for label in old if label is not None and label not in mapping), None)
    if unknown is not None:
        raise RayselError(f"label {unknown!r} is not in the label map, which has {len(mapping):,} entries")
    new = pa.array([None if label is None else mapping[label] for label in old], pa.string())
    return labels.set_column(labels.schema.get_field_index("label"), "label", new)


def _devkit(path: str) -> dict[str, str]:
    from scipy.io import loadmat

    try:
        with open_file(path, "label map") as file:
            synsets = loadmat(file, squeeze_me=True)["synsets"]
        pairs = zip(synsets["ILSVRC2012_ID"].tolist(), synsets["WNID"].tolist(), strict=True)
        return {str(int(number)): str(wnid) for number, wnid in pairs}
    except (KeyError, IndexError, TypeError) as error:
        raise RayselError(f"{redact_uri(path)} is not a meta.mat of the ILSVRC 2012 devkit: no {error}") from None
