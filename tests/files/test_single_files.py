"""Single files by path or URI, and paths as text."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raysel.errors import RayselError
from raysel.files import (
    absolute_if_exists,
    absolute_uri,
    join_uri,
    open_file,
    read_bytes,
    redact_uri,
    split_uri,
    suffix,
)
from tests.object_store import BUCKET, ObjectStore


def test_by_path_and_by_uri(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a b.bin").write_bytes(b"content")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for place in (str(tmp_path / "a b.bin"), "a b.bin", "./a b.bin", "~/a b.bin", (tmp_path / "a b.bin").as_uri()):
        assert read_bytes(place, "file") == b"content"


def test_in_a_bucket(s3: ObjectStore) -> None:
    s3.client().put_object(Bucket=BUCKET, Key="single/a.bin", Body=b"content")
    assert read_bytes(f"s3://{BUCKET}/single/a.bin?read_timeout=5", "file") == b"content"
    with open_file(f"s3://{BUCKET}/single/a.bin", "file") as file:
        file.seek(3)
        assert file.read(2) == b"te"
    with pytest.raises(RayselError, match=f"no class list at s3://{BUCKET}/single/b.bin"):
        read_bytes(f"s3://{BUCKET}/single/b.bin?read_timeout=5", "class list")


def test_what_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(RayselError, match=r"no class list at .*nowhere"):
        read_bytes(str(tmp_path / "nowhere"), "class list")
    with pytest.raises(RayselError, match=r"cannot read the class list .*: .*directory"):
        read_bytes(str(tmp_path), "class list")
    (tmp_path / "a").write_bytes(b"")
    with (
        pytest.raises(RayselError, match=r"cannot read the class list .*/a: wrong content"),
        open_file(str(tmp_path / "a"), "class list"),
    ):
        raise ValueError("wrong content\nsecond line")


@pytest.mark.parametrize(
    "uri",
    [
        "https://key:verysecret@host/x?token=verysecret",
        "ftp://key:verysecret@host/x",
        "gs://key:verysecret@host/x",
        "abfs://key:verysecret@host/x?sig=verysecret",
        "s3://key:very/verysecret@host/x?no_such=1",
        "hf://key:verysecret@host/x",
    ],
)
def test_no_error_shows_a_secret(uri: str) -> None:
    with pytest.raises(RayselError) as raised:
        read_bytes(uri, "file")
    assert "verysecret" not in str(raised.value)
    assert "\n" not in str(raised.value)


def test_secrets_are_removed_from_uris() -> None:
    assert redact_uri("s3://key:se/cret@bucket/a@b/c?x=y") == "s3://bucket/a@b/c"
    assert redact_uri("s3://key:se@cret@bucket/a@b/c") == "s3://bucket/a@b/c"
    assert redact_uri("s3://key:12/cret@bucket/c") == "s3://bucket/c"
    assert redact_uri("http://host:9000/a@b/c") == "http://host:9000/a@b/c"
    assert redact_uri("s3://bucket/a:b/c@d") == "s3://bucket/a:b/c@d"


NAMES = st.text(st.characters(exclude_characters="/?", exclude_categories=["Cs"]), min_size=1).filter(
    lambda name: name not in (".", "..")
)


@given(
    folder=st.sampled_from(["/data", "/data/what?", "s3://bucket/a", "s3://k:s@b/a?region=x&scheme=http"]), name=NAMES
)
def test_split_is_the_inverse_of_join(folder: str, name: str) -> None:
    assert split_uri(join_uri(folder, name)) == (folder, name)


def test_suffix_is_that_of_the_path() -> None:
    assert suffix("s3://bucket/w.SafeTensors?a=b.pth") == "safetensors"
    assert suffix("/data/what?/a.tar") == "tar"
    assert suffix("a.b/c") == ""


def test_only_what_exists_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "w.pth").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    assert absolute_if_exists("w.pth") == str(tmp_path / "w.pth") == absolute_uri("./w.pth")
    for name in ("torchvision:resnet18", "nowhere.pth", "s3://bucket/w.pth"):
        assert absolute_if_exists(name) == name
