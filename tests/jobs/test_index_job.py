"""``jobs/index.py`` submitted to a head as a person submits it: the index is the one of a local run."""

from __future__ import annotations

import json
import shlex
import sys
import time
from pathlib import Path

import pytest

import raysel
from tests.typed import Ended

pytestmark = pytest.mark.ray

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 240


def run_job(head: str, home: Path, *options: str):
    """The job's details and its log, after its end. Its status is polled: the stream of its log can end early."""
    from ray.job_submission import JobStatus, JobSubmissionClient

    client = JobSubmissionClient(head)
    # The head's PATH is not the one of the person who submits: the interpreter is named in full.
    entrypoint = shlex.join([sys.executable, str(ROOT / "jobs" / "index.py"), *options])
    job = client.submit_job(
        entrypoint=entrypoint, runtime_env={"env_vars": {"PYTHONPATH": f"{home}:{ROOT}", "OMP_NUM_THREADS": "1"}}
    )
    end = time.monotonic() + LIMIT_S
    while client.get_job_status(job) in (JobStatus.PENDING, JobStatus.RUNNING):
        assert time.monotonic() < end, client.get_job_logs(job)
        time.sleep(0.5)
    return client.get_job_info(job), client.get_job_logs(job)


def test_the_index_of_a_job_is_the_one_of_a_local_run(head: str, home: Path, indexed: Ended, tmp_path: Path):
    place = tmp_path / "index"
    options = ("--network", "tiny_network:tiny", "--images", str(home / "images"), "--out", str(place), "--json")
    info, log = run_job(head, home, *options)
    assert info.status == "SUCCEEDED", log
    summary = json.loads(log.strip().splitlines()[-1])
    assert summary["index"] == str(place)
    local, submitted = raysel.open(str(home / "index")), raysel.open(str(place))
    assert submitted.manifest.index_fingerprint == local.manifest.index_fingerprint
    assert submitted.neurons.equals(local.neurons)
    checksums = [
        {entry.name: entry.sha256 for entry in each.manifest.files if "shards" not in entry.name}
        for each in (local, submitted)
    ]
    assert checksums[0] == checksums[1]


def test_a_job_that_is_refused_fails_with_one_line(head: str, home: Path, tmp_path: Path):
    options = ("--network", "tiny_network:tiny", "--images", str(home / "nowhere"), "--out", str(tmp_path / "index"))
    info, log = run_job(head, home, *options)
    assert info.status == "FAILED"
    assert info.driver_exit_code == 2
    ours = [line for line in log.splitlines() if line.startswith("raysel: ")]
    assert len(ours) == 1
    assert "no such file or folder" in ours[0]
    assert "Traceback" not in log
    assert not (tmp_path / "index").exists()
