"""Follow a job to its end and submit it again if it died. The index resumes, so an attempt costs what it computes."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

from raysel.errors import RayselError
from raysel.pipeline.operations.job_server import JobLostError, JobState, UnreachableError

T = TypeVar("T")

FINAL = (0, 2)
"""Exit statuses that no other attempt changes: success, and an error that the user can correct."""


class FollowedServer(Protocol):
    """What is needed of a `JobServer`."""

    def submit(self, name: str, command: str, working_dir: Path) -> None:
        """As `JobServer.submit`."""

    def state(self, name: str) -> JobState:
        """As `JobServer.state`."""

    def log(self, name: str) -> str:
        """As `JobServer.log`."""


@dataclass(frozen=True)
class ClusterJob:
    """A command to run as a job."""

    name: str
    """Its attempts are the jobs ``name-1``, ``name-2`` ..."""
    command: str
    working_dir: Path


@dataclass(frozen=True)
class Attention:
    """How closely jobs are followed, in seconds."""

    poll_s: float = 2.0
    """Between two looks at the status."""
    patience_s: float = 300.0
    """How long a server may not answer."""


@dataclass(frozen=True)
class Finished:
    """How a job ended."""

    job: str
    """Submission id of the last attempt."""
    status: str
    """``SUCCEEDED``, ``FAILED``, ``STOPPED``, or ``LOST`` if the cluster forgot the job."""
    exit_status: int
    """As a shell has it: 128 + n for signal n; 1 if the job died without one, 130 if it was stopped."""
    attempts: int
    message: str
    log: str
    """What the last attempt has printed."""


def follow(
    server: FollowedServer,
    job: ClusterJob,
    retries: int,
    show: Callable[[str], None],
    say: Callable[[str], None],
    attention: Attention | None = None,
) -> Finished:
    """Submit a job, wait for its end, and submit it again if it died.

    An attempt ends when its status says so: the stream of a job's log can end early. A job that somebody stopped, and
    an exit status in `FINAL`, are not tried again.

    Args:
        server: where to submit.
        job: what to submit.
        retries: attempts after the first one.
        show: called with what the job prints, in parts.
        say: called with one line if something happens to the job.
        attention: how often to look.

    Raises:
        RayselError: the server refuses the job, or does not answer for too long. The job goes on then.
    """
    attention = attention or Attention()
    for attempt in range(1, retries + 2):
        name = f"{job.name}-{attempt}"
        _patiently(partial(server.submit, name, job.command, job.working_dir), attention)
        say(f"job {name} is submitted")
        ended = _ended(server, name, attempt, show, attention)
        if ended.status == "STOPPED" or ended.exit_status in FINAL or attempt > retries:
            return ended
        say(f"job {name} died ({ended.message or ended.status.lower()}): trying again")
    raise AssertionError("unreachable")


def _ended(
    server: FollowedServer, name: str, attempt: int, show: Callable[[str], None], attention: Attention
) -> Finished:
    shown = ""
    while True:
        try:
            state = _patiently(partial(server.state, name), attention)
        except JobLostError as error:
            return Finished(name, "LOST", 1, attempt, str(error), shown)
        with suppress(RayselError):  # what is printed now can be shown at the next look
            log = server.log(name)
            show(log[len(shown) :])
            shown = log
        if state.ended:
            return Finished(name, state.status, _exit_status(state), attempt, state.message, shown)
        time.sleep(attention.poll_s)


def _patiently(request: Callable[[], T], attention: Attention) -> T:
    """The result of a request, which is repeated while the server does not answer."""
    deadline = time.monotonic() + attention.patience_s
    while True:
        try:
            return request()
        except UnreachableError:
            if time.monotonic() >= deadline:
                raise
        time.sleep(attention.poll_s)


def _exit_status(state: JobState) -> int:
    if state.status == "SUCCEEDED":
        return 0
    if state.status == "STOPPED":
        return 130
    status = state.exit_status
    return 1 if status is None else 128 - status if status < 0 else status or 1
