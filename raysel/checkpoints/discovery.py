"""Which checkpoints there are: by a folder or a glob, or as a command lists them."""

from __future__ import annotations

import hashlib
import posixpath
import re
import subprocess

import pyarrow as pa
from pyarrow import fs

from raysel.checkpoints.checkpoint import STEP_DIGITS, Checkpoint, is_checkpoint, is_part, name_of, step_of
from raysel.errors import RayselError
from raysel.files import (
    absolute_uri,
    as_raysel_error,
    check_access,
    filesystem_of,
    join_uri,
    list_folder,
    matches,
    redact_uri,
    split_glob,
    stat,
)

_LISTED_FOR_S = 600


def checkpoints_at(uri: str, pattern: re.Pattern[str] | None = None) -> list[Checkpoint]:
    """The checkpoints at a path or URI, those with a step in their name first, by step.

    Args:
        uri: a folder, whose files are taken at any depth if they have a suffix of checkpoints; or a glob, whose files
            are all taken. Hidden files are left out, and parts of several safetensors files, which belong to their
            ``.index.json``.
        pattern: finds the step in a name, see `step_of`.

    Raises:
        RayselError: the folder does not exist or cannot be listed.
    """
    root, glob = split_glob(absolute_uri(uri))
    filesystem, folder = filesystem_of(root)
    with as_raysel_error(f"cannot reach {redact_uri(root)}"):
        check_access(filesystem, folder)
        if filesystem.get_file_info(folder).type != fs.FileType.Directory:
            raise RayselError(f"no folder of checkpoints at {redact_uri(root)}: give a folder, or a glob in quotes")
    listing = list_folder(filesystem, folder, recursive=not glob or "/" in glob)
    files = {
        info.path[len(folder.rstrip("/")) + 1 :]: f"{info.size}-{info.mtime_ns}"
        for info in listing.entries
        if info.type == fs.FileType.File
    }
    chosen = [
        name
        for name in files
        if not any(part.startswith(".") for part in name.split("/"))
        and (matches(name.split("/"), glob.split("/")) and not is_part(name) if glob else is_checkpoint(name))
    ]
    found = [
        Checkpoint(join_uri(root, name), name_of(name), _version(name, files), step_of(name, pattern))
        for name in chosen
    ]
    return sorted(found, key=_order)


def checkpoints_listed_by(command: str, pattern: re.Pattern[str] | None = None) -> list[Checkpoint]:
    """The checkpoints that a shell command prints, a line ``URI STEP`` or ``URI`` for each; ``#`` begins a comment.

    Raises:
        RayselError: the command fails or does not end. Its text, which may have a secret in it, is not repeated.
    """
    try:
        ended = subprocess.run(
            command,
            shell=True,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=_LISTED_FOR_S,
        )
    except subprocess.TimeoutExpired:
        raise RayselError(f"--list-command did not end within {_LISTED_FOR_S} s") from None
    if ended.returncode:
        said = next((line.strip() for line in reversed(ended.stderr.splitlines()) if line.strip()), "it says nothing")
        raise RayselError(f"--list-command failed with exit status {ended.returncode}: {said}")
    lines = [line.strip() for line in ended.stdout.splitlines()]
    return sorted((_listed(line, pattern) for line in lines if line and not line.startswith("#")), key=_order)


def _listed(line: str, pattern: re.Pattern[str] | None) -> Checkpoint:
    uri, _, step = line.rpartition(" ")
    if not uri.strip() or not step.isdecimal() or len(step) > STEP_DIGITS:
        uri, step = line, ""
    uri = absolute_uri(uri.strip())
    place = redact_uri(uri).partition("://")[2] or uri
    parts = place.strip("/").split("/")[-2:]  # a registry often calls every file the same
    number = int(step) if step else step_of("/".join(parts), pattern)
    return Checkpoint(uri, name_of("/".join(parts)), _listed_version(uri), number)


def _listed_version(uri: str) -> str:
    try:
        return stat(*filesystem_of(uri))[1]
    except (OSError, ValueError, pa.ArrowException, RayselError):
        return "unreachable"  # reading it fails too, with the reason, and the checkpoints after it are not held up


def _version(name: str, files: dict[str, str]) -> str:
    """Size and time of a file; of an ``.index.json`` also those of the files beside it that it may name."""
    if not name.endswith(".index.json"):
        return files[name]
    folder = posixpath.dirname(name)
    parts = [f"{each} {files[each]}" for each in sorted(files) if is_part(each) and posixpath.dirname(each) == folder]
    return f"{files[name]}-{hashlib.sha256(' '.join(parts).encode()).hexdigest()[:16]}"


def _order(checkpoint: Checkpoint) -> tuple[bool, int, str]:
    """Names with a step come first, so that ``last`` is found to be a copy and not the other way round."""
    return checkpoint.step is None, checkpoint.step or 0, checkpoint.name
