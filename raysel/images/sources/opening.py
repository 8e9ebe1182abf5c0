"""From a URI to the source that reads it."""

from __future__ import annotations

import glob
import posixpath
from collections import Counter, deque

import pyarrow.parquet as pq
from pyarrow import fs

from raysel.errors import RayselError
from raysel.files.filesystems import as_raysel_error, check_access, filesystem_of, list_folder
from raysel.files.paths import absolute_uri, redact_uri
from raysel.images.file_names import is_hidden, is_image, suffix
from raysel.images.sources.image_folder import FolderSource
from raysel.images.sources.parquet import ParquetSource, image_columns
from raysel.images.sources.source import Source
from raysel.images.sources.tar import COMPRESSED, TarSource, refuse_compressed
from raysel.images.sources.uri_table import open_table
from raysel.images.text_tables import TABLE_SUFFIXES

KINDS = ("auto", "folder", "tar", "parquet", "table")
_NOUNS = {"folder": "image folder", "tar": "tar", "parquet": "Parquet file", "table": "table"}


def open_source(uri: str, kind: str = "auto", uri_column: str | None = None, label_column: str | None = None) -> Source:
    """The source at a URI: an image folder; a folder, glob or file of tar or Parquet shards; a table of URIs.

    Args:
        uri: local path or ``s3://bucket/prefix``; ``*``, ``[...]`` and, in paths, ``?`` make it a glob of shards.
        kind: ``folder``, ``tar``, ``parquet``, ``table`` (CSV or Parquet with a row per image file), or ``auto``:
            whichever is found first, level by level, tars before images before Parquet files that hold images.
        uri_column: of a table; see `open_table`.
        label_column: of a table; see `open_table`.

    Raises:
        RayselError: nothing there, nothing in it, nothing in it that is an image or a shard (it says what was found),
            a compressed tar, an unknown kind; within seconds, a store that cannot be reached.
    """
    if kind not in KINDS:
        raise RayselError(f"unknown kind of source {kind!r}: give {', '.join(KINDS[:-1])} or {KINDS[-1]}")
    if not uri:
        raise RayselError("no images given: name a folder, a folder, glob or file of shards, or a table of URIs")
    uri = absolute_uri(uri)
    base, pattern = _split_glob(uri)
    with as_raysel_error(f"cannot reach {redact_uri(base)}"):
        check_access(*filesystem_of(base))
    if not _exists(uri, base, pattern):
        if not pattern:
            raise RayselError(f"no such file or folder: {redact_uri(uri)}")
        return _shards(uri, base, pattern, kind)
    filesystem, path = filesystem_of(uri)
    if filesystem.get_file_info(path).type == fs.FileType.File:
        return _one_file(uri, path, kind, uri_column, label_column)
    found = _what_is_there(uri, kind)
    return FolderSource(uri) if found == "folder" else _shards(uri, uri, "", found)


def _one_file(uri: str, path: str, kind: str, uri_column: str | None, label_column: str | None) -> Source:
    refuse_compressed(redact_uri(uri))
    ending = suffix(path)
    if ending in TABLE_SUFFIXES and kind in ("auto", "table"):
        if ending != "parquet" or kind == "table" or not _holds_images(uri):
            return open_table(uri, uri_column, label_column)
        kind = "parquet"
    if ending not in ("tar", "parquet"):
        raise RayselError(f"{redact_uri(uri)} is not a .tar, .parquet or .csv file: give the folder that holds it")
    return _shards(uri, _parent(uri), glob.escape(posixpath.basename(path)), kind, ending)


def _shards(uri: str, root: str, pattern: str, kind: str, ending: str = "") -> Source:
    """The tar or Parquet shards below a root; RayselError where there are none, or `kind` is another."""
    found = ending or (kind if kind in ("tar", "parquet") else suffix(pattern))
    found = "parquet" if found == "parquet" else "tar"
    if kind not in ("auto", found):
        raise RayselError(f"{redact_uri(uri)} is no {_NOUNS[kind]}: leave the kind to auto, or say {found}")
    source = ParquetSource(uri, root, pattern) if found == "parquet" else TarSource(uri, root, pattern)
    source.shard_names()  # raises where there are none
    return source


def _holds_images(uri: str) -> bool:
    """True for a Parquet file with a column of images."""
    with as_raysel_error(f"cannot read {redact_uri(uri)}"):
        filesystem, path = filesystem_of(uri)
        return image_columns(pq.read_schema(path, filesystem=filesystem)) is not None


def _split_glob(uri: str) -> tuple[str, str]:
    """(folder without wildcards, pattern below it); an empty pattern where there is no wildcard."""
    wild = "*[" if "://" in uri else "*?["
    first = min((uri.index(sign) for sign in wild if sign in uri), default=-1)
    if first < 0:
        return uri, ""
    folder = uri.rindex("/", 0, first)
    query = uri.partition("?")[2] if "://" in uri else ""
    pattern = uri[folder + 1 :].partition("?")[0] if query else uri[folder + 1 :]
    return (uri[:folder] + (f"?{query}" if query else "")) or "/", pattern


def _parent(uri: str) -> str:
    location, question, query = uri.partition("?") if "://" in uri else (uri, "", "")
    return posixpath.dirname(location) + question + query


def _exists(uri: str, base: str, pattern: str) -> bool:
    """True if there is a file or folder of exactly this name; a name with a wildcard sign in it is one as well."""
    if pattern and "://" in uri:
        return False  # such a URI may not even parse
    filesystem, path = filesystem_of(base if pattern and "://" in uri else uri)
    with as_raysel_error(f"cannot reach {redact_uri(uri)}"):
        return bool(filesystem.get_file_info(path).type != fs.FileType.NotFound)


def _what_is_there(uri: str, kind: str) -> str:
    """Kind of what is found first, folder by folder from the root down, so that few are listed."""
    filesystem, root = filesystem_of(uri)
    waiting, found = deque([root]), Counter[str]()
    compressed: list[str] = []
    while waiting:
        folder = waiting.popleft()
        entries = [info for info in list_folder(filesystem, folder, recursive=False) if not is_hidden(info.base_name)]
        files = [info for info in entries if info.type != fs.FileType.Directory]
        if here := _kind(filesystem, files, kind):
            return here
        found.update(_ending(info.base_name) for info in files)
        compressed.extend(info.path for info in entries if _ending(info.base_name) in COMPRESSED)
        waiting.extend(info.path for info in entries if info.type == fs.FileType.Directory)
    if kind not in ("folder", "parquet") and compressed:
        refuse_compressed(compressed[0])
    raise _nothing(uri, kind, found)


def _kind(filesystem: fs.FileSystem, files: list[fs.FileInfo], wanted: str) -> str | None:
    """Which of the kinds wanted some files of one folder are; None: none of them."""
    if wanted in ("auto", "tar") and any(suffix(info.path) == "tar" for info in files):
        return "tar"
    if wanted in ("auto", "folder") and any(is_image(info.path) for info in files):
        return "folder"
    tables = [info.path for info in files if suffix(info.path) == "parquet"]
    if tables and wanted == "parquet":
        return "parquet"
    if tables and wanted == "auto":  # it may be a table of labels that lies beside the images
        with as_raysel_error(f"cannot read {tables[0]}"):
            return "parquet" if image_columns(pq.read_schema(tables[0], filesystem=filesystem)) else None
    return None


def _ending(name: str) -> str:
    lower = name.lower()
    return next(
        (ending for ending in COMPRESSED if lower.endswith(ending)), f".{suffix(name)}" if suffix(name) else "no suffix"
    )


def _nothing(uri: str, kind: str, found: Counter[str]) -> RayselError:
    wanted = {"folder": "image", "tar": ".tar file", "parquet": ".parquet file", "table": "table"}.get(
        kind, "image and no .tar or .parquet file of images"
    )
    if not found:
        return RayselError(f"no {wanted} in {redact_uri(uri)}: it is empty")
    listing = ", ".join(f"{count} x {ending}" for ending, count in found.most_common(5))
    return RayselError(f"no {wanted} in {redact_uri(uri)}: found {listing}")
