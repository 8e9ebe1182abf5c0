"""Tables of labels, and how they match images."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raysel.errors import RayselError
from raysel.images import open_source, read_labels
from tests.images.samples import list_of
from tests.images.test_images_list import build, walked


def table(**labels: str | None) -> pa.Table:
    return pa.table({"key": pa.array(labels, pa.string()), "label": pa.array(labels.values(), pa.string())})


def pairs(found: pa.Table) -> list[tuple[str, str | None]]:
    assert [(field.name, str(field.type)) for field in found.schema] == [("key", "string"), ("label", "string")]
    return sorted(zip(found["key"].to_pylist(), found["label"].to_pylist(), strict=True))


def test_csv(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text('id,path,wnid\n1,./a/b.jpg,007\n2,"c, d.jpg","fish,\nred"\n3,e.jpg,\n3,e.jpg,\n')
    assert pairs(read_labels(str(path), None, "wnid")) == [
        ("a/b.jpg", "007"),
        ("c, d.jpg", "fish,\nred"),
        ("e.jpg", None),
    ]
    assert pairs(read_labels(str(path), "id", "path")) == [("1", "./a/b.jpg"), ("2", "c, d.jpg"), ("3", "e.jpg")]


def test_tsv_and_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "labels.tsv"
    path.write_bytes("\ufeffname\tlabel\na b\tx,y\n".encode())
    assert pairs(read_labels(str(path), None, "label")) == [("a b", "x,y")]
    assert pairs(read_labels(str(path), "name", "label")) == [("a b", "x,y")]


def test_parquet(tmp_path: Path) -> None:
    path = tmp_path / "labels.parquet"
    names = pa.array(["x", "y", None]).dictionary_encode()
    pq.write_table(pa.table({"n": [0, 1, 2], "filename": ["a", "b", "c"], "class": [5, None, 7], "name": names}), path)
    assert pairs(read_labels(str(path), None, "class")) == [("a", "5"), ("b", None), ("c", "7")]
    assert pairs(read_labels(str(path), None, "name")) == [("a", "x"), ("b", "y"), ("c", None)]


def test_errors(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    with pytest.raises(RayselError, match=r"no table at .*labels\.csv"):
        read_labels(str(path), None, "label")
    path.write_text("path,wnid\na,1\na,2\n")
    with pytest.raises(RayselError, match=r"no column 'label' in .*labels\.csv: it has path, wnid"):
        read_labels(str(path), None, "label")
    with pytest.raises(RayselError, match=r"no column 'file' in .*: it has path, wnid"):
        read_labels(str(path), "file", "wnid")
    with pytest.raises(RayselError, match=r"images with several labels in .*, the first is 'a'"):
        read_labels(str(path), None, "wnid")
    for unreadable in ([[1], [2]], [b"\xff", b"b"]):
        pq.write_table(pa.table({"path": ["a", "b"], "wnid": unreadable}), tmp_path / "labels.parquet")
        with pytest.raises(RayselError, match="cannot read the table"):
            read_labels(str(tmp_path / "labels.parquet"), None, "wnid")
    path.write_text("path,wnid\na,1\nb\n")
    with pytest.raises(RayselError, match="cannot read the table"):
        read_labels(str(path), None, "wnid")
    path.write_text("")
    with pytest.raises(RayselError, match="cannot read the table"):
        read_labels(str(path), None, "wnid")
    (tmp_path / "x.parquet").write_bytes(b"no parquet")
    with pytest.raises(RayselError, match="cannot read the table"):
        read_labels(str(tmp_path / "x.parquet"), None, "wnid")


@given(
    keys=st.sets(st.text("ab/.", min_size=1, max_size=5), min_size=1, max_size=20),
    known=st.dictionaries(st.text("ab/.", min_size=1, max_size=5), st.sampled_from("xyz"), max_size=20),
)
def test_exact_keys_come_first(keys: set[str], known: dict[str, str]) -> None:
    images = build(walked("a", sorted(keys)))
    if not keys & set(known):
        return
    found = images.with_labels(table(**known)).images.to_pylist()
    assert all(row["label"] == known[row["key"]] for row in found if row["key"] in known)


def matched(keys: list[str], **labels: str | None) -> list[str | None]:
    images = build(walked("a", keys, [f"own {key}" for key in keys])).with_labels(table(**labels))
    by_key = dict(zip(images.images["key"].to_pylist(), images.images["label"].to_pylist(), strict=True))
    return [by_key[key] for key in keys]


def test_match_without_suffix() -> None:
    assert matched(["a/1.jpg", "a/2.JPEG", "3"], **{"a/1": "x", "a/2": "y", "3.png": "z"}) == ["x", "y", "z"]
    assert matched(["v0.5", "v0.6.jpg"], **{"v0.5": "x", "v0.6": "y"}) == ["x", "y"]


def test_match_by_base_name_where_unique() -> None:
    assert matched(["a/1.jpg", "b/2.jpg"], **{"1.jpg": "x", "2": "y"}) == ["x", "y"]
    assert matched(["a/1.jpg", "b/1.jpg", "c/2.jpg"], **{"1.jpg": "x", "2.jpg": "y"}) == [None, None, "y"]
    assert matched(["1.jpg", "2.jpg"], **{"a/1.jpg": "x", "b/1.jpg": "z", "c/2.jpg": "y"}) == [None, "y"]


def test_a_base_name_does_not_match_in_another_folder() -> None:
    keys = ["cat/0.jpg", "dog/1.jpg", "eel/2.jpg", "3.jpg"]
    labels = {"zzz/0.jpg": "x", "1.jpg": "y", "/data/train/eel/2.JPEG": "z", "any/3.jpg": "w"}
    assert matched(keys, **labels) == [None, "y", "z", "w"]
    assert matched(["train/bee/1.jpg", "train/wasp/2.jpg"], **{"bee/1": "x", "p/2": "y"}) == ["x", None]
    with pytest.raises(RayselError, match=r"no image is in the label table: .*'cat/0.jpg'.*'thundercat/0.jpg'"):
        matched(["cat/0.jpg"], **{"thundercat/0.jpg": "x"})


def test_how_many_are_labeled() -> None:
    images = build(walked("a", ["1", "2", "3"]))
    assert images.labeled == 0
    assert images.with_labels(table(**{"1": "x", "3": None})).labeled == 1


def test_match_keys_told_apart_by_shard() -> None:
    images = build(walked("x.tar", ["1", "2"]), walked("y.tar", ["1"]))
    labeled = images.with_labels(table(**{"x.tar/1": "a", "2": "b"}))
    assert labeled.images["label"].to_pylist() == ["b", "a", None]


def test_images_without_a_row_have_no_label() -> None:
    assert matched(["1", "2", "3"], **{"1": "x", "3": None, "9": "y"}) == ["x", None, None]


def test_labels_leave_the_rest_alone() -> None:
    images = build(walked("a", ["1", "2"]))
    labeled = images.with_labels(table(**{"2": "x"}))
    assert labeled.digest == images.digest
    assert labeled.images.drop_columns("label").equals(images.images.drop_columns("label"))
    assert labeled.classes == ["x"]


@pytest.mark.parametrize(("labels", "example"), [({"n01/x.png": "x"}, "'n01/x.png'"), ({}, "the table has no keys")])
def test_nothing_matches(labels: dict[str, str], example: str) -> None:
    with pytest.raises(RayselError) as raised:
        build(walked("a", ["train/1.jpg"])).with_labels(table(**labels))
    assert "'train/1.jpg'" in str(raised.value)
    assert example in str(raised.value)


@pytest.mark.assets
def test_manifest_labels_all_photographs(assets: Path) -> None:
    folder = assets / "images"
    images = list_of(open_source(str(folder)))
    labeled = images.with_labels(read_labels(str(folder / "manifest.csv"), None, "wnid"))
    assert (images.images.num_rows, images.skipped) == (2911, 1)
    assert labeled.images["label"].null_count == 0
    assert len(labeled.classes) == 1000
    assert {row["label"] for row in images.images.to_pylist() if row["key"].startswith("nips17/")} == {"nips17"}
