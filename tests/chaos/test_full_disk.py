"""The disk of a local Ray's session fills up during a scan: one line, and the same command resumes."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from raysel.files import Folder
from tests.chaos.commands import started, typed
from tests.chaos.faults import count, set_fault
from tests.chaos.runs import Undisturbed, fragile_run, wait_until
from tests.end_to_end.runs import run
from tests.small_disk import small_disk

pytestmark = [pytest.mark.ray, pytest.mark.chaos]


@pytest.fixture
def session_disk() -> Iterator[Path]:
    """An empty disk of 150 MB with a short path, as Ray's sockets need it."""
    with (
        tempfile.TemporaryDirectory(prefix="rs-", dir="/tmp") as folder,
        small_disk(Path(folder) / "d", 150 << 10) as disk,
    ):
        yield disk


def test_the_disk_fills_up_in_mid_scan(
    undisturbed: Undisturbed, session_disk: Path, faults: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    config = fragile_run(tmp_path / "index", undisturbed.images, faults)
    config = replace(config, scan=replace(config.scan, snapshot_every_s=0.0))
    arguments = [*typed(config, tmp_path / "run.toml"), "--temp-dir", str(session_disk)]
    hold, said = set_fault(faults, "forward", "hold", after=12), tmp_path / "said"
    with started(arguments, said) as command:
        wait_until(lambda: count(faults / "log")["held-in-forward"] > 0, alive=lambda: command.poll() is None)
        (session_disk / "filler").write_bytes(bytes(shutil.disk_usage(session_disk).free - (1 << 20)))
        assert command.wait(120) == 2, said.read_text()
    line = said.read_text().splitlines()[-1]
    assert line.startswith(f"raysel: the disk of {session_disk}, where Ray keeps its session, is full: ")
    assert not Folder.at(config.out).exists("LOCK")
    hold.unlink()
    capfd.readouterr()
    run(config)
    assert "scan: resuming: " in capfd.readouterr().err
    undisturbed.assert_same(config.out)
