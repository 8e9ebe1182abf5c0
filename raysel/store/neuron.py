"""One neuron of an open index."""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image

from raysel.errors import RayselError
from raysel.store.picture_rows import decode_feature, decode_picture, joined, row_crops
from raysel.store.source_crops import SourceCrop, source_crops
from raysel.store.table_writer import layer_file

if TYPE_CHECKING:
    from raysel.store.index_reader import Index


_ADDRESS = re.compile(r"(.+):(0|[1-9][0-9]{0,17})", re.DOTALL)
"""A neuron has one address: digits are ASCII, without zeros before them."""


class ClassShare(NamedTuple):
    """One of the classes that a neuron is selective to."""

    label: str
    """As the images have it."""
    name: str
    """Readable name; the label if no name is known."""
    share: float
    """Relative frequency f of Eq. 3, in (0, 1]."""


class Neuron:
    """One neuron. Its pictures and its ranking are read on first use, and only the row groups that hold them."""

    def __init__(self, index: Index, row: dict[str, Any]) -> None:
        self.row = row
        """Its row of the neurons table: column -> value, None for null."""
        self.layer: str = row["layer"]
        self.channel: int = row["channel"]
        self._index = index

    def __repr__(self) -> str:
        return f"<neuron {self.address}>"

    @property
    def address(self) -> str:
        """``layer:channel``."""
        return f"{self.layer}:{self.channel}"

    @property
    def feature(self) -> NDArray[np.float32] | None:
        """The neuron feature (Eq. 1): float32[h, w, 3], RGB in [0, 1]; None if the neuron is dead.

        Values are rounded to multiples of 1/255, or to float16 in an index that was made with ``float_features``. The
        selectivity indexes were computed from the exact feature. A pixel that no crop shows is NaN: it lies outside of
        every image.
        """
        row = self._feature_row
        return None if row is None else decode_feature(row)[0]

    @property
    def count(self) -> NDArray[np.uint16] | None:
        """How many crops show each pixel of the feature: uint16[h, w]; None if the neuron is dead."""
        row = self._feature_row
        return None if row is None else decode_feature(row)[1]

    @property
    def picture(self) -> Image.Image | None:
        """The neuron feature as RGBA, transparent where no crop shows the pixel; None if the neuron is dead."""
        row = self._feature_row
        return None if row is None else decode_picture(row["picture"]).convert("RGBA")

    @property
    def sheet(self) -> Image.Image | None:
        """All crops on one RGB picture, row by row in rank order; None if the neuron is dead."""
        row = self._sheet_row
        return None if row is None else joined(row_crops(row), row["columns"])

    @property
    def crops(self) -> list[Image.Image]:
        """What the neuron saw in the images that build its feature: RGB, in rank order, reduced; empty if dead."""
        row = self._sheet_row
        return [] if row is None else row_crops(row)

    def source_crops(self, count: int, images: str | None = None) -> list[SourceCrop]:
        """The first `count` crops in the full resolution of their images, which are read again from the source.

        Args:
            count: maximum number of crops, in rank order.
            images: path or URI of the images if they were moved since the run.

        Raises:
            RayselError: the images cannot be read, or are not the ones that were indexed.
        """
        return source_crops(self._index, self.ranking.slice(0, count).to_pylist(), images)

    @cached_property
    def ranking(self) -> pa.Table:
        """Its rows of the rankings table: row k is rank k, the first `n` of them build the feature."""
        return self._index.table("rankings.parquet").where(layer=self.layer, channel=self.channel)

    @property
    def classes(self) -> list[ClassShare]:
        """The M classes of Eq. 4, largest share first; empty without labels."""
        names = self._index.class_names
        shares = [(entry["label"], entry["share"]) for entry in self.row["classes"] or []]
        return [ClassShare(label, names.get(label, label), share) for label, share in shares]

    @cached_property
    def _feature_row(self) -> dict[str, Any] | None:
        return self._picture_row("features")

    @cached_property
    def _sheet_row(self) -> dict[str, Any] | None:
        return self._picture_row("sheets")

    def _picture_row(self, table: str) -> dict[str, Any] | None:
        rows = self._index.table(layer_file(table, self.layer)).where(channel=self.channel).to_pylist()
        return rows[0] if rows else None


def neuron_address(text: str) -> tuple[str, int]:
    """(layer, channel) of a neuron written as ``layer:channel``, such as ``features.3:12``.

    Raises:
        RayselError: the text has another form.
    """
    match = _ADDRESS.fullmatch(text)
    if match is None:
        raise RayselError(f"{text!r} is not a neuron: write LAYER:CHANNEL, such as features.3:12")
    return match[1], int(match[2])
