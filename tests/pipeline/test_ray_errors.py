"""Ray's own errors in one line. `tests/end_to_end/test_faults.py` has the errors that raysel raises in workers."""

from __future__ import annotations

import pytest

from raysel.errors import RayselError
from raysel.pipeline.cluster import ray_errors
from raysel.pipeline.cluster.ray_errors import as_raysel_error_from_worker

NO_ROOM = r"object store is full, and so is the disk .*--temp-dir"


def in_a_task(cause: Exception) -> Exception:
    """The exception with which ``ray.get`` fails if a task raised `cause`."""
    return ray_errors.RayTaskError("a_task", "its stack trace", cause).as_instanceof_cause()


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (in_a_task(ray_errors.OutOfDiskError("Local disk is full\nTip: use df")), NO_ROOM),
        (ray_errors.ObjectStoreFullError("full\nTip: use ray memory"), NO_ROOM),
        (ray_errors.WorkerCrashedError(), "died more often than task_retries and actor_restarts allow: "),
        (in_a_task(RayselError("shard a.tar is truncated")), "^shard a.tar is truncated$"),
    ],
)
def test_one_line(error: Exception, line: str) -> None:
    with pytest.raises(RayselError, match=line) as raised, as_raysel_error_from_worker():
        raise error
    assert type(raised.value) is RayselError
    assert "\n" not in str(raised.value)


def test_other_errors_pass() -> None:
    with pytest.raises(KeyError), as_raysel_error_from_worker():
        raise KeyError
