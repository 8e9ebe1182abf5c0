"""An index at rest: its layout, its manifest, how it becomes visible in one step, and its read side."""

from raysel.store.index import ClassShare, Index, Neuron, neuron_address, open_index
from raysel.store.lock import LOCK_NAME, Lease, RunLock, locked
from raysel.store.manifest import (
    DATA_PREFIX,
    FORMAT_VERSION,
    MANIFEST_NAME,
    Counts,
    FileEntry,
    Manifest,
    NetworkRecord,
    SourceRecord,
    read_manifest,
)
from raysel.store.pictures import decode_feature, feature_row, sheet_row
from raysel.store.publication import check_files, publish, remove_unreferenced
from raysel.store.query import Direction, Range, find_neurons
from raysel.store.schema import (
    CLASSES,
    FEATURES,
    IMAGES,
    QUARANTINE,
    RANKINGS,
    SHARDS,
    SHEETS,
    description_of,
    documented,
    neurons_schema,
)
from raysel.store.snapshot import RUNS_PREFIX, get_snapshot, put_snapshot
from raysel.store.source_crops import SourceCrop
from raysel.store.tables import TableWriter

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
    "check_files",
    "decode_feature",
    "description_of",
    "documented",
    "feature_row",
    "find_neurons",
    "get_snapshot",
    "locked",
    "neuron_address",
    "neurons_schema",
    "open_index",
    "publish",
    "put_snapshot",
    "read_manifest",
    "remove_unreferenced",
    "sheet_row",
]
