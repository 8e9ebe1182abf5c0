"""What the stages of one run share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from raysel.config import Preprocessing, RunConfig
from raysel.files import Folder
from raysel.images import ImagesList, Source
from raysel.neurons import ReceptiveField, Tap
from raysel.pipeline.cluster import Cluster
from raysel.pipeline.fingerprint import Fingerprints
from raysel.pipeline.progress import Reporter
from raysel.selectivity import Concepts
from raysel.store import RunLock, TableWriter

if TYPE_CHECKING:  # an index is derived again without torch
    from raysel.network import Network


@dataclass(frozen=True)
class NetworkFacts:
    """What a run knows about its network without the network itself."""

    name: str
    """As in the configuration."""
    weights_digest: str
    preprocessing: Preprocessing
    taps: tuple[Tap, ...]
    """With their theoretical receptive fields."""
    effective: tuple[ReceptiveField, ...] | None = None
    """The effective field of each tap, if an index has them."""

    @classmethod
    def of(cls, network: Network) -> NetworkFacts:
        """The facts of a loaded network."""
        return cls(network.name, network.weights_digest, network.preprocessing, network.taps)


@dataclass(frozen=True)
class Run:
    """A run that holds its lock and has something to compute. Stages take it; tasks and actors do not."""

    config: RunConfig
    folder: Folder
    """The folder of the index."""
    source: Source
    network: NetworkFacts
    load: Callable[[], Network]
    """The network itself, which is loaded at the first call."""
    images: ImagesList
    """The images to index: `limit`, `sample` and `labels` are applied."""
    classes: pa.Table
    """A row per label, with what it means (`raysel.images.CLASS_FACTS`)."""
    concepts: Concepts
    """What is above the labels in the hierarchy."""
    fingerprints: Fingerprints
    cluster: Callable[[], Cluster]
    """Connects to Ray at the first call."""
    reporter: Reporter
    lock: RunLock

    @property
    def tables(self) -> TableWriter:
        """Writes the tables of the index."""
        return TableWriter(self.folder, self.fingerprints.index)
