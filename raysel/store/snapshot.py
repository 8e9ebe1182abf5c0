"""Named arrays as one object that is put at once: the progress of a run at rest."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from raysel.files import Folder

SNAPSHOT_NAME = "state.npz"
"""Name of the snapshot of a scan, in the folder of its fingerprint."""


def put_snapshot(folder: Folder, name: str, arrays: dict[str, NDArray]) -> None:
    """Write named arrays as one uncompressed ``.npz`` file. A reader sees the former arrays, or all of these."""
    data = io.BytesIO()
    np.savez(data, **arrays)  # type: ignore[arg-type]
    folder.put(name, data.getvalue())


def get_snapshot(folder: Folder, name: str) -> dict[str, NDArray] | None:
    """The arrays that `put_snapshot` wrote; None if there is no such file, or it is damaged."""
    try:
        data = folder.read(name)
    except FileNotFoundError:
        return None
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            return {key: file[key] for key in file.files}
    except (ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile):
        return None


def get_arrays(folder: Folder, name: str, keys: Sequence[str]) -> dict[str, NDArray] | None:
    """Some of the arrays that `put_snapshot` wrote, without reading the others; None as for `get_snapshot`."""
    try:
        with folder.open(name) as stream, np.load(stream, allow_pickle=False) as file:
            return {key: file[key] for key in keys}
    except (OSError, ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile):
        return None
