"""One run, one lock: whoever writes an index holds its lock, and shows that it lives by rewriting it.

A waiter trusts no clock but its own: it watches the lock's etag, and takes over by a put on that very etag when it has
not changed for a whole lease.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

from raysel.errors import RayselError
from raysel.files.conditional import ConditionalFile, conditional_file
from raysel.files.folder import Folder

T = TypeVar("T")

LOCK_NAME = "LOCK"


@dataclass(frozen=True)
class Lease:
    """How a lock is kept alive, in seconds of each process's own monotonic clock."""

    beat_s: float = 5.0
    """The holder rewrites the lock this often."""
    lasts_s: float = 30.0
    """A lock that is not rewritten for so long may be taken over; a holder that could not rewrite it asks before it
    writes anything else."""
    patience_s: float = 120.0
    """How long a holder waits for a store that does not answer."""


@dataclass(frozen=True)
class Holder:
    """Who holds a lock; for people, and to notice on the same machine that it is gone."""

    run: str
    host: str
    pid: int
    machine: str
    """Of this boot and this space of process numbers: elsewhere a pid says nothing."""
    started: str
    """Of the process, by the machine's count: tells a pid that was given again."""
    since: str
    beat: int = 0

    @classmethod
    def me(cls) -> Holder:
        """This process."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return cls(uuid.uuid4().hex, socket.gethostname(), os.getpid(), _machine(), _started(os.getpid()), now)

    def is_gone(self) -> bool:
        """True if it was a process of this machine and is no more; False also where that cannot be told."""
        if not self.machine or self.machine != _machine():
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except OSError:
            pass  # it lives, and is another user's
        started = _started(self.pid)  # empty where /proc hides it
        return bool(started) and started != self.started

    def encode(self, beat: int) -> bytes:
        """The lock's content; no two are equal."""
        return json.dumps(asdict(self) | {"beat": beat}).encode()

    @classmethod
    def decode(cls, content: bytes) -> Holder | None:
        """The holder, None if the content is not one's."""
        try:
            return cls(**json.loads(content))
        except (ValueError, TypeError):
            return None

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, since {self.since}"


class RunLock:
    """A lock that this process holds. Made by `locked`."""

    def __init__(self, file: ConditionalFile, holder: Holder, etag: str, lease: Lease, shown: str) -> None:
        self._file, self._holder, self._etag, self._lease, self._shown = file, holder, etag, lease, shown
        self._beats, self._renewed = 0, time.monotonic()
        self._ended, self._renewing = threading.Event(), threading.Lock()
        self._lost = False
        self._thread = threading.Thread(target=self._beat, daemon=True, name="raysel-lock")
        self._thread.start()

    def confirm(self) -> None:
        """Make sure that the lock is still ours, before something is written that others see.

        A store that was away for longer than the lease is no harm in itself: a put on our own etag tells whether
        somebody took over meanwhile. It is waited for as long as for everything else that is asked of the store.

        Raises:
            RayselError: another run has taken over, or the store does not answer.
        """
        self._renew_until(lambda: not self._stale())

    def renew(self) -> None:
        """As `confirm`, but the store is asked in any case: before what cannot be taken back.

        Raises:
            RayselError: another run has taken over, or the store does not answer.
        """
        began = time.monotonic()
        self._renew_until(lambda: self._renewed >= began)

    def _renew_until(self, renewed: Callable[[], bool]) -> None:
        give_up = time.monotonic() + self._lease.patience_s
        while not self._lost and not renewed():
            fault = self._renew()
            if self._lost or renewed():
                break
            if time.monotonic() >= give_up:
                raise RayselError(f"{self._shown}: the lock could not be renewed ({fault or 'refused'}): run again")
            time.sleep(self._lease.beat_s / 5)
        if self._lost:
            raise RayselError(f"{self._shown}: the lock was lost to another run: wait for it, or run again")

    def release(self) -> None:
        """Give the lock back."""
        self._ended.set()
        self._thread.join()
        if not self._lost:
            with suppress(RayselError, OSError):  # it will run out by itself
                if self._still_ours():
                    self._file.delete(self._etag)

    def _stale(self) -> bool:
        return time.monotonic() - self._renewed >= self._lease.lasts_s - self._lease.beat_s

    def _beat(self) -> None:
        while not self._lost and not self._ended.wait(self._lease.beat_s):
            self._renew()  # a store that does not answer now may answer at the next beat

    def _renew(self) -> Exception | None:
        """Rewrite the lock, if it is still ours; returns what kept the store from it."""
        with self._renewing:
            self._beats += 1
            asked = time.monotonic()
            try:
                etag = self._file.put(self._holder.encode(self._beats), self._etag)
                self._lost = etag is None and not self._still_ours()
            except (RayselError, OSError) as fault:
                return fault
            if etag is not None:
                self._etag, self._renewed = etag, asked
        return None

    def _still_ours(self) -> bool:
        """True if the lock is ours under another etag: a put that seemed to fail had come through."""
        present = self._file.read()
        holder = Holder.decode(present[0]) if present else None
        if present is None or holder is None or holder.run != self._holder.run:
            return False
        self._etag = present[1]
        return True


@contextmanager
def locked(folder: Folder, say: Callable[[str], None], lease: Lease | None = None) -> Iterator[RunLock]:
    """Hold the lock of the index in `folder`.

    A lock whose holder is alive is an error; one whose holder is gone is taken over: at once if it was a process of
    this machine, else after it was not renewed for a lease.

    Args:
        folder: of the index.
        say: is told in a line if there is something to wait for.
        lease: how long a lock lives; the same for all runs on an index.

    Raises:
        RayselError: another run is alive and holds it, or the folder cannot be locked.
    """
    lease = lease or Lease()
    file, me = conditional_file(folder, LOCK_NAME), Holder.me()
    try:
        etag = _taken(file, me, lease, say, folder.shown)
    except OSError as error:
        raise RayselError(f"cannot lock {folder.shown}: {error}; see who may write there") from error
    lock = RunLock(file, me, etag, lease, folder.shown)
    try:
        yield lock
    finally:
        lock.release()


def _taken(file: ConditionalFile, me: Holder, lease: Lease, say: Callable[[str], None], shown: str) -> str:
    """The etag of the lock, once it is ours."""
    watched, since = None, time.monotonic()
    while True:
        present = _with_retries(file.read, lease)
        if present is None:
            etag = _with_retries(lambda: file.put(me.encode(0), None), lease)
        else:
            content, seen = present
            holder = Holder.decode(content)
            if watched is None:
                watched, since = seen, time.monotonic()
                if not (holder and holder.is_gone()):
                    say(
                        f"{shown} is locked by {holder or 'somebody'}: waiting {lease.lasts_s:.0f} s for a sign of life"
                    )
            elif seen != watched:
                raise RayselError(
                    f"another run is indexing into {shown} ({holder}): wait for it, or give another --out"
                )
            over = time.monotonic() - since >= lease.lasts_s
            free = over or (holder is not None and holder.is_gone())
            etag = _with_retries(partial(file.put, me.encode(0), seen), lease) if free else None
        if etag is not None:
            return etag
        time.sleep(min(1.0, lease.beat_s / 5))


def _with_retries(ask: Callable[[], T], lease: Lease) -> T:
    """What the store answers, as soon as it does."""
    give_up = time.monotonic() + lease.patience_s
    while True:
        try:
            return ask()
        except RayselError:
            if time.monotonic() >= give_up:
                raise
        time.sleep(lease.beat_s / 5)


def _machine() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def _started(pid: int) -> str:
    """When a process began, in the kernel's ticks; empty where there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
