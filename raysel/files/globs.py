"""Globs in paths and URIs: ``*`` stays within a folder, ``**`` stands for any number of folders."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence


def split_glob(uri: str) -> tuple[str, str]:
    """(folder without wildcards, pattern below it); the pattern is empty if there is no wildcard.

    Wildcards are ``*``, ``[...]`` and, in paths, ``?``. The query of a URI, with its settings, stays with the folder.
    """
    wildcards = "*[" if "://" in uri else "*?["
    first = min((uri.index(sign) for sign in wildcards if sign in uri), default=-1)
    if first < 0:
        return uri, ""
    place, mark, query = uri.partition("?") if "://" in uri else (uri, "", "")
    folder = place.rindex("/", 0, first)
    return (place[:folder] + mark + query) or "/", place[folder + 1 :]


def matches(parts: Sequence[str], patterns: Sequence[str]) -> bool:
    """True if the parts of a name match a glob's, one by one."""
    if not patterns or not parts:
        return not parts and not patterns
    if patterns[0] == "**":
        return any(matches(parts[skipped:], patterns[1:]) for skipped in range(len(parts)))
    return fnmatch.fnmatchcase(parts[0], patterns[0]) and matches(parts[1:], patterns[1:])
