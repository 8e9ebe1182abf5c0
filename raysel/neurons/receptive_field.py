"""The receptive field: the square of input pixels that one position of a layer can see."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class ReceptiveField:
    """Position (row, column) of a layer sees the square of `size` pixels whose first row is ``offset + stride * row``.

    All in pixels of the network's input; `offset` is negative where padding is seen. One that is at least as large as
    the input is the whole input, unaligned (`whole`): every position then has the input itself as its crop.
    """

    size: int
    stride: float
    offset: float
    input_size: tuple[int, int]
    """(height, width) of the network's input."""
    exact: bool = True
    """False where an operation of the graph is not known and only a bound is."""

    @property
    def whole(self) -> bool:
        """True if the crop of every position is the whole input."""
        return self.size >= max(self.input_size)

    @property
    def crop_size(self) -> tuple[int, int]:
        """(height, width) of a position's crop, in input pixels, before any reduction."""
        return self.input_size if self.whole else (self.size, self.size)

    def origins(self, positions: NDArray[np.integer], map_width: int) -> NDArray[np.int64]:
        """First (row, column) of each position's crop, in input pixels; may be negative.

        Args:
            positions: int[...], ``row * map_width + column`` in raster order.
            map_width: columns of the layer's map.

        Returns:
            int64[..., 2]
        """
        cells = np.stack(np.divmod(positions.astype(np.int64), map_width), axis=-1)
        if self.whole:
            return np.zeros_like(cells)
        return np.floor(self.offset + self.stride * cells).astype(np.int64)
