"""One run, one lock: who gets it, who waits, who takes over, and who must stop."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from raysel.errors import RayselError
from raysel.files.conditional import conditional_file
from raysel.store import LOCK_NAME, locked
from raysel.store.lock import Holder
from tests.store.locks import QUICK, elsewhere, lost, wait_for


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
        "import sys, time; from raysel.files import Folder; from raysel.store import locked\n"
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
        wait_for(lambda: file.put(elsewhere(), file.read()[1]) is not None)
        wait_for(lambda: lost(lock))
    assert file.read()[0] == elsewhere(), "another's lock is left alone"
