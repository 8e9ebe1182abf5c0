"""The words that error messages share."""

from __future__ import annotations

import pytest

from raysel.errors import did_you_mean, first_line, type_and_first_line


@pytest.mark.parametrize(
    ("error", "line", "with_type"),
    [
        (ValueError("one\ntwo"), "one", "ValueError: one"),
        (ValueError("\n  one \n"), "one", "ValueError: one"),
        (ValueError(), "ValueError", "ValueError"),
        (KeyError("width"), "'width'", "KeyError: 'width'"),
        (FileNotFoundError(2, "No such file", "/x"), "No such file", "FileNotFoundError: No such file"),
    ],
)
def test_first_line(error: Exception, line: str, with_type: str) -> None:
    assert first_line(error) == line
    assert type_and_first_line(error) == with_type


def test_secrets_are_removed_before_a_long_line_is_cut() -> None:
    error = OSError("x" * 195 + "verysecret")
    assert first_line(error, ["verysecret"]) == "x" * 195 + "***"


def test_did_you_mean() -> None:
    assert did_you_mean("resnet19", ["vgg16", "resnet18"]) == "did you mean resnet18?"
    assert did_you_mean("x", ["b", "a"]) == "the known names are a, b"
    assert did_you_mean("x", [f"name-{number:02d}" for number in range(30)]).endswith("name-19 and 10 more")
