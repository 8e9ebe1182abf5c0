"""Rows of a table as JSON has them."""

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
