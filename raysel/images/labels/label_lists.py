"""Labels in lists without a header, as ImageNet comes with, and labels under other names."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

import pyarrow as pa

from raysel.errors import RayselError
from raysel.files.filesystems import as_raysel_error, filesystem_of
from raysel.files.paths import absolute_uri, redact_uri
from raysel.images.file_names import suffix
from raysel.images.text_tables import column_names, text_columns

VALIDATION_KEY = "ILSVRC2012_val_{:08d}"
"""Name of the i-th image, from 1, of ImageNet's validation set."""
_WNID = re.compile(r"n\d{8}")


def read_label_list(path: str, mapping: Mapping[str, str] | None) -> pa.Table:
    """Read a text file of labels.

    Either each line is ``NAME LABEL``, as Caffe's ``val.txt``; or line i is the label of the i-th validation image of
    ImageNet: a wnid, as in ``imagenet_2012_validation_synset_labels.txt``, or a class number from 1 to 1000, as in the
    devkit's ``ILSVRC2012_validation_ground_truth.txt``. Those numbers are in an order of the devkit's own, not that of
    the wnids, so they need a `mapping` to be understood.

    Args:
        path: of the file, or its URI.
        mapping: label in the file -> label; see `read_label_map`. None: as they are.

    Returns:
        key string, label string; keys are distinct.

    Raises:
        RayselError: the file is missing or unreadable, its lines have different numbers of words, class numbers have no
            mapping, or a label is not in it.
    """
    shown = redact_uri(path)
    rows = [line.split() for line in _text(path).splitlines() if line.strip()]
    widths = {len(row) for row in rows}
    if widths not in ({1}, {2}):
        raise RayselError(f"{shown} is no list of labels: give one word a line (a label), or two (an image, its label)")
    labels = [row[-1] for row in rows]
    if widths == {1} and mapping is None and not all(_WNID.fullmatch(label) for label in labels):
        raise RayselError(
            f"{shown} holds class numbers of the ILSVRC 2012 devkit, whose order is its own: give as label map "
            "the devkit's meta.mat, or a CSV of ILSVRC2012_ID, WNID"
        )
    keys = [row[0] for row in rows] if widths == {2} else [VALIDATION_KEY.format(i + 1) for i in range(len(rows))]
    twice = len(keys) - len(set(keys))
    if twice:
        raise RayselError(f"{twice} images stand more than once in {shown}: keep one line per image")
    table = pa.table({"key": pa.array(keys, pa.string()), "label": pa.array(labels, pa.string())})
    return table if mapping is None else renamed(table, mapping)


def read_label_map(path: str) -> dict[str, str]:
    """Read which label stands for which: label as it is found -> label to use.

    Args:
        path: CSV or Parquet (the first column to the second, or ``ILSVRC2012_ID`` to ``WNID`` where they are there),
            a JSON object, or the ILSVRC 2012 devkit's ``meta.mat`` (class number -> wnid; needs scipy).

    Raises:
        RayselError: the file is missing, unreadable, or of none of these forms.
    """
    shown = redact_uri(path)
    if suffix(path) == "mat":
        return _devkit(path)
    if suffix(path) == "json":
        try:
            content = json.loads(_text(path))
        except ValueError as error:
            raise RayselError(f"{shown} is no JSON: {error}") from None
        if not isinstance(content, dict) or not all(isinstance(value, str | int) for value in content.values()):
            raise RayselError(f'{shown} is no map of labels: write {{"label": "label to use"}}')
        return {key: str(value) for key, value in content.items()}
    names = column_names(path)
    devkit = [name for name in ("ILSVRC2012_ID", "WNID") if name in names]
    if len(names) < 2:
        raise RayselError(f"{shown} has one column: a map of labels needs two, from and to")
    old, new = text_columns(path, devkit if len(devkit) == 2 else names[:2])
    return {key: value for key, value in zip(old.to_pylist(), new.to_pylist(), strict=True) if key and value}


def renamed(labels: pa.Table, mapping: Mapping[str, str]) -> pa.Table:
    """The table (columns key, label) with every label as `mapping` has it; null stays null.

    Raises:
        RayselError: a label is not in the mapping.
    """
    old = labels["label"].to_pylist()
    unknown = next((label for label in old if label is not None and label not in mapping), None)
    if unknown is not None:
        raise RayselError(f"label {unknown!r} is not in the label map, which has {len(mapping):,}")
    new = pa.array([None if label is None else mapping[label] for label in old], pa.string())
    return labels.set_column(labels.schema.get_field_index("label"), "label", new)


def _text(path: str) -> str:
    with as_raysel_error(f"cannot read {redact_uri(path)}"):
        filesystem, inside = filesystem_of(absolute_uri(path))
        with filesystem.open_input_stream(inside) as stream:
            return bytes(stream.read()).decode("utf-8")


def _devkit(path: str) -> dict[str, str]:
    try:
        from scipy.io import loadmat
    except ImportError:
        raise RayselError(f"reading {redact_uri(path)} needs scipy: pip install scipy, or give a CSV of it") from None
    try:
        with as_raysel_error(f"cannot read {redact_uri(path)}"):
            filesystem, inside = filesystem_of(absolute_uri(path))
            with filesystem.open_input_file(inside) as stream:
                synsets = loadmat(stream, squeeze_me=True)["synsets"]
        pairs = zip(synsets["ILSVRC2012_ID"].tolist(), synsets["WNID"].tolist(), strict=True)
        return {str(int(number)): str(wnid) for number, wnid in pairs}
    except (KeyError, IndexError, TypeError) as error:
        raise RayselError(f"{redact_uri(path)} is no meta.mat of the ILSVRC 2012 devkit: no {error}") from None
