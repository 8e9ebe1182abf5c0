"""The lock on a store that is busy, away, or answers too late."""

from __future__ import annotations

import json
import os
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from raysel.errors import RayselError
from raysel.files.conditional import conditional_file
from raysel.store import LOCK_NAME, Lease, locked
from raysel.store.lock import Holder
from tests.store.locks import QUICK, elsewhere, lost, wait_for


def test_a_store_that_refuses_every_renewal_is_given_up(local_folder, monkeypatch):
    """Though what it holds is ours: without end, and without a pause, nobody is helped."""
    file, asked = conditional_file(local_folder, LOCK_NAME), []

    class Odd:
        def __getattr__(self, name):
            return getattr(file, name)

        def put(self, content, expected):
            asked.append(expected)
            return None if expected else file.put(content, None)

    monkeypatch.setattr("raysel.store.lock.conditional_file", lambda *_: Odd())
    with locked(local_folder, print, QUICK) as lock:
        with pytest.raises(RayselError, match="could not be renewed"):
            lock.renew()
        assert len(asked) < 100


def test_before_what_cannot_be_taken_back_the_store_is_asked(folder):
    """Who has slept for longer than the lease thinks that no time has passed."""
    with locked(folder, print, Lease(beat_s=60, lasts_s=600)) as lock:
        lock.renew()
        file = conditional_file(folder, LOCK_NAME)
        assert file.put(elsewhere(), file.read()[1])
        lock.confirm()
        with pytest.raises(RayselError, match="lost to another run"):
            lock.renew()


def test_a_takeover_that_meets_a_busy_store_is_tried_again(local_folder, monkeypatch):
    file, busy = conditional_file(local_folder, LOCK_NAME), iter([True])
    file.put(replace(Holder.me(), started="1").encode(0), None)

    class Busy:
        def __getattr__(self, name):
            return getattr(file, name)

        def put(self, *arguments):
            if next(busy, False):
                raise RayselError("slow down")
            return file.put(*arguments)

    monkeypatch.setattr("raysel.store.lock.conditional_file", lambda *_: Busy())
    with locked(local_folder, print, replace(QUICK, patience_s=20)) as lock:
        lock.renew()


def test_a_folder_that_cannot_be_locked_is_told_in_one_line(local_folder, tmp_path):
    (tmp_path / "index" / f".{LOCK_NAME}.guard").mkdir(parents=True)
    with pytest.raises(RayselError, match="cannot lock") as error, locked(local_folder, print, QUICK):
        pass
    assert "\n" not in str(error.value)


def test_a_holder_that_cannot_renew_stops_before_its_lease_ends(local_folder, tmp_path):
    with locked(local_folder, print, QUICK) as lock, unreachable(tmp_path):
        began = time.monotonic()
        wait_for(lambda: lost(lock))
        assert time.monotonic() - began < 3 * (QUICK.lasts_s + QUICK.patience_s)
        assert json.loads(Path(tmp_path / "index" / LOCK_NAME).read_bytes())["pid"] == os.getpid()


def test_a_store_that_was_away_for_longer_than_the_lease_ends_nothing(local_folder, tmp_path):
    """Nobody took over meanwhile: the holder's own put says so."""
    with locked(local_folder, print, QUICK) as lock:
        with unreachable(tmp_path):
            wait_for(lambda: lost(lock))
        lock.confirm()
        lock.confirm()


def test_a_store_that_does_not_answer_at_once_is_asked_again(local_folder, monkeypatch):
    file = conditional_file(local_folder, LOCK_NAME)
    busy = iter([True, True, False, True, False])

    class Busy:
        def __getattr__(self, name):
            def ask(*arguments):
                if next(busy, False):
                    raise RayselError("slow down")
                return getattr(file, name)(*arguments)

            return ask

    monkeypatch.setattr("raysel.store.lock.conditional_file", lambda *_: Busy())
    with locked(local_folder, print, replace(QUICK, patience_s=20)):
        assert Holder.decode(file.read()[0]).pid == os.getpid()
    assert next(busy, None) is None


def test_a_lock_whose_last_renewal_came_through_unanswered_is_given_back(folder, monkeypatch):
    file = conditional_file(folder, LOCK_NAME)

    class Unanswered:
        def __getattr__(self, name):
            return getattr(file, name)

        def put(self, content, expected):
            etag = file.put(content, expected)
            if expected is not None:
                raise RayselError("connection reset")
            return etag

    monkeypatch.setattr("raysel.store.lock.conditional_file", lambda *_: Unanswered())
    with locked(folder, print, replace(QUICK, lasts_s=60)):
        first = file.read()
        wait_for(lambda: file.read() != first)
    assert file.read() is None


def test_who_took_over_while_the_store_was_away_is_noticed(local_folder, tmp_path):
    with locked(local_folder, print, QUICK) as lock:
        with unreachable(tmp_path):
            wait_for(lambda: lost(lock))
            (tmp_path / "index" / LOCK_NAME).write_bytes(elsewhere())
        with pytest.raises(RayselError, match="lost to another run"):
            lock.confirm()
    assert (tmp_path / "index" / LOCK_NAME).read_bytes() == elsewhere()


@contextmanager
def unreachable(tmp_path: Path):
    """No put comes through."""
    guard = tmp_path / "index" / f".{LOCK_NAME}.guard"
    guard.unlink()
    guard.mkdir()
    try:
        yield
    finally:
        guard.rmdir()
