"""Image folders."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from raysel.errors import RayselError
from raysel.images import ImagesList, open_source
from tests.images.samples import contents, list_of, write_files

FILES = {
    "top.png": b"top",
    "cat/1.jpg": b"one",
    "cat/x.JPEG": b"two",
    "dog/deep/1.jpg": b"three",
    "dog/é ü#%20.tiff": b"four",
}


def test_keys_labels_and_bytes(tmp_path: Path) -> None:
    write_files(tmp_path, FILES)
    source = open_source(str(tmp_path))
    images = list_of(source)
    assert contents(source, images) == FILES
    labels = dict(zip(images.images["key"].to_pylist(), images.images["label"].to_pylist(), strict=True))
    assert labels == {
        "top.png": None,
        "cat/1.jpg": "cat",
        "cat/x.JPEG": "cat",
        "dog/deep/1.jpg": "deep",
        "dog/é ü#%20.tiff": "dog",
    }
    assert images.faults.num_rows == images.skipped == 0


def test_what_is_skipped(tmp_path: Path) -> None:
    write_files(
        tmp_path, {**FILES, "a.csv": b"", "cat/.hidden.jpg": b"", "__MACOSX/cat/1.jpg": b"", "cat/.x/1.jpg": b""}
    )
    images = list_of(open_source(str(tmp_path)))
    assert images.images["key"].to_pylist() == sorted(FILES)
    assert images.skipped == 3  # hidden first-level folders are not even listed


def test_a_pipe_is_a_fault(tmp_path: Path) -> None:
    write_files(tmp_path, FILES)
    os.mkfifo(tmp_path / "cat" / "pipe.jpg")
    images = list_of(open_source(str(tmp_path)))
    assert images.faults.to_pylist() == [
        {"key": "cat/pipe.jpg", "shard": "cat", "reason": "not a plain file"},
    ]
    assert images.images.num_rows == len(FILES)


def test_link_to_a_file_is_read(tmp_path: Path) -> None:
    write_files(tmp_path / "data", {"1.jpg": b"linked"})
    (tmp_path / "images" / "cat").mkdir(parents=True)
    (tmp_path / "images" / "cat" / "a.jpg").symlink_to(tmp_path / "data" / "1.jpg")
    source = open_source(str(tmp_path / "images"))
    assert contents(source, list_of(source)) == {"cat/a.jpg": b"linked"}


@pytest.mark.parametrize("change", ["add", "remove", "rename", "grow", "touch"])
def test_stamp_notices_a_change(tmp_path: Path, change: str) -> None:
    write_files(tmp_path, FILES)
    source = open_source(str(tmp_path))
    before = {name: source.stamp(name) for name in source.shard_names()}
    assert before == {name: source.walk(name).shard for name in source.shard_names()}
    image = tmp_path / "cat" / "1.jpg"
    if change == "add":
        (tmp_path / "cat" / "2.jpg").write_bytes(b"")
    elif change == "remove":
        image.unlink()
    elif change == "rename":
        image.rename(image.with_name("0.jpg"))
    elif change == "grow":
        stat = image.stat()
        image.write_bytes(b"longer than before")
        os.utime(image, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    else:
        os.utime(image, ns=(0, 0))
    after = {name: source.stamp(name) for name in source.shard_names()}
    assert {name for name in before if before[name] != after[name]} == {"cat"}


def test_other_files_do_not_change_the_stamp(tmp_path: Path) -> None:
    write_files(tmp_path, FILES)
    source = open_source(str(tmp_path))
    before = source.stamp("cat")
    write_files(tmp_path, {"cat/notes.txt": b"new", "cat/.DS_Store": b"new"})
    assert source.stamp("cat") == before


@pytest.mark.parametrize("change", ["gone", "shorter", "longer"])
def test_a_file_that_changes_during_a_run_stops_it_by_name(tmp_path: Path, change: str) -> None:
    write_files(tmp_path, FILES)
    source = open_source(str(tmp_path))
    images = source.walk("cat").images
    image = tmp_path / "cat" / "x.JPEG"
    if change == "gone":
        image.unlink()
    else:
        image.write_bytes(b"t" if change == "shorter" else b"two and more")
    with pytest.raises(RayselError, match=r"changed while it was read: .*cat/x\.JPEG"):
        list(source.read("cat", images))


def test_folder_that_is_gone(tmp_path: Path) -> None:
    write_files(tmp_path, FILES)
    source = open_source(str(tmp_path))
    for stage in (source.walk, source.stamp):
        with pytest.raises(RayselError, match=r"folder horse of .* is gone"):
            stage("horse")


def faults_of(root: Path) -> list[tuple[str, str]]:
    return [(row["key"], row["reason"]) for row in list_of(open_source(str(root))).faults.to_pylist()]


def test_names_that_are_not_utf8_are_faults(tmp_path: Path) -> None:
    write_files(tmp_path, FILES)
    root = os.fsencode(tmp_path)
    for folder in (b"cat/deep\xff", b"\xfe.v2"):
        os.makedirs(os.path.join(root, folder))
    for name in (b"cat/caf\xe9.jpg", b"cat/caf\xe9.txt", b"cat/deep\xff/1.jpg", b"\xfe.v2/1.jpg"):
        with open(os.path.join(root, name), "wb"):
            pass
    source = open_source(str(tmp_path))
    assert contents(source, list_of(source)) == FILES
    assert faults_of(tmp_path) == [
        (key, "its name is not UTF-8: rename it") for key in ("\\xfe.v2/", "cat/caf\\xe9.jpg", "cat/deep\\xff/")
    ]


def test_broken_links_are_faults(tmp_path: Path) -> None:
    write_files(tmp_path, FILES)
    (tmp_path / "cat" / "gone.jpg").symlink_to(tmp_path / "nothing.jpg")
    (tmp_path / "cat" / "self.jpg").symlink_to("self.jpg")
    (tmp_path / "cat" / "gone.txt").symlink_to("nothing.txt")
    (tmp_path / "horse").symlink_to(tmp_path / "nothing")
    assert faults_of(tmp_path) == [(key, "broken link") for key in ("cat/gone.jpg", "cat/self.jpg", "horse")]
    images = list_of(open_source(str(tmp_path)))
    assert images.images["key"].to_pylist() == sorted(FILES)
    assert images.skipped == 1


def test_links_upward_and_to_visited_folders_are_not_followed(tmp_path: Path) -> None:
    write_files(tmp_path, {"a/0.jpg": b"0", "a/b/1.jpg": b"1"})
    (tmp_path / "a" / "up").symlink_to("..")
    (tmp_path / "a" / "b" / "a").symlink_to(tmp_path / "a")
    (tmp_path / "a" / "aa").symlink_to("b")  # its name comes before that of the folder
    (tmp_path / "top").symlink_to(".")
    source = open_source(str(tmp_path))
    assert source.shard_names() == ["a"]
    assert contents(source, list_of(source)) == {"a/0.jpg": b"0", "a/b/1.jpg": b"1"}


def tree(root: Path) -> Path:
    return write_files(
        root, {"root/a/0.jpg": b"0", "root/b/1.jpg": b"1", "root/b/c/2.jpg": b"2", "other/x/3.jpg": b"3"}
    )


LINKS = {
    "first-level folder to a sibling": {"root/c": "b"},
    "first-level folder whose name comes first": {"root/Z": "b"},
    "inside a folder to a sibling": {"root/a/link": "../b"},
    "both ways": {"root/a/link": "../b", "root/b/link": "../a"},
    "to a part of a sibling": {"root/a/link": "../b/c", "root/z": "b/c"},
    "files": {"root/a/link.jpg": "../b/1.jpg", "root/link.jpg": "a/0.jpg", "root/a/again.jpg": "0.jpg"},
    "by an absolute path": {"root/a/link": "{}/root/b"},
}


@pytest.mark.parametrize("links", LINKS.values(), ids=LINKS)
def test_a_file_that_links_reach_too_is_listed_once_at_its_place(tmp_path: Path, links: dict[str, str]) -> None:
    tree(tmp_path)
    for link, target in links.items():
        (tmp_path / link).symlink_to(target.format(tmp_path))
    source = open_source(str(tmp_path / "root"))
    images = list_of(source)
    assert contents(source, images) == {"a/0.jpg": b"0", "b/1.jpg": b"1", "b/c/2.jpg": b"2"}
    assert images.faults.num_rows == 0
    assert images.skipped > 0


def test_a_file_outside_that_several_links_reach_is_listed_once_under_the_first_key(tmp_path: Path) -> None:
    tree(tmp_path)
    for link in ("root/c", "root/a/y", "root/a/w", "root/b/link"):
        (tmp_path / link).symlink_to(tmp_path / "other")
    (tmp_path / "root" / "d").symlink_to(tmp_path / "other" / "x")
    (tmp_path / "root" / "b" / "3.jpg").symlink_to(tmp_path / "other/x/3.jpg")
    source = open_source(str(tmp_path / "root"))
    assert contents(source, list_of(source)) == {
        "a/0.jpg": b"0",
        "a/w/x/3.jpg": b"3",
        "b/1.jpg": b"1",
        "b/c/2.jpg": b"2",
    }


def test_a_root_that_is_a_link_changes_nothing(tmp_path: Path) -> None:
    tree(tmp_path)
    (tmp_path / "root" / "c").symlink_to("b")
    (tmp_path / "entry").symlink_to("root")
    images = list_of(open_source(str(tmp_path / "entry")))
    assert images.images.equals(list_of(open_source(str(tmp_path / "root"))).images)


def test_links_to_files_that_are_not_listed_themselves_are_kept(tmp_path: Path) -> None:
    """As in caches that store content under hashes: in a hidden folder, or without a suffix."""
    write_files(tmp_path, {".store/aa.jpg": b"0", "blobs/e3b0": b"1", "a/2.jpg": b"2"})
    (tmp_path / "a" / "0.jpg").symlink_to("../.store/aa.jpg")
    (tmp_path / "a" / "1.jpg").symlink_to("../blobs/e3b0")
    source = open_source(str(tmp_path))
    assert contents(source, list_of(source)) == {"a/0.jpg": b"0", "a/1.jpg": b"1", "a/2.jpg": b"2"}


def test_a_link_to_a_shard_that_is_not_selected_is_followed(tmp_path: Path) -> None:
    tree(tmp_path)
    (tmp_path / "root" / "a" / "link").symlink_to("../b")
    source = open_source(str(tmp_path / "root"))
    images = ImagesList.build(source, [source.walk("a")])
    assert images.images["key"].to_pylist() == ["a/0.jpg", "a/link/1.jpg", "a/link/c/2.jpg"]


def test_image_without_permission_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_files(tmp_path, FILES)
    locked = tmp_path / "cat" / "x.JPEG"
    locked.chmod(0)
    if os.access(locked, os.R_OK):  # root can read everything
        may = os.access
        monkeypatch.setattr(os, "access", lambda path, mode: os.fspath(path) != str(locked) and may(path, mode))
    assert faults_of(tmp_path) == [("cat/x.JPEG", "no permission to read it")]
    source = open_source(str(tmp_path))
    assert contents(source, list_of(source)) == {key: data for key, data in FILES.items() if key != "cat/x.JPEG"}
    assert source.stamp("cat") == source.walk("cat").shard


@pytest.mark.skipif(not os.path.exists("/proc/self/mem"), reason="no file that raises an I/O error")
def test_an_image_with_an_io_error_is_empty(tmp_path: Path) -> None:
    write_files(tmp_path, FILES)
    (tmp_path / "cat" / "rotten.jpg").symlink_to("/proc/self/mem")  # address 0 is not mapped
    with pytest.raises(OSError, match="Input/output error"):
        (tmp_path / "cat" / "rotten.jpg").read_bytes()
    source = open_source(str(tmp_path))
    assert contents(source, list_of(source)) == {**FILES, "cat/rotten.jpg": b""}
