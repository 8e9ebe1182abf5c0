"""Files on local disks and in S3 behind one interface: list, read, read by range, put, put under a condition.

Images, weights and indexes all go through here, so that retries, time limits and the removal of secrets from messages
are the same everywhere. A `Folder` is a place for an index; the functions serve whoever reads single files.
"""

from raysel.files.conditional import ConditionalFile, conditional_file
from raysel.files.filesystems import (
    as_raysel_error,
    check_access,
    filesystem_of,
    list_folder,
    list_folder_with_faults,
    put_file,
    s3_client,
    stat,
)
from raysel.files.folder import Folder, StoredFile
from raysel.files.paths import absolute_uri, as_utf8, join_uri, redact_uri

__all__ = [
    "ConditionalFile",
    "Folder",
    "StoredFile",
    "absolute_uri",
    "as_raysel_error",
    "as_utf8",
    "check_access",
    "conditional_file",
    "filesystem_of",
    "join_uri",
    "list_folder",
    "list_folder_with_faults",
    "put_file",
    "redact_uri",
    "s3_client",
    "stat",
]
