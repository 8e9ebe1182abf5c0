"""A table of URIs and labels as a source."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import csv

from raysel.errors import RayselError
from raysel.images import open_source
from tests.images.samples import contents, encoded, list_of, picture, write_files
from tests.object_store import BUCKET, ObjectStore

FILES = {f"{'ab'[n % 2]}/{n}.jpg": encoded(picture(20 + n, 16, n), "JPEG") for n in range(5)}


def write_table(folder: Path, text: str, name: str = "table.csv") -> str:
    write_files(folder, {name: text.encode()})
    return str(folder / name)


def test_relative_and_absolute_paths(tmp_path: Path) -> None:
    write_files(tmp_path / "images", FILES)
    absolute = tmp_path / "images/b/1.jpg"
    text = f"path,label\n../images/a/0.jpg,x\n{absolute},y\n{absolute.parent.as_uri()}/3.jpg,\n"
    source = open_source(write_table(tmp_path / "tables", text))
    assert source.kind == "table"
    images = list_of(source)
    found = dict(zip(images.images["key"].to_pylist(), images.images["label"].to_pylist(), strict=True))
    assert found == {
        "../images/a/0.jpg": "x",
        str(absolute).lstrip("/"): "y",
        f"{absolute.parent.as_uri()}/3.jpg": None,
    }
    assert sorted(contents(source, images).values()) == sorted(
        FILES[name] for name in ("a/0.jpg", "b/1.jpg", "b/3.jpg")
    )


@pytest.mark.parametrize("column", ["uri", "url", "image", "anything"])
def test_column_of_uris_is_found(tmp_path: Path, column: str) -> None:
    write_files(tmp_path, FILES)
    pq.write_table(pa.table({column: list(FILES), "label": [1, 2, 3, 4, None]}), tmp_path / "t.parquet")
    source = open_source(str(tmp_path / "t.parquet"))
    images = list_of(source)
    assert contents(source, images) == FILES
    by_key = dict(zip(images.images["key"].to_pylist(), images.images["label"].to_pylist(), strict=True))
    assert by_key == dict(zip(FILES, ["1", "2", "3", "4", None], strict=True))


def test_columns_by_name(tmp_path: Path) -> None:
    write_files(tmp_path, FILES)
    path = write_table(tmp_path, "path;x\n")  # another file, to be ignored
    path = write_table(tmp_path, "path,where,wnid\nno,a/0.jpg,n1\nno,a/2.jpg,n2\n")
    images = list_of(open_source(path, uri_column="where", label_column="wnid"))
    assert images.images["key"].to_pylist() == ["a/0.jpg", "a/2.jpg"]
    assert images.images["label"].to_pylist() == ["n1", "n2"]
    with pytest.raises(RayselError, match=r"no column 'class' in .*table\.csv: it has path, where, wnid"):
        open_source(path, label_column="class")


def test_no_labels_at_all(tmp_path: Path) -> None:
    write_files(tmp_path, FILES)
    images = list_of(open_source(write_table(tmp_path, "path\n" + "\n".join(FILES) + "\n"), label_column="label"))
    assert images.images["label"].null_count == len(FILES)


def test_a_file_that_cannot_be_read_is_a_fault(tmp_path: Path) -> None:
    write_files(tmp_path, FILES)
    text = "path,label\na/0.jpg,x\ngone.jpg,x\na/0.jpg,y\n,z\nhttp://host/x.jpg,x\na/0.jpg/inside.jpg,x\nb,x\n"
    images = list_of(open_source(write_table(tmp_path, text)))
    assert images.images["key"].to_pylist() == ["a/0.jpg"]
    assert images.images["label"].to_pylist() == ["x"]
    faults = dict(zip(images.faults["key"].to_pylist(), images.faults["reason"].to_pylist(), strict=True))
    assert faults["gone.jpg"] == "no such file"
    assert faults["a/0.jpg"] == "duplicate key: row 3 repeats row 1"
    assert faults["row 4"] == "no URI"
    assert faults["http://host/x.jpg"] == "raysel does not download from the web"
    assert {"a/0.jpg/inside.jpg", "b"} < set(faults)


@pytest.mark.parametrize("column", ["url", "URL"])
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_table_of_web_addresses_is_refused_with_advice(tmp_path: Path, column: str, suffix: str) -> None:
    table = pa.table({"SAMPLE_ID": [1, 2], column: ["https://host/0.jpg", "http://host/1.jpg"], "TEXT": ["a", "b"]})
    path = tmp_path / f"laion.{suffix}"
    pq.write_table(table, path) if suffix == "parquet" else csv.write_csv(table, path)
    with pytest.raises(RayselError, match=r"does not download from the web.*img2dataset") as raised:
        open_source(str(path)).shard_names()
    assert "\n" not in str(raised.value)


def test_a_folder_of_tables_asks_for_one_file(tmp_path: Path) -> None:
    pq.write_table(pa.table({"URL": ["https://host/0.jpg"]}), tmp_path / "part-0.parquet")
    with pytest.raises(RayselError, match=r"found 1 x \.parquet; if one is a table of paths or URIs, give the file"):
        open_source(str(tmp_path))


def test_long_tables_are_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raysel.images.sources.uri_table.SHARD_ROWS", 2)
    write_files(tmp_path, FILES)
    names = [*FILES, next(iter(FILES))]
    source = open_source(write_table(tmp_path, "path\n" + "\n".join(names) + "\n"))
    assert source.shard_names() == ["table.csv:000000000", "table.csv:000000002", "table.csv:000000004"]
    images = list_of(source)
    assert contents(source, images) == FILES
    assert images.faults["reason"].to_pylist() == ["duplicate key: row 6 repeats row 1"]


def test_changes_are_noticed(tmp_path: Path) -> None:
    write_files(tmp_path, FILES)
    path = write_table(tmp_path, "path\n" + "\n".join(FILES) + "\n")
    source = open_source(path)
    shard = source.shard_names()[0]
    rows, before = source.walk(shard).images, source.stamp(shard)
    write_files(tmp_path, {"a/0.jpg": b"other"})
    with pytest.raises(RayselError, match=r"changed while it was read: .*a/0\.jpg"):
        list(source.read(shard, rows))
    write_table(tmp_path, "path\n" + "\n".join(list(FILES)[1:]) + "\n")
    assert source.stamp(shard) != before
    with pytest.raises(RayselError, match=r"table\.csv was written again"):
        list(source.read(shard, rows, before.etag))


@pytest.mark.parametrize("text", ["", "path\n"])
def test_an_empty_table(tmp_path: Path, text: str) -> None:
    with pytest.raises(RayselError, match=r"no rows in|cannot read the table .*Empty CSV"):
        open_source(write_table(tmp_path, text)).shard_names()


def test_in_a_bucket(s3: ObjectStore, tmp_path: Path) -> None:
    write_files(tmp_path / "images", FILES)
    names = list(FILES)
    write_table(
        tmp_path / "lists", f"uri,label\n../images/{names[0]},x\ns3://{BUCKET}/tables/images/{names[1]},y\nno,z\n"
    )
    s3.upload(tmp_path, "tables")
    source = open_source(f"s3://{BUCKET}/tables/lists/table.csv")
    images = list_of(source)
    assert sorted(contents(source, images).values()) == sorted([FILES[names[0]], FILES[names[1]]])
    assert images.faults["key"].to_pylist() == ["no"]
