"""Paths and URIs as text: absolute, joined, split, without secrets, as valid UTF-8."""

from __future__ import annotations

import os
import posixpath
import re
from urllib.parse import parse_qsl

_CREDENTIALS = re.compile(r"(?<=://)(?:[^/]*@|[^/@:]*:(?!\d+/)[^@]*@|(?<=s3://)[^/@:]*:[^@]*@)")
"""``key:secret@`` after the scheme. A secret may hold an unescaped slash and looks like a path then. What looks
like a port (``:12/``) is one, except in ``s3://``, where buckets have none."""


def absolute_uri(uri: str) -> str:
    """A local path made absolute, for processes with another working directory; a URI with a scheme is unchanged."""
    if "://" in uri:
        return uri.rstrip("/")
    return os.path.abspath(os.path.expanduser(uri))


def absolute_if_exists(name: str) -> str:
    """`absolute_uri` of an existing local file or folder; anything else, such as a network's name, is unchanged."""
    path = absolute_uri(name)
    return path if "://" not in name and os.path.exists(path) else name


def redact_uri(uri: str) -> str:
    """The URI without user, password and query, fit for messages, logs and manifests."""
    return _CREDENTIALS.sub("", _split_query(uri)[0], count=1)


def secrets_of(uri: str) -> tuple[str, ...]:
    """The parts of a URI that must not appear in a message, longest first."""
    place, query = _split_query(uri)
    found = _CREDENTIALS.search(place)
    credentials = found[0].rstrip("@") if found else ""
    words = credentials.split(":") if ":" in credentials else []
    if not uri.startswith("s3://"):  # whose query has settings only
        words += [value for _, value in parse_qsl(query[1:])]
    texts = {credentials, query, *words} - {""}
    return tuple(sorted((uri, *texts), key=len, reverse=True)) if texts else ()


def join_uri(uri: str, name: str) -> str:
    """The URI of a name inside a folder. The query of the folder's URI, with its settings, stays at the end."""
    place, query = _split_query(uri)
    return f"{place.rstrip('/')}/{name}{query}"


def split_uri(uri: str) -> tuple[str, str]:
    """(folder, name): the inverse of `join_uri`."""
    place, query = _split_query(uri)
    folder, name = posixpath.split(place)
    return folder + query, name


def suffix(uri: str) -> str:
    """The last extension of a file's name in lower case, without its dot; empty if there is none."""
    name = posixpath.basename(_split_query(uri)[0])
    return name.rpartition(".")[2].lower() if "." in name else ""


def as_utf8(name: str) -> str:
    """A relative path without leading ``./`` or ``/``, as valid UTF-8: other bytes become ``\\xNN``."""
    name = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    while name.startswith(("./", "/")):
        name = name.removeprefix("./").lstrip("/")
    return name


def clean_path(path: str) -> str:
    """An absolute path as valid UTF-8."""
    return "/" + as_utf8(path) if path.startswith("/") else as_utf8(path)


def _split_query(uri: str) -> tuple[str, str]:
    """(URI without its query, query with its question mark); a local path has no query."""
    place, mark, query = uri.partition("?") if "://" in uri else (uri, "", "")
    return place, mark + query
