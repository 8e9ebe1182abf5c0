"""From a source to its images list: every shard walked once, in parallel tasks, and not again while it is unchanged."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import ray

from raysel.errors import RayselError
from raysel.images import ImagesList, Source, Walked, select_shards
from raysel.pipeline.cluster import Cluster
from raysel.pipeline.progress import Reporter, Stage
from raysel.pipeline.ray_errors import as_raysel_error_from_worker

PLAN = "plan"
"""Folder beside an index for the images list of its source."""

_IN_FLIGHT = 256
_STAMPS = 16


@ray.remote(max_retries=-1, retry_exceptions=False)
def _walk(source: Source, shard: str) -> Walked:
    return source.walk(shard)


def plan(source: Source, names: list[str], stage: Stage) -> ImagesList:
    """Walk the shards `names` of a source.

    Raises:
        RayselError: a shard cannot be read, or the source holds no image.
    """
    waiting, walked = list(reversed(names)), []
    running: list[ray.ObjectRef] = []
    with as_raysel_error_from_worker():
        while waiting or running:
            while waiting and len(running) < _IN_FLIGHT:
                running.append(_walk.remote(source, waiting.pop()))
            ready, running = ray.wait(running)
            walked += ray.get(ready)
            stage.advance(len(ready))
    return ImagesList.build(source, sorted(walked, key=lambda each: each.shard.name))


def unchanged(images: ImagesList, source: Source, names: list[str]) -> bool:
    """True if every shard of the list is as it was when it was walked, and none was added or taken away."""
    known = {row["name"]: (row["size"], row["etag"]) for row in images.shards.to_pylist()}
    if not set(known) <= set(names):
        return False
    with ThreadPoolExecutor(_STAMPS) as pool:
        stamps = list(pool.map(source.stamp, names))
    present = {stamp.name: (stamp.size, stamp.etag) for stamp in stamps}
    return all(present[name] == stamp for name, stamp in known.items()) and all(
        stamp.size == 0 for stamp in stamps if stamp.name not in known
    )


def images_list(
    source: Source, shards: str | None, kept: str | None, cluster: Callable[[], Cluster], reporter: Reporter
) -> tuple[ImagesList, bool]:
    """The images list of a source, and if the source had to be walked for it.

    Args:
        source: of the images.
        shards: glob over the names of shards, None for all.
        kept: folder of a list that was saved before; it is used if the source is unchanged since.
        cluster: connects to Ray; called only if there is something to walk.
        reporter: is told of the stage.
    """
    names = select_shards(source.shard_names(), shards)
    with reporter.stage("plan", "shards", len(names)) as stage:
        known = _loaded(kept) if kept else None
        if known is not None and unchanged(known, source, names):
            return known, False
        cluster()
        return plan(source, names, stage), True


def _loaded(folder: str) -> ImagesList | None:
    try:
        return ImagesList.load(folder)
    except RayselError:
        return None
