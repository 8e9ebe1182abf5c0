"""A CNN that is trained, and a bucket of its checkpoints that watchers index while it fills."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from raysel.checkpoints.discovery import checkpoints_at
from raysel.checkpoints.watching import Watch, WatchPass, look
from raysel.config import DeriveConfig, NetworkConfig, RunConfig, ScanConfig, SourceConfig
from raysel.pipeline.progress import Reporter
from tests.checkpoints.training import STEPS, draw_images, train
from tests.conftest import ROOT
from tests.object_store import BUCKET, ObjectStore, uri_of

BATCHES = 4
"""Forward passes that an index needs: 60 images, 16 at a time."""


@dataclass(frozen=True)
class Trained:
    folder: Path
    """With ``images`` and ``checkpoints`` in it."""
    checkpoints: list[Path]

    def config(self, log: Path | None = None) -> RunConfig:
        return RunConfig(
            source=SourceConfig(images=str(self.folder / "images")),
            network=NetworkConfig(
                network="tests.checkpoints.training:small", network_args={"log": str(log)} if log else {}
            ),
            scan=ScanConfig(workers=1, batch_size=16, rank_depth=30),
            derive=DeriveConfig(n_max=15),
        )


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("trained")
    return Trained(folder, train(draw_images(folder / "images"), folder / "checkpoints"))


@dataclass
class Bucket:
    """A bucket that checkpoints are uploaded to, and the indexes in it."""

    store: ObjectStore
    log: Path
    """A line for each forward pass in a worker."""
    prefix: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def checkpoints(self) -> str:
        return uri_of(f"{self.prefix}/checkpoints", self.store.endpoint)

    @property
    def indexes(self) -> str:
        return uri_of(f"{self.prefix}/indexes", self.store.endpoint)

    def upload(self, path: Path, name: str | None = None, share: float = 1.0) -> None:
        """Put the first part of a file."""
        content = path.read_bytes()
        key = f"{self.prefix}/checkpoints/{name or path.name}"
        self.store.client().put_object(Bucket=BUCKET, Key=key, Body=content[: int(len(content) * share)])

    def objects(self, below: str = "indexes") -> dict[str, tuple[str, Any]]:
        """Name -> etag and time of every object."""
        pages = self.store.client().get_paginator("list_objects_v2")
        found = pages.paginate(Bucket=BUCKET, Prefix=f"{self.prefix}/{below}/")
        objects = [each for page in found for each in page.get("Contents", [])]
        return {each["Key"].partition(f"/{below}/")[2]: (each["ETag"], each["LastModified"]) for each in objects}

    def manifests(self) -> dict[str, tuple[str, Any]]:
        return {name: seen for name, seen in self.objects().items() if name.endswith("/manifest.json")}

    def records(self) -> dict[str, dict[str, Any]]:
        """Name of a checkpoint -> what its watcher has recorded."""
        client, found = self.store.client(), {}
        for name in self.objects():
            if name.startswith(".watch/") and name.endswith(".json"):
                body = client.get_object(Bucket=BUCKET, Key=f"{self.prefix}/indexes/{name}")["Body"].read()
                found[name.removeprefix(".watch/").rpartition("-")[0]] = json.loads(body)
        return found

    def forwards(self) -> list[str]:
        """The process of each forward pass."""
        return self.log.read_text().splitlines() if self.log.exists() else []

    def look(self, config: RunConfig, together: int = 1) -> WatchPass:
        """A pass in this process."""
        find = lambda: checkpoints_at(self.checkpoints)  # noqa: E731
        return look(Watch(find, self.indexes, config, 0.0, together=together), Reporter())

    def write_config(self, file: Path, config: RunConfig) -> None:
        """The configuration, with the log of forward passes, as TOML."""
        file.write_text(
            f'[source]\nimages = "{config.source.images}"\n[network]\nnetwork = "{config.network.network}"\n'
            f'network_args = {{log = "{self.log}"}}\n[scan]\nworkers = 1\nbatch_size = 16\nrank_depth = 30\n'
            "[derive]\nn_max = 15\n"
        )


@contextmanager
def watcher(bucket: Bucket, file: Path, said: Path, *options: str) -> Iterator[subprocess.Popen]:
    """``raysel watch --once`` as a process on the tests' Ray."""
    import ray

    typed = ["watch", "--checkpoints", bucket.checkpoints, "--indexes", bucket.indexes, "--config", str(file)]
    typed += [*options, "--once", "--settle", "1s", "--json", "--address", ray.get_runtime_context().gcs_address]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "RAY_AUTH_MODE": "disabled"}
    with said.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "raysel", *typed], cwd=ROOT, env=environment, stdout=out, stderr=subprocess.STDOUT
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def killed_in_a_scan(bucket: Bucket, file: Path, said: Path, *options: str) -> list[str]:
    """Kill a watcher in its first forward pass; returns the process of each forward pass until then."""
    hold = bucket.log.with_suffix(".hold")
    hold.touch()
    with watcher(bucket, file, said, *options) as process:
        end = time.monotonic() + 400
        while not bucket.forwards():
            assert process.poll() is None, said.read_text()
            assert time.monotonic() < end, said.read_text()
            time.sleep(0.1)
        process.kill()
        process.wait()
    forwards = bucket.forwards()
    hold.unlink()
    return forwards


@dataclass(frozen=True)
class Story:
    """What was seen while the bucket filled."""

    bucket: Bucket
    config: RunConfig
    killed_in: int
    """Forward passes before the first watcher was killed."""
    two: tuple[int, int]
    """Exit statuses of two watchers at once."""
    after_two: dict[str, Any]
    """Manifests then."""
    records_after_two: dict[str, dict[str, Any]]
    forwards_of_two: int
    finished: WatchPass
    """The pass after the half-uploaded checkpoint was whole, and the rest there."""


@pytest.fixture(scope="session")
def story(
    trained: Trained, object_store: ObjectStore, local_ray: None, tmp_path_factory: pytest.TempPathFactory
) -> Story:
    """Four checkpoints and half of a fifth; a watcher is killed, two follow at once; then the rest comes."""
    folder = tmp_path_factory.mktemp("story")
    bucket, file = Bucket(object_store, folder / "forwards.log"), folder / "run.toml"
    config = trained.config(bucket.log)
    bucket.write_config(file, config)
    *whole, half, last = trained.checkpoints
    for path in whole:
        bucket.upload(path)
    bucket.upload(half, share=0.5)
    killed = killed_in_a_scan(bucket, file, folder / "killed")
    with watcher(bucket, file, folder / "one") as one, watcher(bucket, file, folder / "two") as two:
        statuses = one.wait(600), two.wait(600)
    after_two, records = bucket.manifests(), bucket.records()
    # An actor of the killed watcher may live on a little.
    forwards = len([process for process in bucket.forwards() if process not in killed])
    bucket.upload(half)
    bucket.upload(last)
    bucket.upload(last, "last.pth.tar")
    return Story(bucket, config, len(killed), statuses, after_two, records, forwards, bucket.look(config))


def step_folder(step: int) -> str:
    return f"step-{step:09d}-checkpoint-{step}"


ALL = [step_folder(step) for step in STEPS]
