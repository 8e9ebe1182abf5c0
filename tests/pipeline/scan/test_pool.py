"""A pool of actors beside a cluster that changes or whose disk is full, without Ray."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from raysel.errors import RayselError
from raysel.pipeline.cluster import Cluster
from raysel.pipeline.scan.layout import ScanLayout
from raysel.pipeline.scan.pool import DataContext, MachineLost, PoolWatch, watch_pool
from tests.pipeline.conftest import Clock

POOL = ScanLayout(workers=3, batch=8, gpu=False, device="cpu")
CLUSTER = Cluster(cpus=4, gpus=0)
PATIENCE_S = 60


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One number: how many actors the cluster has room for."""
    room = [POOL.workers]
    monkeypatch.setattr(ScanLayout, "room", lambda _: room[0])
    return room


def watch_of(pool: ScanLayout = POOL, patience_s: float = PATIENCE_S, cluster: Cluster = CLUSTER) -> PoolWatch:
    return PoolWatch(pool, patience_s, cluster)


# Seconds with room for so many of three actors, in order. The last seconds end the stream, or nothing does.
ROOMS = {
    "a machine that returns in time": ([(300, 3), (50, 2), (10, 3), (50, 1), (10, 3)], None),
    "one that does not": ([(300, 3), (50, 2), (10, 3), (50, 1)], (11, 1)),
    "a cluster without room is waited for": ([(10, 3), (1000, 0), (50, 2)], (11, 2)),
    "room from the first was for fewer": ([(1000, 1)], None),
    "machines that join": ([(300, 1), (300, 2), (300, 3)], None),
    "one of those is lost": ([(300, 1), (300, 2), (50, 1)], (11, 1)),
    "another actor may have the place of the lost one": ([(300, 2), (5, 1), (45, 2)], (11, 2)),
    "there is room for all again": ([(300, 2), (5, 1), (45, 2), (300, 3)], None),
}


@pytest.mark.parametrize("case", ROOMS)
def test_room_that_is_lost_must_return_within_the_patience(clock: Clock, room: list[int], case: str) -> None:
    before, end = ROOMS[case]

    def check_for(seconds: int, actors: int) -> None:
        room[0] = actors
        for _ in range(seconds):
            clock.now += 1
            watch.check()

    room[0] = before[0][1]
    watch = watch_of()
    for seconds, actors in before:
        check_for(seconds, actors)
    if end:
        with pytest.raises(MachineLost):
            check_for(*end)


def test_the_check_runs_at_each_step_of_a_stream(clock: Clock, room: list[int]) -> None:
    context, said = DataContext(), list[str]()
    watch_pool(context, watch_of, said.append)
    callback = context.custom_execution_callback_classes[0]()
    room[0] = 2
    callback.on_execution_step(None)
    clock.now += 2 * PATIENCE_S
    with pytest.raises(MachineLost):
        callback.on_execution_step(None)
    assert said == []


def test_a_ray_without_execution_callbacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray.data._internal.execution.execution_callback", None)
    context, said = DataContext(), list[str]()
    watch_pool(context, watch_of, said.append)
    assert context.custom_execution_callback_classes == []
    assert len(said) == 1
    assert "lost machines and a full disk will not be noticed" in said[0]


def test_without_a_limit_to_the_patience_no_room_is_too_small(clock: Clock, room: list[int]) -> None:
    watch = watch_of(patience_s=-1)
    room[0] = 2
    for _ in range(1000):
        clock.now += 1000
        watch.check()


def test_a_disk_that_fills_up(clock: Clock, room: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    watch = watch_of(cluster=replace(CLUSTER, session=str(tmp_path)))
    clock.now += 1
    watch.check()
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(1 << 30, (1 << 30) - 1, 1))
    clock.now += 1
    with pytest.raises(RayselError, match=rf"^the disk of {tmp_path}, where Ray keeps its session, is full: "):
        watch.check()
