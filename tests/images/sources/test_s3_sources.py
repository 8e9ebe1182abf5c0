"""Folders, tars and lists of images in a real bucket: as on a disk, each image once, also when requests fail."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow.compute as pc
import pytest

from raysel.errors import RayselError
from raysel.images import open_source, read_labels
from tests.fault_proxy import FaultProxy, Kind, fault_proxy
from tests.images.samples import contents, encoded, list_of, picture, write_files, write_tar
from tests.object_store import BUCKET, ObjectStore, uri_of

PICTURES = [encoded(picture(60 + number, 50, number), "JPEG") for number in range(12)]


@pytest.fixture(scope="module")
def folder(object_store: ObjectStore, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same images as a folder, in two tars, and a table of labels; here and in the bucket."""
    root = tmp_path_factory.mktemp("sources")
    write_files(root / "folder", {f"{'ab'[n % 2]}/{n:02d}.jpg": data for n, data in enumerate(PICTURES)})
    write_files(
        root / "folder",
        {
            "a/notes.txt": b"no image",
            ".hidden/x.jpg": b"x",
            "c d/ü+1.jpg": PICTURES[0],
            "#1/100%25 ?.jpg": PICTURES[1],
            "a/\t.jpg": PICTURES[2],
        },
    )
    for shard in range(2):
        samples = [(f"{n:02d}.jpg", data) for n, data in enumerate(PICTURES) if n % 2 == shard]
        write_tar(root / f"tars/train-{shard}.tar", [*samples, *((f"{n[:2]}.cls", b"7") for n, _ in samples)])
    write_files(root, {"labels.csv": b"key,label\n" + b"".join(b"%02d,l%d\n" % (n, n) for n in range(12))})
    object_store.upload(root, "sources")
    return root


@pytest.fixture
def proxy(s3: ObjectStore) -> Iterator[FaultProxy]:
    with fault_proxy(s3.endpoint) as running:
        yield running


def through(proxy: FaultProxy, name: str) -> str:
    host = proxy.endpoint.removeprefix("http://")
    return f"s3://{BUCKET}/{name}?scheme=http&endpoint_override={host}&read_timeout=1&retry_for=60"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("folder", "folder"),
        ("folder/#1", "folder"),
        ("tars", "tar"),
        ("tars/train-*.tar", "tar"),
        ("tars/train-1.tar", "tar"),
    ],
)
def test_as_on_a_disk(s3: ObjectStore, folder: Path, name: str, kind: str) -> None:
    there, here = open_source(f"s3://{BUCKET}/sources/{name}"), open_source(str(folder / name))
    assert there.kind == here.kind == kind
    listed, local = list_of(there), list_of(here)
    assert listed.images.equals(local.images)
    assert listed.skipped == local.skipped
    assert listed.shards.select(["name", "size"]).equals(local.shards.select(["name", "size"]))
    assert contents(there, listed) == contents(here, local)


def test_labels_from_the_bucket(s3: ObjectStore, folder: Path) -> None:
    uri = f"s3://{BUCKET}/sources/labels.csv"
    assert read_labels(uri, None, "label").equals(read_labels(str(folder / "labels.csv"), None, "label"))


@pytest.mark.parametrize("name", ["folder", "tars"])
@pytest.mark.parametrize("kind", ["slow down", "reset", "stall"])
def test_each_image_once_through_faults(proxy: FaultProxy, folder: Path, name: str, kind: Kind) -> None:
    source = open_source(through(proxy, f"sources/{name}"))
    fault = proxy.inject(kind, every=3, times=2 if kind == "stall" else 6)
    images = list_of(source)
    read = [
        data
        for number, shard in enumerate(images.shards["name"].to_pylist())
        for data in source.read(shard, images.images.filter(pc.equal(images.images["shard"], number)))
    ]
    assert sorted(read) == sorted(contents(open_source(str(folder / name)), images).values())
    assert fault.done >= 2


def test_killed_and_restarted_between_two_reads(s3: ObjectStore, folder: Path) -> None:
    source = open_source(f"s3://{BUCKET}/sources/tars")
    images = list_of(source)
    rows = images.images.filter(pc.equal(images.images["shard"], 0))
    whole = list(source.read("train-0.tar", rows))
    s3.kill()
    with s3.restarting():
        assert list(source.read("train-0.tar", rows)) == whole


def test_a_stopped_server_is_waited_for(s3: ObjectStore, folder: Path) -> None:
    source = open_source(f"s3://{BUCKET}/sources/folder?read_timeout=0.5")
    images = list_of(source)
    with s3.stopped_for(1.5):
        started = time.monotonic()
        assert contents(source, images) == contents(open_source(str(folder / "folder")), images)
        assert time.monotonic() - started > 1


def test_a_shard_written_again_is_noticed(s3: ObjectStore, folder: Path) -> None:
    original = (folder / "tars/train-1.tar").read_bytes()
    put = s3.client().put_object
    put(Bucket=BUCKET, Key="changing/a.tar", Body=original)
    source = open_source(f"s3://{BUCKET}/changing")
    before = source.stamp("a.tar")
    put(Bucket=BUCKET, Key="changing/a.tar", Body=original[:600] + b"x" + original[601:])
    assert source.stamp("a.tar").etag != before.etag
    assert source.stamp("a.tar").size == before.size
    rows = source.walk("a.tar").images
    assert len(list(source.read("a.tar", rows, source.stamp("a.tar").etag))) == len(rows)
    with pytest.raises(RayselError, match=r"changed while it was read: shard a\.tar was written again"):
        next(source.read("a.tar", rows, before.etag))


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        (uri_of("sources/tars", key="nobody"), "the access key is not known there"),
        (uri_of("sources/tars", secret="wrong-secret"), "the secret key is wrong"),
        ("s3://no-such-bucket/sources", "no such bucket"),
        (f"s3://{BUCKET}/no/such/place", "no such file or folder"),
        (f"s3://{BUCKET}/sources/no*.tar", "no .tar file"),
        (f"s3://{BUCKET}/sources/folder/#1/no", "no such file or folder"),
        (uri_of("sources", endpoint="http://127.0.0.1:9"), "http://127.0.0.1:9 cannot be reached"),
        (f"s3://{BUCKET}/sources?no_such_setting=1", "unknown setting 'no_such_setting'"),
        ("s3:///sources", "needs a bucket"),
    ],
)
def test_what_cannot_work_is_reported_at_once(s3: ObjectStore, folder: Path, uri: str, said: str) -> None:
    started = time.monotonic()
    with pytest.raises(RayselError, match=said) as raised:
        open_source(uri)
    assert time.monotonic() - started < 60  # without retries, for which it has 120 s
    assert "\n" not in str(raised.value)
    assert not any(secret in str(raised.value) for secret in ("wrong-secret", "test1234"))
