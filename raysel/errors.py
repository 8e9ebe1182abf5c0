"""Errors that a user can fix, and the words that their messages share."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

_LONGEST_LINE = 200
_MOST_NAMES = 20


class RayselError(Exception):
    """An error that says in one line what is wrong and what to do.

    The command line prints the line and exits with status 2, without a stack trace unless ``--debug`` is given.
    """


class BadImageError(Exception):
    """One image cannot be used. It goes to quarantine with this reason, and the run continues."""


def first_line(error: BaseException, secrets: Iterable[str] = ()) -> str:
    """The first line of an error's text, without the `secrets`; the error's type if it has no text."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    for secret in secrets:
        text = text.replace(secret, "***")
    return next((line.strip()[:_LONGEST_LINE] for line in text.splitlines() if line.strip()), type(error).__name__)


def type_and_first_line(error: BaseException) -> str:
    """As `first_line`, after the error's type, which explains errors of foreign code: ``KeyError: 'width'``."""
    line, name = first_line(error), type(error).__name__
    return line if line == name else f"{name}: {line}"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown name: the known names that are similar, or else those there are."""
    names = sorted(known)
    if similar := get_close_matches(name, names, n=3, cutoff=0.5):
        return f"did you mean {', '.join(similar)}?"
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return f"the known names are {', '.join(names[:_MOST_NAMES])}{more}"
