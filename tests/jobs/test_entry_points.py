"""Entry points of jobs are the commands of the same names."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.typed import environment

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = sorted((ROOT / "jobs").glob("*.py"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_a_job_is_a_command(script: Path, tmp_path: Path):
    """Their help is the same, and so is what they refuse."""
    for arguments in (["--help"], ["--no-such-option"]):
        ended = [
            subprocess.run(
                [sys.executable, *program, *arguments],
                cwd=tmp_path,
                env=environment(tmp_path),
                capture_output=True,
                text=True,
            )
            for program in ([str(script)], ["-m", "raysel", script.stem])
        ]
        assert len({(each.returncode, each.stdout, each.stderr) for each in ended}) == 1
        assert ended[0].stdout or ended[0].stderr


def test_there_is_one_for_each_long_command():
    assert {script.stem for script in SCRIPTS} == {"index", "watch", "bench"}
