"""The images list beside an index: saved whole or not at all, and used only for the source and shards that it lists."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pytest

from raysel.files import Folder
from raysel.images import ImagesList, Source, open_source, select_shards
from raysel.pipeline.plan import load_plan, save_plan, unchanged
from raysel.store import PLAN_NAME
from tests.images.samples import list_of, write_files

FILES = {"a1/x.png": b"1", "a2/y.png": b"22", "b1/z.png": b"333", "b2/w.png": b"4444"}


@pytest.fixture
def source(tmp_path: Path) -> Source:
    return open_source(str(write_files(tmp_path / "in", FILES)))


def list_of_shards(source: Source, glob: str) -> ImagesList:
    return ImagesList.build(source, [source.walk(name) for name in select_shards(source.shard_names(), glob)])


def assert_equal(one: ImagesList | None, other: ImagesList) -> None:
    assert one is not None
    for name in ("images", "shards", "faults"):
        assert getattr(one, name).equals(getattr(other, name))
        assert getattr(one, name).schema.equals(getattr(other, name).schema, check_metadata=True)
    assert (one.skipped, one.digest) == (other.skipped, other.digest)


def test_saved_and_loaded(folder: Folder, source: Source, tmp_path: Path) -> None:
    (tmp_path / "in" / "a1" / "notes.txt").write_bytes(b"")
    os.mkfifo(tmp_path / "in" / "a1" / "pipe.jpg")
    images = list_of(source)
    assert images.skipped == images.faults.num_rows == 1
    assert load_plan(folder, source) is None
    save_plan(folder, source, images)
    assert_equal(load_plan(folder, source), images)


@pytest.mark.parametrize("tables", [0, 1, 2])
def test_a_save_that_is_interrupted_leaves_the_former_list(
    tables: int, local_folder: Folder, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After so many tables of a list of other shards, which has as many images."""
    former, other = list_of_shards(source, "a*"), list_of_shards(source, "b*")
    save_plan(local_folder, source, former)
    written, new_stream = [], pa.ipc.new_stream

    def interrupted(*arguments: object, **options: object) -> object:
        if len(written) == tables:
            raise KeyboardInterrupt
        written.append(arguments)
        return new_stream(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(pa.ipc, "new_stream", interrupted)
        with pytest.raises(KeyboardInterrupt):
            save_plan(local_folder, source, other)
    assert_equal(load_plan(local_folder, source), former)
    assert not local_folder.drafts()


def test_a_list_of_other_shards_is_not_used(source: Source) -> None:
    images = list_of_shards(source, "a*")
    assert unchanged(images, source, ["a1", "a2"])
    assert not unchanged(images, source, ["b1", "b2"])
    assert not unchanged(images, source, ["a1", "a2", "b1"])
    assert not unchanged(images, source, ["a1"])


def test_a_list_of_another_column_is_not_used(local_folder: Folder, tmp_path: Path) -> None:
    """Shards of a table have the table's name, size and etag, whichever column holds the URIs."""
    write_files(tmp_path, {"1.png": b"1", "2.png": b"2", "table.csv": b"left,right\n1.png,2.png\n"})
    left, right = (open_source(str(tmp_path / "table.csv"), uri_column=column) for column in ("left", "right"))
    save_plan(local_folder, left, list_of(left))
    assert_equal(load_plan(local_folder, left), list_of(left))
    assert load_plan(local_folder, right) is None


@pytest.mark.parametrize("damage", [lambda content: content[: len(content) // 2], lambda _: b"", lambda _: b"x" * 99])
def test_a_damaged_list_is_not_used(damage: object, local_folder: Folder, source: Source) -> None:
    save_plan(local_folder, source, list_of(source))
    local_folder.put(PLAN_NAME, damage(local_folder.read(PLAN_NAME)))  # type: ignore[operator]
    assert load_plan(local_folder, source) is None


def test_a_list_holds_no_secrets(local_folder: Folder, source: Source) -> None:
    """Credentials of a source's URI stay out of the file, and other ones make no difference."""
    images = list_of(source)
    with_key = [type(source)(uri) for uri in ("s3://name:secret@bucket/images?region=x", "s3://bucket/images")]
    save_plan(local_folder, with_key[0], images)
    assert b"secret" not in local_folder.read(PLAN_NAME)
    assert_equal(load_plan(local_folder, with_key[1]), images)
