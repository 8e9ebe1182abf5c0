"""Receptive fields as plain data that JSON can hold, and back without loss."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from raysel.neurons.receptive_field import AxisField, Interval, ReceptiveField


def field_data(field: ReceptiveField) -> dict[str, Any]:
    """The field as data: a table per axis, with exact fractions as text, and why it is only a bound."""
    return {"rows": _axis_data(field.rows), "columns": _axis_data(field.columns), "bound": field.bound}


def field_of(data: dict[str, Any]) -> ReceptiveField:
    """The inverse of `field_data`."""
    return ReceptiveField(_axis_of(data["rows"]), _axis_of(data["columns"]), data["bound"])


def _axis_data(axis: AxisField) -> dict[str, Any]:
    return {
        "size": axis.size,
        "stride": str(axis.stride),
        "offset": str(axis.offset),
        "length": axis.length,
        "seen": None if axis.seen is None else " ".join(f"{first}:{last}" for first, last in axis.seen),
    }


def _axis_of(data: dict[str, Any]) -> AxisField:
    seen = None if data["seen"] is None else tuple(_interval(text) for text in data["seen"].split())
    return AxisField(data["size"], Fraction(data["stride"]), Fraction(data["offset"]), data["length"], seen)


def _interval(text: str) -> Interval:
    first, last = text.split(":")
    return int(first), int(last)
