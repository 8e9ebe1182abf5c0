"""The receptive field of a layer: which pixels of the network's input each of its positions sees."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class ReceptiveField:
    """A square per position, in pixels of the network's input.

    If the square is at least as large as the input (`whole`), the crop of every position is the input itself.
    """

    size: int
    """Pixels a side."""
    stride: float
    """Pixels from one position to the next."""
    offset: float
    """First row and first column of the square of position (0, 0); negative if it covers padding."""
    input_size: tuple[int, int]
    """(height, width) of the network's input, in pixels."""
    exact: bool = True
    """False if the graph has an operation that is not known, so that this is only an upper bound."""

    @property
    def whole(self) -> bool:
        """True if the crop of every position is the whole input."""
        return self.size >= max(self.input_size)

    @property
    def crop_size(self) -> tuple[int, int]:
        """(height, width) of a crop in pixels of the input, before any reduction."""
        return self.input_size if self.whole else (self.size, self.size)

    def origins(self, positions: NDArray[np.integer], map_width: int) -> NDArray[np.int64]:
        """First (row, column) of each position's crop.

        Args:
            positions: int [...], ``row * map_width + column``.
            map_width: columns of the layer's map.

        Returns:
            int64 [..., 2] in pixels of the input, ``floor(offset + stride * cell)``; may be negative.
        """
        cells = np.stack(np.divmod(positions.astype(np.int64), map_width), axis=-1)
        if self.whole:
            return np.zeros_like(cells)
        return np.floor(self.offset + self.stride * cells).astype(np.int64)
