"""An index, open for reading."""

from __future__ import annotations

import io
import itertools
import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image

from raysel.errors import RayselError
from raysel.files.folder import Folder
from raysel.store.manifest import Manifest, read_manifest
from raysel.store.pictures import decode_feature, row_crops
from raysel.store.query import CLASS, COLOR, Direction, Range, find_neurons, unknown
from raysel.store.reading import TableReader
from raysel.store.source_crops import SourceCrop, source_crops
from raysel.store.tables import layer_file


class ClassShare(NamedTuple):
    """One of the classes that a neuron is selective to."""

    label: str
    """As the images have it."""
    name: str
    """For people; the label where no name is known."""
    share: float
    """Relative frequency f of Eq. 3, in (0, 1]."""


def open_index(uri: str | os.PathLike[str]) -> Index:
    """Open the index in a local folder or at a URI such as ``s3://bucket/index``.

    Reads the manifest; tables are read when they are asked for, and only as much of them as the answer needs.

    Raises:
        RayselError: no index there, an unfinished one, one of a newer format, or one that cannot be reached.
    """
    folder = Folder.at(uri).require_readable()
    return Index(folder, read_manifest(folder))


class Index:
    """What raysel found out about the neurons of a network. Made by `open_index` (``raysel.open``)."""

    def __init__(self, folder: Folder, manifest: Manifest) -> None:
        self.folder = folder
        self.manifest = manifest
        self._readers: dict[str, TableReader] = {}

    def __repr__(self) -> str:
        network, neurons = self.manifest.network.name, self.manifest.counts.neurons
        return f"<raysel index of {network}: {neurons} neurons, {self.folder.shown}>"

    @cached_property
    def neurons(self) -> pa.Table:
        """A row per neuron, in the order of the network: `raysel.store.neurons_schema` says what its columns are."""
        return self._table("neurons.parquet").read()

    @cached_property
    def layers(self) -> tuple[str, ...]:
        """Names of the tapped layers, in the order of the network."""
        return tuple(self.neurons["layer"].cast(pa.string()).unique().to_pylist())

    @property
    def images(self) -> pa.Table:
        """A row per image: id, key, label, shard, offset, length. Read anew each time: it may be long."""
        return self._table("images.parquet").read()

    def images_of(self, ids: Sequence[int]) -> pa.Table:
        """The rows of some images, in the order of `ids`, each once; reads only their row groups."""
        table = self._table("images.parquet").where(image=sorted(set(ids)))
        places = {image: place for place, image in enumerate(table["image"].to_pylist())}
        missing = [image for image in ids if image not in places]
        if missing:
            raise RayselError(f"no image {missing[0]} in this index: it has {self.manifest.counts.images}, from 0")
        return table.take(pa.array([places[image] for image in dict.fromkeys(ids)], pa.int64()))

    @cached_property
    def classes(self) -> pa.Table:
        """A row per label: label, name, wnid, hypernyms, images; no rows where the images have no labels."""
        return self._table("classes.parquet").read()

    @property
    def quarantine(self) -> pa.Table:
        """A row per image that could not be used, with the reason."""
        return self._table("quarantine.parquet").read()

    def rankings(self, columns: list[str] | None = None) -> pa.Table:
        """The whole rankings table, or some of its columns: `rank_depth` rows per neuron. Read anew each time."""
        return self._table("rankings.parquet").read(columns)

    @property
    def shards(self) -> pa.Table:
        """A row per shard of the source: number, name, size, etag."""
        return self._table("shards.parquet").read()

    def find(
        self,
        layer: str | None = None,
        color: Range | None = None,
        class_: Range | None = None,
        *,
        ranges: Mapping[str, Range] | None = None,
        sort: str | None = None,
        direction: Direction | None = None,
        limit: int | None = None,
    ) -> pa.Table:
        """The neurons that meet every condition.

        Args:
            layer: glob over layer names.
            color: (least, most) color selectivity, inclusive; None is no bound. Neurons without one are left out.
            class_: the same for class selectivity.
            ranges: column -> range, for any other column of numbers.
            sort: column to sort by; by default the first of the ranges given, else color selectivity.
            direction: by default numbers descend and text ascends; nulls come last, ties in the order of the network.
            limit: at most so many.

        Raises:
            RayselError: an unknown layer or column, an empty range, a limit below 1.
        """
        conditions = {COLOR: color, CLASS: class_, **(ranges or {})}
        given = {column: bounds for column, bounds in conditions.items() if bounds is not None}
        sort = sort or next(iter(given), COLOR)
        return find_neurons(self.neurons, layer=layer, ranges=given, sort=sort, direction=direction, limit=limit)

    def neuron(self, layer: str, channel: int) -> Neuron:
        """One neuron.

        Raises:
            RayselError: no such layer or channel; the line names near ones.
        """
        if layer not in self._channels:
            raise RayselError(unknown("layer", layer, self.layers))
        start, channels = self._channels[layer]
        place = np.searchsorted(channels, channel)
        if place == len(channels) or channels[place] != channel:
            raise RayselError(f"layer {layer} has channels {channels[0]} to {channels[-1]}, not {channel}")
        return Neuron(self, self.neurons.slice(start + int(place), 1).to_pylist()[0])

    @cached_property
    def class_names(self) -> dict[str, str]:
        """Label -> name for people, where one is known."""
        table = self.classes
        pairs = zip(table["label"].to_pylist(), table["name"].to_pylist(), strict=True)
        return {label: name for label, name in pairs if name}

    @cached_property
    def _channels(self) -> dict[str, tuple[int, NDArray[np.int32]]]:
        names = np.asarray(self.neurons["layer"].cast(pa.string()).to_numpy(zero_copy_only=False), dtype=object)
        channels = self.neurons["channel"].to_numpy()
        starts = [0, *(np.flatnonzero(names[1:] != names[:-1]) + 1), len(names)]
        spans = itertools.pairwise(starts)
        return {str(names[start]): (int(start), channels[start:end]) for start, end in spans if end > start}

    def _table(self, name: str) -> TableReader:
        if name not in self._readers:
            self._readers[name] = TableReader(self.folder, f"{self.manifest.data}/{name}")
        return self._readers[name]

    def _picture_row(self, table: str, layer: str, channel: int) -> dict[str, Any] | None:
        rows = self._table(layer_file(table, layer)).where(channel=channel).to_pylist()
        return rows[0] if rows else None


class Neuron:
    """One neuron of an index. What it is asked for is read once, and only the row groups that hold it."""

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
        """The neuron feature (Eq. 1): float32[h, w, 3], RGB in [0, 1], stored as float16; None if the neuron is dead.

        A pixel that no crop shows is NaN: it lies beyond the edge of every image.
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
        """The neuron feature as a picture: RGBA, transparent where no crop shows the pixel; None if it is dead."""
        row = self._feature_row
        return None if row is None else Image.open(io.BytesIO(row["png"])).convert("RGBA")

    @property
    def sheet(self) -> Image.Image | None:
        """All its crops on one picture, row by row in rank order, RGB; None if the neuron is dead."""
        row = self._sheet_row
        return None if row is None else Image.open(io.BytesIO(row["picture"])).convert("RGB")

    @property
    def crops(self) -> list[Image.Image]:
        """What the neuron saw in the images that build its feature: RGB, in rank order, reduced; none if it is dead."""
        row = self._sheet_row
        return [] if row is None else row_crops(row)

    def source_crops(self, count: int, images: str | None = None) -> list[SourceCrop]:
        """The first `count` crops in the full resolution of their images, which are read again from the source.

        Args:
            count: at most so many, in rank order.
            images: where the images are now, if moved.

        Raises:
            RayselError: the images cannot be had, or are not those that were indexed.
        """
        return source_crops(self, count, images)

    @cached_property
    def ranking(self) -> pa.Table:
        """Its rows of the rankings table: entry k is rank k, the first `n` of them build the feature."""
        return self._index._table("rankings.parquet").where(layer=self.layer, channel=self.channel)

    @property
    def classes(self) -> list[ClassShare]:
        """The M classes of Eq. 4, largest share first; none without labels."""
        names = self._index.class_names
        entries = self.row["classes"] or []
        return [
            ClassShare(entry["label"], names.get(entry["label"], entry["label"]), entry["share"]) for entry in entries
        ]

    @cached_property
    def _feature_row(self) -> dict[str, Any] | None:
        return self._index._picture_row("features", self.layer, self.channel)

    @cached_property
    def _sheet_row(self) -> dict[str, Any] | None:
        return self._index._picture_row("sheets", self.layer, self.channel)


def neuron_address(text: str) -> tuple[str, int]:
    """(layer, channel) of a neuron written as ``layer:channel``, such as ``features.3:12``.

    Raises:
        RayselError: it is not written so.
    """
    layer, colon, channel = text.rpartition(":")
    if not colon or not layer or not channel.isdecimal():
        raise RayselError(f"{text!r} is no neuron: write LAYER:CHANNEL, such as features.3:12")
    return layer, int(channel)
