"""``raysel submit`` to a head as a person types it: progress, exit statuses, and a driver that is killed."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import raysel
from tests.jobs.conftest import running_head
from tests.object_store import BUCKET, SECRET, ObjectStore, uri_of
from tests.typed import IMAGES, Ended
from tests.typed import raysel as typed

pytestmark = pytest.mark.ray

OPEN = {"RAY_AUTH_MODE": "disabled"}
_MORTAL = """
import os, signal
from pathlib import Path
from raysel.pipeline.scan.state import Snapshots
from tiny_network import tiny

ORDERS = Path({died!r})

def save_if_due(self, state):
    if 0 < state.done < len(state.covered) and not ORDERS.exists():
        self.put(state)
        ORDERS.write_text(str(state.done))
        os.kill(os.getpid(), signal.SIGKILL)

Snapshots.save_if_due = save_if_due
"""
"""A network whose first driver saves a snapshot in the midst of its scan and dies, as by kill -9."""


def described(folder: Path, images: Path, out: Path | str, network: str = "tiny_network:tiny") -> Path:
    """The file of a run, in a folder of its own."""
    folder.mkdir(exist_ok=True)
    lines = [f'out = "{out}"', "[network]", f'network = "{network}"', "[source]", f'images = "{images}"']
    file = folder / "run.toml"
    file.write_text("\n".join([*lines, "[scan]", "slice_images = 5", "call_images = 5"]) + "\n")
    return file


def assert_same(made: Path | str, indexed: Ended, home: Path) -> None:
    """The index is that of a local run."""
    assert indexed.status == 0, indexed.err
    assert raysel.open(str(made)).neurons.equals(raysel.open(str(home / "index")).neurons)


@pytest.mark.slow
def test_a_killed_driver_is_tried_again_and_resumes(
    head: str, home: Path, indexed: Ended, object_store: ObjectStore, tmp_path: Path
):
    """Into a bucket, whose key is in the file of the run and nowhere else."""
    died, place = tmp_path / "died", uri_of("submitted", object_store.endpoint)
    file = described(tmp_path / "code", home / "images", place, "mortal:tiny")
    (tmp_path / "code" / "mortal.py").write_text(_MORTAL.format(died=str(died)))
    ended = typed(
        tmp_path,
        *("submit", "--address", head, "--config", str(file), "--working-dir", "code", "--retries", "1", "--json"),
        **OPEN,
    )
    assert ended.status == 0, ended.err
    summary = json.loads(ended.out)
    assert (summary["status"], summary["exit_status"], summary["attempts"]) == ("SUCCEEDED", 0, 2)
    assert summary["outcome"]["index"] == f"s3://{BUCKET}/submitted"
    first, second = re.findall(r"job (raysel-\w+-\d) is submitted", ended.err)
    assert (first[:-1], first[-1], second[-1], second) == (second[:-1], "1", "2", summary["job"])
    done = int(died.read_text())
    assert 0 < done < IMAGES
    # The torn image of this folder is in quarantine, and is done, too.
    assert f"scan: resuming: {done} of " in ended.err
    assert SECRET not in ended.err + ended.out
    assert_same(place, indexed, home)
    status = json.loads(typed(tmp_path, "status", place, "--json").out)
    assert (status["state"], status["lock"], status["saved_scans"]) == ("published", None, [])
    assert status["published"]["images"] == summary["outcome"]["images"]


def test_a_refused_run_is_not_tried_again(head: str, home: Path, tmp_path: Path):
    file = described(tmp_path / "code", home / "nowhere", tmp_path / "index")
    ended = typed(tmp_path, "submit", "--address", head, "--config", str(file), **OPEN)
    assert ended.status == 2
    assert ended.err.count("is submitted") == 1
    assert "no such file or folder" in ended.err
    assert re.fullmatch(r"job raysel-\w+-1: failed, exit status 2\n", ended.out)


def test_a_defect_has_its_own_exit_status(head: str, home: Path, tmp_path: Path):
    """After the retries that it is given; the stack trace is shown."""
    file = described(tmp_path / "code", home / "images", tmp_path / "index", "defective:tiny")
    (tmp_path / "code" / "defective.py").write_text("import os\nprint('defective')\nos._exit(1)\n")
    options = ("--working-dir", str(file.parent), "--retries", "1")
    ended = typed(tmp_path, "submit", "--address", head, "--config", str(file), *options, **OPEN)
    assert ended.status == 1, ended.err
    assert ended.err.count("is submitted") == 2
    assert ended.err.count("defective\n") == 2
    assert re.search(r"^raysel submit: .* died \(Job entrypoint command failed .* 1\): trying again$", ended.err, re.M)
    assert ended.out.endswith("-2: failed, exit status 1\n")


def test_nobody_waits_for_a_detached_job(head: str, home: Path, indexed: Ended, tmp_path: Path):
    from ray.job_submission import JobSubmissionClient

    from raysel.pipeline.operations.job_following import Attention, ClusterJob, follow

    file = described(tmp_path / "code", home / "images", tmp_path / "index")
    ended = typed(tmp_path, "submit", "--address", head, "--config", str(file), "--detach", **OPEN)
    assert ended.status == 0, ended.err
    name = ended.out.strip()
    client = JobSubmissionClient(head)
    assert client.get_job_info(name).status in ("PENDING", "RUNNING")

    class There:
        """The job that was submitted."""

        def submit(self, *_: object) -> None:
            pass

        def state(self, _: str):
            from raysel.pipeline.operations.job_server import JobServer

            return JobServer(head).state(name)

        def log(self, _: str) -> str:
            return ""

    finished = follow(There(), ClusterJob("there", "", tmp_path), 0, str, str, Attention(poll_s=0.5))
    assert finished.exit_status == 0, client.get_job_logs(name)
    assert_same(tmp_path / "index", indexed, home)


@pytest.mark.slow
def test_token_authentication(home: Path, indexed: Ended, tmp_path: Path):
    """A head that asks for a token: without it, with another, and with the right one."""
    file = described(tmp_path / "code", home / "images", tmp_path / "index")
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "a" * 64}
    with running_head(home, **token) as head:
        submit = ("submit", "--address", head.dashboard, "--config", str(file), "--retries", "0")
        for wrong in (OPEN, {**token, "RAY_AUTH_TOKEN": "b" * 64}):
            ended = typed(tmp_path, *submit, **wrong)
            assert ended.status == 2
            assert "refuses this token: set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN" in ended.err
            assert ended.err.count("\n") == 1
        ended = typed(tmp_path, *submit, **token)
        assert ended.status == 0, ended.err
        visited = typed(tmp_path, "doctor", "--address", head.dashboard, **token)
    assert (visited.status, visited.err) == (0, ""), visited
    assert "authentication: mode token" in visited.out
    assert "a" * 64 not in ended.err + visited.out
    assert_same(tmp_path / "index", indexed, home)
