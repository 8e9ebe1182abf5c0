"""``raysel doctor``: asks every machine of a cluster for its facts, or this machine alone."""

from __future__ import annotations

import json
import os
import shlex
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray
from ray._private import worker
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from raysel.config import ClusterConfig
from raysel.errors import RayselError, first_line
from raysel.files import Folder, absolute_uri
from raysel.pipeline.cluster import connected
from raysel.pipeline.operations.checks import Check, Node, auth_check, checks_of, clock_check
from raysel.pipeline.operations.job_following import ClusterJob, follow
from raysel.pipeline.operations.job_server import JobServer
from raysel.pipeline.operations.machine_facts import MachineFacts, machine_facts

_ANSWER_S = 180.0
"""How long a machine may take: it starts a worker first, which then imports torch."""
_HEAD = "node:__internal_head__"


def examine(address: str | None, out: str | None) -> list[Check]:
    """Check this machine, and all machines of a cluster if there is one.

    Args:
        address: ``http://host:8265`` of a dashboard, where the checks run as a job; ``host:port`` or ``auto`` of a
            cluster to join; by default $RAY_ADDRESS, else this machine is checked alone.
        out: path or URI of a folder to write to. By default none is tried.

    Raises:
        RayselError: no cluster answers at the address, or the job died.
    """
    address, out = address or os.environ.get("RAY_ADDRESS"), out and absolute_uri(out)
    if address and address.startswith(("http://", "https://")):
        return _by_job(address, out)
    if address is None:
        here = machine_facts(tempfile.gettempdir(), out, None)
        return list(checks_of(Node(here.host), here, here))
    with _shared(out) as shared, connected(ClusterConfig(address=address)):
        return [*_of_cluster(out, shared), auth_check(authentication_mode(), _loopback())]


def _by_job(address: str, out: str | None) -> list[Check]:
    """The checks, run on the head: it sees all machines, and this one sees its dashboard only."""
    command = shlex.join(["python", "-m", "raysel", "doctor", "--json", *(["--out", out] if out else [])])
    with tempfile.TemporaryDirectory(prefix="raysel-job-") as empty:
        job = ClusterJob(f"raysel-doctor-{uuid.uuid4().hex[:12]}", command, Path(empty))
        ended = follow(JobServer(address), job, 0, lambda text: None, lambda line: None)
    for line in reversed(ended.log.splitlines()):
        if line.startswith('{"ok"'):
            return [Check(**each) for each in json.loads(line)["checks"]]
    last = (ended.log.strip().splitlines() or [ended.message])[-1]
    raise RayselError(
        f"raysel does not run on the head ({last.strip()}): install it there, and start Ray with the folder of its "
        "python first in PATH"
    )


def _of_cluster(out: str | None, shared: str | None) -> Iterator[Check]:
    session = _session()
    reference = machine_facts(session, None, None)
    nodes = [(each["NodeID"], _node(each)) for each in ray.nodes() if each["Alive"]]
    asked = time.time()
    answers = {name: _ask(name, session, out, shared) for name, _ in nodes}
    for name, node in sorted(nodes, key=lambda each: (not each[1].head, each[1].name)):
        try:
            facts = ray.get(answers[name], timeout=max(asked + _ANSWER_S - time.time(), 1.0))
        except Exception as error:  # whatever happens on a machine is about that machine
            cause = first_line(getattr(error, "cause", None) or error)
            advice = "install the same raysel there" if "raysel" in cause else "look at its logs in Ray's dashboard"
            yield Check(node.name, "machine", False, f"does not answer ({cause}): {advice}")
            continue
        yield from checks_of(node, facts, reference)
        yield clock_check(node, facts.clock, asked, time.time())


def _session() -> str:
    """Folder of Ray's session, the same on all machines. Nothing public names it in Ray 2.60."""
    node: Any = getattr(worker, "_global_node", None)
    return str(node.get_session_dir_path()) if node else tempfile.gettempdir()


def _ask(node: str, session: str, out: str | None, shared: str | None) -> Any:
    there = NodeAffinitySchedulingStrategy(node, soft=False)
    return _facts_of_machine.options(scheduling_strategy=there).remote(session, out, shared)


@ray.remote(num_cpus=0, max_retries=0)
def _facts_of_machine(session: str, out: str | None, shared: str | None) -> MachineFacts:
    return machine_facts(session, out, shared)


def _node(node: dict[str, Any]) -> Node:
    resources = node["Resources"]
    return Node(
        node["NodeManagerAddress"],
        _HEAD in resources,
        int(resources.get("CPU", 0)),
        int(resources.get("GPU", 0)),
        int(resources.get("object_store_memory", 0)),
    )


@contextmanager
def _shared(out: str | None) -> Iterator[str | None]:
    """Name of a file in `out` that this machine has written; None if that fails, which the head's own check shows."""
    name = f".raysel-doctor-{uuid.uuid4().hex}"
    if not out:
        yield None
        return
    try:
        folder = Folder.at(out).require_readable()
        folder.put(name, b"")
    except RayselError:
        yield None
        return
    try:
        yield name
    finally:
        folder.delete(name)


def _loopback() -> str:
    return ray.get_runtime_context().gcs_address


def authentication_mode() -> str:
    """Ray's authentication mode in this process: ``disabled``, ``token`` ..., or ``unknown``."""
    try:
        from ray._raylet import AuthenticationMode, get_authentication_mode  # type: ignore[attr-defined]  # ray 2.60
    except ImportError:
        return "unknown"
    mode = get_authentication_mode()
    return next((name.lower() for name, value in vars(AuthenticationMode).items() if value == mode), "unknown")
