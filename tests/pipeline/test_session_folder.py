"""The folder of a local Ray: there for the run, gone with it, and with the next one if the run was killed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from raysel.pipeline.session_folder import session_folder

HOLD = """
import sys
from pathlib import Path
from raysel.pipeline.session_folder import session_folder
with session_folder(Path(sys.argv[1])) as folder:
    (folder / "session").mkdir()
    print(folder, flush=True)
    sys.stdin.read()
"""


def test_it_goes_with_the_run(tmp_path: Path) -> None:
    with session_folder(tmp_path) as folder:
        (folder / "session").mkdir()
        assert folder.parent == tmp_path
    assert list(tmp_path.iterdir()) == []


def test_that_of_a_killed_run_goes_with_the_next_and_that_of_a_living_one_stays(tmp_path: Path) -> None:
    others = tmp_path / "raysel-project"
    others.mkdir()
    (others / "owner").write_text("somebody")
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        theirs = Path(run.stdout.readline().strip())
        with session_folder(tmp_path) as mine:
            assert set(tmp_path.iterdir()) == {theirs, mine, others}
        run.kill()
        run.wait()
    assert theirs.exists()
    with session_folder(tmp_path) as mine:
        assert set(tmp_path.iterdir()) == {mine, others}


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("/dev/null")])
def test_what_raysel_has_not_made_is_passed_over(make: Callable[[Path], None], tmp_path: Path) -> None:
    """Where all may write, others may have made anything: nothing of it is removed, and nothing of it is waited for."""
    (tmp_path / "raysel-ray-x").mkdir()
    make(tmp_path / "raysel-ray-x" / ".raysel-session")
    with session_folder(tmp_path) as folder:
        assert folder.is_dir()
    assert list(tmp_path.iterdir()) == [tmp_path / "raysel-ray-x"]
