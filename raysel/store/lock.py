"""The lock of an index: only the run that holds it writes the index.

The holder rewrites the lock every few seconds as a sign of life. Clocks of different machines are never compared: a
waiting run watches the lock's etag, and if that does not change for a whole lease, it takes the lock over by a put that
succeeds only on that very etag.
"""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from raysel.errors import RayselError
from raysel.files import ConditionalFile, Folder, as_raysel_error, conditional_file
from raysel.store.lock_holder import Doing, Holder
from raysel.store.manifest import MANIFEST_NAME

T = TypeVar("T")

LOCK_NAME = "LOCK"


class HeldError(RayselError):
    """Another run holds the lock and is alive."""


@dataclass(frozen=True)
class Lease:
    """Durations of a lock, in seconds of each process's own monotonic clock."""

    beat_s: float = 5.0
    """Time between two rewrites by the holder."""
    lasts_s: float = 30.0
    """A lock that was not rewritten for this long may be taken over."""
    patience_s: float = 120.0
    """How long a request is repeated to a store that does not answer."""

    def ask(self, request: Callable[[], T]) -> T:
        """The result of `request`, which is repeated for `patience_s` while it raises a `RayselError`."""
        deadline = time.monotonic() + self.patience_s
        while True:
            try:
                return request()
            except RayselError as error:
                if time.monotonic() >= deadline or _is_permanent(error.__cause__):
                    raise
            time.sleep(self.beat_s / 5)


def _is_permanent(error: BaseException | None) -> bool:
    """True for a disk that is full or cannot be written to: waiting does not help."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


class RunLock:
    """The lock of the index in `folder`, held by this process. Made by `locked`."""

    found_manifest: str | None = None
    """Etag of the manifest that was there when the lock was taken; None if there was none."""

    def __init__(
        self, folder: Folder, lease: Lease, say: Callable[[str], None], doing: Callable[[], Doing | None]
    ) -> None:
        self.folder, self.lease, self._doing = folder, lease, doing
        self._file, self._holder = conditional_file(folder, LOCK_NAME), Holder.me()
        self._etag = _acquire(self._file, self._holder, lease, say, folder.shown)
        self._beats, self._lost = 0, False
        self._renewing, self._released = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True, name="raysel-lock")
        self._thread.start()

    def confirm(self) -> None:
        """Ask the store if the lock is still ours. Call this before writing anything that others see.

        A run that slept for longer than the lease may have lost its lock without noticing. A store that does not answer
        is asked again for `Lease.patience_s`.

        Raises:
            RayselError: another run has taken over, or the store does not answer.
        """
        self.lease.ask(self._renew)
        if self._lost:
            raise RayselError(f"{self.folder.shown}: the lock was lost to another run: wait for it, or run again")

    def release(self) -> None:
        """Remove the lock if it is still ours."""
        self._released.set()
        self._thread.join()
        with suppress(RayselError, OSError):  # it will expire
            if self._still_ours():
                self._file.delete(self._etag)

    def _beat(self) -> None:
        while not self._lost and not self._released.wait(self.lease.beat_s):
            with suppress(RayselError):  # a store that does not answer now may answer at the next beat
                self._renew()

    def _renew(self) -> None:
        """Rewrite the lock, or notice that it is lost. RayselError if the store does not answer, or refuses."""
        with self._renewing:
            if self._lost:
                return
            self._beats += 1
            try:
                etag = self._file.put(self._holder.encode(self._beats, self._doing()), self._etag)
                self._lost = etag is None and not self._still_ours()
            except (RayselError, OSError) as error:
                raise RayselError(f"{self.folder.shown}: the lock could not be renewed ({error}): run again") from error
            if etag is not None:
                self._etag = etag
            elif not self._lost:
                raise RayselError(f"{self.folder.shown}: the lock could not be renewed (refused): run again")

    def _still_ours(self) -> bool:
        """True if the lock names this run. Its etag differs after a put that arrived and whose answer was lost."""
        present = self._file.read()
        holder = Holder.decode(present[0]) if present else None
        if present is None or holder is None or holder.run != self._holder.run:
            return False
        self._etag = present[1]
        return True


@contextmanager
def locked(
    folder: Folder,
    say: Callable[[str], None],
    lease: Lease | None = None,
    doing: Callable[[], Doing | None] = lambda: None,
) -> Iterator[RunLock]:
    """Hold the lock of the index in `folder`.

    A lock is taken over at once if its holder was a process of this machine that has ended, and otherwise after a lease
    without a sign of life.

    Args:
        folder: folder of the index; created if missing.
        say: called with one line if the lock has to be waited for.
        lease: durations; the same for all runs on an index.
        doing: what this process is doing; the lock says so at every beat.

    Raises:
        HeldError: another run holds the lock and is alive.
        RayselError: the folder cannot be locked.
    """
    with as_raysel_error(f"cannot lock {folder.shown}, check who may write there"):
        lock = RunLock(folder, lease or Lease(), say, doing)
    try:
        with as_raysel_error(f"cannot read {folder.shown}/{MANIFEST_NAME}"):
            manifest = lock.lease.ask(conditional_file(folder, MANIFEST_NAME).read)
        lock.found_manifest = manifest and manifest[1]
        yield lock
    finally:
        lock.release()


def _acquire(file: ConditionalFile, me: Holder, lease: Lease, say: Callable[[str], None], shown: str) -> str:
    """Wait until the lock can be taken, and take it; returns its etag."""
    watched, since = None, time.monotonic()
    while True:
        free, seen = True, None
        if (present := lease.ask(file.read)) is not None:
            holder, seen = Holder.decode(present[0]), present[1]
            ended = holder is not None and holder.has_ended()
            if watched is None:
                watched, since = seen, time.monotonic()
                if not ended:
                    owner = holder or "an unknown process"
                    say(f"{shown} is locked by {owner}: waiting {lease.lasts_s:.0f} s for a sign of life")
            elif seen != watched:
                raise HeldError(f"another run is indexing into {shown} ({holder}): wait for it, or give another --out")
            free = ended or time.monotonic() - since >= lease.lasts_s
        if free and (etag := lease.ask(partial(file.put, me.encode(0), seen))) is not None:
            return etag
        time.sleep(min(1.0, lease.beat_s / 5))


@dataclass(frozen=True)
class LockSeen:
    """A lock as another process sees it."""

    holder: Holder | None
    """None if the lock is not readable."""
    alive: bool
    """True if the lock was renewed while it was watched."""


def see_lock(folder: Folder, lease: Lease | None = None) -> LockSeen | None:
    """Watch the lock of the index in `folder` for up to three beats, without changing it; None if there is none.

    Raises:
        RayselError: the folder cannot be read.
    """
    lease = lease or Lease()
    if not folder.exists(LOCK_NAME):
        return None
    file, deadline, first = conditional_file(folder, LOCK_NAME), time.monotonic() + 3 * lease.beat_s, None
    while (present := lease.ask(file.read)) is not None:
        holder, first = Holder.decode(present[0]), first or present[1]
        alive = present[1] != first
        if alive or (holder and holder.has_ended()) or time.monotonic() >= deadline:
            return LockSeen(holder, alive)
        time.sleep(lease.beat_s / 10)
    return None
