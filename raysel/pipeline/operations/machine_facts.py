"""What one machine is and can do: found out by a process on it, without torch in that process."""

from __future__ import annotations

import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from raysel.errors import RayselError, first_line
from raysel.files import Folder, conditional_file

PACKAGES = ("raysel", "ray", "torch", "torchvision", "numpy", "pyarrow", "pillow")
_SHM = Path("/dev/shm")
_PROBE_S = 120
_GPUS = """
import json, torch
print(json.dumps([torch.cuda.get_device_name(each) for each in range(torch.cuda.device_count())]))
"""


@dataclass(frozen=True)
class Disk:
    """A file system, in bytes."""

    total: int
    free: int


@dataclass(frozen=True)
class MachineFacts:
    """What was found on a machine."""

    host: str
    python: str
    """Version."""
    packages: dict[str, str]
    """Package -> version; those of `PACKAGES` that are installed."""
    gpus: tuple[str, ...]
    """Names of the CUDA devices that torch finds."""
    gpu_files: int
    """Devices of the NVIDIA driver, whether or not torch finds them."""
    gpu_fault: str
    """Why torch could not be asked; may be empty."""
    shm: Disk | None
    """Shared memory, where Ray keeps objects; None on systems without ``/dev/shm``."""
    disk: Disk
    """Of Ray's session, where objects that do not fit in memory go."""
    prefix: str
    """Python's environment of this process."""
    path_prefix: str
    """Python's environment of the ``python`` that PATH finds; empty if there is none."""
    clock: float
    """Seconds since 1970."""
    storage: dict[str, str] = field(default_factory=dict)
    """Step of `storage_access` -> what went wrong; empty if it works."""


def machine_facts(session: str, out: str | None, shared: str | None) -> MachineFacts:
    """The facts of this machine.

    Args:
        session: folder on the disk to look at.
        out: path or URI of a folder to write to and read from; nothing is left there. None skips the storage checks.
        shared: name of a file in `out` that another machine has written.
    """
    gpus, fault = _gpus()
    return MachineFacts(
        host=socket.gethostname(),
        python=platform.python_version(),
        packages=_packages(),
        gpus=gpus,
        gpu_files=len([each for each in Path("/dev").glob("nvidia[0-9]*") if each.name[6:].isdigit()]),
        gpu_fault=fault,
        shm=_disk(_SHM) if _SHM.is_dir() else None,
        disk=_disk(Path(session)),
        prefix=sys.prefix,
        path_prefix=_path_prefix(),
        clock=time.time(),
        storage=storage_access(out, shared) if out else {},
    )


def storage_access(out: str, shared: str | None) -> dict[str, str]:
    """Step -> what went wrong, empty if it works. What follows a step that failed is not tried.

    put: write an object. get: read it again. conditional put: only one of two writers may make or change a file.
    shared: another machine's object is seen.
    """
    name, found = f".raysel-doctor-{uuid.uuid4().hex}", {}
    steps = {"put": _put, "get": _get, "conditional put": _conditional_put, "delete": _delete}
    if shared:
        steps["shared"] = partial(_see, shared)
    for step, try_it in steps.items():
        try:
            try_it(Folder.at(out).require_readable(), name)
            found[step] = ""
        except (RayselError, OSError) as error:
            found[step] = first_line(error)
            _remove(out, name)
            break
    return found


def _remove(out: str, name: str) -> None:
    """Remove what the steps before a failed one have written, if that works."""
    for each in (name, _lock_of(name)):
        with suppress(RayselError, OSError):
            Folder.at(out).delete(each)


def _put(folder: Folder, name: str) -> None:
    folder.put(name, name.encode())


def _get(folder: Folder, name: str) -> None:
    if folder.read(name) != name.encode():
        raise RayselError(f"{folder.shown} returns another content than was written")


def _conditional_put(folder: Folder, name: str) -> None:
    file = conditional_file(folder, _lock_of(name))
    etag = file.put(b"first", None)
    refused = file.put(b"second", None) is None
    changed = etag and file.put(b"third", etag)
    late = etag and file.put(b"fourth", etag) is None
    folder.delete(_lock_of(name))
    if not (etag and refused and changed and late):
        raise RayselError(
            f"{folder.shown} ignores the conditions If-None-Match and If-Match of a put, so two runs could write one "
            "index: use a store that honors them"
        )


def _lock_of(name: str) -> str:
    return f"{name}.lock"


def _delete(folder: Folder, name: str) -> None:
    folder.delete(name)
    if folder.exists(name):
        raise RayselError(f"{folder.shown} still has an object that was deleted")


def _see(shared: str, folder: Folder, name: str) -> None:
    if not folder.exists(shared):
        raise RayselError(f"{folder.shown} is another folder on this machine: give one that all machines share")


def _packages() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name).partition("+")[0]  # torch names its CUDA there
        except PackageNotFoundError:
            continue
    return found


def _disk(path: Path) -> Disk:
    while not path.exists() and path != path.parent:
        path = path.parent
    usage = shutil.disk_usage(path)
    return Disk(usage.total, usage.free)


def _gpus() -> tuple[tuple[str, ...], str]:
    """The names of all GPUs, in a process of its own: Ray hides them from a worker that asked for none."""
    environment = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
    try:
        asked = subprocess.run(
            [sys.executable, "-c", _GPUS], env=environment, capture_output=True, text=True, timeout=_PROBE_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return (), first_line(error)
    if asked.returncode:
        return (), (asked.stderr.strip().splitlines() or [f"exit status {asked.returncode}"])[-1]
    return tuple(json.loads(asked.stdout.strip().splitlines()[-1])), ""


def _path_prefix() -> str:
    python = shutil.which("python")
    if python is None:
        return ""
    code = "import sys; print(sys.prefix)"
    try:
        asked = subprocess.run([python, "-c", code], capture_output=True, text=True, timeout=_PROBE_S)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return asked.stdout.strip() if asked.returncode == 0 else ""
