"""An index at rest: its tables, its manifest, its publication in one step, its lock, and the read side.

Only this package opens the files of an index; `raysel.store.manifest` describes the folder. A run writes tables with
`TableWriter` while it holds the lock, and `publish` makes them visible. `open_index` reads them.
"""

from raysel.store.index_reader import Index, UnknownNeuronError, open_index
from raysel.store.lock import LOCK_NAME, HeldError, Lease, LockSeen, RunLock, locked, see_lock
from raysel.store.lock_holder import Doing, Holder
from raysel.store.manifest import (
    DATA_PREFIX,
    FORMAT_VERSION,
    MANIFEST_NAME,
    PLAN_NAME,
    RUNS_PREFIX,
    Counts,
    FileEntry,
    Manifest,
    NetworkRecord,
    SourceRecord,
    UnreadableManifestError,
    published_manifest,
    read_manifest,
    recorded_crop_fields,
    recorded_taps,
)
from raysel.store.neuron import ClassShare, Neuron, neuron_address
from raysel.store.picture_rows import decode_feature, decode_picture, feature_row, sheet_row
from raysel.store.plain_rows import plain_row, plain_rows, spelled
from raysel.store.publication import (
    check_files,
    files_of_others,
    publish,
    remove_index,
    remove_progress,
    remove_unreferenced,
)
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
from raysel.store.snapshot import SNAPSHOT_NAME, get_arrays, get_snapshot, put_snapshot
from raysel.store.source_crops import SourceCrop, recorded_source, source_image, source_images
from raysel.store.table_writer import TableWriter

__all__ = [
    "CLASSES",
    "DATA_PREFIX",
    "FEATURES",
    "FORMAT_VERSION",
    "IMAGES",
    "LOCK_NAME",
    "MANIFEST_NAME",
    "PLAN_NAME",
    "QUARANTINE",
    "RANKINGS",
    "RUNS_PREFIX",
    "SHARDS",
    "SHEETS",
    "SNAPSHOT_NAME",
    "ClassShare",
    "Counts",
    "Doing",
    "FileEntry",
    "HeldError",
    "Holder",
    "Index",
    "Lease",
    "LockSeen",
    "Manifest",
    "NetworkRecord",
    "Neuron",
    "RunLock",
    "SourceCrop",
    "SourceRecord",
    "TableWriter",
    "UnknownNeuronError",
    "UnreadableManifestError",
    "check_files",
    "decode_feature",
    "decode_picture",
    "documented",
    "feature_row",
    "files_of_others",
    "get_arrays",
    "get_snapshot",
    "locked",
    "neuron_address",
    "neurons_schema",
    "open_index",
    "plain_row",
    "plain_rows",
    "publish",
    "published_manifest",
    "put_snapshot",
    "read_manifest",
    "recorded_crop_fields",
    "recorded_source",
    "recorded_taps",
    "remove_index",
    "remove_progress",
    "remove_unreferenced",
    "see_lock",
    "sheet_row",
    "source_image",
    "source_images",
    "spelled",
]
