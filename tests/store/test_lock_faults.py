"""The lock on a store that is busy, unreachable, or answers too late."""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from raysel.errors import RayselError
from raysel.files import Folder, conditional_file
from raysel.store import LOCK_NAME, Lease, locked
from raysel.store.lock import Holder
from tests.store.locks import QUICK, elsewhere, lost, wait_for

Put = Callable[[bytes, str | None], str | None]


@pytest.fixture
def with_put(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Put, bytes, str | None], Any]], None]:
    """Replaces the put of the lock's file by a function of the real put and its arguments."""

    def replace_put(put: Callable[[Put, bytes, str | None], Any]) -> None:
        class Changed:
            def __init__(self, *place: Any) -> None:
                self.file = conditional_file(*place)

            def __getattr__(self, name: str) -> Any:
                return getattr(self.file, name)

            def put(self, content: bytes, expected: str | None) -> Any:
                return put(self.file.put, content, expected)

        monkeypatch.setattr("raysel.store.lock.conditional_file", Changed)

    return replace_put


def test_a_store_that_refuses_every_renewal_is_given_up(local_folder, with_put):
    """Although the lock is still ours: otherwise the run would ask forever, and without a pause."""
    asked = []

    def refuse(put: Put, content: bytes, expected: str | None) -> str | None:
        asked.append(expected)
        return None if expected else put(content, None)

    with_put(refuse)
    with locked(local_folder, print, QUICK) as lock:
        with pytest.raises(RayselError, match="could not be renewed"):
            lock.confirm()
        assert len(asked) < 100


def test_a_takeover_is_repeated_on_a_busy_store(local_folder, with_put):
    busy = iter([True])
    conditional_file(local_folder, LOCK_NAME).put(replace(Holder.me(), started="1").encode(0), None)

    def sometimes(put: Put, content: bytes, expected: str | None) -> str | None:
        if next(busy, False):
            raise RayselError("slow down")
        return put(content, expected)

    with_put(sometimes)
    with locked(local_folder, print, replace(QUICK, patience_s=120)) as lock:
        lock.confirm()


def test_a_folder_that_cannot_be_locked_is_one_line(local_folder, tmp_path):
    with (
        unreachable(tmp_path),
        pytest.raises(RayselError, match="cannot lock") as error,
        locked(local_folder, print, QUICK),
    ):
        pass
    assert "\n" not in str(error.value)


def test_a_holder_that_cannot_renew_gives_up(local_folder, tmp_path):
    with locked(local_folder, print, QUICK) as lock, unreachable(tmp_path):
        began = time.monotonic()
        with pytest.raises(RayselError, match="could not be renewed"):
            lock.confirm()
        assert time.monotonic() - began < 30  # at most 2 s on an idle machine
        assert json.loads(Path(tmp_path / "index" / LOCK_NAME).read_bytes())["pid"] == os.getpid()


def test_a_store_that_was_unreachable_for_longer_than_the_lease_ends_nothing(local_folder, tmp_path):
    """Nobody took over meanwhile: the holder's own put shows it."""
    with locked(local_folder, print, QUICK) as lock:
        with unreachable(tmp_path):
            wait_for(lambda: lost(lock))
        lock.confirm()
        lock.confirm()


def test_a_busy_store_is_asked_again_at_every_step(local_folder, monkeypatch):
    file = conditional_file(local_folder, LOCK_NAME)
    busy = iter([True, True, False, True, False])

    class Busy:
        def __getattr__(self, name: str) -> Any:
            def ask(*arguments: Any) -> Any:
                if next(busy, False):
                    raise RayselError("slow down")
                return getattr(file, name)(*arguments)

            return ask

    monkeypatch.setattr("raysel.store.lock.conditional_file", lambda *_: Busy())
    with locked(local_folder, print, replace(QUICK, patience_s=120)):
        assert Holder.decode(file.read()[0]).pid == os.getpid()
    assert next(busy, None) is None


def test_a_lock_whose_last_renewal_arrived_unanswered_is_released(folder, with_put):
    def unanswered(put: Put, content: bytes, expected: str | None) -> str | None:
        etag = put(content, expected)
        if expected is not None:
            raise RayselError("connection reset")
        return etag

    with_put(unanswered)
    file = conditional_file(folder, LOCK_NAME)
    with locked(folder, print, replace(QUICK, lasts_s=60)):
        first = file.read()
        wait_for(lambda: file.read() != first)
    assert file.read() is None


def test_a_takeover_while_the_store_was_unreachable_is_noticed(local_folder, tmp_path):
    with locked(local_folder, print, QUICK) as lock:
        with unreachable(tmp_path):
            wait_for(lambda: lost(lock))
            (tmp_path / "index" / LOCK_NAME).write_bytes(elsewhere())
        with pytest.raises(RayselError, match="lost to another run"):
            lock.confirm()
    assert (tmp_path / "index" / LOCK_NAME).read_bytes() == elsewhere()


@contextmanager
def unreachable(tmp_path: Path):
    """Every put to the lock fails: a folder is in the place of its guard file."""
    guard = tmp_path / "index" / f".{LOCK_NAME}.guard"
    guard.parent.mkdir(exist_ok=True)

    def blocked() -> bool:
        try:
            guard.mkdir()
        except FileExistsError:  # a put is under way
            return False
        return True

    wait_for(blocked)
    try:
        yield
    finally:
        guard.rmdir()


def test_a_full_disk_is_reported_at_once(monkeypatch, tmp_path):
    """Waiting does not free a disk; nothing is left of the attempt."""

    def full(path, _content):
        path.touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    with locked(Folder.at(tmp_path), print, Lease(beat_s=60.0, patience_s=60.0)) as lock:
        with monkeypatch.context() as patch:
            patch.setattr(Path, "write_bytes", full)
            started = time.monotonic()
            with pytest.raises(RayselError, match="No space left on device"):
                lock.confirm()
        assert time.monotonic() - started < 50
        assert [path.name for path in tmp_path.iterdir()] == ["LOCK"]
