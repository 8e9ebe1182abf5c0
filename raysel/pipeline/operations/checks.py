"""From the facts of machines to lines: ok, or what to do."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from raysel.pipeline.operations.machine_facts import PACKAGES, Disk, MachineFacts

GB = 10**9
LEAST_SHM = GB
"""Docker's default is 64 MB."""
LEAST_STORE_PER_CPU = 64 << 20
"""Some calls' images per actor, as files."""
LEAST_DISK = 10 * GB
"""For logs and for objects that are spilled."""
FULL = 0.95
"""Ray does not spill to a disk that is fuller than this."""
MOST_SKEW_S = 60.0
"""S3 refuses requests whose time is off by 15 minutes."""


@dataclass(frozen=True)
class Node:
    """A machine as its cluster knows it; all 0 without a cluster."""

    name: str
    """Address or host name."""
    head: bool = False
    cpus: int = 0
    gpus: int = 0
    object_store: int = 0
    """Bytes."""


@dataclass(frozen=True)
class Check:
    """One line of the doctor."""

    machine: str
    check: str
    ok: bool
    detail: str
    """What was found, or what to do."""


def checks_of(node: Node, facts: MachineFacts, reference: MachineFacts) -> Iterator[Check]:
    """The checks of one machine, compared with the one that the driver runs on."""
    for name, (ok, detail) in {
        "versions": _versions(facts, reference),
        "GPUs": _gpus(node, facts),
        "/dev/shm": _shm(node, facts),
        **({"object store": _object_store(node)} if node.object_store else {}),
        "disk": _disk(facts.disk),
        **({"PATH": _path(facts)} if node.head else {}),
        **({"storage": _storage(facts)} if facts.storage else {}),
    }.items():
        yield Check(node.name, name, ok, detail)


def clock_check(node: Node, clock: float, asked: float, answered: float) -> Check:
    """Whether a machine's clock agrees with this one's, which showed `asked` before and `answered` after.

    The clock was read at some moment between them, so a difference within these bounds is not known to be one.
    """
    skew = max(asked - clock, clock - answered, 0.0)
    ok = skew <= MOST_SKEW_S
    advice = "" if ok else ": set it with chrony or ntpd, S3 refuses requests that are off by 15 minutes"
    return Check(node.name, "clock", ok, f"within {skew:.0f} s of this machine's{advice}")


def auth_check(mode: str, address: str | None) -> Check:
    """Whether the cluster asks for a token."""
    own = (address or "").removeprefix("http://").startswith(("127.", "localhost", "[::1]"))
    if mode == "token" or own:
        return Check("cluster", "authentication", True, f"mode {mode}" + (", on this machine only" if own else ""))
    advice = "anyone who reaches its ports can run code: set RAY_AUTH_MODE=token and one token on all machines"
    return Check("cluster", "authentication", False, f"mode {mode}: {advice}")


def _versions(facts: MachineFacts, reference: MachineFacts) -> tuple[bool, str]:
    there = {"python": facts.python.rpartition(".")[0], **facts.packages}
    here = {"python": reference.python.rpartition(".")[0], **reference.packages}
    wrong = [
        f"{name} {there.get(name, 'is missing')}, not {here[name]}" for name in here if there.get(name) != here[name]
    ]
    if wrong:
        return False, f"{'; '.join(wrong)}: use one image, or install cluster/constraints.txt, on all machines"
    return True, ", ".join(f"{name} {there[name]}" for name in ("python", *PACKAGES) if name in there)


def _gpus(node: Node, facts: MachineFacts) -> tuple[bool, str]:
    found = len(facts.gpus)
    if facts.gpu_fault:
        return False, f"cannot query torch for GPUs ({facts.gpu_fault}): reinstall torch"
    if found < max(node.gpus, facts.gpu_files):
        expected = f"Ray counts {node.gpus}" if node.gpus > found else f"the driver has {facts.gpu_files}"
        return False, f"torch finds {found}, {expected}: install torch with CUDA and a driver that fits it"
    if node.object_store and node.gpus < found:
        return False, f"Ray counts {node.gpus} of {found}: start Ray with --num-gpus={found}"
    return True, f"{found} x {facts.gpus[0]}" if found else "none"


def _shm(node: Node, facts: MachineFacts) -> tuple[bool, str]:
    if facts.shm is None:
        return True, "not used on this system"
    least = node.object_store or LEAST_SHM
    if facts.shm.total < least:
        return False, (
            f"{_gb(facts.shm.total)}, and Ray's objects need {_gb(least)}: docker run --shm-size, or an emptyDir with "
            "medium Memory at /dev/shm"
        )
    return True, _gb(facts.shm.total)


def _object_store(node: Node) -> tuple[bool, str]:
    least = LEAST_STORE_PER_CPU * max(node.cpus, 1)
    if node.object_store < least:
        needs = f"{node.cpus} CPUs need {_gb(least)}"
        return False, f"{_gb(node.object_store)}, and {needs}: start Ray with --object-store-memory={least}"
    return True, _gb(node.object_store)


def _disk(disk: Disk) -> tuple[bool, str]:
    used, found = 1 - disk.free / max(disk.total, 1), f"{_gb(disk.free)} of {_gb(disk.total)} free"
    if used > FULL or disk.free < LEAST_DISK:
        return False, f"{found}: Ray needs {_gb(LEAST_DISK)} and a disk that is at most {FULL:.0%} full: free some"
    return True, found


def _path(facts: MachineFacts) -> tuple[bool, str]:
    if not facts.path_prefix:
        return False, f"no python on PATH, and jobs need one: start Ray with {facts.prefix}/bin first in PATH"
    if os.path.realpath(facts.path_prefix) != os.path.realpath(facts.prefix):
        return False, (
            f"PATH finds the python of {facts.path_prefix}, but Ray runs that of {facts.prefix}: start Ray with "
            f"{facts.prefix}/bin first in PATH"
        )
    return True, f"python is that of {facts.prefix}"


def _storage(facts: MachineFacts) -> tuple[bool, str]:
    works = [step for step, fault in facts.storage.items() if not fault]
    faults = [f"{step}: {fault}" for step, fault in facts.storage.items() if fault]
    if faults:
        return False, f"{faults[0]}" + (f" (works: {', '.join(works)})" if works else "")
    return True, ", ".join(works)


def _gb(size: int) -> str:
    return f"{size / GB:.1f} GB"
