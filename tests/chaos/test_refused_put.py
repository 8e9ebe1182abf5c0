"""The folder of the index takes no more files: one clear line, no manifest, and the same command resumes."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from raysel.errors import RayselError
from raysel.files import Folder
from tests.chaos.faults import count
from tests.chaos.runs import Undisturbed, fragile_run
from tests.end_to_end.runs import run

pytestmark = [pytest.mark.ray, pytest.mark.chaos]


def test_a_full_disk_at_publication(
    undisturbed: Undisturbed,
    faults: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """First a table is refused, then the manifest."""
    config = fragile_run(tmp_path / "index", undisturbed.images, faults)
    folder, rename = Folder.at(config.out), os.replace
    refused = ""

    def full(draft: Any, target: Any) -> None:
        if str(target).endswith(refused):
            raise OSError(errno.ENOSPC, "No space left on device")
        rename(draft, target)

    for refused in ("rankings.parquet", "manifest.json"):
        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", full)
            with pytest.raises(RayselError, match=rf"cannot write .*{refused}: .*No space left on device") as error:
                run(config)
        assert "\n" not in str(error.value)
        assert not folder.exists("manifest.json")
        assert not folder.exists("LOCK"), "given back"
    before = count(faults / "log")
    capfd.readouterr()
    run(config)
    assert "derive: resuming: " in capfd.readouterr().err
    undisturbed.assert_same(config.out)
    assert count(faults / "log")["forward"] == before["forward"]
    assert count(faults / "log")["task-decode"] == before["task-decode"]
