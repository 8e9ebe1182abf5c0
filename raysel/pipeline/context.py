"""What the stages of one run share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa

from raysel.config import RunConfig
from raysel.files import Folder
from raysel.images import ImagesList, Source
from raysel.network import Network
from raysel.pipeline.cluster import Cluster
from raysel.pipeline.fingerprint import Fingerprints
from raysel.pipeline.progress import Reporter
from raysel.selectivity import Concepts
from raysel.store import RunLock, TableWriter


@dataclass(frozen=True)
class Run:
    """A run that holds its lock and has something to compute. Stages take it; tasks and actors do not."""

    config: RunConfig
    folder: Folder
    """The folder of the index."""
    source: Source
    network: Network
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
