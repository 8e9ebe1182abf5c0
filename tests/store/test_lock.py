"""One run, one lock: who gets it, who waits, who takes over, and who must stop."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from raysel.errors import RayselError
from raysel.store import LOCK_NAME, Folder, Lease, locked
from raysel.store.conditional import conditional_file
from raysel.store.lock import Holder
from tests.object_store import BUCKET

QUICK = Lease(beat_s=0.1, lasts_s=1.5, patience_s=0.5)


@pytest.fixture(params=["local", "s3"])
def folder(request, tmp_path) -> Folder:
    if request.param == "local":
        return Folder.at(tmp_path / "index")
    request.getfixturevalue("s3")
    return Folder.at(f"s3://{BUCKET}/{uuid.uuid4().hex}")


@pytest.fixture
def local_folder(tmp_path) -> Folder:
    return Folder.at(tmp_path / "index")


def elsewhere() -> bytes:
    """The content of a lock whose holder is on another machine, where its pid says nothing here."""
    return Holder("run", "far", 1, "another boot", "0", "2026-01-01").encode(0)


def test_a_put_holds_only_if_nobody_came_between(folder):
    file = conditional_file(folder, "x")
    first = file.put(b"1", None)
    assert first is not None
    assert file.put(b"2", None) is None
    assert file.put(b"2", "another etag") is None
    assert file.read() == (b"1", first)
    second = file.put(b"2", first)
    assert second not in (None, first)
    file.delete(first)
    assert file.read() == (b"2", second)
    file.delete(second)
    assert file.read() is None
    assert file.put(b"3", second) is None


def test_no_put_is_lost_among_many(folder):
    file = conditional_file(folder, "counter")
    file.put(b"0 nobody", None)

    def add(_: int) -> None:
        while True:
            content, etag = file.read()
            count = int(content.split()[0]) + 1
            if file.put(f"{count} {uuid.uuid4().hex}".encode(), etag):
                return

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add, range(100)))
    assert file.read()[0].startswith(b"100 ")


def test_a_lock_is_given_back(folder):
    with locked(folder, print, QUICK):
        assert folder.exists(LOCK_NAME)
    assert not folder.exists(LOCK_NAME)
    with locked(folder, print, QUICK) as lock:
        lock.confirm()


def test_a_lock_whose_holder_lives_is_refused(folder):
    said: list[str] = []
    with locked(folder, print, QUICK) as first:
        message = f"another run is indexing into .*process {os.getpid()}"
        with pytest.raises(RayselError, match=message), locked(folder, said.append, QUICK):
            pass
        first.confirm()
    assert len(said) == 1
    assert "waiting" in said[0]


def test_a_killed_holder_of_this_machine_is_followed_at_once(local_folder, tmp_path):
    code = (
        "import sys, time; from raysel.store import Folder, locked\n"
        f"with locked(Folder.at({str(tmp_path / 'index')!r}), print): print('held', flush=True); time.sleep(600)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "held\n"
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    began = time.monotonic()
    with locked(local_folder, print) as lock:  # the usual lease of 30 s
        lock.confirm()
    assert time.monotonic() - began < 10


def test_a_number_that_was_given_again_is_no_sign_of_life():
    me = Holder.me()
    assert not me.is_gone()
    assert replace(me, started="1").is_gone()
    assert not replace(me, started="1", machine="another boot").is_gone()


def test_a_living_process_of_another_user_that_proc_hides_is_not_gone(monkeypatch):
    """As where /proc is mounted with hidepid."""
    monkeypatch.setattr("raysel.store.lock._started", lambda _: "")
    assert not replace(Holder.me(), started="7").is_gone()
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert replace(Holder.me(), pid=ended.pid).is_gone()


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


def test_a_silent_holder_elsewhere_is_followed_after_a_lease(folder):
    file = conditional_file(folder, LOCK_NAME)
    file.put(elsewhere(), None)
    began = time.monotonic()
    with locked(folder, print, QUICK):
        assert time.monotonic() - began >= QUICK.lasts_s
        assert Holder.decode(file.read()[0]).pid == os.getpid()


def test_clocks_that_jump_do_not_matter(folder, monkeypatch):
    """The wall clock goes back ten years and on again while a lock is held and waited for."""
    jumps = iter(range(10**9))
    monkeypatch.setattr(time, "time", lambda: 1e9 * (next(jumps) % 2))
    with locked(folder, print, QUICK) as lock:
        with pytest.raises(RayselError, match="another run"), locked(folder, lambda _: None, QUICK):
            pass
        lock.confirm()


def test_only_one_of_many_waiters_takes_over(folder):
    conditional_file(folder, LOCK_NAME).put(elsewhere(), None)
    held: list[int] = []

    def contend(number: int) -> bool:
        try:
            with locked(folder, lambda _: None, QUICK) as lock:
                held.append(number)
                time.sleep(2 * QUICK.lasts_s)  # the work: longer than the others' patience
                lock.confirm()
                return True
        except RayselError:
            return False

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(contend, range(4))) == 1
    assert len(held) == 1


def test_a_holder_that_was_followed_may_not_publish(folder):
    with locked(folder, print, QUICK) as lock:
        file = conditional_file(folder, LOCK_NAME)
        _wait_for(lambda: file.put(elsewhere(), file.read()[1]) is not None)
        _wait_for(lambda: _lost(lock))
    assert file.read()[0] == elsewhere(), "another's lock is left alone"


def test_a_holder_that_cannot_renew_stops_before_its_lease_ends(local_folder, tmp_path):
    with locked(local_folder, print, QUICK) as lock, unreachable(tmp_path):
        began = time.monotonic()
        _wait_for(lambda: _lost(lock))
        assert time.monotonic() - began < 3 * (QUICK.lasts_s + QUICK.patience_s)
        assert json.loads(Path(tmp_path / "index" / LOCK_NAME).read_bytes())["pid"] == os.getpid()


def test_a_store_that_was_away_for_longer_than_the_lease_ends_nothing(local_folder, tmp_path):
    """Nobody took over meanwhile: the holder's own put says so."""
    with locked(local_folder, print, QUICK) as lock:
        with unreachable(tmp_path):
            _wait_for(lambda: _lost(lock))
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
        _wait_for(lambda: file.read() != first)
    assert file.read() is None


def test_who_took_over_while_the_store_was_away_is_noticed(local_folder, tmp_path):
    with locked(local_folder, print, QUICK) as lock:
        with unreachable(tmp_path):
            _wait_for(lambda: _lost(lock))
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


def _lost(lock) -> bool:
    try:
        lock.confirm()
    except RayselError:
        return True
    return False


def _wait_for(condition, patience_s: float = 20.0) -> None:
    end = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)
