"""Making an index visible in one step, checking it, and clearing away what it replaced."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

from raysel.errors import RayselError
from raysel.files.folder import Folder
from raysel.store.manifest import DATA_PREFIX, MANIFEST_NAME, FileEntry, Manifest, read_manifest

_CHUNK_BYTES = 4 << 20


def publish(folder: Folder, manifest: Manifest) -> Manifest:
    """Put ``manifest.json``: from then on the folder is this index, for every reader.

    The index that it replaces is remembered under `Manifest.superseded`, so that its files can go after a while.

    Returns:
        The manifest as written.

    Raises:
        RayselError: a file that the manifest names is missing or of another size; nothing is published then.
    """
    sizes = {file.name: file.size for file in folder.list(DATA_PREFIX)}
    problems = [problem for entry in manifest.files if (problem := _size_problem(entry, sizes.get(entry.name)))]
    if problems:
        raise RayselError(f"not published, {folder.shown} is incomplete: {problems[0]} ({len(problems)} in all)")
    written = manifest.model_copy(update={"superseded": _superseded(folder, manifest)})
    folder.put(MANIFEST_NAME, written.to_json())
    return written


def remove_unreferenced(folder: Folder, grace: timedelta, now: datetime | None = None) -> list[str]:
    """Remove what the manifest does not name: tables of former indexes, of runs that never ended, half-written files.

    A reader that opened the former index goes on reading its files: they stay until `grace` after it was replaced. What
    no manifest ever named stays until `grace` after its last write: its run may still be on its way.

    Args:
        folder: the index.
        grace: how long.
        now: the time it is, UTC; by default the clock's.

    Returns:
        The folders and single files removed, relative to the index.
    """
    manifest = read_manifest(folder)
    deadline = (now or datetime.now(UTC)) - grace
    files = folder.list(DATA_PREFIX)
    last_use: dict[str, datetime] = {}
    for file in files:
        fingerprint = file.name.split("/")[1]
        last_use[fingerprint] = max(last_use.get(fingerprint, file.modified), file.modified)
    last_use.update({name: max(when, last_use[name]) for name, when in manifest.superseded.items() if name in last_use})
    last_use.pop(manifest.index_fingerprint, None)
    gone = sorted(f"{DATA_PREFIX}/{name}" for name, when in last_use.items() if when <= deadline)
    for prefix in gone:
        folder.delete_below(prefix)
    named = {entry.name for entry in manifest.files}
    beside = [file for file in files if file.name.startswith(f"{manifest.data}/") and file.name not in named]
    strays = sorted(file.name for file in (*beside, *folder.drafts()) if file.modified <= deadline)
    for name in strays:
        folder.delete(name)
    return gone + strays


def check_files(folder: Folder, manifest: Manifest) -> list[str]:
    """Compare every file that the manifest names with its size and SHA-256, reading all of it.

    Returns:
        One line per file that is missing, of another size or altered; empty where all is well.
    """
    sizes = {file.name: file.size for file in folder.list(DATA_PREFIX)}
    lines = []
    for entry in manifest.files:
        problem = _size_problem(entry, sizes.get(entry.name))
        if problem is None and _sha256(folder, entry.name) != entry.sha256:
            problem = f"{entry.name}: altered (SHA-256 differs from the manifest's)"
        if problem:
            lines.append(problem)
    return lines


def _size_problem(entry: FileEntry, size: int | None) -> str | None:
    if size is None:
        return f"{entry.name}: missing"
    if size != entry.size:
        return f"{entry.name}: {size} bytes, the manifest says {entry.size}"
    return None


def _sha256(folder: Folder, name: str) -> str:
    digest = hashlib.sha256()
    with folder.open(name) as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _superseded(folder: Folder, manifest: Manifest) -> dict[str, datetime]:
    try:
        former = read_manifest(folder)
    except RayselError:
        return {}
    present = {file.name.split("/")[1] for file in folder.list(DATA_PREFIX)}
    times = {**former.superseded, former.index_fingerprint: datetime.now(UTC).replace(microsecond=0)}
    return {name: when for name, when in times.items() if name in present and name != manifest.index_fingerprint}
