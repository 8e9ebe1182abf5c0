"""Two drivers on one index: one computes, the other fails in one line or finds the index published."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import raysel.pipeline.publish as publish_module
from raysel.errors import RayselError
from raysel.files import Folder
from raysel.store.lock import Holder
from tests.chaos.commands import started, typed
from tests.chaos.faults import count, set_fault
from tests.chaos.runs import Undisturbed, fragile_run, wait_until
from tests.end_to_end.runs import run

pytestmark = [pytest.mark.ray, pytest.mark.chaos]


def test_two_drivers_at_once(undisturbed: Undisturbed, faults: Path, tmp_path: Path) -> None:
    """The first is held until the second has ended, so that the second cannot find the index published."""
    config = fragile_run(tmp_path / "index", undisturbed.images, faults)
    hold = set_fault(faults, "forward", "hold", after=4)
    arguments, said = typed(config, tmp_path / "run.toml"), tmp_path / "said"
    import ray

    address = ray.get_runtime_context().gcs_address
    with started([*arguments, "--address", address], tmp_path / "first") as first:
        wait_until(lambda: count(faults / "log")["held-in-forward"] > 0, alive=lambda: first.poll() is None)
        with started(arguments, said) as second:
            assert second.wait(120) == 2
        lines = [line for line in said.read_text().splitlines() if "raysel plan: " not in line]
        assert "is locked by process" in lines[0]
        assert lines[1].startswith("raysel: another run is indexing into ")
        assert f"process {first.pid}" in lines[1]
        assert len(lines) == 2
        hold.unlink()
        assert first.wait(240) == 0, (tmp_path / "first").read_text()
    undisturbed.assert_same(config.out)
    assert undisturbed.decoded(faults) == undisturbed.good, "only one computed"
    assert not run(config).computed


def test_a_driver_that_lost_its_lock_unnoticed_publishes_nothing(
    undisturbed: Undisturbed, faults: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another run took the lock over. The lock is confirmed right before the manifest is written."""
    config = fragile_run(tmp_path / "index", undisturbed.images, faults)
    theirs = Holder("run", "far", 1, "another boot", "0", "2026-01-01").encode(0)
    quarantined = publish_module.quarantined

    def lose_lock(*arguments: Any) -> Any:
        (tmp_path / "index" / "LOCK").write_bytes(theirs)
        return quarantined(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(publish_module, "quarantined", lose_lock)
        with pytest.raises(RayselError, match="lost to another run"):
            run(config)
    folder = Folder.at(config.out)
    assert not folder.exists("manifest.json")
    assert folder.read("LOCK") == theirs
    assert folder.list("runs"), "these files belong to the other run now"
    folder.delete("LOCK")
    run(config)
    undisturbed.assert_same(config.out)
