"""``raysel watch`` as a person types it: what it refuses, and its exit status."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from raysel.checkpoints import watching
from raysel.errors import RayselError
from tests.typed import raysel_here

TOML = '[source]\nimages = "images"\n[network]\nnetwork = "some:network"\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "run.toml").write_text(TOML)
    (tmp_path / "checkpoints").mkdir()
    return tmp_path


def typed(folder: Path, *more: str) -> object:
    options = ("--config", "run.toml", "--indexes", "indexes", "--once", "--settle", "0")
    return raysel_here(folder, "watch", *options, *more)


def test_nothing_there(folder: Path) -> None:
    ended = typed(folder, "--checkpoints", "checkpoints")
    assert (ended.status, ended.out) == (0, "0 checkpoints, 0 indexed now, 0 failed\n")


def test_a_failure_is_shown_each_time_with_status_1(folder: Path) -> None:
    (folder / "checkpoints" / "checkpoint-1.pth").write_bytes(b"torn")
    first = typed(folder, "--checkpoints", "checkpoints")
    assert first.status == 1
    assert "checkpoint-1.pth failed: " in first.out
    again = typed(folder, "--checkpoints", "checkpoints")
    assert again.status == 1
    assert "failed, next try 20" in again.out
    (folder / "checkpoints" / "checkpoint-1.pth").write_bytes(b"torn again")
    assert typed(folder, "--checkpoints", "checkpoints").out.count("checkpoint-1.pth failed") == 1
    as_json = typed(folder, "--checkpoints", "checkpoints", "--json")
    said = json.loads(as_json.out)
    assert (as_json.status, said["checkpoints"], said["attempts"]) == (1, 1, [])
    assert said["failed"][0]["state"] == "failed"


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        ((), "give either --checkpoints or --list-command"),
        (("--checkpoints", "a", "--list-command", "b"), "give either --checkpoints or --list-command"),
        (("--checkpoints", "nowhere"), "no folder of checkpoints at"),
        (("--list-command", "exit 7"), "exit status 7"),
        (("--checkpoints", "checkpoints", "--every", "soon"), "--every 'soon' is not a duration"),
        (("--checkpoints", "checkpoints", "--keep", "0"), "--keep"),
        (("--checkpoints", "checkpoints", "--step-pattern", "x"), "needs one group"),
    ],
)
def test_what_is_refused(folder: Path, more: tuple[str, ...], fault: str) -> None:
    assert fault in typed(folder, *more).fault


def test_a_file_without_a_network(folder: Path) -> None:
    (folder / "run.toml").write_text("[scan]\nworkers = 1\n")
    assert "network and images missing" in typed(folder, "--checkpoints", "checkpoints").fault


def test_it_looks_again_and_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also after a look that failed, as a bucket may be back at the next."""
    looks: list[int] = []

    def look(*_: object) -> watching.WatchPass:
        looks.append(len(looks))
        if len(looks) == 1:
            raise RayselError("the bucket is away")
        if len(looks) == 3:
            raise KeyboardInterrupt
        return watching.WatchPass(5)

    monkeypatch.setattr(watching, "look", look)
    options = ("--config", "run.toml", "--indexes", "indexes", "--checkpoints", "checkpoints", "--every", "0.01s")
    ended = raysel_here(folder, "watch", *options)
    assert ended.status == 130
    assert len(looks) == 3
    assert "the bucket is away" in ended.err
    assert ended.out == "5 checkpoints, 0 indexed now, 0 failed\n"
