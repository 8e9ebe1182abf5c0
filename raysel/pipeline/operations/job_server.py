"""The job server of a Ray cluster, which is part of its dashboard: submit a command, ask how it is, read its log."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests
from ray.exceptions import AuthenticationError
from ray.job_submission import JobStatus, JobSubmissionClient

from raysel.errors import RayselError, first_line

_ADDRESSES = ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS")
"""Ray's client lets these variables override the address that it is given."""

_TALKATIVE = ("ray.dashboard.modules.dashboard_sdk", "ray._private.runtime_env.packaging")
"""Ray's loggers that report every upload."""

_LOGS_FOLLOW = ", last available logs"
"""Ray's description of a failure ends with up to 20,000 characters of the log."""


class UnreachableError(RayselError):
    """The job server does not answer now."""


class JobLostError(RayselError):
    """The cluster does not know the job: its head was restarted."""


@dataclass(frozen=True)
class JobState:
    """A job as its cluster reports it."""

    status: str
    """``PENDING``, ``RUNNING``, ``SUCCEEDED``, ``FAILED`` or ``STOPPED``."""
    exit_status: int | None
    """Of the job's own command; negative for a signal. None if the job runs, was stopped, or died with its machine."""
    message: str
    """Ray's description, on one line, without the log."""

    @property
    def ended(self) -> bool:
        """True once the job has succeeded, failed or was stopped."""
        return JobStatus(self.status).is_terminal()


class JobServer:
    """The job server at the address of a dashboard."""

    def __init__(self, address: str | None) -> None:
        """Connect.

        Args:
            address: ``http://host:8265``, or without a scheme; by default $RAY_API_SERVER_ADDRESS.

        Raises:
            RayselError: there is no address, nothing answers there, or the server asks for another token.
        """
        typed = address or os.environ.get(_ADDRESSES[0])
        if not typed:
            raise RayselError("no cluster to submit to: give --address http://HEAD:8265 or set RAY_API_SERVER_ADDRESS")
        self.address = typed if "://" in typed else f"http://{typed}"
        if not self.address.startswith(("http://", "https://")):
            raise RayselError(f"{typed} is not the address of a dashboard: give --address http://HEAD:8265")
        for name in _TALKATIVE:
            logging.getLogger(name).setLevel(logging.WARNING)
        with self._reporting(), _without(_ADDRESSES):
            self._client = JobSubmissionClient(self.address)

    def submit(self, name: str, command: str, working_dir: Path) -> None:
        """Start a job.

        Args:
            name: its submission id, which no other job of the cluster has.
            command: a command line for the shell of the head.
            working_dir: folder that is copied to all machines; the command runs in the copy.

        Raises:
            RayselError: the server refuses it.
        """
        with self._reporting():
            try:
                self._client.submit_job(
                    entrypoint=command, submission_id=name, runtime_env={"working_dir": str(working_dir)}
                )
            except RuntimeError as error:
                if "already exists" in str(error):  # the answer to the same request was lost
                    return
                raise RayselError(f"the Ray cluster at {self.address} refuses the job: {first_line(error)}") from error

    def state(self, name: str) -> JobState:
        """How a job is.

        Raises:
            UnreachableError: the server does not answer.
            JobLostError: the server does not know the job.
        """
        with self._reporting():
            info = self._client.get_job_info(name)
        message = (info.message or "").partition(_LOGS_FOLLOW)[0].strip().partition("\n")[0]
        return JobState(str(info.status.value), info.driver_exit_code, message)

    def log(self, name: str) -> str:
        """What a job has printed until now. Errors as for `state`."""
        with self._reporting():
            return str(self._client.get_job_logs(name))

    @contextmanager
    def _reporting(self) -> Iterator[None]:
        where = f"the Ray cluster at {self.address}"
        try:
            yield
        except AuthenticationError as error:
            raise RayselError(
                f"{where} refuses this token: set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN (or RAY_AUTH_TOKEN_PATH) "
                "to those of the cluster"
            ) from error
        except (ConnectionError, requests.RequestException) as error:  # Ray's own is the first kind
            raise UnreachableError(
                f"{where} does not answer: check --address, and that a tunnel to port 8265 of the head is open"
            ) from error
        except (RuntimeError, ValueError) as error:
            # The client reports statuses of HTTP in its text only.
            text = first_line(error)
            if "does not exist" in text:
                raise JobLostError(f"{where} does not know the job any longer") from error
            if "status code 5" in text:
                raise UnreachableError(f"{where} fails: {text}") from error
            raise RayselError(f"{where} refuses: {text}") from error


@contextmanager
def _without(names: tuple[str, ...]) -> Iterator[None]:
    kept = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(kept)
