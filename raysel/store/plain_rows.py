"""Rows and values of a table as JSON has them, and as people read them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa


def plain_rows(table: pa.Table) -> list[dict[str, Any]]:
    """The rows of an Arrow table for JSON; see `plain_row`."""
    return [plain_row(row, table.schema) for row in table.to_pylist()]


def plain_row(row: dict[str, Any], schema: pa.Schema) -> dict[str, Any]:
    """A row for JSON: float32 with as few digits as are unique, null for NaN and infinity."""
    return {name: _plain(value, _is_single(schema.field(name).type)) for name, value in row.items()}


def spelled(value: Any) -> str:
    """A value as readable text: about four digits, a dash for null."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return _figures(value)
    if isinstance(value, list):
        return ", ".join(spelled(entry) for entry in value)
    if isinstance(value, dict):
        return ", ".join(f"{name} {spelled(share)}" for name, share in _visible_shares(value))
    # Names come from files: control characters could move the cursor of a terminal.
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in str(value))


def _visible_shares(shares: dict[str, float]) -> list[tuple[str, float]]:
    """The shares that are at least 0.001, largest first."""
    return sorted(((name, share) for name, share in shares.items() if share >= 0.001), key=lambda item: -item[1])


def _figures(value: float) -> str:
    size = abs(value)
    if size >= 1e6:
        return f"{value:.3e}"
    decimals = 3 if size < 10 else 2 if size < 100 else 1 if size < 1000 else 0
    return f"{value:.{decimals}f}"


def _is_single(kind: pa.DataType) -> bool:
    return pa.types.is_float32(kind) or (pa.types.is_list(kind) and pa.types.is_float32(kind.value_type))


def _plain(value: Any, single: bool) -> Any:
    if isinstance(value, list):
        return [_plain(entry, single) for entry in value]
    if not isinstance(value, float):
        return value
    if not math.isfinite(value):
        return None
    return float(str(np.float32(value))) if single else value
