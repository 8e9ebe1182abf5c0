"""Columns of the neurons table as numbers, as JSON for the scripts, and in words."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from raysel.errors import RayselError, did_you_mean
from raysel.explorer.links import Links, layer_slugs, patterns
from raysel.query.columns import column_values
from raysel.query.measures import CHANCE, values
from raysel.store import Index

_DIGITS = 6
"""Significant digits of a number that scripts draw or compare."""


def described(index: Index) -> Iterator[tuple[str, str, str]]:
    """(name, ``number`` or ``text``, description) of every column that can be drawn, sorted or filtered.

    A part of a column has a dot: ``color_names.red``.
    """
    for field in index.neurons.schema:
        text = (field.metadata or {}).get(b"description", b"").decode()
        if pa.types.is_struct(field.type):
            yield from ((f"{field.name}.{part.name}", "number", f"{text}: {part.name}") for part in field.type)
        elif kind := _kind(field.type):
            yield field.name, kind, text


def table_json(index: Index, links: Links) -> str:
    """JSON that the scripts read first: columns with values, layers as addresses spell them, patterns of addresses."""
    columns = [
        {"name": name, "kind": kind, "text": text}
        for name, kind, text in described(index)
        if column_values(index.neurons, name).null_count < len(index.neurons)
    ]
    layers = list(index.layers)
    return json.dumps(
        {
            "neurons": len(index.neurons),
            "layers": layers,
            "slugs": layer_slugs(links, layers),
            "columns": columns,
            "classes": index.class_names,
            "links": patterns(links),
        },
        ensure_ascii=False,
    )


def column_json(index: Index, name: str) -> str:
    """JSON of one column, a value per neuron: ``{"values": [...]}`` for numbers, with six digits and true as 1, and
    ``{"texts": [...], "codes": [...]}`` for text; null where the column is null.

    Raises:
        RayselError: there is no such column, or it is neither numbers nor text.
    """
    known = {each: kind for each, kind, _ in described(index)}
    if name not in known:
        raise RayselError(f"no column {name!r} to draw in this index; {did_you_mean(name, known)}")
    if known[name] == "number":
        return json.dumps({"values": [_short(value) for value in values(index, name).tolist()]})
    codes = column_values(index.neurons, name).cast(pa.string()).combine_chunks().dictionary_encode()
    return json.dumps({"texts": codes.dictionary.to_pylist(), "codes": codes.indices.to_pylist()}, ensure_ascii=False)


def chance_note(index: Index) -> str:
    """How far class selectivity can be trusted; empty without classes."""
    classes = index.manifest.counts.classes
    if not classes:
        return ""
    chance = values(index, CHANCE)
    chance = chance[np.isfinite(chance)]
    if not len(chance):
        return ""
    return (
        f"With {classes:,} classes, a neuron whose images were drawn at random would have a class selectivity of "
        f"{chance.mean():.2f} on average. Excess is 0 at chance and 1 if all images are of one class."
    )


def _kind(kind: pa.DataType) -> str | None:
    if pa.types.is_dictionary(kind) or pa.types.is_string(kind):
        return "text"
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind):
        return "number"
    return None


def _short(value: float) -> Any:
    if not math.isfinite(value):
        return None
    short = float(f"{value:.{_DIGITS}g}")
    return int(short) if short.is_integer() else short
