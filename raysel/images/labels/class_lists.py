"""Class lists of one's own: what each label is called."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa

from raysel.errors import RayselError
from raysel.files import open_file, redact_uri, suffix
from raysel.images.labels.class_facts import CLASS_FACTS, imagenet1k
from raysel.images.text_tables import column_names, text_columns

_LABEL_COLUMNS = ("label", "index", "class", "id", "class_index", "wnid")
_NAME_COLUMNS = ("name", "class_name", "words", "synset")


def read_class_list(path: str) -> pa.Table:
    """Read the names of labels, by path or URI.

    CSV or Parquet: a column ``label`` (or ``index``, ``class``, ``id``, ``class_index``, ``wnid``; or else the first
    column), and a column ``name`` (or ``class_name``, ``words``, ``synset``), ``wnid``, or both. JSON: a list of names,
    numbered from 0; an object label -> name, or label -> [wnid, name] as in Keras; or a list of objects with the names
    of the columns. If raysel knows a wnid, it adds name and hypernyms that are not given.

    Returns:
        Schema `CLASS_FACTS`, a row per label.

    Raises:
        RayselError: the file is missing, unreadable or of another form, or contains a label twice.
    """
    rows = _json_rows(path) if suffix(path) == "json" else _table_rows(path)
    seen: set[str] = set()
    for row in rows:
        if row["label"] in seen:
            raise RayselError(f"{redact_uri(path)} contains class {row['label']!r} twice: keep one row per class")
        seen.add(row["label"])
    return pa.Table.from_pylist([_completed(row) for row in rows], schema=CLASS_FACTS)


def _table_rows(path: str) -> list[dict[str, Any]]:
    names = column_names(path)
    label = next((name for name in _LABEL_COLUMNS if name in names), names[0])
    called = next((name for name in _NAME_COLUMNS if name in names and name != label), None)
    wnid = "wnid" if "wnid" in names else None
    if called is None and wnid is None:
        raise RayselError(f"no column 'name' or 'wnid' in {redact_uri(path)}: it has {', '.join(names)}")
    given = {"label": label, "name": called, "wnid": wnid}
    columns = {key: column for key, column in given.items() if column is not None}
    texts = [column.to_pylist() for column in text_columns(path, list(columns.values()))]
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*texts, strict=True)]
    return [row for row in rows if row["label"]]


def _json_rows(path: str) -> list[dict[str, Any]]:
    with open_file(path, "class list") as file:
        content = json.loads(file.read())
    pairs = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    rows = [_json_row(str(label), value) for label, value in pairs]
    if not rows or None in rows:
        raise RayselError(f'{redact_uri(path)} is not a class list: write ["name", ...] or {{"label": "name"}}')
    return [row for row in rows if row is not None]


def _json_row(label: str, value: Any) -> dict[str, Any] | None:
    if isinstance(value, str):
        return {"label": label, "name": value}
    if isinstance(value, list) and len(value) == 2 and all(isinstance(text, str) for text in value):
        return {"label": label, "wnid": value[0], "name": value[1]}
    if isinstance(value, dict) and ("name" in value or "wnid" in value):
        own = next((value[name] for name in _LABEL_COLUMNS if name in value), label)
        return {"label": str(own), "name": value.get("name"), "wnid": value.get("wnid")}
    return None


def _completed(row: dict[str, Any]) -> dict[str, Any]:
    wnid, taxonomy = row.get("wnid"), imagenet1k()
    return {
        "label": row["label"],
        "name": row.get("name") or (taxonomy.name(wnid) if wnid else None),
        "wnid": wnid,
        "hypernyms": taxonomy.hypernyms(wnid) if wnid else None,
    }
