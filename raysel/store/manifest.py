"""The manifest: what an index is, where it comes from, and which files it consists of.

The folder of an index:

- ``manifest.json`` makes the files below ``data/`` an index. It is written last.
- ``data/<index fingerprint>/`` holds the tables.
- ``plan.arrows`` holds the images list of the source: a later run uses it if the source has not changed, and lists
  nothing.
- ``runs/<fingerprint>/`` holds the progress of unfinished runs. A run removes its own at publication.
- ``LOCK`` exists while a run is writing, and says what it is doing.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from raysel.errors import RayselError
from raysel.files import Folder
from raysel.neurons import ReceptiveField, Tap, field_of

FORMAT_VERSION = 6
"""Format of the files that this code reads and writes.

2: `Counts.passed_over` became `Counts.skipped`.
3: the neurons table has the columns `rf_height`, `rf_width`, `rf_stride_x`, `rf_offset_x` and `rf_reason`.
4: the neurons table has the columns of the color names, of the concepts and of sharpness.
5: the taps have their receptive fields in full, so that an index is derived again without its network, and the neurons
   table has the columns of interventions.
6: neuron features are WebP and without float16 unless asked for, and the crops of a sheet are in cells.
"""

MANIFEST_NAME = "manifest.json"

DATA_PREFIX = "data"
"""Folder, inside an index, of ``<index fingerprint>/``, which holds the tables."""

PLAN_NAME = "plan.arrows"
"""File, inside an index, of the images list."""

RUNS_PREFIX = "runs"
"""Folder, inside an index, of what a run needs to be resumed, by scan fingerprint and by index fingerprint."""


class UnreadableManifestError(RayselError):
    """A manifest that is damaged or has another format. ``raysel index --replace`` may overwrite it."""


class _Part(BaseModel):
    # Unknown fields are kept when a manifest is read and written again.
    model_config = ConfigDict(extra="allow", frozen=True)


class FileEntry(_Part):
    """One file of an index."""

    name: str
    """Relative to the index, ``/`` between its parts."""
    size: int
    """Bytes."""
    sha256: str
    """SHA-256 of the file's bytes, hexadecimal."""

    @field_validator("name")
    @classmethod
    def _inside(cls, name: str) -> str:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or not path.parts:
            raise ValueError(f"{name!r} is not a file inside the index")
        return name


class NetworkRecord(_Part):
    """The network that was indexed."""

    name: str
    """As given to ``--network``."""
    weights: str
    """Digest of the weights."""
    taps: dict[str, Any] = Field(default_factory=dict)
    """Layer name -> where and how it was read."""
    preprocessing: dict[str, Any] = Field(default_factory=dict)
    """From an image file to the network's input, as `raysel.config.Preprocessing`."""


class SourceRecord(_Part):
    """The images that were scanned."""

    uri: str
    """Without secrets."""
    kind: str
    """Layout: ``folder``, ``tar``, ``parquet`` or ``table``."""
    digest: str
    """Digest of the images list: ids, keys and the shards' etags."""
    decoder: str
    """Name and version of the image decoder."""
    shards: int
    """Number of shards."""


class Counts(_Part):
    """Sizes of an index and its source."""

    neurons: int
    dead: int
    images: int
    """Images in the list, including those in quarantine."""
    quarantined: int
    unlisted: int = 0
    """Those in quarantine that are not in the list, since already the listing failed."""
    skipped: int
    """Files of the source that are not images by their suffix."""
    classes: int

    @property
    def usable(self) -> int:
        """Images that were scanned."""
        return self.images - (self.quarantined - self.unlisted)


class Manifest(_Part):
    """All that is recorded about an index, apart from its tables."""

    format_version: int = FORMAT_VERSION
    scan_fingerprint: str
    """Fingerprint of everything that the rankings depend on."""
    index_fingerprint: str = Field(pattern=r"^[0-9A-Za-z_-]+$")
    """Fingerprint of the scan, the labels and the options of derive; names the folder ``data/<fingerprint>/``."""
    created: datetime = Field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))
    """UTC."""
    config: dict[str, Any] = Field(default_factory=dict)
    """Configuration of the run, one table per stage."""
    network: NetworkRecord
    source: SourceRecord
    counts: Counts
    coverage: float
    """Share of the source's images that were scanned or are in quarantine; 1 in every index that raysel publishes."""
    software: dict[str, str] = Field(default_factory=dict)
    """Package -> version, with the packages that add indexes."""
    stages: dict[str, float] = Field(default_factory=dict)
    """Stage -> seconds."""
    counters: dict[str, int | float] = Field(default_factory=dict)
    """Flat, named by stage, such as ``scan.candidates_sent``."""
    files: list[FileEntry] = Field(default_factory=list)
    superseded: dict[str, datetime] = Field(default_factory=dict)
    """Index fingerprint of a former index in this folder -> when it was replaced; kept until its files are removed."""

    @property
    def data(self) -> str:
        """Folder of the tables, relative to the index."""
        return f"{DATA_PREFIX}/{self.index_fingerprint}"

    def to_json(self) -> bytes:
        """The content of ``manifest.json``: UTF-8, indented, fields in the order of this class."""
        return (self.model_dump_json(indent=2) + "\n").encode()


def read_manifest(folder: Folder) -> Manifest:
    """Read the manifest of the index in `folder`.

    Raises:
        UnreadableManifestError: it is damaged or has another format.
        RayselError: there is no index, it is unfinished, or it cannot be reached.
    """
    try:
        content = folder.read(MANIFEST_NAME)
    except FileNotFoundError:
        raise RayselError(_why_no_index(folder)) from None
    replace = "run `raysel index` again with --replace, or give another --out"
    where = f"{folder.shown}/{MANIFEST_NAME}"
    try:
        fields = json.loads(content)
    except ValueError:
        raise UnreadableManifestError(f"{where} is damaged (not JSON): restore it, or {replace}") from None
    version = fields.get("format_version") if isinstance(fields, dict) else None
    if isinstance(version, int) and version != FORMAT_VERSION:
        advice = "update raysel" if version > FORMAT_VERSION else replace
        raise UnreadableManifestError(
            f"the index in {folder.shown} has format {version}, this raysel reads format {FORMAT_VERSION}: {advice}"
        )
    try:
        return Manifest.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise UnreadableManifestError(f"{where} is not a manifest: {field}: {first['msg']}; {replace}") from None


def published_manifest(folder: Folder) -> Manifest | None:
    """The manifest of the index in `folder`; None if there is none that this raysel can read."""
    try:
        return read_manifest(folder) if folder.exists(MANIFEST_NAME) else None
    except UnreadableManifestError:
        return None


def _why_no_index(folder: Folder) -> str:
    if any(folder.list(DATA_PREFIX)):
        return (
            f"the index in {folder.shown} is unfinished (files, but no {MANIFEST_NAME}): "
            "run the `raysel index` command that began it again, and it resumes"
        )
    return f"no index in {folder.shown}: create one with `raysel index --out {folder.shown} ...`"


def recorded_taps(manifest: Manifest) -> tuple[Tap, ...]:
    """The taps in the order of the network, with their theoretical receptive fields."""
    taps = []
    for layer, tap in manifest.network.taps.items():
        local = tap["fields"].get("local")
        field = field_of(tap["fields"]["theoretical"])
        reading = tap["reading"], tap["depth"], field_of(local) if local else None
        taps.append(Tap(layer, tap["channels"], tuple(tap["map"]), field, *reading))
    return tuple(taps)


def recorded_crop_fields(manifest: Manifest) -> tuple[ReceptiveField, ...]:
    """The field that the crops of each tap show, by the index's option ``receptive_field``."""
    kind = manifest.config["derive"]["receptive_field"]
    if kind == "effective":
        return tuple(field_of(tap["fields"]["effective"]) for tap in manifest.network.taps.values())
    return tuple(tap.crop_field(kind) for tap in recorded_taps(manifest))
