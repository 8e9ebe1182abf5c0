"""Passes of a watcher over a folder of checkpoints, with a stand-in for the index itself."""

from __future__ import annotations

import json
import os
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import torch

from raysel.checkpoints import indexing, watching
from raysel.checkpoints.attempts import FIRST_PAUSE, LONGEST_PAUSE, Attempts, pause_after
from raysel.checkpoints.discovery import checkpoints_at, checkpoints_listed_by
from raysel.checkpoints.watching import Watch, WatchPass, look
from raysel.config import DeriveConfig, NetworkConfig, RunConfig, SourceConfig
from raysel.errors import RayselError
from raysel.files import Folder
from raysel.pipeline.progress import Reporter
from raysel.store import Lease, locked

CONFIG = RunConfig(source=SourceConfig(images="images"), network=NetworkConfig(network="some:network"))


class Home:
    """A folder of checkpoints and one of indexes."""

    def __init__(self, folder: Path) -> None:
        self.checkpoints, self.indexes = folder / "checkpoints", folder / "indexes"
        self.checkpoints.mkdir()
        self.made: list[tuple[str, str, bool]] = []
        """(checkpoint, index, replace) of each call of `index`."""
        self.fault: Exception | None = None

    def index(self, config: RunConfig, _: Reporter) -> None:
        """In place of `raysel.pipeline.run.index`: writes a manifest that names the weights' content."""
        self.made.append((Path(config.network.weights or "").name, Path(config.out).name, config.replace))
        if self.fault:
            raise self.fault
        folder = Folder.at(config.out)
        if folder.exists("manifest.json") and not config.replace:
            raise RayselError("holds another index")
        folder.put("manifest.json", b"{}")

    def write(self, name: str, value: float, **more: object) -> Path:
        path = self.checkpoints / name
        torch.save({"state_dict": {"weight": torch.full((2, 2), float(value))}, **more}, path)
        return path

    def look(self, config: RunConfig = CONFIG, keep: int | None = None) -> WatchPass:
        find = lambda: checkpoints_at(str(self.checkpoints))  # noqa: E731
        return look(Watch(find, str(self.indexes), config, 0.0, keep), Reporter())

    def states(self, done: WatchPass) -> list[tuple[str, str]]:
        return [(each.name, each.state) for each in done.attempts]

    def rested(self) -> None:
        """Let the pause after every failure be over."""
        for path in (self.indexes / ".watch").glob("*.json"):
            record = json.loads(path.read_text())
            if "retry_at" in record:
                record["retry_at"] = "2020-01-01T00:00:00Z"
                path.write_text(json.dumps(record))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    made = Home(tmp_path)
    monkeypatch.setattr(indexing, "index", made.index)
    monkeypatch.setattr(watching, "Connection", lambda _: nullcontext(lambda: None))
    return made


def test_hard_links_and_copies_are_indexed_once(home: Home) -> None:
    """As timm links them, and as torchvision saves the same weights twice: the bytes of its two files differ."""
    first = home.write("checkpoint-1.pth.tar", 1)
    os.link(first, home.checkpoints / "last.pth.tar")
    torchvision = home.write("model_2.pth", 2), home.write("checkpoint.pth", 2)
    assert torchvision[0].read_bytes() != torchvision[1].read_bytes()
    done = home.look()
    assert [each[0] for each in home.made] == ["checkpoint-1.pth.tar", "model_2.pth"]
    copies = {each.name: each.index for each in done.attempts if each.state == "copy"}
    assert copies == {"checkpoint": "step-000000002-model_2", "last": "step-000000001-checkpoint-1"}
    assert home.look().attempts == []


def test_last_is_written_again_and_again(home: Home) -> None:
    """With its step inside, each has an index of its own; without one, the index is replaced."""
    for epoch in (4, 5):
        home.write("last.ckpt", epoch, epoch=epoch)
        home.write("best.pth", -epoch)
        home.look()
    assert home.made == [
        ("best.pth", "best", False),
        ("last.ckpt", "step-000000004-last", False),
        ("best.pth", "best", True),
        ("last.ckpt", "step-000000005-last", False),
    ]


def test_a_copy_is_indexed_when_what_it_copied_is_written_again(home: Home) -> None:
    home.write("a.pth", 1)
    home.write("b.pth", 1)
    assert home.states(home.look()) == [("a", "indexed"), ("b", "copy")]
    home.write("a.pth", 2)
    assert home.states(home.look()) == [("a", "indexed")]
    assert home.states(home.look()) == [("b", "indexed")]


def test_a_file_that_grows_is_left_alone(home: Home) -> None:
    home.write("checkpoint-1.pth", 1)
    growing = home.write("checkpoint-2.pth", 2)
    looks = []

    def find() -> list:
        found = checkpoints_at(str(home.checkpoints))
        if not looks:
            growing.write_bytes(growing.read_bytes() + b"more")
        looks.append(len(found))
        return found

    done = look(Watch(find, str(home.indexes), CONFIG, 0.0), Reporter())
    assert home.states(done) == [("checkpoint-1", "indexed")]
    assert done.growing == [str(growing)]
    assert not list((home.indexes / ".watch").glob("checkpoint-2*"))


def test_a_failure_is_recorded_and_rests_and_the_next_is_indexed(home: Home) -> None:
    (home.checkpoints / "checkpoint-1.pth").write_bytes(b"torn")
    home.write("checkpoint-2.pth", 2)
    done = home.look()
    assert home.states(done) == [("checkpoint-1", "failed"), ("checkpoint-2", "indexed")]
    (failed,) = done.failed
    assert "checkpoint-1.pth" in (failed.reason or "")
    again = home.look()
    assert again.attempts == []
    assert [each.name for each in again.failed] == ["checkpoint-1"], "it has not been mended"
    home.rested()
    assert [(each.name, each.failures) for each in home.look().attempts] == [("checkpoint-1", 2)]
    home.write("checkpoint-1.pth", 1)
    done = home.look()
    assert home.states(done) == [("checkpoint-1", "indexed")]
    assert done.failed == []


def test_an_index_that_fails_is_tried_again(home: Home) -> None:
    home.write("checkpoint-1.pth", 1)
    home.fault = KeyError("a defect")
    (failed,) = home.look().attempts
    assert (failed.state, failed.reason) == ("failed", "KeyError: 'a defect'")
    home.fault = None
    home.rested()
    assert home.states(home.look()) == [("checkpoint-1", "indexed")]


def test_pauses_double_up_to_a_day() -> None:
    assert [pause_after(count) for count in (1, 2, 3)] == [FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE]
    assert pause_after(100) == LONGEST_PAUSE


def test_a_failed_checkpoint_is_due_when_its_pause_is_over(home: Home) -> None:
    (home.checkpoints / "checkpoint-1.pth").write_bytes(b"torn")
    (failed,) = home.look().attempts
    (checkpoint,) = checkpoints_at(str(home.checkpoints))
    attempts, now = Attempts.read(Folder.at(home.indexes)), datetime.now(UTC)
    assert not attempts.due(checkpoint, failed.settings, now)
    assert attempts.due(checkpoint, failed.settings, now + FIRST_PAUSE + timedelta(seconds=1))


def test_other_options_do_not_replace_an_index(home: Home) -> None:
    home.write("checkpoint-1.pth", 1)
    home.look()
    other = RunConfig(source=CONFIG.source, network=CONFIG.network, derive=DeriveConfig(n_max=9))
    for _ in range(2):
        (failed,) = home.look(other).attempts
        assert (failed.state, failed.reason) == ("failed", "holds another index")
        home.rested()
    replacing = RunConfig(source=CONFIG.source, network=CONFIG.network, derive=DeriveConfig(n_max=9), replace=True)
    assert home.states(home.look(replacing)) == [("checkpoint-1", "indexed")]
    assert [each[2] for each in home.made] == [False, False, False, True]


def test_an_index_that_is_gone_is_made_again(home: Home) -> None:
    home.write("checkpoint-1.pth", 1)
    home.look()
    (home.indexes / "step-000000001-checkpoint-1" / "manifest.json").unlink()
    assert home.states(home.look()) == [("checkpoint-1", "indexed")]


def test_keep_the_newest(home: Home) -> None:
    """Older ones are removed, and not indexed in the first place."""
    mine = home.indexes / "mine" / "manifest.json"
    mine.parent.mkdir(parents=True)
    mine.write_text("{}")
    for step in (1, 2, 3):
        home.write(f"checkpoint-{step}.pth", step)
    home.write("best.pth", 9)
    assert home.states(home.look(keep=2)) == [
        ("checkpoint-2", "indexed"), ("checkpoint-3", "indexed"), ("best", "indexed")
    ]  # fmt: skip
    home.write("checkpoint-4.pth", 4)
    home.look(keep=2)
    there = {path.parent.name for path in home.indexes.glob("*/manifest.json")}
    assert there == {"step-000000003-checkpoint-3", "step-000000004-checkpoint-4", "best", "mine"}
    assert not (home.indexes / "step-000000002-checkpoint-2").exists()
    assert home.look(keep=2).attempts == []
    home.look(keep=1)
    assert not (home.indexes / "step-000000003-checkpoint-3").exists()


def test_keep_removes_what_earlier_versions_of_a_file_left(home: Home) -> None:
    """Of a file such as ``last.ckpt``, with the step inside: each version has an index of its own."""
    for epoch in range(1, 5):
        home.write("last.ckpt", epoch, epoch=epoch)
        home.look(keep=2)
    assert sorted(path.parent.name for path in home.indexes.glob("*/manifest.json")) == [
        "step-000000003-last",
        "step-000000004-last",
    ]
    (home.checkpoints / "last.ckpt").write_bytes(b"broken")
    assert home.states(home.look(keep=1)) == [("last", "failed")]
    assert [path.parent.name for path in home.indexes.glob("*/manifest.json")] == ["step-000000004-last"]
    assert home.look(keep=1).attempts == []


def test_files_of_others_are_never_removed(home: Home) -> None:
    """A folder with other files does not become an index; files that get into one later remain when it is removed."""
    theirs = home.indexes / "step-000000001-checkpoint-1" / "data" / "mine.csv"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("theirs")
    home.write("checkpoint-1.pth", 1)
    home.write("checkpoint-2.pth", 2)
    assert home.states(home.look()) == [("checkpoint-1", "failed"), ("checkpoint-2", "indexed")]
    notes = home.indexes / "step-000000002-checkpoint-2" / "notes.txt"
    notes.write_text("theirs")
    home.write("checkpoint-3.pth", 3)
    (failed,) = home.look(keep=1).failed
    assert "data/mine.csv" in (failed.reason or "")
    assert theirs.read_text() == notes.read_text() == "theirs"
    assert [path.parent.name for path in home.indexes.glob("*/manifest.json")] == ["step-000000003-checkpoint-3"]


def test_checkpoints_of_one_name_have_indexes_of_their_own(home: Home) -> None:
    """As registries name them: ``RUN/artifacts/model.pth``."""
    paths = [home.checkpoints / run / "artifacts" / "model.pth" for run in "ab"]
    for value, path in enumerate(paths):
        path.parent.mkdir(parents=True)
        home.write(str(path.relative_to(home.checkpoints)), value)
    listed = "; ".join(f"echo {path}" for path in paths)
    watch = Watch(lambda: checkpoints_listed_by(listed), str(home.indexes), CONFIG, 0.0)
    done = look(watch, Reporter())
    assert [each.state for each in done.attempts] == ["indexed", "indexed"]
    assert len({each.index for each in done.attempts}) == 2
    assert look(watch, Reporter()).attempts == []
    home.write("a/artifacts/model.pth", 7)
    assert [each.index for each in look(watch, Reporter()).attempts] == [done.attempts[0].index]


def test_another_watcher_at_work(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    home.write("checkpoint-1.pth", 1)
    with locked(Folder.at(home.indexes / ".watch"), print, Lease(beat_s=0.05)):
        done = home.look()
    assert "another watcher is at work" in (done.busy or "")
    assert home.made == []
    assert home.states(home.look()) == [("checkpoint-1", "indexed")]


def test_a_cluster_that_does_not_answer_is_no_checkpoint_s_fault(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise RayselError("no Ray cluster answers")

    home.write("checkpoint-1.pth", 1)
    with monkeypatch.context() as patch:
        patch.setattr(watching, "Connection", lambda _: nullcontext(refuse))
        with pytest.raises(RayselError, match="no Ray cluster answers"):
            home.look()
    assert home.states(home.look()) == [("checkpoint-1", "indexed")]
