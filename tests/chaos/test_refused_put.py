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


@pytest.mark.parametrize("refused", ["rankings.parquet", "manifest.json"])
def test_a_full_disk_at_publication(
    refused: str,
    undisturbed: Undisturbed,
    faults: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    config = fragile_run(tmp_path / "index", undisturbed.images, faults)
    rename = os.replace

    def full(draft: Any, target: Any) -> None:
        if str(target).endswith(refused):
            raise OSError(errno.ENOSPC, "No space left on device")
        rename(draft, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises(RayselError, match=rf"cannot write .*{refused}: .*No space left on device") as error:
            run(config)
    assert "\n" not in str(error.value)
    folder = Folder.at(config.out)
    assert not folder.exists("manifest.json")
    assert not folder.exists("LOCK"), "given back"
    before = count(faults / "log")
    capfd.readouterr()
    run(config)
    assert "derive: resuming: " in capfd.readouterr().err
    undisturbed.assert_same(config.out)
    assert count(faults / "log")["forward"] == before["forward"]
    assert count(faults / "log")["task-decode"] == before["task-decode"]
