"""What goes wrong inside a worker, told to the person in the words of whoever raised it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from ray.exceptions import NodeDiedError, OutOfMemoryError, RayActorError, RayError, RayTaskError, WorkerCrashedError

from raysel.errors import RayselError

_DEATHS = (RayActorError, WorkerCrashedError, OutOfMemoryError, NodeDiedError)
_TOLD = re.compile(rf"^{RayselError.__module__}\.{RayselError.__name__}: (.+)$", re.MULTILINE)


@contextmanager
def as_raysel_error_from_worker() -> Iterator[None]:
    """A `RayselError` that was raised in a task or an actor comes out as itself, without Ray's wrapping; the death
    of workers becomes one.

    Raises:
        RayselError: that error.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, RayselError) and not isinstance(error, RayError):
            raise
        line = _original(error)
        if line is None and isinstance(error, _DEATHS):
            said = next(iter(str(error).splitlines()), "")
            line = f"a worker or its machine died more often than task_retries and actor_restarts allow: {said}"
        if line is None:
            raise
        raise RayselError(line) from error


def _original(error: BaseException) -> str | None:
    """The line of the first RayselError along the chain of causes.

    What a task raised comes as an exception that is both Ray's and, by inheritance, the task's own; an actor that could
    not be made leaves no more than the text of its stack trace.
    """
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        if isinstance(current, RayselError) and not isinstance(current, RayError):
            return str(current)
        if isinstance(current, RayActorError) and (told := _TOLD.findall(str(current))):
            return str(told[-1])
        seen.add(id(current))
        wrapped = current.cause if isinstance(current, RayTaskError) else None
        current = wrapped or current.__cause__ or current.__context__
    return None
