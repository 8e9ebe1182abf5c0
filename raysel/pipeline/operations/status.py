"""How far the run of an index is, from its folder alone: the lock, the progress below ``runs/`` and the manifest."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from raysel.files import Folder
from raysel.pipeline.scan.state import saved_coverage
from raysel.store import (
    RUNS_PREFIX,
    SNAPSHOT_NAME,
    Doing,
    Lease,
    LockSeen,
    Manifest,
    published_manifest,
    read_manifest,
    see_lock,
)


@dataclass(frozen=True)
class SavedScan:
    """A snapshot of a scan, from which the same command resumes."""

    fingerprint: str
    done: int
    """Images that are covered or in quarantine."""
    images: int
    saved: datetime
    """UTC, by the store's clock."""


@dataclass(frozen=True)
class RunStatus:
    """What is in the folder of an index."""

    index: str
    """Path or URI, without secrets."""
    lock: LockSeen | None
    """None if no run has the index locked."""
    scans: tuple[SavedScan, ...]
    """The newest first."""
    chunks: int
    """Files with derived neurons that are saved for a run to resume."""
    published: Manifest | None

    @property
    def state(self) -> Literal["running", "stopped", "published"]:
        """``running``: a run shows signs of life. ``stopped``: a run ended before it published, and left progress."""
        if self.lock and self.lock.alive:
            return "running"
        return "stopped" if self.lock or self.scans or self.chunks else "published"

    @property
    def doing(self) -> Doing | None:
        """What the run is doing, or did last: as its lock says, else as far as its newest snapshot is."""
        holder = self.lock.holder if self.lock else None
        if holder and holder.doing:
            return Doing(**holder.doing)
        if self.state == "stopped" and self.scans:
            return Doing("scan", "images", self.scans[0].done, self.scans[0].images, 0.0)
        return None

    @property
    def seconds_left(self) -> float | None:
        """Of the stage that is running, at its rate until now; None if that is not known."""
        doing = self.doing
        if self.state != "running" or doing is None or doing.total is None or doing.rate <= 0:
            return None
        return (doing.total - doing.done) / doing.rate


def run_status(index: str, lease: Lease | None = None) -> RunStatus:
    """Look at an index. Nothing is written; a lock is watched for some beats.

    Raises:
        RayselError: there is neither an index nor a run, or the folder cannot be read.
    """
    folder = Folder.at(index).require_readable()
    files = folder.list(RUNS_PREFIX)
    scans = [_saved_scan(folder, file.name, file.modified) for file in files if file.name.endswith(SNAPSHOT_NAME)]
    status = RunStatus(
        index=folder.shown,
        lock=see_lock(folder, lease),
        scans=tuple(sorted(filter(None, scans), key=lambda scan: scan.saved, reverse=True)),
        chunks=sum(file.name.endswith(".parquet") for file in files),
        published=published_manifest(folder),
    )
    if status.state == "published" and status.published is None:
        read_manifest(folder)  # says what is wrong
    return status


def _saved_scan(folder: Folder, name: str, saved: datetime) -> SavedScan | None:
    found = saved_coverage(folder, name)
    return found and SavedScan(name.split("/")[1], *found, saved)
