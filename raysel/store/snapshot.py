"""A run's state at rest while it goes on: all its arrays in one object, put at once."""

from __future__ import annotations

import io
import zipfile

import numpy as np
from numpy.typing import NDArray

from raysel.files.folder import Folder

RUNS_PREFIX = "runs"
"""Folder of what is kept for a restart. Readers of an index never look there; it goes when the index is published."""


def put_snapshot(folder: Folder, name: str, arrays: dict[str, NDArray]) -> None:
    """Write named arrays as one ``.npz`` file, uncompressed: a reader sees the former ones, or all of these."""
    data = io.BytesIO()
    np.savez(data, **arrays)  # type: ignore[arg-type]
    folder.put(name, data.getvalue())


def get_snapshot(folder: Folder, name: str) -> dict[str, NDArray] | None:
    """The arrays of `put_snapshot`; None where there are none, or where they are damaged."""
    try:
        data = folder.read(name)
    except FileNotFoundError:
        return None
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            return {key: file[key] for key in file.files}
    except (ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile):
        return None
