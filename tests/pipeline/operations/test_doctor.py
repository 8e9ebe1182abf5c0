"""What the doctor says about machines: of made-up facts, of stores, and of a small cluster."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from raysel.files import Folder
from raysel.pipeline.operations import machine_facts as probing
from raysel.pipeline.operations.checks import GB, Check, Node, auth_check, checks_of, clock_check
from raysel.pipeline.operations.doctor import examine
from raysel.pipeline.operations.machine_facts import Disk, MachineFacts, machine_facts, storage_access
from tests.conftest import ROOT
from tests.object_store import BUCKET, READER_KEY, READER_SECRET, ObjectStore, uri_of

GOOD = MachineFacts(
    host="worker",
    python="3.11.7",
    packages={"raysel": "0.1.0", "ray": "2.60.0", "torch": "2.14.1"},
    gpus=("NVIDIA A",),
    gpu_files=1,
    gpu_fault="",
    shm=Disk(8 * GB, 8 * GB),
    disk=Disk(200 * GB, 100 * GB),
    prefix="/opt/env",
    path_prefix="/opt/env",
    clock=1000.0,
    storage={"put": "", "get": ""},
)
WORKER = Node("10.0.0.2", cpus=8, gpus=1, object_store=4 * GB)
HEAD = replace(WORKER, name="10.0.0.1", head=True)


def faults(node: Node, facts: MachineFacts) -> dict[str, str]:
    """Check -> what to do."""
    return {check.check: check.detail for check in checks_of(node, facts, GOOD) if not check.ok}


def test_a_good_machine():
    checks = list(checks_of(HEAD, GOOD, GOOD))
    assert all(check.ok for check in checks)
    assert [each.check for each in checks] == [
        "versions", "GPUs", "/dev/shm", "object store", "disk", "PATH", "storage",
    ]  # fmt: skip
    assert {each.machine for each in checks} == {"10.0.0.1"}


@pytest.mark.parametrize(
    ("check", "node", "facts", "says"),
    [
        ("versions", WORKER, replace(GOOD, packages={**GOOD.packages, "ray": "2.59.0"}), "ray 2.59.0, not 2.60.0"),
        ("versions", WORKER, replace(GOOD, packages={"ray": "2.60.0", "torch": "2.14.1"}), "raysel is missing"),
        ("versions", WORKER, replace(GOOD, python="3.12.1"), "python 3.12, not 3.11"),
        ("GPUs", replace(WORKER, gpus=2), GOOD, "torch finds 1, Ray counts 2"),
        ("GPUs", replace(WORKER, gpus=0), replace(GOOD, gpus=()), "torch finds 0, the driver has 1"),
        ("GPUs", replace(WORKER, gpus=0), GOOD, "start Ray with --num-gpus=1"),
        (
            "GPUs",
            WORKER,
            replace(GOOD, gpus=(), gpu_fault="no module torch"),
            r"cannot query torch for GPUs \(no module torch\)",
        ),
        ("/dev/shm", WORKER, replace(GOOD, shm=Disk(64 << 20, 64 << 20)), "0.1 GB, and Ray's objects need 4.0 GB"),
        ("object store", replace(WORKER, object_store=100 << 20), GOOD, "--object-store-memory=536870912"),
        ("disk", WORKER, replace(GOOD, disk=Disk(200 * GB, 5 * GB)), "5.0 GB of 200.0 GB free"),
        ("disk", WORKER, replace(GOOD, disk=Disk(1000 * GB, 30 * GB)), "at most 95% full"),
        (
            "PATH",
            HEAD,
            replace(GOOD, path_prefix="/usr"),
            "PATH finds the python of /usr, but Ray runs that of /opt/env",
        ),
        ("PATH", HEAD, replace(GOOD, path_prefix=""), "start Ray with /opt/env/bin first in PATH"),
        ("storage", WORKER, replace(GOOD, storage={"put": "", "get": "denied"}), r"get: denied \(works: put\)"),
    ],
)
def test_what_is_wrong_is_the_only_line_that_says_so(check, node, facts, says):
    found = faults(node, facts)
    assert list(found) == [check]
    assert re.search(says, found[check]), found


def test_a_machine_alone(tmp_path: Path, monkeypatch):
    """No cluster is asked, so there is nothing to say about one."""
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    alone = examine(None, str(tmp_path / "out"))
    assert [each.check for each in alone] == ["versions", "GPUs", "/dev/shm", "disk", "storage"]
    assert [each for each in alone if not each.ok and each.check in ("versions", "storage")] == []
    assert list((tmp_path / "out").iterdir()) == []


def test_what_does_not_matter():
    assert not faults(WORKER, replace(GOOD, path_prefix="")), "jobs run on the head only"
    assert not faults(WORKER, replace(GOOD, python="3.11.9"))
    assert not faults(replace(WORKER, gpus=0), replace(GOOD, gpus=(), gpu_files=0))
    assert not faults(WORKER, replace(GOOD, shm=None))


@pytest.mark.parametrize(("clock", "ok"), [(1000, True), (935, False), (945, True), (1075, False), (1068, True)])
def test_a_clock_is_known_within_the_time_of_the_answer(clock, ok):
    """Asked at 1000, answered at 1010; 60 seconds are tolerated."""
    assert clock_check(WORKER, clock, 1000, 1010).ok is ok


@pytest.mark.parametrize(
    ("mode", "address", "ok"),
    [
        ("token", "10.0.0.1:6379", True),
        ("disabled", "10.0.0.1:6379", False),
        ("disabled", "127.0.0.1:6379", True),
        ("unknown", "10.0.0.1:6379", False),
    ],
)
def test_a_cluster_without_a_token_is_for_this_machine_only(mode, address, ok):
    check = auth_check(mode, address)
    assert check.ok is ok
    assert mode in check.detail


def test_the_facts_of_this_machine(tmp_path: Path, monkeypatch):
    import ray

    import raysel

    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    facts = machine_facts(str(tmp_path / "not" / "made"), None, None)
    assert facts.packages["ray"] == ray.__version__
    assert facts.python == ".".join(map(str, sys.version_info[:3]))
    assert (facts.prefix, facts.path_prefix, facts.gpu_fault) == (sys.prefix, sys.prefix, "")
    assert facts.disk.total >= facts.disk.free > 0
    assert facts.storage == {}
    assert raysel  # its version is only there where it is installed
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine_facts(str(tmp_path), None, None).path_prefix == ""


def test_a_store_is_tried_and_left_as_it_was(folder: Folder):
    folder.put("there", b"")
    assert storage_access(folder.shown, "there") == dict.fromkeys(
        ("put", "get", "conditional put", "delete", "shared"), ""
    )
    assert [file.name for file in folder.list()] == ["there"]
    found = storage_access(folder.shown, "written elsewhere")
    assert "another folder on this machine" in found["shared"]


def test_a_bucket_that_may_only_be_read(object_store: ObjectStore, s3: ObjectStore):
    found = storage_access(uri_of("out", object_store.endpoint, READER_KEY, READER_SECRET), None)
    assert list(found) == ["put"]
    assert "denied" in found["put"]
    assert READER_SECRET not in found["put"]
    (fault,) = storage_access("s3://no-such-bucket/out", None).values()
    assert "no such bucket" in fault
    assert BUCKET not in fault


def test_a_store_that_ignores_conditions(local_folder: Folder, monkeypatch):
    class Careless:
        """Every put succeeds."""

        def put(self, content: bytes, expected: str | None) -> str:
            return content.decode()

    monkeypatch.setattr(probing, "conditional_file", lambda *_: Careless())
    found = storage_access(local_folder.shown, None)
    assert "ignores the conditions" in found["conditional put"]
    assert local_folder.list() == []


@pytest.mark.ray
@pytest.mark.slow
def test_every_machine_of_a_cluster_is_asked(tmp_path: Path, monkeypatch):
    """A head without CPUs and two workers, asked by a process of its own: this one may be connected to another Ray."""
    from tests.chaos.cluster import machines

    # Ray's machines pass the PATH that they were started with on to their workers.
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    typed = [sys.executable, "-m", "raysel", "doctor", "--json", "--out", str(tmp_path / "out"), "--address"]
    with machines(2) as cluster:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "RAY_AUTH_MODE": "disabled"}
        ended = subprocess.run([*typed, cluster.address], env=environment, capture_output=True, text=True)
    checks = [Check(**each) for each in json.loads(ended.stdout.splitlines()[-1])["checks"]]
    by_name: Callable[[str], list[Check]] = lambda name: [each for each in checks if each.check == name]  # noqa: E731
    counts = {name: len(by_name(name)) for name in ("versions", "disk", "clock", "storage", "PATH")}
    assert counts == {"versions": 3, "disk": 3, "clock": 3, "storage": 3, "PATH": 1}, checks
    # Its ports are reached from outside of this machine.
    assert {each.check for each in checks if not each.ok} <= {"authentication"}, checks
    assert list((tmp_path / "out").iterdir()) == []
