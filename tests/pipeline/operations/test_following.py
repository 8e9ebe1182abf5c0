"""Following a job on a server that fails in every way: which ends are final, and what is shown."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from raysel.config import RunConfig
from raysel.errors import RayselError
from raysel.marks import with_changes
from raysel.pipeline.operations.job_following import Attention, ClusterJob, Finished, follow
from raysel.pipeline.operations.job_server import JobLostError, JobServer, JobState, UnreachableError
from raysel.pipeline.operations.run_job import check_for_cluster, index_job

QUICK = Attention(poll_s=0.001, patience_s=0.05)
RUNS = JobState("RUNNING", None, "")
JOB = ClusterJob("job", "command", Path("."))


class Script:
    """A server that answers as it is written: a list per attempt of states or of errors to raise."""

    def __init__(self, *attempts: Iterable[JobState | Exception]) -> None:
        self.submitted: list[str] = []
        self._attempts = [list(each) for each in attempts]
        self.logs: list[str | Exception] = []

    def submit(self, name: str, command: str, working_dir: Path) -> None:
        self.submitted.append(name)

    def state(self, name: str) -> JobState:
        answers = self._attempts[len(self.submitted) - 1]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def log(self, name: str) -> str:
        answer = self.logs.pop(0) if self.logs else ""
        if isinstance(answer, Exception):
            raise answer
        return answer


def failed(exit_status: int | None) -> JobState:
    return JobState("FAILED", exit_status, "it failed")


def followed(server: Script, retries: int = 3, show: Callable[[str], None] = lambda _: None) -> Finished:
    return follow(server, JOB, retries, show, lambda _: None, QUICK)


@pytest.mark.parametrize(
    ("last", "exit_status", "attempts"),
    [
        (JobState("SUCCEEDED", 0, ""), 0, 1),
        (failed(2), 2, 1),
        (failed(1), 1, 4),
        (failed(-9), 137, 4),
        (failed(None), 1, 4),
        (failed(0), 1, 4),  # the machine of a command that had ended was lost
        (JobState("STOPPED", None, ""), 130, 1),
        (JobLostError("forgotten"), 1, 4),
    ],
)
def test_the_ends_of_a_job(last: JobState | Exception, exit_status: int, attempts: int):
    server = Script(*([RUNS, last] for _ in range(4)))
    ended = followed(server)
    assert (ended.exit_status, ended.attempts) == (exit_status, attempts)
    assert server.submitted == [f"job-{number + 1}" for number in range(attempts)]


def test_an_attempt_that_succeeds_is_the_last():
    server = Script([failed(-9)], [RUNS, JobState("SUCCEEDED", 0, "")], [failed(1)])
    assert (followed(server).exit_status, server.submitted) == (0, ["job-1", "job-2"])


def test_a_server_that_does_not_answer_for_a_moment_is_asked_again():
    server = Script([UnreachableError("away"), RUNS, UnreachableError("away"), JobState("SUCCEEDED", 0, "")])
    assert followed(server).exit_status == 0
    assert len(server.submitted) == 1


def test_a_server_that_stays_away_is_given_up():
    with pytest.raises(UnreachableError):
        followed(Script([UnreachableError("away")]))


def test_the_log_is_shown_in_parts_and_once():
    server = Script([RUNS, RUNS, RUNS, JobState("SUCCEEDED", 0, "")])
    server.logs = ["one\n", UnreachableError("away"), "one\ntwo\n", "one\ntwo\nthree\n"]
    parts: list[str] = []
    ended = followed(server, show=parts.append)
    assert "".join(parts) == ended.log == "one\ntwo\nthree\n"
    assert parts[0] == "one\n"


@pytest.mark.parametrize(
    ("address", "says"),
    [
        (None, "no cluster to submit to"),
        ("ray://127.0.0.1:10001", "not the address of a dashboard"),
        ("127.0.0.1:1", "http://127.0.0.1:1 does not answer"),
    ],
)
def test_addresses_at_which_there_is_no_server(address, says, monkeypatch):
    monkeypatch.delenv("RAY_API_SERVER_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_ADDRESS", "http://127.0.0.1:2")  # Ray's client would prefer it
    with pytest.raises(RayselError, match=says):
        JobServer(address)


def test_a_run_that_would_be_lost_is_refused():
    whole = {"out": "/shared/index", "network": {"network": "a:b"}, "source": {"images": "s3://bucket/images"}}
    check_for_cluster(with_changes(RunConfig(), whole))
    check_for_cluster(with_changes(RunConfig(), {**whole, "out": "s3://bucket/index"}))
    with pytest.raises(RayselError, match="out is 'index', but a job runs in a temporary folder"):
        check_for_cluster(with_changes(RunConfig(), {**whole, "out": "index"}))
    with pytest.raises(RayselError, match=r"without network\.network"):
        check_for_cluster(with_changes(RunConfig(), {**whole, "network": {}}))


def test_files_of_this_machine_must_travel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "code").mkdir()
    for name in ("weights.safetensors", "code/labels.csv"):
        (tmp_path / name).write_text("")
    whole = {"out": "/shared/index", "network": {"network": "a:b"}, "source": {"images": "s3://bucket/images"}}
    config = with_changes(RunConfig(), whole)
    check_for_cluster(with_changes(config, {"network": {"weights": "random"}}))
    check_for_cluster(with_changes(config, {"network": {"weights": str(tmp_path / "weights.safetensors")}}))
    check_for_cluster(with_changes(config, {"source": {"labels": "labels.csv"}}), Path("code"))
    for working_dir in (None, Path("code")):
        with pytest.raises(RayselError, match=r"'weights.safetensors' is on this machine only"):
            check_for_cluster(with_changes(config, {"network": {"weights": "weights.safetensors"}}), working_dir)


def test_what_travels_with_a_job(tmp_path: Path):
    code = tmp_path / "code"
    (code / "runs").mkdir(parents=True)
    inside, outside = code / "runs" / "a run.toml", tmp_path / "other.toml"
    for file in (inside, outside):
        file.write_text(f"# {file.name}")
    with index_job(inside, code, as_json=True) as job:
        assert job.command == "python -m raysel index --config 'runs/a run.toml' --json"
        assert job.working_dir == code
    with index_job(outside, None, as_json=False) as alone:
        assert alone.command == "python -m raysel index --config run.toml"
        assert [(file.name, file.read_text()) for file in alone.working_dir.iterdir()] == [("run.toml", "# other.toml")]
    assert alone.name != job.name
    assert not alone.working_dir.exists()
    with pytest.raises(RayselError, match="is not in"), index_job(outside, code, as_json=False):
        pass
    with pytest.raises(RayselError, match="is not a folder"), index_job(outside, tmp_path / "none", as_json=False):
        pass
