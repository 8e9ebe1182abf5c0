"""Making an index visible in one step, checking its files, and removing it or what it replaced."""

from __future__ import annotations

import hashlib
import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from raysel.errors import RayselError
from raysel.files import Folder, as_raysel_error, conditional_file
from raysel.store.lock import LOCK_NAME, RunLock
from raysel.store.manifest import (
    DATA_PREFIX,
    MANIFEST_NAME,
    PLAN_NAME,
    RUNS_PREFIX,
    FileEntry,
    Manifest,
    published_manifest,
    read_manifest,
)

DATA_GRACE = timedelta(hours=1)
"""How long the files of a replaced index are kept, for readers that still have it open."""
RUNS_GRACE = timedelta(days=1)
"""How long the progress of an unfinished run is kept after its last write."""

_CHUNK_BYTES = 4 << 20
_FINGERPRINT = re.compile(r"[0-9a-f]{32}")


def publish(lock: RunLock, manifest: Manifest) -> Manifest:
    """Write ``manifest.json``, which makes the folder this index for every reader.

    The put succeeds only if the manifest is still the one that was there when the lock was taken. So a run that loses
    its lock between the confirmation and the put cannot overwrite the index of the run that took over. If that run has
    not published yet, this index is published: it is complete, and the other run's put will fail. The other run's
    command, given again, then finds this index or asks for ``--replace``.

    The index that is replaced is remembered in `Manifest.superseded`, so that its files can be removed later.

    Returns:
        The manifest as written.

    Raises:
        RayselError: the lock was lost, another run has published, or a file that the manifest names is missing or has
            another size. Then nothing is published.
    """
    folder = lock.folder
    sizes = {file.name: file.size for file in folder.list(DATA_PREFIX)}
    problems = [problem for entry in manifest.files if (problem := _size_problem(entry, sizes.get(entry.name)))]
    if problems:
        raise RayselError(f"not published, {folder.shown} is incomplete: {problems[0]} ({len(problems)} in all)")
    written = manifest.model_copy(update={"superseded": _superseded(folder, manifest)})
    content, file = written.to_json(), conditional_file(folder, MANIFEST_NAME)
    lock.confirm()
    with as_raysel_error(f"cannot write {folder.shown}/{MANIFEST_NAME}"):
        etag = lock.lease.ask(lambda: file.put(content, lock.found_manifest))
    if etag is None:
        raise RayselError(f"not published, another run has changed the index in {folder.shown} meanwhile: run again")
    return written


def remove_unreferenced(folder: Folder, now: datetime | None = None) -> list[str]:
    """Remove what the manifest does not name: tables of former indexes, progress of dead runs, half-written files.

    The files of a replaced index are kept for `DATA_GRACE` after it was replaced. Files that no manifest ever named are
    kept for `DATA_GRACE` after their last write, and progress below ``runs/`` for `RUNS_GRACE`: a run may resume.

    Args:
        folder: folder of a published index.
        now: current time, UTC; by default the clock's.

    Returns:
        The folders and single files removed, relative to the index.
    """
    manifest, now = read_manifest(folder), now or datetime.now(UTC)
    data = _last_writes(folder, DATA_PREFIX)
    data.update({name: max(when, data[name]) for name, when in manifest.superseded.items() if name in data})
    data.pop(manifest.index_fingerprint, None)
    gone = [f"{DATA_PREFIX}/{name}" for name, when in data.items() if when <= now - DATA_GRACE]
    runs = _last_writes(folder, RUNS_PREFIX)
    gone += [f"{RUNS_PREFIX}/{name}" for name, when in runs.items() if when <= now - RUNS_GRACE]
    for prefix in gone:
        folder.delete_below(prefix)
    named = {entry.name for entry in manifest.files}
    strays = [file for file in folder.list(manifest.data) if file.name not in named] + list(folder.drafts())
    old = [file.name for file in strays if file.modified <= now - DATA_GRACE]
    for name in old:
        folder.delete(name)
    return sorted(gone) + sorted(old)


def remove_progress(folder: Folder, *fingerprints: str) -> None:
    """Remove the progress of runs with these scan or index fingerprints, below ``runs/``."""
    for fingerprint in fingerprints:
        folder.delete_below(f"{RUNS_PREFIX}/{fingerprint}")
    if not folder.list(RUNS_PREFIX):
        folder.delete_below(RUNS_PREFIX)


def files_of_others(folder: Folder) -> list[str]:
    """Files in the folder of an index that raysel has not written, sorted by name."""
    return [file.name for file in folder.list() if not _is_own(file.name)]


def remove_index(folder: Folder) -> None:
    """Remove an index, its manifest first: a reader finds no index rather than a broken one.

    Files that raysel has not written remain, and so does the folder then.
    """
    folder.delete(MANIFEST_NAME)
    for file in folder.list():
        if _is_own(file.name):
            folder.delete(file.name)
    for draft in folder.drafts():
        folder.delete(draft.name)
    if folder.local:
        _remove_empty(Path(folder.path))


def check_files(folder: Folder, manifest: Manifest) -> list[str]:
    """Compare every file that the manifest names with its size and SHA-256, reading all of it.

    Returns:
        One line per file that is missing, has another size or was altered; empty if there is none.
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


def _last_writes(folder: Folder, prefix: str) -> dict[str, datetime]:
    """Name of each folder below `prefix` -> when a file in it was last written."""
    last: dict[str, datetime] = {}
    for file in folder.list(prefix):
        name = file.name.split("/")[1]
        last[name] = max(last.get(name, file.modified), file.modified)
    return last


def _superseded(folder: Folder, manifest: Manifest) -> dict[str, datetime]:
    former = published_manifest(folder)
    if former is None:
        return {}
    present = _last_writes(folder, DATA_PREFIX)
    times = {**former.superseded, former.index_fingerprint: datetime.now(UTC).replace(microsecond=0)}
    return {name: when for name, when in times.items() if name in present and name != manifest.index_fingerprint}


def _is_own(name: str) -> bool:
    first, *rest = name.split("/")
    if first in (DATA_PREFIX, RUNS_PREFIX):
        return len(rest) > 1 and bool(_FINGERPRINT.fullmatch(rest[0]))
    return not rest and first in (MANIFEST_NAME, PLAN_NAME, LOCK_NAME)


def _remove_empty(folder: Path) -> None:
    """Remove the folder and those below it, as far as they are empty."""
    inner = [path for path in folder.rglob("*") if path.is_dir() and not path.is_symlink()]
    for path in (*sorted(inner, reverse=True), folder):
        with suppress(OSError):
            path.rmdir()
