"""Which source a URI leads to, and the message if it leads nowhere."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from raysel.errors import RayselError
from raysel.files import redact_uri
from raysel.images import Source, open_source
from tests.images.samples import write_files, write_tar

IMAGE = b"not decoded here"


def test_folder_of_images(tmp_path: Path) -> None:
    write_files(tmp_path, {"cat/1.JPEG": IMAGE, "dog/deep/2.png": IMAGE, "top.jpg": IMAGE, ".cache/3.jpg": IMAGE})
    source = open_source(str(tmp_path))
    assert source.kind == "folder"
    assert source.shard_names() == ["", "cat", "dog"]
    assert isinstance(source, Source)


def test_root_without_files_of_its_own_is_no_shard(tmp_path: Path) -> None:
    write_files(tmp_path, {"cat/1.jpg": IMAGE})
    assert open_source(str(tmp_path)).shard_names() == ["cat"]


def test_folder_glob_and_file_of_tars(tmp_path: Path) -> None:
    for name in ("b-1.tar", "a-0.tar", "deep/c-2.tar"):
        write_tar(tmp_path / name, [("1.jpg", IMAGE)])
    assert open_source(str(tmp_path)).shard_names() == ["a-0.tar", "b-1.tar", "deep/c-2.tar"]
    assert open_source(str(tmp_path / "?-*.tar")).shard_names() == ["a-0.tar", "b-1.tar"]
    assert open_source(str(tmp_path / "*" / "c-*.tar")).shard_names() == ["deep/c-2.tar"]
    assert open_source(str(tmp_path / "**" / "*.tar")).shard_names() == ["a-0.tar", "b-1.tar", "deep/c-2.tar"]
    assert open_source(str(tmp_path / "b-1.tar")).shard_names() == ["b-1.tar"]
    assert open_source(f"file://{tmp_path}").shard_names() == ["a-0.tar", "b-1.tar", "deep/c-2.tar"]
    assert open_source(f"file://{tmp_path}/[ab]-*.tar").shard_names() == ["a-0.tar", "b-1.tar"]


def test_name_that_looks_like_a_glob(tmp_path: Path) -> None:
    write_tar(tmp_path / "set [1]" / "a[0].tar", [("1.jpg", IMAGE)])
    write_tar(tmp_path / "set [1]" / "a0.tar", [("1.jpg", IMAGE)])
    assert open_source(str(tmp_path / "set [1]")).shard_names() == ["a0.tar", "a[0].tar"]
    assert open_source(str(tmp_path / "set [1]" / "a[0].tar")).shard_names() == ["a[0].tar"]


def test_kind_chooses_between_images_and_tars(tmp_path: Path) -> None:
    write_tar(tmp_path / "a.tar", [("1.jpg", IMAGE)])
    write_files(tmp_path, {"1.jpg": IMAGE})
    assert open_source(str(tmp_path)).kind == "tar"
    assert open_source(str(tmp_path), "folder").kind == "folder"


def test_relative_path_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_files(tmp_path, {"images/1.jpg": IMAGE})
    monkeypatch.chdir(tmp_path)
    assert open_source("images").uri == str(tmp_path / "images")


def test_sources_travel(tmp_path: Path) -> None:
    write_files(tmp_path, {"f/1.jpg": IMAGE})
    write_tar(tmp_path / "t" / "a.tar", [("1.jpg", IMAGE)])
    for place in ("f", "t"):
        source = open_source(str(tmp_path / place))
        packed = pickle.dumps(source)
        assert pickle.loads(packed) == source
        assert len(packed) < 1000


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(RayselError, match=r"no such file or folder: .*nowhere"):
        open_source(str(tmp_path / "nowhere"))
    with pytest.raises(RayselError, match=r"no \.tar file at .*x-\*\.tar"):
        open_source(str(tmp_path / "x-*.tar"))
    with pytest.raises(RayselError, match="no images given"):
        open_source("")


def test_empty(tmp_path: Path) -> None:
    with pytest.raises(RayselError, match="is empty"):
        open_source(str(tmp_path))


@pytest.mark.parametrize(
    ("kind", "wanted"), [("auto", "no image and no .tar or .parquet file of images"), ("folder", "no image in")]
)
def test_nothing_that_is_an_image(tmp_path: Path, kind: str, wanted: str) -> None:
    write_files(tmp_path, {"a/1.txt": b"", "a/2.txt": b"", "b/c.csv": b"", "README": b""})
    with pytest.raises(RayselError) as raised:
        open_source(str(tmp_path), kind)
    assert wanted in str(raised.value)
    assert "2 x .txt" in str(raised.value)
    assert "1 x .csv" in str(raised.value)
    assert "1 x no suffix" in str(raised.value)


def test_tar_wanted_and_images_there(tmp_path: Path) -> None:
    write_files(tmp_path, {"a/1.jpg": b""})
    with pytest.raises(RayselError, match=r"no \.tar file in .*: found 1 x \.jpg"):
        open_source(str(tmp_path), "tar")


@pytest.mark.parametrize("name", ["a.tar.gz", "b.TGZ"])
@pytest.mark.parametrize("how", ["file", "folder", "glob"])
def test_compressed_tar_is_refused(tmp_path: Path, name: str, how: str) -> None:
    write_files(tmp_path, {name: b"\x1f\x8b"})
    place = {"file": tmp_path / name, "folder": tmp_path, "glob": tmp_path / "*"}[how]
    with pytest.raises(RayselError, match=f"{name} is a compressed tar, which has no byte ranges"):
        open_source(str(place))


def test_compressed_tar_beside_others_is_not_left_out_silently(tmp_path: Path) -> None:
    write_tar(tmp_path / "a.tar", [("1.jpg", IMAGE)])
    write_files(tmp_path, {"b.tar.gz": b""})
    with pytest.raises(RayselError, match="compressed"):
        open_source(str(tmp_path))


def test_other_refusals(tmp_path: Path) -> None:
    write_files(tmp_path, {"1.jpg": IMAGE})
    with pytest.raises(RayselError, match=r"is one file, but not \.tar"):
        open_source(str(tmp_path / "1.jpg"))
    with pytest.raises(RayselError, match="unknown kind of source 'zip'"):
        open_source(str(tmp_path), "zip")
    write_tar(tmp_path / "a.tar", [("1.jpg", IMAGE)])
    with pytest.raises(RayselError, match="is not an image folder"):
        open_source(str(tmp_path / "a.tar"), "folder")
    with pytest.raises(RayselError, match="cannot reach gopher://there"):
        open_source("gopher://there/images")


def test_no_secret_is_shown() -> None:
    assert redact_uri("s3://key:se%2Fcret@bucket/a@b/c?endpoint_override=x&secret=y") == "s3://bucket/a@b/c"
    assert redact_uri("/data/what?/a@b") == "/data/what?/a@b"
