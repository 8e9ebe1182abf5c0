"""``raysel doctor`` at a dashboard: it runs on the head as a job."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.jobs.conftest import running_head
from tests.typed import raysel

pytestmark = pytest.mark.ray


def test_the_doctor_visits_a_cluster(head: str, home: Path, tmp_path: Path):
    asked = ("doctor", "--address", head, "--out", str(tmp_path / "out"))
    ended = raysel(tmp_path, *asked, "--json", RAY_AUTH_MODE="disabled")
    facts = json.loads(ended.out)
    # This head is reached from outside of the machine, and asks for no token.
    assert [each["check"] for each in facts["checks"] if not each["ok"]] == ["authentication"], ended
    assert (ended.status, facts["ok"], ended.err) == (1, False, "")
    assert {each["check"] for each in facts["checks"]} == {
        *("versions", "GPUs", "/dev/shm", "object store", "disk", "PATH", "clock", "storage", "authentication")
    }
    assert list((tmp_path / "out").iterdir()) == []


def test_a_head_whose_path_has_another_python(home: Path, tmp_path: Path):
    """Jobs would not find raysel there: the doctor says so in one line, and how to mend it."""
    with running_head(home, RAY_AUTH_MODE="disabled", PATH="/usr/bin:/bin") as head:
        ended = raysel(tmp_path, "doctor", "--address", head.dashboard, RAY_AUTH_MODE="disabled")
        assert "raysel does not run on the head" in ended.fault
        assert "first in PATH" in ended.fault
        joined = raysel(tmp_path, "doctor", "--address", head.address, RAY_AUTH_MODE="disabled")
    assert joined.status == 1
    wrong = [line for line in joined.out.splitlines() if line.startswith("FIX")]
    assert [line.split()[2] for line in wrong] == ["PATH:", "authentication:"]
