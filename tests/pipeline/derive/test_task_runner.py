"""Tasks a bounded number at a time; a failure ends them all."""

from __future__ import annotations

import time
from collections import deque
from pathlib import Path

import pytest
import ray

from raysel.config import ScanConfig
from raysel.errors import RayselError
from raysel.pipeline.cluster import cluster_now
from raysel.pipeline.cluster.ray_errors import as_raysel_error_from_worker
from raysel.pipeline.derive.task_runner import TaskRunner

pytestmark = pytest.mark.ray


@ray.remote
def double(number: int) -> int:
    return 2 * number


@ray.remote
def write_slowly(folder: Path) -> None:
    draft = folder / "draft"
    try:
        draft.touch()  # within the block: the task may be interrupted as soon as the file is there
        for _ in range(6000):
            time.sleep(0.01)
    finally:
        draft.unlink(missing_ok=True)


@ray.remote
def fail_after(file: Path) -> None:
    while not file.exists():
        time.sleep(0.01)
    raise RayselError("the disk is full")


@pytest.fixture
def runner(local_ray: None) -> TaskRunner:
    return TaskRunner(ScanConfig(), cluster_now())


def test_each_job_has_its_own_result(runner: TaskRunner) -> None:
    """Jobs that are added on the way are done, too."""
    jobs = deque(range(50))
    results = {}
    for job, result in runner.results(jobs, lambda job: runner.task(double).remote(job)):
        results[job] = result
        if job == 7:
            jobs.append(100)
    assert results == {job: 2 * job for job in [*range(50), 100]}


def test_a_failure_ends_the_other_tasks(runner: TaskRunner, tmp_path: Path) -> None:
    """They have removed their drafts when the failure is raised."""
    starts = {
        "write": lambda: runner.task(write_slowly).remote(tmp_path),
        "fail": lambda: runner.task(fail_after).remote(tmp_path / "draft"),
    }
    with pytest.raises(RayselError, match=r"^the disk is full$"), as_raysel_error_from_worker():
        list(runner.results(deque(starts), lambda job: starts[job]()))
    assert list(tmp_path.iterdir()) == []
