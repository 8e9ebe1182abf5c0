"""From a URI to the source that reads it."""

from __future__ import annotations

import glob
from collections import Counter, deque

import pyarrow.parquet as pq
from pyarrow import fs

from raysel.errors import RayselError
from raysel.files import (
    absolute_uri,
    as_raysel_error,
    check_access,
    filesystem_of,
    list_folder,
    redact_uri,
    split_glob,
    split_uri,
)
from raysel.files import suffix as suffix_of
from raysel.images.file_names import is_hidden, is_image
from raysel.images.sources.image_folder import FolderSource
from raysel.images.sources.parquet import ParquetSource
from raysel.images.sources.parquet_columns import image_columns
from raysel.images.sources.source import Source
from raysel.images.sources.tar import COMPRESSED, TarSource, refuse_compressed
from raysel.images.sources.uri_table import open_table
from raysel.images.text_tables import TABLE_SUFFIXES

KINDS = ("auto", "folder", "tar", "parquet", "table")
_NOUNS = {"folder": "an image folder", "tar": "a tar", "parquet": "a Parquet file", "table": "a table"}
_WANTED = {"folder": "image", "tar": ".tar file", "parquet": ".parquet file", "table": "table"}


def open_source(uri: str, kind: str = "auto", uri_column: str | None = None, label_column: str | None = None) -> Source:
    """The source at a URI: an image folder; a folder, glob or file of tar or Parquet shards; a table of URIs.

    Args:
        uri: local path or ``s3://bucket/prefix``; ``*``, ``[...]`` and, in paths, ``?`` make it a glob of shards.
        kind: ``folder``, ``tar``, ``parquet``, ``table`` (CSV or Parquet with a row per image file), or ``auto``:
            whichever is found first, level by level, tars before images before Parquet files that hold images.
        uri_column: column of a table; see `open_table`.
        label_column: column of a table; see `open_table`.

    Raises:
        RayselError: nothing is there, or nothing that is an image or a shard (the message says what was found); a
            compressed tar; an unknown kind; within seconds, a store that cannot be reached.
    """
    if kind not in KINDS:
        raise RayselError(f"unknown kind of source {kind!r}: give {', '.join(KINDS[:-1])} or {KINDS[-1]}")
    if not uri:
        raise RayselError("no images given: name a folder, a folder, glob or file of shards, or a table of URIs")
    uri = absolute_uri(uri)
    base, pattern = split_glob(uri)
    with as_raysel_error(f"cannot reach {redact_uri(base)}"):
        check_access(*filesystem_of(base))
        if pattern and "://" in uri:  # may not even parse as a URI
            return _shards(uri, base, pattern, kind)
        filesystem, path = filesystem_of(uri)
        there = filesystem.get_file_info(path).type
    if there == fs.FileType.NotFound:
        if pattern:
            return _shards(uri, base, pattern, kind)
        raise RayselError(f"no such file or folder: {redact_uri(uri)}")
    if there == fs.FileType.File:
        return _one_file(uri, path, kind, uri_column, label_column)
    found = _first_kind(uri, kind)
    return FolderSource(uri) if found == "folder" else _shards(uri, uri, "", found)


def _one_file(uri: str, path: str, kind: str, uri_column: str | None, label_column: str | None) -> Source:
    refuse_compressed(redact_uri(uri))
    suffix = suffix_of(path)
    if suffix in TABLE_SUFFIXES and kind in ("auto", "table"):
        if suffix != "parquet" or kind == "table" or not _holds_images(filesystem_of(uri)[0], path):
            return open_table(uri, uri_column, label_column)
        kind = "parquet"
    if suffix not in ("tar", "parquet"):
        raise RayselError(
            f"{redact_uri(uri)} is one file, but not .tar, .parquet, .csv or .tsv: give the folder that contains it"
        )
    folder, name = split_uri(uri)
    return _shards(uri, folder, glob.escape(name), kind, suffix)


def _shards(uri: str, root: str, pattern: str, kind: str, suffix: str = "") -> Source:
    """The tar or Parquet shards below a root; RayselError if there are none, or if `kind` is another."""
    found = suffix or (kind if kind in ("tar", "parquet") else suffix_of(pattern))
    found = "parquet" if found == "parquet" else "tar"
    if kind not in ("auto", found):
        raise RayselError(f"{redact_uri(uri)} is not {_NOUNS[kind]}: leave the kind at auto, or give {found}")
    source = ParquetSource(uri, root, pattern) if found == "parquet" else TarSource(uri, root, pattern)
    source.shard_names()  # raises if there are none
    return source


def _holds_images(filesystem: fs.FileSystem, path: str) -> bool:
    """True for a Parquet file with a column of images."""
    with as_raysel_error(f"cannot read {path}"):
        return image_columns(pq.read_schema(path, filesystem=filesystem)) is not None


def _first_kind(uri: str, kind: str) -> str:
    """Kind of what is found first, folder by folder from the root down, so that few folders are listed."""
    filesystem, root = filesystem_of(uri)
    waiting, found = deque([root]), Counter[str]()
    compressed: list[str] = []
    while waiting:
        listing = list_folder(filesystem, waiting.popleft(), recursive=False)
        entries = [info for info in listing.entries if not is_hidden(info.base_name)]
        files = [info.path for info in entries if info.type != fs.FileType.Directory]
        if here := _kind(filesystem, files, kind):
            return here
        found.update(map(_ending, files))
        compressed.extend(path for path in files if _ending(path) in COMPRESSED)
        waiting.extend(info.path for info in entries if info.type == fs.FileType.Directory)
    if kind not in ("folder", "parquet") and compressed:
        refuse_compressed(compressed[0])
    wanted = _WANTED.get(kind, "image and no .tar or .parquet file of images")
    if not found:
        raise RayselError(f"no {wanted} in {redact_uri(uri)}: it is empty")
    counts = ", ".join(f"{count} x {ending}" for ending, count in found.most_common(5))
    hint = "; if one is a table of paths or URIs, give the file" if {".parquet", ".csv", ".tsv"} & set(found) else ""
    raise RayselError(f"no {wanted} in {redact_uri(uri)}: found {counts}{hint}")


def _kind(filesystem: fs.FileSystem, files: list[str], wanted: str) -> str | None:
    """Which of the wanted kinds the files of one folder are; None: none of them."""
    if wanted in ("auto", "tar") and any(suffix_of(path) == "tar" for path in files):
        return "tar"
    if wanted in ("auto", "folder") and any(is_image(path) for path in files):
        return "folder"
    tables = [path for path in files if suffix_of(path) == "parquet"]
    # A table may be one of labels beside the images.
    if tables and (wanted == "parquet" or (wanted == "auto" and _holds_images(filesystem, tables[0]))):
        return "parquet"
    return None


def _ending(path: str) -> str:
    compressed = next((ending for ending in COMPRESSED if path.lower().endswith(ending)), None)
    return compressed or (f".{suffix_of(path)}" if suffix_of(path) else "no suffix")
