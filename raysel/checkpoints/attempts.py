"""What became of each checkpoint: a small JSON object for each, below ``.watch`` beside the indexes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from raysel.checkpoints.checkpoint import Checkpoint
from raysel.files import Folder, redact_uri
from raysel.store import MANIFEST_NAME, remove_index

WATCH_FOLDER = ".watch"
"""Folder, beside the indexes, of what a watcher knows, and of its lock."""
FIRST_PAUSE, LONGEST_PAUSE = timedelta(minutes=10), timedelta(days=1)
"""Before a checkpoint that failed is tried again; the pause doubles with each failure."""


class Attempt(BaseModel):
    """The newest attempt at a checkpoint."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    name: str
    """As `Checkpoint.name`."""
    checkpoint: str
    """Path or URI, without secrets."""
    version: str
    """Of the file, see `Checkpoint.version`."""
    settings: str
    """Digest of the options that an index depends on."""
    state: Literal["indexed", "copy", "failed", "removed"]
    """``copy``: another checkpoint has the same weights. ``removed``: it was indexed, and ``--keep`` has removed its
    index."""
    at: datetime
    """UTC."""
    step: int | None = None
    digest: str | None = None
    """Of the weights; None if they could not be read."""
    index: str | None = None
    """Folder of its index, below the folder of the indexes: of a copy, that of the other checkpoint; of one that
    failed, that of an earlier version."""
    earlier: dict[str, int] = {}
    """Folder -> step of the indexes of earlier versions of this file that are still there."""
    reason: str | None = None
    """Why it failed, or what it is a copy of."""
    failures: int = 0
    """Failures in a row of this version."""
    retry_at: datetime | None = None

    @property
    def own_index(self) -> dict[str, int]:
        """Folder -> step of the index that this attempt made; empty if it made none, or one without a step."""
        made = self.state == "indexed" and self.index is not None and self.step is not None
        return {self.index: self.step} if made else {}  # type: ignore[dict-item]

    @property
    def indexes(self) -> dict[str, int]:
        """Folder -> step of the indexes with a step that this file has now."""
        return self.earlier | self.own_index


def place_digest(uri: str) -> str:
    """Eight hexadecimal digits for the place of a checkpoint, which differ for others of its name."""
    return hashlib.sha256(uri.encode()).hexdigest()[:8]


def pause_after(failures: int) -> timedelta:
    """How long a checkpoint rests after so many failures in a row."""
    return min(FIRST_PAUSE * 2 ** min(failures - 1, 20), LONGEST_PAUSE)


@dataclass(frozen=True)
class Attempts:
    """The attempts at all checkpoints."""

    folder: Folder
    """Of the indexes."""
    known: dict[str, Attempt]
    """Checkpoint, without secrets -> its newest attempt."""

    @classmethod
    def read(cls, folder: Folder) -> Attempts:
        """All records of the folder of indexes. One that is damaged counts as missing: its checkpoint is tried again.

        Raises:
            RayselError: the folder cannot be read.
        """
        known = {}
        for file in folder.list(WATCH_FOLDER):
            if file.name.endswith(".json"):
                try:
                    attempt = Attempt.model_validate_json(folder.read(file.name))
                except (FileNotFoundError, ValidationError):
                    continue
                known[attempt.checkpoint] = attempt
        return cls(folder, known)

    def of(self, checkpoint: Checkpoint) -> Attempt | None:
        return self.known.get(redact_uri(checkpoint.uri))

    def put(self, attempt: Attempt) -> None:
        """Record an attempt in place of the one before it, whose index remains one of the watcher's own."""
        if before := self.known.get(attempt.checkpoint):
            earlier = before.earlier | before.own_index
            left = {index: step for index, step in earlier.items() if index not in attempt.own_index}
            attempt = attempt.model_copy(update={"earlier": left})
        self._write(attempt)

    def remove_index(self, attempt: Attempt, index: str) -> None:
        """Remove an index of an attempt."""
        remove_index(self.folder.below(index))
        now = self.known[attempt.checkpoint]
        if index in now.own_index:
            self._write(now.model_copy(update={"state": "removed"}))
        else:
            left = {name: step for name, step in now.earlier.items() if name != index}
            self._write(now.model_copy(update={"earlier": left}))

    def _write(self, attempt: Attempt) -> None:
        self.known[attempt.checkpoint] = attempt
        content = attempt.model_dump_json(indent=2, exclude_none=True) + "\n"
        self.folder.put(f"{WATCH_FOLDER}/{attempt.name}-{place_digest(attempt.checkpoint)}.json", content.encode())

    def twin(self, checkpoint: Checkpoint, digest: str, settings: str) -> Attempt | None:
        """The attempt at another checkpoint with the same weights and options that has, or had, an index."""
        own = redact_uri(checkpoint.uri)
        return next((each for uri, each in self.known.items() if uri != own and _has(each, digest, settings)), None)

    def due(self, checkpoint: Checkpoint, settings: str, now: datetime | None = None) -> bool:
        """True if a checkpoint is new, has changed, has lost its index, or has failed and rested long enough."""
        last = self.of(checkpoint)
        if last is None or last.version != checkpoint.version or last.settings != settings:
            return True
        if last.state == "failed":
            return last.retry_at is None or (now or datetime.now(UTC)) >= last.retry_at
        if last.state == "copy":
            return self.twin(checkpoint, last.digest or "", settings) is None
        return last.state == "indexed" and not self.folder.exists(f"{last.index}/{MANIFEST_NAME}")


def _has(attempt: Attempt, digest: str, settings: str) -> bool:
    return (attempt.digest, attempt.settings) == (digest, settings) and attempt.state in ("indexed", "removed")
