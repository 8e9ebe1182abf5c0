"""An index in a real bucket: put, read, list, remove, publish, open, also when requests fail."""

from __future__ import annotations

import pickle
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import raysel
from raysel.errors import RayselError
from raysel.files import Folder
from raysel.store import check_files
from tests.fault_proxy import FaultProxy, Kind, fault_proxy
from tests.object_store import BUCKET, READER_KEY, READER_SECRET, ObjectStore, uri_of
from tests.store.synthetic import build

DATA = bytes(range(256)) * 8_000


@pytest.fixture
def proxy(s3: ObjectStore) -> Iterator[FaultProxy]:
    with fault_proxy(s3.endpoint) as running:
        yield running


def through(proxy: FaultProxy, retry_for: float = 30) -> str:
    host = proxy.endpoint.removeprefix("http://")
    return f"s3://{BUCKET}/faults?scheme=http&endpoint_override={host}&read_timeout=1&retry_for={retry_for}"


def test_put_read_list_delete(s3: ObjectStore) -> None:
    folder = pickle.loads(pickle.dumps(Folder.at(f"s3://{BUCKET}/put-read-list").require_writable()))
    assert folder.list() == []
    folder.put("data/a/one.bin", DATA)
    folder.put("empty", b"")
    assert folder.read("data/a/one.bin") == DATA
    assert folder.read("empty") == b""
    with folder.open("data/a/one.bin") as stream:
        stream.seek(300)
        assert stream.read(3) == DATA[300:303]
        assert stream.read_at(10, 1_000) == DATA[1_000:1_010]
        assert stream.size() == len(DATA)
    assert [(file.name, file.size) for file in folder.list()] == [("data/a/one.bin", len(DATA)), ("empty", 0)]
    assert [file.name for file in folder.list("data")] == ["data/a/one.bin"]
    assert folder.exists("empty")
    assert not folder.exists("data/a")
    folder.delete("empty")
    folder.delete("empty")
    folder.delete_below("data")
    assert folder.list() == []
    with pytest.raises(FileNotFoundError):
        folder.read("empty")
    with pytest.raises(FileNotFoundError):
        folder.open("empty")


def test_listing_of_many_pages(s3: ObjectStore) -> None:
    client = s3.client()
    for number in range(1_003):
        client.put_object(Bucket=BUCKET, Key=f"many/{number:04d}", Body=b"x")
    assert [file.name for file in Folder.at(f"s3://{BUCKET}/many").list()] == [
        f"{number:04d}" for number in range(1_003)
    ]


def test_a_long_file_goes_in_parts(s3: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raysel.files.s3_filesystem.PART_BYTES", 5 << 20)
    content = DATA * 6
    folder = Folder.at(f"s3://{BUCKET}/parts")
    folder.put("long", content)
    assert folder.read("long") == content
    assert s3.client().head_object(Bucket=BUCKET, Key="parts/long")["ETag"].strip('"').endswith("-3")


@pytest.mark.parametrize(
    ("kind", "method", "path"),
    [("slow down", "PUT", "partNumber=2"), ("reset", "PUT", "partNumber=1"), ("reset", "POST", "uploadId=")],
)
def test_parts_survive_faults(
    proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch, kind: Kind, method: str, path: str
) -> None:
    monkeypatch.setattr("raysel.files.s3_filesystem.PART_BYTES", 5 << 20)
    folder = Folder.at(through(proxy))
    fault = proxy.inject(kind, method, path)
    folder.put(f"{method}-{kind}", DATA * 6)
    assert folder.read(f"{method}-{kind}") == DATA * 6
    assert fault.done == 1


def test_an_upload_that_fails_leaves_nothing(proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raysel.files.s3_filesystem.PART_BYTES", 5 << 20)
    folder = Folder.at(through(proxy, retry_for=0.5))
    proxy.inject("slow down", "PUT", "partNumber=2", times=1_000)
    with pytest.raises(RayselError, match="SlowDown"):
        folder.put("never", DATA * 6)
    assert not folder.exists("never")
    assert "DELETE" in [method for method, _, _ in proxy.requests]


def test_publish_and_open(s3: ObjectStore, tmp_path: Path) -> None:
    there = Folder.at(f"s3://{BUCKET}/indexes/one")
    build(there)
    build(Folder.at(tmp_path))
    index, local = raysel.open(f"s3://{BUCKET}/indexes/one"), raysel.open(tmp_path)
    assert check_files(there, index.manifest) == []
    assert index.neurons.equals(local.neurons)
    layer, channel = (local.neurons[name][0].as_py() for name in ("layer", "channel"))
    assert index.neuron(layer, channel).ranking.equals(local.neuron(layer, channel).ranking)


@pytest.mark.parametrize("kind", ["slow down", "reset", "stall"])
def test_puts_and_reads_survive_faults(proxy: FaultProxy, kind: Kind) -> None:
    folder = Folder.at(through(proxy))
    put = proxy.inject(kind, "PUT")
    folder.put("a", DATA)
    read = proxy.inject(kind, "GET", "/a")
    assert folder.read("a") == DATA
    listing = proxy.inject(kind, "GET", "list-type")
    assert {file.name: file.size for file in folder.list()}["a"] == len(DATA)
    assert (put.done, read.done, listing.done) == (1, 1, 1)


def test_patience_ends(proxy: FaultProxy) -> None:
    folder = Folder.at(through(proxy, retry_for=1))
    proxy.inject("slow down", "PUT", times=1_000)
    with pytest.raises(RayselError, match=r"cannot write s3://raysel/faults/a: .*SlowDown.*tried \d+ times") as raised:
        folder.put("a", DATA)
    assert "\n" not in str(raised.value)


def test_a_server_that_is_killed_and_restarted_is_waited_for(s3: ObjectStore) -> None:
    folder = Folder.at(f"s3://{BUCKET}/restart")
    folder.put("a", DATA)
    s3.kill()
    with s3.restarting():
        assert folder.read("a") == DATA


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        (uri_of("x", key="nobody"), "the access key is not known there"),
        (uri_of("x", secret="wrong-secret"), "the secret key is wrong"),
        ("s3://no-such-bucket/x", "no such bucket"),
        (uri_of("x", endpoint="http://127.0.0.1:9"), "http://127.0.0.1:9 cannot be reached"),
        (uri_of("x", key=READER_KEY, secret=READER_SECRET), "access denied"),
    ],
)
def test_what_cannot_work_is_reported_at_once(s3: ObjectStore, uri: str, said: str) -> None:
    folder = Folder.at(uri)
    started = time.monotonic()
    with pytest.raises(RayselError, match=said) as raised:
        folder.require_writable()
    assert time.monotonic() - started < 60  # without retries, for which it has 120 s
    assert "\n" not in str(raised.value)
    assert not any(secret in str(raised.value) for secret in ("wrong-secret", READER_SECRET, "test1234"))


def test_a_hanging_server_is_reported_within_seconds(s3: ObjectStore) -> None:
    started = time.monotonic()
    with s3.stopped(), pytest.raises(RayselError, match="does not answer"):
        raysel.open(f"s3://{BUCKET}/nothing")
    assert time.monotonic() - started < 60  # and not the 120 s of retries


def test_no_index_there(s3: ObjectStore) -> None:
    with pytest.raises(RayselError, match="no index"):
        raysel.open(f"s3://{BUCKET}/nothing")
