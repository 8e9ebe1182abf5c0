"""``raysel submit``: a run of ``raysel index`` as a job of a cluster."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.types import NonNegativeInt

from raysel.cli.arguments import AsJson, DashboardAddress
from raysel.cli.toml import run_config


def submit(
    *,
    config: Annotated[Path, Parameter(metavar="FILE")],
    address: DashboardAddress = None,
    working_dir: Annotated[Path | None, Parameter(metavar="DIR")] = None,
    retries: NonNegativeInt = 3,
    detach: bool = False,
    as_json: AsJson = False,
) -> int:
    """Submit a run. Returns the exit status of the job.

    Args:
        config: TOML file that describes the run; raysel config --example prints one.
        working_dir: Folder that is copied to all machines, with the module of your own network. FILE must be in it.
            By default only FILE is copied.
        retries: Times to submit again if the job dies. It resumes.
        detach: Return once the job is submitted. Then nothing submits it again.
    """
    from raysel.files import redact_uri
    from raysel.pipeline.operations.job_following import follow
    from raysel.pipeline.operations.job_server import JobServer
    from raysel.pipeline.operations.run_job import check_for_cluster, index_job

    run = run_config({}, config)
    check_for_cluster(run, working_dir)
    server = JobServer(address)
    with index_job(config, working_dir, as_json) as job:
        if detach:
            name = f"{job.name}-1"
            server.submit(name, job.command, job.working_dir)
            print(json.dumps({"job": name, "status": "PENDING"}) if as_json else name)
            return 0
        try:
            ended = follow(server, job, retries, _show, _say)
        except KeyboardInterrupt:
            _say(f"the job keeps running; follow it with raysel status {redact_uri(run.out)}")
            raise
    if as_json:
        facts = {"job": ended.job, "status": ended.status, "exit_status": ended.exit_status}
        print(json.dumps({**facts, "attempts": ended.attempts, "outcome": _outcome(ended.log)}))
    else:
        print(f"job {ended.job}: {ended.status.lower()}, exit status {ended.exit_status}")
    return ended.exit_status


def _show(text: str) -> None:
    print(text, end="", file=sys.stderr, flush=True)


def _say(line: str) -> None:
    print(f"raysel submit: {line}", file=sys.stderr, flush=True)


def _outcome(log: str) -> object:
    """What ``raysel index --json`` printed: the last line that is a JSON object."""
    for line in reversed(log.splitlines()):
        if line.startswith("{"):
            try:
                return json.loads(line)
            except ValueError:
                continue
    return None
