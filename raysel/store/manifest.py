"""The manifest: what an index is, where it comes from, and which files it consists of."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from raysel.errors import RayselError
from raysel.files.folder import Folder

FORMAT_VERSION = 1
"""Of the files that this code writes, and the newest that it reads."""

MANIFEST_NAME = "manifest.json"

DATA_PREFIX = "data"
"""Folder, inside an index, of ``<index fingerprint>/``, which holds the tables."""


class _Part(BaseModel):
    # A newer minor version may write more fields: they are kept when read and written again.
    model_config = ConfigDict(extra="allow", frozen=True)


class FileEntry(_Part):
    """One file of an index."""

    name: str
    """Relative to the index, ``/`` between its parts."""
    size: int
    """Bytes."""
    sha256: str
    """Of the file's bytes, hexadecimal."""

    @field_validator("name")
    @classmethod
    def _inside(cls, name: str) -> str:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or not path.parts:
            raise ValueError(f"{name!r} is no file inside the index")
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
    """How it was read: ``folder``, ``tar``."""
    digest: str
    """Of the images list: ids, keys and the shards' etags."""
    decoder: str
    """Name and version of what turned bytes into pixels."""
    shards: int
    """Number of shards."""


class Counts(_Part):
    """How many of what."""

    neurons: int
    dead: int
    images: int
    """Images in the list, the quarantined included."""
    quarantined: int
    skipped: int
    """Files of the source that are no images by their suffix."""
    classes: int


class Manifest(_Part):
    """All there is to say of an index beside its tables. ``manifest.json`` is written last: no manifest, no index."""

    format_version: int = FORMAT_VERSION
    scan_fingerprint: str
    """Of all that the rankings depend on."""
    index_fingerprint: str = Field(pattern=r"^[0-9A-Za-z_-]+$")
    """Of the scan, the labels and the options of derive; names the folder ``data/<fingerprint>/``."""
    created: datetime = Field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))
    """UTC."""
    config: dict[str, Any] = Field(default_factory=dict)
    """The run's configuration, one table per stage."""
    network: NetworkRecord
    source: SourceRecord
    counts: Counts
    coverage: float
    """Share of the source's images that were scanned or are in quarantine; 1 in every index that raysel publishes."""
    software: dict[str, str] = Field(default_factory=dict)
    """Package -> version."""
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
    """The manifest of the index in `folder`.

    Raises:
        RayselError: there is no index, one was begun and not finished, a newer raysel wrote it, or it is damaged.
    """
    try:
        content = folder.read(MANIFEST_NAME)
    except FileNotFoundError:
        raise RayselError(_why_no_index(folder)) from None
    where = f"{folder.shown}/{MANIFEST_NAME}"
    try:
        fields = json.loads(content)
    except ValueError:
        raise RayselError(f"{where} is damaged (no JSON): run `raysel index` with --replace, or restore it") from None
    version = fields.get("format_version") if isinstance(fields, dict) else None
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise RayselError(
            f"the index in {folder.shown} has format {version}, this raysel reads up to {FORMAT_VERSION}: update raysel"
        )
    try:
        return Manifest.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise RayselError(f"{where} is no manifest of raysel: {field}: {first['msg']}") from None


def _why_no_index(folder: Folder) -> str:
    if any(folder.list(DATA_PREFIX)):
        return (
            f"the index in {folder.shown} is unfinished (files, but no {MANIFEST_NAME}): "
            "give the `raysel index` command that began it once more, and it goes on"
        )
    return f"no index in {folder.shown}: `raysel index --out {folder.shown} ...` makes one"
