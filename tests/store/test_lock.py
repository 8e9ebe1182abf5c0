"""The lock of an index: who gets it, who waits, who takes over, and who must stop."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Event

import pytest

from raysel.errors import RayselError
from raysel.files import conditional_file
from raysel.store import LOCK_NAME, Lease, locked
from raysel.store.lock import Holder
from tests.store.locks import QUICK, SILENT, elsewhere, lost, wait_for


def test_a_put_succeeds_only_on_the_expected_etag(folder):
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


def test_a_conditional_file_leaves_no_other_file(local_folder, tmp_path):
    file = conditional_file(local_folder, "x")
    etag = file.put(b"1", None)
    assert file.put(b"2", None) is None
    assert [path.name for path in (tmp_path / "index").iterdir()] == ["x"]
    file.delete(etag)
    assert list((tmp_path / "index").iterdir()) == []


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


def test_a_lock_is_released(folder):
    with locked(folder, print, QUICK):
        assert folder.exists(LOCK_NAME)
    assert folder.list() == []
    with locked(folder, print, QUICK) as lock:
        lock.confirm()


def test_a_lock_whose_holder_is_alive_is_refused(folder):
    said: list[str] = []
    with locked(folder, print, QUICK) as first:
        message = f"another run is indexing into .*process {os.getpid()}"
        with pytest.raises(RayselError, match=message), locked(folder, said.append, QUICK):
            pass
        first.confirm()
    assert len(said) == 1
    assert "waiting" in said[0]


def test_the_lock_of_a_killed_process_of_this_machine_is_taken_over_at_once(local_folder, tmp_path):
    code = (
        "import sys, time; from raysel.files import Folder; from raysel.store import locked\n"
        f"with locked(Folder.at({str(tmp_path / 'index')!r}), print): print('held', flush=True); time.sleep(600)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "held\n"
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    began = time.monotonic()
    with locked(local_folder, print) as lock:  # the default lease of 30 s
        lock.confirm()
    assert time.monotonic() - began < 25


def test_a_reused_pid_is_not_a_sign_of_life():
    me = Holder.me()
    assert not me.has_ended()
    assert replace(me, started="1").has_ended()
    assert not replace(me, started="1", machine="another boot").has_ended()


def test_a_process_that_proc_hides_has_not_ended(monkeypatch):
    """As with other users' processes where /proc is mounted with hidepid."""
    monkeypatch.setattr("raysel.store.lock_holder._started", lambda _: "")
    assert not replace(Holder.me(), started="7").has_ended()
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert replace(Holder.me(), pid=ended.pid).has_ended()


def test_a_silent_holder_elsewhere_is_replaced_after_a_lease(folder):
    file = conditional_file(folder, LOCK_NAME)
    file.put(elsewhere(), None)
    began = time.monotonic()
    with locked(folder, print, QUICK):
        assert time.monotonic() - began >= QUICK.lasts_s
        assert Holder.decode(file.read()[0]).pid == os.getpid()


def test_clocks_that_jump_do_not_matter(folder, monkeypatch):
    """The wall clock goes back and forth by thirty years while a lock is held and waited for."""
    jumps = iter(range(10**9))
    monkeypatch.setattr(time, "time", lambda: 1e9 * (next(jumps) % 2))
    with locked(folder, print, QUICK) as lock:
        with pytest.raises(RayselError, match="another run"), locked(folder, lambda _: None, QUICK):
            pass
        lock.confirm()


def test_only_one_of_many_waiting_runs_takes_over(folder):
    conditional_file(folder, LOCK_NAME).put(elsewhere(), None)
    refused, all_refused = [], Event()

    def contend(number: int) -> bool:
        try:
            with locked(folder, lambda _: None, QUICK) as lock:
                assert all_refused.wait(60)
                lock.confirm()
                return True
        except RayselError:
            refused.append(number)
            if len(refused) == 3:
                all_refused.set()
            return False

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(contend, range(4))) == 1


def test_the_beat_notices_that_another_run_has_taken_over(folder):
    with locked(folder, print, QUICK) as lock:
        file = conditional_file(folder, LOCK_NAME)
        wait_for(lambda: file.put(elsewhere(), file.read()[1]) is not None)
        wait_for(lambda: lock._lost)
        assert lost(lock)
    assert file.read()[0] == elsewhere(), "the lock of the other run stays"


def test_confirmation_asks_the_store(folder):
    """To a process that slept for longer than the lease, no time has passed."""
    with locked(folder, print, SILENT) as lock:
        lock.confirm()
        file = conditional_file(folder, LOCK_NAME)
        assert file.put(elsewhere(), file.read()[1])
        with pytest.raises(RayselError, match="lost to another run"):
            lock.confirm()


def test_a_lock_knows_the_manifest_that_it_found(folder):
    with locked(folder, print, Lease()) as lock:
        assert lock.found_manifest is None
    etag = conditional_file(folder, "manifest.json").put(b"{}", None)
    with locked(folder, print, Lease()) as lock:
        assert lock.found_manifest == etag
