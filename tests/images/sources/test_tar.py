"""Tar shards: their headers, and bytes by range."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raysel.errors import RayselError
from raysel.images import open_source
from raysel.images.sources.tar import MERGED_BYTES, _merged
from tests.images.samples import contents, list_of, write_tar


def walk(path: Path) -> tuple[dict[str, str | None], int, list[dict[str, str]]]:
    """key -> label, files skipped, faults"""
    walked = open_source(str(path)).walk(path.name)
    keys = walked.images["key"].to_pylist()
    return (
        dict(zip(keys, walked.images["label"].to_pylist(), strict=True)),
        walked.skipped,
        walked.faults.to_pylist(),
    )


@given(lengths=st.lists(st.integers(0, 2000), min_size=1, max_size=30), kind=st.sampled_from([0, 1, 2]))
@settings(max_examples=25, deadline=None)
def test_ranges_are_the_files(tmp_path_factory: pytest.TempPathFactory, lengths: list[int], kind: int) -> None:
    folder = tmp_path_factory.mktemp("tar")
    long = "n" * (120 if kind else 1)  # names over 100 characters need an extra header in GNU and PAX tars
    files = {f"{long}{number:03d}": os.urandom(length) for number, length in enumerate(lengths)}
    members = [(f"{key}.jpg", data) for key, data in files.items()]
    write_tar(
        folder / "a.tar", [m for pair in zip(members, [("x.bin", b"skipped")] * 30, strict=False) for m in pair], kind
    )
    source = open_source(str(folder))
    assert contents(source, list_of(source)) == files


def test_read_in_any_order(tmp_path: Path) -> None:
    files = {f"{number}": bytes([number]) * (number * 7000) for number in range(20)}
    source = open_source(str(write_tar(tmp_path / "a.tar", [(f"{key}.png", data) for key, data in files.items()])))
    images = source.walk("a.tar").images
    rows = [5, 4, 4, 19, 0, 1, 2, 17]
    keys = [images["key"][row].as_py() for row in rows]
    assert list(source.read("a.tar", images.take(rows))) == [files[key] for key in keys]


@given(st.lists(st.tuples(st.integers(0, 200_000), st.integers(0, 6_000_000)), min_size=1, max_size=40))
def test_merged_ranges(steps: list[tuple[int, int]]) -> None:
    offsets, lengths, position = [], [], 0
    for gap, length in steps:
        offsets.append(position + gap)
        lengths.append(length)
        position += gap + length
    runs = list(_merged(offsets, lengths))
    assert [row for first, last in runs for row in range(first, last + 1)] == list(range(len(steps)))
    for first, last in runs:
        span = offsets[last] + lengths[last] - offsets[first]
        assert first == last or span <= MERGED_BYTES
        assert span - sum(lengths[first : last + 1]) <= 65_536 * (last - first)


def test_keys_and_labels(tmp_path: Path) -> None:
    path = write_tar(
        tmp_path / "a.tar",
        [
            ("./train/a.JPG", b"1"),
            ("./train/a.cls", b" 7\n"),
            ("b.json", b'{"label": "cat", "cls": 3}'),
            ("b.jpeg", b"2"),
            ("c.png", b"3"),
            ("c.txt", b"red mushroom"),
            ("c.json", b'{"class": 12}'),
            ("d.webp", b"4"),
            ("d.txt", b"first line\nsecond line: a caption"),
            ("e.jpg", b"5"),
            ("e.json", b"{broken"),
            ("f.v2.jpg", b"6"),
            ("f.cls", b"seven"),
            ("g.jpg", b"7"),
            ("g.json", b'{"label": null, "cls": "x"}'),
            ("h.jpg", b"8"),
            ("h.cls", b"\xff\xfe"),
            ("i.jpg", b"9"),
            ("i.json", b'{"label": [1, 2]}'),
            ("j.jpg", b"10"),
            ("j.cls", b"first"),
            ("j.json", b'{"label": "second"}'),
            ("j.txt", b"third"),
            ("notes.md", b"skipped"),
        ],
    )
    labels, skipped, faults = walk(path)
    assert labels == {
        "train/a": "7", "b": "cat", "c": "12", "d": None, "e": None, "f": "seven", "g": "x", "h": None, "i": None,
        "j": "first",
    }  # fmt: skip
    assert skipped == 1
    assert faults == []


def test_hidden_members_are_skipped(tmp_path: Path) -> None:
    path = write_tar(
        tmp_path / "a.tar", [("__MACOSX/a.jpg", b""), ("._a.jpg", b""), ("x/.thumb/a.jpg", b""), ("a.jpg", b"")]
    )
    assert walk(path) == ({"a": None}, 3, [])


def test_other_fields_of_a_sample_are_not_images(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar", [("a.depth.png", b"depth"), ("a.jpg", b"photo"), ("a.seg.png", b"mask")])
    source = open_source(str(path))
    images = list_of(source)
    assert contents(source, images) == {"a": b"photo"}
    assert images.skipped == 2


def test_second_image_of_a_key_is_a_fault(tmp_path: Path) -> None:
    path = write_tar(
        tmp_path / "a.tar", [("a.jpg", b"first"), ("b.jpg", b""), ("a.png", b"second"), ("a.jpg", b"third")]
    )
    source = open_source(str(path))
    images = list_of(source)
    assert contents(source, images) == {"a": b"first", "b": b""}
    assert [(fault["key"], fault["shard"]) for fault in images.faults.to_pylist()] == [("a", "a.tar")] * 2
    assert {fault["reason"] for fault in images.faults.to_pylist()} == {
        "duplicate key: a.png comes after a.jpg",
        "duplicate key: a.jpg comes after a.jpg",
    }


def test_links_are_faults(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as tar:
        link = tarfile.TarInfo("a.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "b.jpg"
        tar.addfile(link)
        member = tarfile.TarInfo("b.jpg")
        member.size = 3
        tar.addfile(member, io.BytesIO(b"abc"))
    assert walk(path) == ({"b": None}, 0, [{"key": "a", "reason": "a.jpg is a link, not a plain file"}])


def test_name_that_is_not_utf8(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar", [("caf\udce9.jpg", b"x")], tarfile.GNU_FORMAT)
    assert walk(path)[0] == {"caf\\xe9": None}


def truncations(path: Path) -> list[int]:
    size = path.stat().st_size
    return [1, 100, 511, 700, 1500, 2048, 3000, size - 10240, size // 2]


@pytest.mark.parametrize("cut", range(9))
def test_truncated_tar_names_itself(tmp_path: Path, cut: int) -> None:
    members = [(f"{number}.jpg", os.urandom(900)) for number in range(30)]
    path = write_tar(tmp_path / "part-7.tar", members)
    whole = path.read_bytes()
    path.write_bytes(whole[: truncations(path)[cut]])
    with pytest.raises(RayselError, match=r"shard part-7\.tar .*truncated.*members were read, the last is"):
        walk(path)


def test_a_truncated_tar_reports_what_was_read(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar", [(f"{number}.jpg", b"x" * 512) for number in range(10)])
    path.write_bytes(path.read_bytes()[: 4 * 1024 + 100])
    with pytest.raises(RayselError, match=r"4 members were read, the last is 3\.jpg"):
        walk(path)


def test_broken_header_in_the_middle(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar", [(f"{number}.jpg", b"x" * 512) for number in range(10)])
    data = bytearray(path.read_bytes())
    data[5 * 1024 : 5 * 1024 + 200] = b"\x55" * 200
    path.write_bytes(data)
    with pytest.raises(RayselError, match=r"shard a\.tar .*broken header at byte 5,120: 5 members were read"):
        walk(path)


def test_joined_tars_are_refused(tmp_path: Path) -> None:
    one = write_tar(tmp_path / "1.tar", [("a.jpg", b"x")]).read_bytes()
    (tmp_path / "both.tar").write_bytes(one + one)
    with pytest.raises(RayselError, match=r"both\.tar continues after its end marker"):
        walk(tmp_path / "both.tar")


@pytest.mark.parametrize("data", [b"", b"\x89PNG not a tar" * 100])
def test_not_a_tar(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.tar").write_bytes(data)
    with pytest.raises(RayselError, match=r"shard a\.tar"):
        walk(tmp_path / "a.tar")


def test_stamp_notices_a_change(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar", [("a.jpg", b"x")])
    source = open_source(str(path))
    before = source.stamp("a.tar")
    assert before == source.walk("a.tar").shard == source.stamp("a.tar")
    os.utime(path, ns=(0, 1))
    assert source.stamp("a.tar").etag != before.etag
    path.unlink()
    with pytest.raises(RayselError, match=r"shard a\.tar of .* is gone"):
        source.stamp("a.tar")


def test_read_past_the_end(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar", [("a.jpg", b"x" * 30_000)])
    source = open_source(str(path))
    images = source.walk("a.tar").images
    path.write_bytes(path.read_bytes()[:20_000])
    with pytest.raises(RayselError, match=r"changed while it was read: shard a\.tar"):
        list(source.read("a.tar", images))


def test_read_nothing(tmp_path: Path) -> None:
    source = open_source(str(write_tar(tmp_path / "a.tar", [("a.jpg", b"x")])))
    assert list(source.read("a.tar", pa.table({"key": [], "offset": [], "length": []}))) == []
