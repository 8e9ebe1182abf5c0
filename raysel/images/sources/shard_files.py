"""Sources whose shards are files below a root: which files, where they are, whether they have changed."""

from __future__ import annotations

from pyarrow import fs

from raysel.errors import RayselError
from raysel.files import as_raysel_error, filesystem_of, list_folder, matches, redact_uri, stat
from raysel.images.file_names import is_hidden
from raysel.images.sources.source import Shard


def files_below(root: str, pattern: str) -> list[str]:
    """Names below a folder (path or URI), sorted, of the files that are not hidden and match a glob; empty: all."""
    filesystem, folder = filesystem_of(root)
    entries = list_folder(filesystem, folder, recursive=not pattern or "/" in pattern).entries
    files = [info.path[len(folder.rstrip("/")) + 1 :] for info in entries if info.type == fs.FileType.File]
    patterns = (pattern or "**/*").split("/")
    return [name for name in files if not is_hidden(name) and matches(name.split("/"), patterns)]


def located(root: str, shard_name: str) -> tuple[fs.FileSystem, str]:
    """(file system, path in it) of a shard's file."""
    filesystem, folder = filesystem_of(root)
    return filesystem, f"{folder.rstrip('/')}/{shard_name}"


def file_shard(root: str, shard_name: str) -> Shard:
    """The current size and etag of a shard's file. Raises RayselError if it is gone."""
    filesystem, path = located(root, shard_name)
    with as_raysel_error(f"cannot read shard {shard_name}"):
        try:
            return Shard(shard_name, *stat(filesystem, path))
        except FileNotFoundError:
            raise RayselError(f"shard {shard_name} of {redact_uri(root)} is gone: run again") from None


def require_unchanged(root: str, shard_name: str, etag: str | None) -> None:
    """Raises RayselError if a shard's file no longer has this etag; None: not compared."""
    if etag is not None and file_shard(root, shard_name).etag != etag:
        raise RayselError(f"the source changed while it was read: shard {shard_name} was written again; run again")


def select_shards(names: list[str], pattern: str | None) -> list[str]:
    """The names of shards that match a glob (``*`` stays within a folder, ``**`` does not); None: all.

    Raises:
        RayselError: none matches.
    """
    if pattern is None:
        return names
    selected = [name for name in names if matches(name.split("/"), pattern.split("/"))]
    if not selected:
        there = f"there are {len(names):,}, the first is {names[0]!r}" if names else "there are none at all"
        raise RayselError(f"no shard matches {pattern!r}: {there}")
    return selected
