"""What an intervention consists of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Intervention:
    """A change of images, in one or several variants."""

    name: str
    whole_image: bool
    """True: the whole image is changed, alike for all neurons. False: what the neuron sees of it."""
    variants: int
    transform: Callable[[Pixels, Sequence[int]], Pixels]
    """(pixels uint8 [h, w, 3], RGB; a seed of the neuron and the image) -> uint8 [variants, h, w, 3]."""
    about_index: str
    """Description of the column of the index."""
    about_curve: str = ""
    """Description of the column of the curve, if there are several variants."""

    @property
    def index(self) -> str:
        """Name of the column of the index."""
        return f"{self.name}_index"

    @property
    def curve(self) -> str:
        """Name of the column of the curve."""
        return f"{self.name}_curve"

    @property
    def columns(self) -> tuple[pa.Field, ...]:
        """The columns of the neurons table that it fills, null where it was not asked for."""
        index = pa.field(self.index, pa.float64(), metadata={"description": self.about_index})
        curve = pa.field(self.curve, pa.list_(pa.float64()), metadata={"description": self.about_curve})
        return (index, curve) if self.variants > 1 else (index,)
