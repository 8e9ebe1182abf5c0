"""From a source to its images list: every shard is walked once, in parallel. The list is saved beside the index,
so that an unchanged source is not walked again."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import ray
from pyarrow.fs import LocalFileSystem

from raysel.files import Folder, filesystem_of
from raysel.files.paths import redact_uri
from raysel.images import ImagesList, Source, Walked, select_shards
from raysel.pipeline.cluster import Cluster
from raysel.pipeline.cluster.ray_errors import as_raysel_error_from_worker
from raysel.pipeline.progress import Reporter, Stage
from raysel.store import PLAN_NAME

_SOURCE, _SKIPPED = b"raysel.source", b"raysel.skipped"
_IN_FLIGHT = 256
_THREADS = 16
_FEW = 16
"""Local shards that are walked in less time than a task needs to start."""


@ray.remote(max_retries=-1, retry_exceptions=False)
def _walk(source: Source, shard: str) -> Walked:
    return source.walk(shard)


def images_list(
    source: Source, shards: str | None, folder: Folder | None, cluster: Callable[[], Cluster], reporter: Reporter
) -> tuple[ImagesList, bool]:
    """The images list of a source, and whether the source had to be walked for it.

    Args:
        source: where the images come from.
        shards: glob over the names of shards, None for all.
        folder: the index's folder; a list that `save_plan` wrote there is used if the source has not changed since.
        cluster: connects to Ray; called only if many shards, or shards elsewhere, have to be walked.
        reporter: shows the stage.

    Raises:
        RayselError: no shard matches, a shard cannot be read, or the source holds no image.
    """
    names = select_shards(source.shard_names(), shards)
    with reporter.stage("plan", "shards", len(names)) as stage:
        saved = load_plan(folder, source) if folder else None
        if saved is not None and unchanged(saved, source, names):
            return saved, False
        if len(names) <= _FEW and isinstance(filesystem_of(source.uri)[0], LocalFileSystem):
            walked = _walked_here(source, names, stage)
        else:
            cluster()
            walked = _walked_by_tasks(source, names, stage)
        return ImagesList.build(source, sorted(walked, key=lambda each: each.shard.name)), True


def _walked_here(source: Source, names: list[str], stage: Stage) -> list[Walked]:
    """Walk shards in this process, without Ray."""
    with ThreadPoolExecutor(_THREADS) as pool:
        walked = []
        for each in pool.map(source.walk, names):
            walked.append(each)
            stage.advance(1)
        return walked


def _walked_by_tasks(source: Source, names: list[str], stage: Stage) -> list[Walked]:
    """Walk shards on the whole cluster."""
    waiting, walked = list(reversed(names)), []
    running: list[ray.ObjectRef] = []
    with as_raysel_error_from_worker():
        while waiting or running:
            while waiting and len(running) < _IN_FLIGHT:
                running.append(_walk.remote(source, waiting.pop()))
            ready, running = ray.wait(running)
            walked += ray.get(ready)
            stage.advance(len(ready))
    return walked


def unchanged(images: ImagesList, source: Source, names: list[str]) -> bool:
    """True if the list holds the shards `names` as they are now. Empty shards may be missing in it."""
    known = {row["name"]: (row["size"], row["etag"]) for row in images.shards.to_pylist()}
    if not set(known) <= set(names):
        return False
    with ThreadPoolExecutor(_THREADS) as pool:
        stamps = list(pool.map(source.stamp, names))
    present = {stamp.name: (stamp.size, stamp.etag) for stamp in stamps}
    return all(present[name] == stamp for name, stamp in known.items()) and all(
        stamp.size == 0 for stamp in stamps if stamp.name not in known
    )


def save_plan(folder: Folder, source: Source, images: ImagesList) -> None:
    """Save the images list of a source beside the index in `folder`.

    Three Arrow IPC streams one after the other: shards, faults, images. They are one file, put at once: a list never
    mixes the tables of two sources or of two selections of shards.
    """
    about = {_SOURCE: _settings(source), _SKIPPED: str(images.skipped).encode()}
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with folder.writing(PLAN_NAME) as path, pa.OSFile(str(path), "wb") as file:
        for table in (images.shards.replace_schema_metadata(about), images.faults, images.images):
            with pa.ipc.new_stream(file, table.schema, options=options) as stream:
                stream.write_table(table)


def load_plan(folder: Folder, source: Source) -> ImagesList | None:
    """What `save_plan` wrote; None if there is no such file, it is damaged, or it lists another source."""
    try:
        file = pa.BufferReader(folder.read(PLAN_NAME))
        shards, faults, images = (pa.ipc.open_stream(file).read_all() for _ in range(3))
    except (FileNotFoundError, pa.ArrowInvalid, OSError):
        return None
    about = shards.schema.metadata or {}
    if about.get(_SOURCE) != _settings(source):
        return None
    return ImagesList(images, shards.replace_schema_metadata(None), faults, int(about[_SKIPPED]))


def _settings(source: Source) -> bytes:
    """What a list of the source depends on besides its shards, such as a table's columns; without secrets."""
    settings = {name: redact_uri(str(value)) for name, value in vars(source).items()}
    return json.dumps({"kind": source.kind, **settings}, sort_keys=True).encode()
