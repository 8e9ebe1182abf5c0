"""Errors of workers, without Ray's wrapping: the user sees the one line that was raised there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from ray.exceptions import (
    NodeDiedError,
    ObjectStoreFullError,
    OutOfDiskError,
    OutOfMemoryError,
    RayActorError,
    RayError,
    RayTaskError,
    WorkerCrashedError,
)

from raysel.errors import RayselError

_DEATHS = (RayActorError, WorkerCrashedError, OutOfMemoryError, NodeDiedError)
_NO_ROOM = (OutOfDiskError, ObjectStoreFullError)
_IN_STACK_TRACE = re.compile(rf"^{RayselError.__module__}\.{RayselError.__name__}: (.+)$", re.MULTILINE)


@contextmanager
def as_raysel_error_from_worker() -> Iterator[None]:
    """Raise a `RayselError` of a task or an actor as itself, and turn dead workers and full disks into one.

    Raises:
        RayselError: that error. Other exceptions pass unchanged.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, RayselError) and not isinstance(error, RayError):
            raise
        line = _line_of(error)
        if line is None:
            raise
        raise RayselError(line) from error


def _line_of(error: Exception) -> str | None:
    chain = list(_causes(error))
    for each in chain:
        if isinstance(each, RayselError) and not isinstance(each, RayError):
            return str(each)
        # The error of an actor that could not start is only in the text of its stack trace.
        if isinstance(each, RayActorError) and (lines := _IN_STACK_TRACE.findall(str(each))):
            return str(lines[-1])
    if any(isinstance(each, _NO_ROOM) for each in chain):
        return (
            "Ray's object store is full, and so is the disk that takes what does not fit: free some space there, "
            "choose another folder with --temp-dir, or use fewer --workers"
        )
    if isinstance(error, _DEATHS):
        first_line = str(error).partition("\n")[0]
        return f"a worker or its machine died more often than task_retries and actor_restarts allow: {first_line}"
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and all that caused it. A task's own exception is the `cause` of the `RayTaskError` that wraps it."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        yield current
        seen.add(id(current))
        wrapped = current.cause if isinstance(current, RayTaskError) else None
        current = wrapped or current.__cause__ or current.__context__
