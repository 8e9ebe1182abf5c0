"""Writes that succeed as a whole or leave no trace, on a local disk and in another file system."""

from __future__ import annotations

import errno
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
from pyarrow import fs

from raysel.errors import RayselError
from raysel.files import Folder


@pytest.fixture(params=["local", "object store"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Folder:
    """A folder on a local disk, and one in a file system where raysel cannot rename."""
    if request.param == "local":
        return Folder.at(tmp_path / "index")
    (tmp_path / "bucket").mkdir()
    # A local disk behind a Python handler, which raysel treats as a remote store. Its folders need not exist.
    fsspec = pytest.importorskip("fsspec")
    disk = fsspec.filesystem("file", auto_mkdir=True)
    store = fs.PyFileSystem(fs.FSSpecHandler(fsspec.filesystem("dir", path=str(tmp_path / "bucket"), fs=disk)))
    return Folder(store, "index", "s3://bucket/index")


def test_put_read_list_delete(folder: Folder) -> None:
    assert folder.list() == []
    folder.put("data/a/one.bin", b"one")
    folder.put("manifest.json", b"{}")
    folder.put("data/a/one.bin", b"other")
    assert folder.read("data/a/one.bin") == b"other"
    with folder.open("data/a/one.bin") as stream:
        stream.seek(2)
        assert stream.read(2) == b"he"
    assert [(file.name, file.size) for file in folder.list()] == [("data/a/one.bin", 5), ("manifest.json", 2)]
    assert [file.name for file in folder.list("data")] == ["data/a/one.bin"]
    assert folder.exists("manifest.json")
    assert not folder.exists("data/a")
    folder.delete("manifest.json")
    folder.delete("manifest.json")
    assert not folder.exists("manifest.json")
    folder.delete_below("data/a")
    folder.delete_below("data/nothing")
    assert folder.list() == []


def test_a_missing_file_is_left_to_the_caller(folder: Folder) -> None:
    with pytest.raises(FileNotFoundError):
        folder.read("manifest.json")
    with pytest.raises(FileNotFoundError):
        folder.open("manifest.json")


def test_a_failed_write_leaves_what_was_there(folder: Folder) -> None:
    folder.put("a", b"old")

    def write_half() -> None:
        with folder.writing("a") as path:
            path.write_bytes(b"ne")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert folder.read("a") == b"old"
    assert [file.name for file in folder.list()] == ["a"]


def test_local_put_is_a_rename_in_the_same_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Folder.at(tmp_path)
    seen: list[tuple[Path, Path, bytes]] = []
    rename = os.replace

    def watched(source: Any, target: Any) -> None:
        seen.append((Path(source), Path(target), Path(source).read_bytes()))
        assert not Path(target).exists()
        rename(source, target)

    monkeypatch.setattr(os, "replace", watched)
    folder.put("data/x/file", b"whole")
    [(source, target, content)] = seen
    assert source.parent == target.parent == tmp_path / "data" / "x"
    assert content == b"whole"
    assert [path.name for path in target.parent.iterdir()] == ["file"]


def test_unfinished_files_of_a_killed_process_are_not_listed(tmp_path: Path) -> None:
    folder = Folder.at(tmp_path)
    with folder.writing("data/file") as draft:
        draft.write_bytes(b"half")
        assert draft.parent == tmp_path / "data"
        assert folder.list() == []
        assert [file.name for file in folder.drafts()] == [f"data/{draft.name}"]
    assert folder.drafts() == []


def test_a_new_file_has_the_usual_permissions(tmp_path: Path) -> None:
    Folder.at(tmp_path).put("file", b"")
    (tmp_path / "plain").write_bytes(b"")
    assert (tmp_path / "file").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "data/../../x", ""])
def test_names_stay_inside(tmp_path: Path, name: str) -> None:
    with pytest.raises(RayselError, match="not a name of a file inside"):
        Folder.at(tmp_path).read(name)


def test_relative_paths_and_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    Folder.at("some/index").put("a", b"1")
    Folder.at("~/index").put("a", b"2")
    assert (tmp_path / "some/index/a").read_bytes() == b"1"
    assert (tmp_path / "home/index/a").read_bytes() == b"2"
    assert Folder.at("some/index").shown == "some/index"


def test_file_uri_is_local(tmp_path: Path) -> None:
    folder = Folder.at(tmp_path.as_uri())
    folder.put("a", b"1")
    assert folder.local
    assert (tmp_path / "a").read_bytes() == b"1"


def test_folder_travels_to_other_processes(tmp_path: Path) -> None:
    Folder.at(tmp_path).put("a", b"1")
    assert pickle.loads(pickle.dumps(Folder.at(tmp_path))).read("a") == b"1"


def test_no_secret_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    uri = "s3://AKIAKEY:verysecret@bucket/some/index?region=eu-west-1&endpoint_override=127.0.0.1%3A9"
    folder = Folder.at(uri)
    assert folder.shown == "s3://bucket/some/index"
    assert folder.path == "bucket/some/index"

    class Refusing:
        def open_input_stream(self, path: str) -> None:
            raise OSError(f"AKIAKEY:verysecret may not read {uri}\nsecond line")

    refusing = Folder(Refusing(), folder.path, folder.shown, folder.secrets)
    with pytest.raises(RayselError) as raised:
        refusing.read("manifest.json")
    assert "s3://bucket/some/index/manifest.json" in str(raised.value)
    assert not any(secret in str(raised.value) for secret in ("AKIAKEY", "verysecret", "eu-west-1", "second line"))


@pytest.mark.parametrize("uri", ["gopher://user:verysecret@bucket/x", "s3://key:verysecret@bucket/x?no_such_option=1"])
def test_a_uri_that_cannot_be_used_is_one_line_without_secrets(uri: str) -> None:
    with pytest.raises(RayselError, match=r"cannot reach gopher://bucket|unknown setting") as raised:
        Folder.at(uri)
    assert "verysecret" not in str(raised.value)
    assert "\n" not in str(raised.value)


def test_empty_path() -> None:
    with pytest.raises(RayselError, match="path is empty"):
        Folder.at("")


def test_an_error_of_the_disk_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(RayselError, match=r"cannot write .*file/inside"):
        Folder.at(tmp_path / "file").put("inside", b"")


def test_a_full_disk_is_one_line(folder: Folder) -> None:
    def write() -> None:
        with folder.writing("data/a"):
            raise OSError(errno.ENOSPC, "No space left on device")

    # What is sent to a store is written to the temporary folder first.
    place = r".*index/data/a" if folder.local else r"to /tmp.*, set TMPDIR to a larger disk"
    with pytest.raises(RayselError, match=rf"^cannot write {place}: .*No space left on device$"):
        write()
    assert folder.list() == []


def test_secrets_are_not_in_its_repr() -> None:
    assert "verysecret" not in repr(Folder.at("s3://key:verysecret@bucket/x?region=eu-west-1"))
