"""The status of an index, read from its folder: in every state that runs leave behind, and without writing."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from raysel.errors import RayselError
from raysel.files import Folder, conditional_file
from raysel.neurons import Rankings
from raysel.pipeline.operations.status import run_status
from raysel.pipeline.progress import Reporter
from raysel.pipeline.scan.state import RunningState, Snapshots
from raysel.store import LOCK_NAME, Doing, Holder, locked
from tests.store.locks import QUICK, SILENT, elsewhere
from tests.store.synthetic import build
from tests.typed import raysel_here


@contextmanager
def unchanged(folder: Folder) -> Iterator[None]:
    """The block writes nothing into the folder."""
    before = {file.name: file.modified for file in folder.list()}
    yield
    assert {file.name: file.modified for file in folder.list()} == before


def saved(folder: Folder, images: int = 1000, covered: int = 300) -> None:
    """A snapshot of a scan in which `covered` images are covered and one is bad."""
    state = RunningState(Rankings.empty(7, 5), np.zeros(images, bool))
    state.covered[np.random.default_rng(0).permutation(images - 1)[:covered]] = True
    state.quarantine[images - 1] = "no image"
    with locked(folder, print) as lock:
        Snapshots(folder, "abc", 30, lock).put(state)


def test_a_run_that_is_alive(folder: Folder):
    seen = Doing("scan", "images", 400, 1000, 20.0)
    with locked(folder, print, QUICK, doing=lambda: seen):
        status = run_status(folder.shown, QUICK)
    assert status.state == "running"
    assert status.lock
    assert status.lock.alive
    assert status.lock.holder
    assert status.lock.holder.doing == {"stage": "scan", "unit": "images", "done": 400, "total": 1000, "rate": 20.0}
    assert (status.index, status.scans, status.published) == (folder.shown, (), None)


def test_a_run_that_was_killed(folder: Folder):
    """On another machine, so that only the silence of its lock shows it."""
    saved(folder)
    conditional_file(folder, LOCK_NAME).put(elsewhere(), None)
    with unchanged(folder):
        status = run_status(folder.shown, QUICK)
    assert status.state == "stopped"
    assert status.lock
    assert not status.lock.alive
    (scan,) = status.scans
    assert (scan.fingerprint, scan.done, scan.images) == ("abc", 301, 1000)


def test_a_run_whose_process_has_ended_here_is_known_at_once(local_folder: Folder, monkeypatch):
    saved(local_folder)
    conditional_file(local_folder, LOCK_NAME).put(Holder.me().encode(0), None)
    monkeypatch.setattr(Holder, "has_ended", lambda self: True)
    status = run_status(local_folder.shown, SILENT)  # watching its lock would take half an hour
    assert status.state == "stopped"


def test_a_run_that_failed_and_released_its_lock(local_folder: Folder):
    saved(local_folder)
    status = run_status(local_folder.shown, QUICK)
    assert (status.state, status.lock, len(status.scans)) == ("stopped", None, 1)


def test_a_damaged_snapshot_is_left_out(local_folder: Folder):
    build(local_folder)
    saved(local_folder)
    name = "runs/abc/state.npz"
    local_folder.put(name, local_folder.read(name)[:500])
    status = run_status(local_folder.shown, QUICK)
    assert (status.state, status.scans) == ("published", ())


def test_an_index_at_rest(folder: Folder):
    made = build(folder)
    with unchanged(folder):
        status = run_status(folder.shown, QUICK)
    assert (status.state, status.lock, status.scans, status.chunks) == ("published", None, (), 0)
    assert status.published
    assert status.published.index_fingerprint == made.manifest.index_fingerprint


def test_no_index(folder: Folder):
    with pytest.raises(RayselError, match="no index in"):
        run_status(folder.shown, QUICK)


def test_the_lock_says_what_a_run_is_doing(local_folder: Folder):
    """A reporter's stage is in the lock at the next beat, and gone after its end."""
    reporter = Reporter()

    def doing_until(wanted: dict[str, object] | None) -> None:
        found = threading.Event()
        for _ in range(400):
            content = conditional_file(local_folder, LOCK_NAME).read()
            holder = Holder.decode(content[0]) if content else None
            shown = holder and holder.doing and {name: holder.doing[name] for name in ("stage", "done", "total")}
            if shown == wanted:
                return
            found.wait(0.02)
        raise AssertionError(f"the lock shows {shown}")

    with locked(local_folder, print, QUICK, doing=reporter.doing):
        with reporter.stage("scan", "images", 50) as stage:
            stage.resume_at(7)
            stage.advance(5)
            doing_until({"stage": "scan", "done": 12, "total": 50})
        doing_until(None)


def test_the_command(local_folder: Folder, tmp_path):
    saved(local_folder)
    said = raysel_here(tmp_path, "status", "index", "--json")
    assert said.status == 0, said.err
    facts = json.loads(said.out)
    assert {name: facts[name] for name in ("state", "stage", "done", "total", "coverage", "rate", "lock")} == {
        "state": "stopped",
        "stage": "scan",
        "done": 301,
        "total": 1000,
        "coverage": 0.301,
        "rate": None,
        "lock": None,
    }
    lines = raysel_here(tmp_path, "status", "index").out
    assert "stopped; the same command resumes it" in lines
    assert "scan: 301 of 1,000 images (30.1%)" in lines
    build(tmp_path / "finished")
    facts = json.loads(raysel_here(tmp_path, "status", "finished", "--json").out)
    assert (facts["state"], facts["stage"], facts["published"]["images"]) == ("published", None, 60)
    assert "no index in" in raysel_here(tmp_path, "status", "nowhere").fault


def test_the_command_of_a_running_one(local_folder: Folder, tmp_path):
    with locked(local_folder, print, QUICK, doing=lambda: Doing("derive", "neurons", 250, 1000, 25.0)):
        facts = json.loads(raysel_here(tmp_path, "status", "index", "--json").out)
        lines = raysel_here(tmp_path, "status", "index").out
    assert (facts["coverage"], facts["rate"], facts["seconds_left"]) == (0.25, 25.0, 30.0)
    assert facts["lock"]["alive"]
    assert "derive: 250 of 1,000 neurons (25.0%)" in lines
    assert "25.0 neurons/s, 30 s left" in lines
