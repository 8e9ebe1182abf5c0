"""Parquet shards as Hugging Face's datasets writes them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raysel.errors import RayselError
from raysel.images import open_source
from tests.images.samples import contents, encoded, list_of, picture, write_files, write_tar
from tests.object_store import BUCKET, ObjectStore

IMAGE_TYPE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
FILES = [encoded(picture(20 + number, 16, number), "JPEG") for number in range(23)]


def write_shard(
    path: Path,
    rows: range,
    paths: list[str | None] | None = None,
    labels: list[int] | None = None,
    names: tuple[str, ...] = ("tench", "goldfish", "great white shark"),
    row_group_size: int | None = 5,
    **options: object,
) -> Path:
    """What `Dataset.to_parquet` writes for the features image: Image, label: ClassLabel."""
    paths = [f"train/{row:03d}.jpg" for row in rows] if paths is None else paths
    images = [{"bytes": FILES[row], "path": name} for row, name in zip(rows, paths, strict=True)]
    features = {"image": {"_type": "Image"}, "label": {"names": list(names), "_type": "ClassLabel"}}
    table = pa.table(
        {
            "image": pa.array(images, IMAGE_TYPE),
            "label": pa.array([row % 3 for row in rows] if labels is None else labels, pa.int64()),
        }
    ).replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, row_group_size=row_group_size, **options)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_shard(tmp_path / "data/train-00000-of-00002.parquet", range(12))
    write_shard(tmp_path / "data/train-00001-of-00002.parquet", range(12, 23))
    write_files(tmp_path, {"README.md": b"# dataset card"})
    return tmp_path


def test_images_keys_and_labels(folder: Path) -> None:
    source = open_source(str(folder))
    assert source.kind == "parquet"
    images = list_of(source)
    assert images.images["key"].to_pylist() == [f"train/{row:03d}.jpg" for row in range(23)]
    assert images.images["label"].to_pylist()[:4] == ["tench", "goldfish", "great white shark", "tench"]
    assert images.images["offset"].to_pylist() == [*range(12), *range(11)]
    assert contents(source, images) == {f"train/{row:03d}.jpg": data for row, data in enumerate(FILES)}


def test_ids_do_not_depend_on_shards_or_kind(folder: Path, tmp_path: Path) -> None:
    cut = list_of(open_source(str(folder))).images
    whole = list_of(open_source(str(write_shard(tmp_path / "all/one.parquet", range(23), row_group_size=None)))).images
    tar = write_tar(tmp_path / "t/a.tar", [(f"train/{row:03d}.jpg", data) for row, data in enumerate(FILES)])
    assert whole.select(["id", "key", "label"]).equals(cut.select(["id", "key", "label"]))
    assert [f"{key}.jpg" for key in list_of(open_source(str(tar))).images["key"].to_pylist()] == cut["key"].to_pylist()


def test_reading_in_any_order_and_some_rows(folder: Path) -> None:
    source = open_source(str(folder))
    shard = "data/train-00000-of-00002.parquet"
    rows = source.walk(shard).images
    for order in (
        [3],
        [0, 1, 4, 5, 11],
        [11, 5, 4, 1, 0],
        [2, 2, 7],
        np.random.default_rng(1).permutation(12).tolist(),
    ):
        assert list(source.read(shard, rows.take(order))) == [FILES[row] for row in order]
    assert list(source.read(shard, rows.slice(0, 0))) == []


def test_keys_if_paths_are_not_unique(tmp_path: Path) -> None:
    shard = write_shard(tmp_path / "a.parquet", range(5), ["x.jpg", "x.jpg", None, "", "./y.jpg"])
    keys = list_of(open_source(str(shard))).images["key"].to_pylist()
    assert keys == [*(f"a.parquet/{row:08d}" for row in range(4)), "y.jpg"]


def test_equal_paths_in_two_shards_get_the_shards_name(tmp_path: Path) -> None:
    for shard in range(2):
        write_shard(tmp_path / f"{shard}.parquet", range(2), ["a.jpg", f"own{shard}.jpg"])
    keys = list_of(open_source(str(tmp_path))).images["key"].to_pylist()
    assert keys == ["0.parquet/a.jpg", "1.parquet/a.jpg", "own0.jpg", "own1.jpg"]


def test_class_numbers_without_a_name_are_not_labels(tmp_path: Path) -> None:
    shard = write_shard(tmp_path / "a.parquet", range(4), labels=[-1, 2, 3, 0])
    labels = list_of(open_source(str(shard))).images["label"].to_pylist()
    assert labels == [None, "great white shark", None, "tench"]


def test_plain_columns_without_metadata(tmp_path: Path) -> None:
    table = pa.table({"jpg": pa.array(FILES[:3], pa.large_binary()), "cls": pa.array([7, None, 9], pa.int32())})
    pq.write_table(table, tmp_path / "a.parquet")
    source = open_source(str(tmp_path / "a.parquet"))
    images = list_of(source)
    assert images.images["key"].to_pylist() == [f"a.parquet/{row:08d}" for row in range(3)]
    assert images.images["label"].to_pylist() == ["7", None, "9"]
    assert list(contents(source, images).values()) == FILES[:3]


def test_a_large_row_group_is_streamed(tmp_path: Path) -> None:
    """Only some of its pages are held at a time. (Writers put up to 1,024 values into a page, whatever their size.)"""
    blobs = np.random.default_rng(0).bytes(200_000)
    rows = [{"bytes": blobs[n:] + blobs[:n], "path": f"{n}.jpg"} for n in range(300)]
    table = pa.table({"image": pa.array(rows, IMAGE_TYPE)})
    pq.write_table(table, tmp_path / "a.parquet", compression="none", use_dictionary=False, write_batch_size=8)
    del rows, table
    source = open_source(str(tmp_path / "a.parquet"))
    images = source.walk("a.parquet").images
    pool = pa.default_memory_pool()
    before, most = pool.bytes_allocated(), 0
    for _ in source.read("a.parquet", images):
        most = max(most, pool.bytes_allocated() - before)
    assert 1e6 < most < 45e6 < 60e6 < (tmp_path / "a.parquet").stat().st_size


def write_references(path: Path, rows: list[tuple[bytes | None, str | None]], **options: object) -> Path:
    """What `Dataset.to_parquet` writes without `embed_table_storage`: paths instead of bytes, or some of each."""
    images = pa.array([{"bytes": data, "path": name} for data, name in rows], IMAGE_TYPE)
    features = {"image": {"_type": "Image"}}
    table = pa.table({"image": images}).replace_schema_metadata(
        {"huggingface": json.dumps({"info": {"features": features}})}
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, **options)
    return path


def test_images_that_are_files_beside_the_table(tmp_path: Path) -> None:
    write_files(tmp_path, {f"images/{row}.jpg": FILES[row] for row in range(3)})
    absolute = tmp_path / "images/1.jpg"
    paths = ["../images/0.jpg", str(absolute), (tmp_path / "images/2.jpg").as_uri()]
    source = open_source(str(write_references(tmp_path / "data/a.parquet", [(None, path) for path in paths])))
    assert source.kind == "parquet"
    images = list_of(source)
    assert contents(source, images) == {
        "../images/0.jpg": FILES[0],
        str(absolute).lstrip("/"): FILES[1],
        paths[2]: FILES[2],
    }
    by_offset = sorted(images.images.to_pylist(), key=lambda row: row["offset"])
    assert [row["length"] for row in by_offset] == [len(FILES[row]) for row in range(3)]


@pytest.mark.parametrize("row_group_size", [4, 9, 100])
def test_some_images_in_the_table_and_some_beside_it(tmp_path: Path, row_group_size: int) -> None:
    write_files(tmp_path, {f"{row}.jpg": FILES[row] for row in range(3, 23, 2)})
    rows = [(None if row % 2 and row > 2 else FILES[row], f"{row}.jpg") for row in range(23)]
    source = open_source(str(write_references(tmp_path / "a.parquet", rows, row_group_size=row_group_size)))
    images = list_of(source)
    assert contents(source, images) == {f"{row}.jpg": data for row, data in enumerate(FILES)}
    walked = source.walk("a.parquet").images
    for order in ([22, 3, 4, 5], [5, 5, 6], list(range(23))):
        assert list(source.read("a.parquet", walked.take(order))) == [FILES[row] for row in order]


def test_a_file_beside_the_table_that_is_missing_is_a_fault(tmp_path: Path) -> None:
    write_files(tmp_path, {"0.jpg": FILES[0]})
    rows = [(None, "0.jpg"), (None, "gone.jpg"), (None, None), (FILES[1], None), (None, "http://host/x.jpg")]
    source = open_source(str(write_references(tmp_path / "a.parquet", rows)))
    images = list_of(source)
    assert sorted(contents(source, images).values()) == sorted(FILES[:2])
    assert {row["key"]: row["reason"] for row in images.faults.to_pylist()} == {
        "gone.jpg": "no such file",
        "a.parquet/00000002": "no path",
        "http://host/x.jpg": "raysel does not download from the web",
    }


def test_a_table_whose_files_are_all_elsewhere_is_refused_with_advice(tmp_path: Path) -> None:
    path = write_references(tmp_path / "a.parquet", [(None, f"/not/here/{row}.jpg") for row in range(150)])
    with pytest.raises(
        RayselError, match=r"a\.parquet .*/not/here/0\.jpg: no such file.*embed_table_storage"
    ) as raised:
        list_of(open_source(str(path)))
    assert "\n" not in str(raised.value)


def test_a_file_beside_the_table_that_changes_stops_the_run(tmp_path: Path) -> None:
    write_files(tmp_path, {"0.jpg": FILES[0]})
    source = open_source(str(write_references(tmp_path / "a.parquet", [(None, "0.jpg")])))
    rows = source.walk("a.parquet").images
    write_files(tmp_path, {"0.jpg": FILES[5]})
    with pytest.raises(RayselError, match=r"changed while it was read: .*0\.jpg"):
        list(source.read("a.parquet", rows))


def test_files_beside_a_table_in_a_bucket(s3: ObjectStore, tmp_path: Path) -> None:
    write_files(tmp_path, {f"images/{row}.jpg": FILES[row] for row in range(2)})
    paths = ["../images/0.jpg", f"s3://{BUCKET}/references/images/1.jpg"]
    write_references(tmp_path / "data/a.parquet", [(None, path) for path in paths])
    s3.upload(tmp_path, "references")
    source = open_source(f"s3://{BUCKET}/references/data")
    images = list_of(source)
    assert contents(source, images) == dict(zip(paths, FILES[:2], strict=True))


def test_an_image_without_bytes_in_a_table_without_paths_is_empty(tmp_path: Path) -> None:
    pq.write_table(pa.table({"jpg": pa.array([FILES[0], None], pa.binary())}), tmp_path / "a.parquet")
    source = open_source(str(tmp_path / "a.parquet"))
    assert list(contents(source, list_of(source)).values()) == [FILES[0], b""]


def test_a_corrupt_page_names_shard_and_row(tmp_path: Path) -> None:
    path = write_shard(tmp_path / "a.parquet", range(20), write_page_checksum=True, compression="none")
    source = open_source(str(path))
    rows = source.walk("a.parquet").images
    data = bytearray(path.read_bytes())
    spot = data.index(FILES[12]) + 100
    data[spot] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(RayselError, match=r"shard a\.parquet is broken in row group 2 after row 10, of 20 rows .*CRC"):
        list(source.read("a.parquet", rows))
    assert list(source.read("a.parquet", rows.slice(0, 10))) == FILES[:10]


@pytest.mark.parametrize("cut", [3, 200, -1, -200])
def test_a_truncated_file_names_the_shard(tmp_path: Path, cut: int) -> None:
    path = write_shard(tmp_path / "a.parquet", range(10))
    source = open_source(str(path))
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(RayselError, match=r"cannot read shard a\.parquet: "):
        source.walk("a.parquet")


def test_a_file_without_images(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["a"]}), tmp_path / "a.parquet")
    with pytest.raises(RayselError, match=r"a\.parquet has no column of images .* it has text"):
        list_of(open_source(str(tmp_path), "parquet"))
    with pytest.raises(RayselError, match=r"no image and no \.tar or \.parquet file of images"):
        open_source(str(tmp_path))


def test_a_table_of_labels_beside_images_is_not_a_source(tmp_path: Path) -> None:
    write_files(tmp_path, {"x/1.jpg": FILES[0]})
    pq.write_table(pa.table({"key": ["x/1.jpg"], "label": ["l"]}), tmp_path / "labels.parquet")
    assert open_source(str(tmp_path)).kind == "folder"


def test_glob_and_other_kind(folder: Path) -> None:
    assert open_source(f"{folder}/data/*-00001-*.parquet").shard_names() == ["train-00001-of-00002.parquet"]
    with pytest.raises(RayselError, match="is not a tar: leave the kind at auto, or give parquet"):
        open_source(f"{folder}/data/train-00000-of-00002.parquet", "tar")


def test_in_a_bucket(s3: ObjectStore, folder: Path) -> None:
    uri = s3.upload(folder, "parquet")
    there, here = open_source(uri), open_source(str(folder))
    listed = list_of(there)
    assert listed.images.equals(list_of(here).images)
    assert contents(there, listed) == contents(here, listed)
    assert open_source(f"s3://{BUCKET}/parquet/data/train-00000-of-00002.parquet").kind == "parquet"
