"""A run's own Ray: what it changes in this process, its folder, and a disk without room for it."""

from __future__ import annotations

import logging
import shutil
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import pytest
import ray
from ray.data import DataContext

from raysel.config import ClusterConfig
from raysel.errors import RayselError
from raysel.pipeline.cluster import Cluster, Connection, connected, ray_start
from tests.conftest import ROOT


@pytest.fixture
def joined_already(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Ray without machines that this process is connected to."""
    monkeypatch.setattr(ray, "is_initialized", lambda: True)
    monkeypatch.setattr(ray, "nodes", list)


def settings() -> tuple:
    """Everything that a run sets for the whole process."""
    levels = [logging.getLogger(name).level for name in ("ray", "ray.data")]
    prints = ray._private.worker._worker_logs_enabled
    return levels, list(warnings.filters), DataContext.get_current().target_max_block_size, prints


def test_a_run_restores_what_it_sets(joined_already: None) -> None:
    before = settings()
    with connected(ClusterConfig()):
        during = settings()
    assert all(a != b for a, b in zip(before, during, strict=True))
    assert settings() == before
    with pytest.raises(KeyError), connected(ClusterConfig()):
        raise KeyError
    assert settings() == before


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process without a Ray, in which none may start. The Ray of the other tests stays."""
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    monkeypatch.setattr(ray, "init", lambda **_: pytest.fail("Ray was started"))


def test_a_disk_that_is_too_full_for_ray(alone: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(60 << 20, 0, 60 << 20))
    config = ClusterConfig(temp_dir=str(tmp_path))
    with pytest.raises(RayselError, match=rf"^{tmp_path} has 60 MB of free .* 100 MB.*--temp-dir$"), connected(config):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_temporary_folder_that_cannot_be_made(alone: None, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    config = ClusterConfig(temp_dir=str(tmp_path / "file" / "ray"))
    with pytest.raises(RayselError, match=rf"^cannot use {tmp_path}/file/ray .*--temp-dir$"), connected(config):
        pass


def test_the_folder_of_a_local_ray_ends_with_the_run(
    alone: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Path] = []
    monkeypatch.setattr(ray, "init", lambda **options: started.append(Path(options["_temp_dir"])))
    monkeypatch.setattr(ray, "shutdown", lambda: (started[0] / "session").mkdir())
    monkeypatch.setattr(ray, "nodes", list)
    monkeypatch.setattr(ray_start, "_TEMP_DIR", str(tmp_path))
    with connected(ClusterConfig()) as local:
        assert started == list(tmp_path.iterdir()) == [Path(local.session or "")]
        assert started[0].is_dir()
    assert list(tmp_path.iterdir()) == []


def test_a_ray_that_does_not_start(alone: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def init(**_: object) -> None:
        raise RuntimeError("Timed out waiting for file\nof the GCS")

    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr(ray_start, "_TEMP_DIR", str(tmp_path))
    line = r"^cannot start Ray in .*raysel-ray-.* \(Timed out waiting for file\): [^\n]*$"
    with pytest.raises(RayselError, match=line), connected(ClusterConfig()):
        pass
    assert list(tmp_path.iterdir()) == []


def test_ray_starts_while_the_caller_works(alone: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One thread holds it from start to end, and what the caller prints meanwhile is shown."""
    went, done = threading.Event(), []

    def init(**_: object) -> None:
        assert went.wait(60)
        done.append(("start", threading.current_thread().name))

    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr(ray, "shutdown", lambda: done.append(("end", threading.current_thread().name)))
    monkeypatch.setattr(ray, "nodes", list)
    monkeypatch.setattr(ray_start, "_TEMP_DIR", str(tmp_path))
    with Connection(ClusterConfig()) as connection:
        connection.begin()
        connection.begin()
        assert done == []
        went.set()
        assert connection() == connection() == Cluster(0, 0, connection().session)
    assert done == [("start", "raysel-ray"), ("end", "raysel-ray")]


def test_a_ray_that_nobody_needed_may_fail(alone: None, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with Connection(ClusterConfig(temp_dir=str(tmp_path / "file" / "ray"))) as connection:
        connection.begin()


def test_what_is_printed_while_ray_starts(tmp_path: Path) -> None:
    """Ray's C++ core writes to the same descriptor, and is not shown."""
    program = (
        "import os, sys\n"
        "from raysel.pipeline.cluster.ray_start import _hushed\n"
        "with _hushed(False):\n"
        "    print('python', file=sys.stderr)\n"
        "    os.write(2, b'core')\n"
        "print('after', file=sys.stderr)\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert ran.stderr == "python\nafter\n"
