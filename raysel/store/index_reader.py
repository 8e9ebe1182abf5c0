"""A published index, open for reading."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import cached_property

import pyarrow as pa

from raysel.errors import RayselError, did_you_mean
from raysel.files import Folder
from raysel.images import imagenet1k
from raysel.store.manifest import Manifest, read_manifest
from raysel.store.neuron import Neuron
from raysel.store.table_reader import TableReader
from raysel.store.table_writer import layer_file


def open_index(uri: str | os.PathLike[str]) -> Index:
    """Open the index in a local folder or at a URI such as ``s3://bucket/index``.

    Reads the manifest. Tables are read on first use, and only as much of them as an answer needs.

    Raises:
        RayselError: there is no index, or it is unfinished, has another format or cannot be reached.
    """
    folder = Folder.at(uri).require_readable()
    return Index(folder, read_manifest(folder))


class UnknownNeuronError(RayselError):
    """An index has no such layer, or the layer no such channel."""


class Index:
    """The results of a run for every neuron of a network. Made by `open_index` (``raysel.open``)."""

    def __init__(self, folder: Folder, manifest: Manifest) -> None:
        self.folder = folder
        self.manifest = manifest
        self._readers: dict[str, TableReader] = {}

    def __repr__(self) -> str:
        network, neurons = self.manifest.network.name, self.manifest.counts.neurons
        return f"<raysel index of {network}: {neurons} neurons, {self.folder.shown}>"

    @cached_property
    def neurons(self) -> pa.Table:
        """One row per neuron, in the order of the network; `raysel.store.neurons_schema` describes the columns."""
        return self.table("neurons.parquet").read()

    @cached_property
    def layers(self) -> tuple[str, ...]:
        """Names of the tapped layers, in the order of the network."""
        return tuple(self.neurons["layer"].cast(pa.string()).unique().to_pylist())

    @property
    def images(self) -> pa.Table:
        """One row per image: image, key, label, shard, offset, length. Not cached: it may be long."""
        return self.table("images.parquet").read()

    def images_of(self, ids: Sequence[int]) -> pa.Table:
        """The rows of some images, in the order of `ids`, without repetition. Reads only their row groups."""
        table = self.table("images.parquet").where(image=sorted(set(ids)))
        rows = {image: row for row, image in enumerate(table["image"].to_pylist())}
        missing = [image for image in ids if image not in rows]
        if missing:
            raise RayselError(f"no image {missing[0]} in this index: ids are below {self.manifest.counts.images}")
        return table.take(pa.array([rows[image] for image in dict.fromkeys(ids)], pa.int64()))

    @cached_property
    def classes(self) -> pa.Table:
        """One row per label: label, name, wnid, hypernyms, images; empty if the images have no labels."""
        return self.table("classes.parquet").read()

    @cached_property
    def class_names(self) -> dict[str, str]:
        """Label -> readable name, where one is known."""
        pairs = zip(self.classes["label"].to_pylist(), self.classes["name"].to_pylist(), strict=True)
        return {label: name for label, name in pairs if name}

    def concept_name(self, concept: str) -> str:
        """Readable name of one of the `hypernyms` of a class: WordNet's, or the id where a hierarchy has no names."""
        hierarchy = imagenet1k().hierarchy
        return hierarchy.name(concept) if concept in hierarchy.parents else concept

    @property
    def quarantine(self) -> pa.Table:
        """One row per image that could not be used, with the reason."""
        return self.table("quarantine.parquet").read()

    @property
    def shards(self) -> pa.Table:
        """One row per shard of the source: shard, name, size, etag."""
        return self.table("shards.parquet").read()

    def rankings(self, columns: list[str] | None = None) -> pa.Table:
        """The rankings of all neurons, up to `rank_depth` rows each, or some of the columns. Not cached."""
        return self.table("rankings.parquet").read(columns)

    def table(self, name: str) -> TableReader:
        """The reader of one Parquet file, by its name below the folder of the tables."""
        if name not in self._readers:
            self._readers[name] = TableReader(self.folder, f"{self.manifest.data}/{name}")
        return self._readers[name]

    def neuron(self, layer: str, channel: int) -> Neuron:
        """One neuron.

        Raises:
            UnknownNeuronError: there is no such layer or channel; the message names similar ones.
        """
        return Neuron(self, self.neurons.slice(self.row_of(layer, channel), 1).to_pylist()[0])

    def row_of(self, layer: str, channel: int) -> int:
        """Row of a neuron in the neurons table.

        Raises:
            RayselError: as for `neuron`.
        """
        row = self._rows.get((layer, channel))
        if row is None:
            channels = [other for name, other in self._rows if name == layer]
            if not channels:
                raise UnknownNeuronError(f"no layer {layer!r} in this index; {did_you_mean(layer, self.layers)}")
            raise UnknownNeuronError(f"layer {layer} has channels {min(channels)} to {max(channels)}, not {channel}")
        return row

    def feature_batches(self, layer: str, columns: list[str]) -> Iterator[pa.RecordBatch]:
        """Some columns of the features of a layer, without dead neurons, a bounded number of neurons at a time."""
        return self.table(layer_file("features", layer)).batches(columns)

    @cached_property
    def _rows(self) -> dict[tuple[str, int], int]:
        """(layer, channel) -> row of the neurons table."""
        keys = zip(self.neurons["layer"].to_pylist(), self.neurons["channel"].to_pylist(), strict=True)
        return {key: row for row, key in enumerate(keys)}
