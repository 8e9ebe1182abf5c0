"""Paths and URIs as text: absolute, joined, without secrets, as valid UTF-8."""

from __future__ import annotations

import os
import re


def absolute_uri(uri: str) -> str:
    """A local path made absolute, for processes with another working directory; a URI with a scheme as it is."""
    if "://" in uri:
        return uri.rstrip("/")
    return os.path.abspath(os.path.expanduser(uri))


def redact_uri(uri: str) -> str:
    """The URI without user, password and query, fit for messages, logs and manifests."""
    return re.sub(r"^(\w[\w+.-]*://)[^/@]*@", r"\1", uri.partition("?")[0] if "://" in uri else uri)


def join_uri(uri: str, name: str) -> str:
    """A folder inside of another; the query of a URI, which says how to reach it, stays at the end."""
    place, sign, query = uri.partition("?") if "://" in uri else (uri, "", "")
    return f"{place.rstrip('/')}/{name}{sign}{query}"


def as_utf8(name: str) -> str:
    """A relative path without leading ``./`` or ``/``, as valid UTF-8 (bytes that are none become ``\\xNN``)."""
    name = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    while name.startswith(("./", "/")):
        name = name.removeprefix("./").lstrip("/")
    return name


def clean_path(path: str) -> str:
    """An absolute path as valid UTF-8."""
    return "/" + as_utf8(path) if path.startswith("/") else as_utf8(path)
