"""Where a local Ray of a run's own keeps its sockets and logs: gone with the run, or with the next if it is killed."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PREFIX = "raysel-ray-"
_OWNER = ".raysel-session"
"""File that the run holds locked; the lock goes with its process, however that ends."""


@contextmanager
def session_folder(base: Path | None = None) -> Iterator[Path]:
    """A fresh folder with a short path, which Ray's sockets need; those of runs that were killed go before.

    Args:
        base: where; by default ``/tmp``, or the system's temporary folder.
    """
    base = base or Path("/tmp" if os.path.isdir("/tmp") else tempfile.gettempdir())
    _remove_left(base)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base))
    try:
        with (folder / "draft").open("w") as owner:
            fcntl.flock(owner, fcntl.LOCK_EX)
            # It gets its name when it is locked: nobody sees it free.
            (folder / "draft").rename(folder / _OWNER)
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _remove_left(base: Path) -> None:
    for file in base.glob(f"{_PREFIX}*/{_OWNER}"):
        with suppress(OSError):
            if _is_mine(file.parent, stat.S_ISDIR) and _is_mine(file, stat.S_ISREG) and not _is_held(file):
                shutil.rmtree(file.parent, ignore_errors=True)


def _is_mine(path: Path, kind: Callable[[int], bool]) -> bool:
    """True if it is this user's, and of this kind: in a folder where all may write others may have made anything."""
    there = path.lstat()
    return there.st_uid == os.getuid() and kind(there.st_mode)


def _is_held(file: Path) -> bool:
    descriptor = os.open(file, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
