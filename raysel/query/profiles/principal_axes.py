"""Neurons on a plane: their coordinates along the two principal axes of their profiles."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy import sparse

AXES = 2
_SEED = 0


def principal_coordinates(profiles: sparse.csr_array | NDArray[np.floating]) -> NDArray[np.float64]:
    """float64[rows, 2]: each row minus the mean of all, along the two axes of largest variance.

    The sign of an axis, which has no meaning, is such that the largest coordinate in size is positive. An axis without
    variance, as of fewer than four rows or columns, has zeros.
    """
    from scipy.sparse.linalg import LinearOperator, svds

    rows, columns = profiles.shape
    coordinates = np.zeros((rows, AXES))
    if min(rows, columns) <= AXES + 1:
        return coordinates
    mean = np.asarray(profiles.mean(axis=0)).ravel()
    if not _varies(profiles, mean):
        return coordinates
    transposed = profiles.T
    centered = LinearOperator(
        (rows, columns),
        matvec=lambda vector: profiles @ np.ravel(vector) - mean @ np.ravel(vector),
        rmatvec=lambda vector: transposed @ np.ravel(vector) - mean * vector.sum(),
        dtype=np.float64,
    )
    start = np.random.default_rng(_SEED).normal(size=min(rows, columns))
    left, lengths, _ = svds(centered, k=AXES, v0=start)
    coordinates[:] = (left * lengths)[:, np.argsort(-lengths)]
    largest = coordinates[np.argmax(np.abs(coordinates), axis=0), np.arange(AXES)]
    return coordinates * np.where(largest < 0, -1.0, 1.0)


def _varies(profiles: sparse.csr_array | NDArray[np.floating], mean: NDArray[np.float64]) -> bool:
    squares = float((profiles * profiles).sum())
    return squares - profiles.shape[0] * float(mean @ mean) > 1e-9 * max(squares, 1e-300)
