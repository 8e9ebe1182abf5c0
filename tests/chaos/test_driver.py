"""The driver is killed at any moment; the same command resumes and ends with the same index."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from raysel.files import Folder
from raysel.pipeline.scan.state import RunningState
from raysel.store import get_snapshot
from tests.chaos.commands import started, typed
from tests.chaos.faults import count, set_fault
from tests.chaos.runs import Undisturbed, fragile_run, wait_until
from tests.end_to_end.runs import run

pytestmark = [pytest.mark.ray, pytest.mark.chaos]


@pytest.fixture
def address(local_ray: None) -> str:
    """The address of the tests' Ray, which drivers in other processes share."""
    import ray

    return ray.get_runtime_context().gcs_address


# What the next command says it resumes.
SCAN, DERIVE, NOTHING = "scan: resuming: ", "derive: resuming: ", ""
MOMENTS = {
    "plan-before-the-list-is-written": NOTHING,
    "plan-with-a-part-of-the-list-written": NOTHING,
    "scan-before-a-snapshot": NOTHING,
    "scan-between-snapshots": SCAN,
    "merge": SCAN,
    "derive": DERIVE,
    "publish-before-the-manifest": DERIVE,
    "publish-with-the-manifest-half-written": DERIVE,
    "publish-after-the-manifest": NOTHING,
}


def test_the_driver_is_killed(undisturbed: Undisturbed, address: str, faults: Path, tmp_path: Path) -> None:
    """At every moment of a run, one after another, by one command that is typed again each time."""
    config = fragile_run(tmp_path / "index", undisturbed.images, faults)
    arguments, folder = typed(config, tmp_path / "run.toml", address), Folder.at(config.out)
    resumes, lacking = NOTHING, undisturbed.good
    for moment, left in (MOMENTS | {"none": NOTHING}).items():
        log = tmp_path / moment
        before, decoded_before = count(faults / "log"), undisturbed.decoded(faults)
        with started(arguments, log, moment) as command:
            assert command.wait(240) == (0 if moment == "none" else -signal.SIGKILL), log.read_text()
        said = log.read_text()
        assert resumes in said, moment
        assert resumes or "resuming" not in said, moment
        assert undisturbed.decoded(faults) - decoded_before <= lacking, "repeats at most what the snapshot lacks"
        if resumes == DERIVE:
            assert count(faults / "log")["forward"] == before["forward"], moment
        assert folder.exists("manifest.json") == (moment in ("publish-after-the-manifest", "none"))
        snapshot, resumes = snapshot_of(folder), left
        lacking = len(snapshot.missing()) if snapshot else 0 if folder.exists("manifest.json") else undisturbed.good
        if resumes == SCAN:
            assert snapshot is not None
            assert 0 < snapshot.done < len(snapshot.covered)
    assert "already indexed" in said
    undisturbed.assert_same(config.out)


def test_chunks_derived_from_a_lost_scan_are_derived_again(
    undisturbed: Undisturbed, address: str, faults: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """On another machine, the scan that replaces it may differ in the last bits."""
    config = fragile_run(tmp_path / "index", undisturbed.images, faults)
    with started(typed(config, tmp_path / "run.toml", address), tmp_path / "said", "derive") as first:
        assert first.wait(240) == -signal.SIGKILL, (tmp_path / "said").read_text()
    (state,) = (tmp_path / "index" / "runs").glob("*/state.npz")
    state.write_bytes(state.read_bytes()[:1000])
    decoded = count(faults / "log")["task-decode"]
    capfd.readouterr()
    run(config)
    assert "resuming" not in capfd.readouterr().err
    undisturbed.assert_same(config.out)
    whole_derive = count(undisturbed.faults / "log")["task-decode"]
    assert count(faults / "log")["task-decode"] - decoded == whole_derive


def snapshot_of(folder: Folder) -> RunningState | None:
    """The running state that a killed run left."""
    names = [file.name for file in folder.list("runs") if file.name.endswith("/state.npz")]
    arrays = get_snapshot(folder, names[0]) if names else None
    return RunningState.from_arrays(arrays) if arrays else None


def test_killed_from_outside_with_a_ray_of_its_own(
    undisturbed: Undisturbed, faults: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """``kill -9`` of a command with its own Ray, in mid-scan after a snapshot: the Ray ends without help."""
    config = fragile_run(tmp_path / "index", undisturbed.images, faults)
    config = replace(config, scan=replace(config.scan, snapshot_every_s=0.0))
    hold = set_fault(faults, "forward", "hold", after=12)
    folder = Folder.at(config.out)
    with started(typed(config, tmp_path / "run.toml"), tmp_path / "said") as first:
        wait_until(lambda: held(faults) and snapshot_of(folder) is not None, alive=lambda: first.poll() is None)
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
    hold.unlink()
    orphans = {int(line.split()[1]) for line in (faults / "log").read_text().splitlines()} - {os.getpid()}
    wait_until(lambda: not any(Path(f"/proc/{each}").exists() for each in orphans))
    snapshot = snapshot_of(folder)
    assert snapshot is not None
    before = undisturbed.decoded(faults)
    capfd.readouterr()
    run(config)
    assert SCAN in capfd.readouterr().err
    undisturbed.assert_same(config.out)
    assert undisturbed.decoded(faults) - before <= len(snapshot.missing())


def held(faults: Path) -> bool:
    """True once an actor waits in its forward pass."""
    return count(faults / "log")["held-in-forward"] > 0
