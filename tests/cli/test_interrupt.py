"""Ctrl-C and SIGTERM: one line, nothing half-written, and no Ray left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.typed import TINY, environment, marked_processes

pytestmark = pytest.mark.ray

WITHIN_S = 120
"""A few seconds on an idle machine. What this forbids is to hang: Ray itself then waits for minutes."""


@pytest.fixture
def ray_folder() -> Iterator[Path]:
    """Short, as Ray's sockets need it."""
    with tempfile.TemporaryDirectory(prefix="rs-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def wait_until(reached, limit_s: float) -> None:
    end = time.monotonic() + limit_s
    while not reached():
        assert time.monotonic() < end, "never came so far"
        time.sleep(0.05)


def hear_interrupts() -> None:
    """As in a terminal: what a shell runs in the background ignores them, and so do the tests that it runs there."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def interrupt(run: subprocess.Popen) -> None:
    """As in a terminal, the signal goes to all that the command has started."""
    os.killpg(run.pid, signal.SIGINT)


def terminate(run: subprocess.Popen) -> None:
    """As schedulers do."""
    run.terminate()


@pytest.mark.parametrize("moment", ["Ray starts", "scan"])
@pytest.mark.parametrize(
    ("end", "status", "word"), [(interrupt, 130, "interrupted"), (terminate, 143, "terminated")], ids=["int", "term"]
)
def test_interrupted(home: Path, tmp_path: Path, ray_folder: Path, moment: str, end, status: int, word: str):
    place, said = tmp_path / "index", tmp_path / "stderr"
    (tmp_path / "run.toml").write_text(f"[cluster]\nnum_cpus = 1\ntemp_dir = '{ray_folder}'\n")
    typed = [
        sys.executable,
        "-m",
        "raysel",
        "index",
        *TINY,
        "--out",
        str(place),
        "--config",
        str(tmp_path / "run.toml"),
    ]
    with said.open("w") as err:
        run = subprocess.Popen(
            typed,
            cwd=home,
            env=environment(home, RAYSEL_TEST=str(tmp_path)),
            stdout=subprocess.PIPE,
            stderr=err,
            text=True,
            start_new_session=True,
            preexec_fn=hear_interrupts,
        )
    try:
        if moment == "scan":
            wait_until(lambda: "raysel scan: " in said.read_text() or run.poll() is not None, 120)
        else:
            wait_until(lambda: any(ray_folder.iterdir()) or run.poll() is not None, 120)
        assert run.poll() is None, said.read_text()
        assert moment != "scan" or len(marked_processes(str(tmp_path))) > 1, "Ray runs, and is seen to"
        end(run)
        out, _ = run.communicate(timeout=WITHIN_S)
    finally:
        run.kill()
        run.wait()
    assert run.returncode == status, said.read_text()
    assert out == ""
    lines = said.read_text().splitlines()
    assert [line for line in lines if not line.startswith(("raysel plan: ", "raysel scan: "))] == [lines[-1]]
    assert lines[-1] == f"raysel: {word}"
    assert not (place / "manifest.json").exists()
    assert not (place / "LOCK").exists(), "given back"
    wait_until(lambda: not marked_processes(str(tmp_path)), WITHIN_S)
