"""An index at rest: its tables, its manifest, its publication in one step, its lock, and the read side.

Only this package opens the files of an index; `raysel.store.manifest` describes the folder. A run writes tables with
`TableWriter` while it holds the lock, and `publish` makes them visible. `open_index` reads them.
"""

from raysel.store.filtering import Direction, Range, find_neurons
from raysel.store.index_reader import Index, open_index
from raysel.store.lock import LOCK_NAME, HeldError, Lease, RunLock, locked
from raysel.store.manifest import (
    DATA_PREFIX,
    FORMAT_VERSION,
    MANIFEST_NAME,
    RUNS_PREFIX,
    Counts,
    FileEntry,
    Manifest,
    NetworkRecord,
    SourceRecord,
    UnreadableManifestError,
    published_manifest,
    read_manifest,
)
from raysel.store.neuron import ClassShare, Neuron, neuron_address
from raysel.store.picture_rows import decode_feature, feature_row, sheet_row
from raysel.store.publication import check_files, publish, remove_progress, remove_unreferenced
from raysel.store.schema import (
    CLASSES,
    FEATURES,
    IMAGES,
    QUARANTINE,
    RANKINGS,
    SHARDS,
    SHEETS,
    documented,
    neurons_schema,
)
from raysel.store.snapshot import get_snapshot, put_snapshot
from raysel.store.source_crops import SourceCrop, recorded_source
from raysel.store.table_writer import TableWriter

__all__ = [
    "CLASSES",
    "DATA_PREFIX",
    "FEATURES",
    "FORMAT_VERSION",
    "IMAGES",
    "LOCK_NAME",
    "MANIFEST_NAME",
    "QUARANTINE",
    "RANKINGS",
    "RUNS_PREFIX",
    "SHARDS",
    "SHEETS",
    "ClassShare",
    "Counts",
    "Direction",
    "FileEntry",
    "HeldError",
    "Index",
    "Lease",
    "Manifest",
    "NetworkRecord",
    "Neuron",
    "Range",
    "RunLock",
    "SourceCrop",
    "SourceRecord",
    "TableWriter",
    "UnreadableManifestError",
    "check_files",
    "decode_feature",
    "documented",
    "feature_row",
    "find_neurons",
    "get_snapshot",
    "locked",
    "neuron_address",
    "neurons_schema",
    "open_index",
    "publish",
    "published_manifest",
    "put_snapshot",
    "read_manifest",
    "recorded_source",
    "remove_progress",
    "remove_unreferenced",
    "sheet_row",
]
