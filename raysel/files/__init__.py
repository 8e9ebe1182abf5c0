"""Files on local disks and in object stores behind one interface: list, read, read a range, put, conditional put.

Images, weights and indexes all go through here, so that retries, time limits and the removal of secrets from messages
are the same everywhere. A `Folder` holds an index; `read_bytes`, `open_file` and the functions beside them are for
single files.
"""

from raysel.files.conditional import ConditionalFile, conditional_file
from raysel.files.filesystems import as_raysel_error, check_access, filesystem_of, open_file, read_bytes, stat
from raysel.files.folder import Folder
from raysel.files.globs import matches, split_glob
from raysel.files.listing import list_folder
from raysel.files.paths import absolute_if_exists, absolute_uri, as_utf8, join_uri, redact_uri, split_uri, suffix

__all__ = [
    "ConditionalFile",
    "Folder",
    "absolute_if_exists",
    "absolute_uri",
    "as_raysel_error",
    "as_utf8",
    "check_access",
    "conditional_file",
    "filesystem_of",
    "join_uri",
    "list_folder",
    "matches",
    "open_file",
    "read_bytes",
    "redact_uri",
    "split_glob",
    "split_uri",
    "stat",
    "suffix",
]
