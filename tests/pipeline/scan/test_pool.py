"""A pool of actors beside a cluster that changes or whose disk is full, without Ray."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from raysel.errors import RayselError
from raysel.pipeline.cluster import Cluster
from raysel.pipeline.scan.pool import ActorPool, DataContext, PoolSizeChanged, PoolWatch, watch_pool
from tests.pipeline.conftest import Clock

POOL = ActorPool(actors=3, wanted=4, gpu=False, patience_s=60.0)
CLUSTER = Cluster(cpus=4, gpus=0)


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One number: how many actors the cluster has room for."""
    room = [POOL.actors]
    monkeypatch.setattr(ActorPool, "fitting", lambda _: room[0])
    return room


def test_another_pool_size_must_fit_for_the_whole_patience(clock: Clock, room: list[int]) -> None:
    """A machine that returns in time changes nothing, a cluster without room is waited for, more room counts too."""

    def check_for(watch: PoolWatch, seconds: int, fitting: int) -> None:
        room[0] = fitting
        for _ in range(seconds):
            clock.now += 1
            watch.check()

    watch = PoolWatch(POOL, CLUSTER)
    for seconds, fitting in ((300, 3), (50, 2), (10, 3), (50, 1), (1000, 0), (50, 2)):
        check_for(watch, seconds, fitting)
    with pytest.raises(PoolSizeChanged) as ended:
        check_for(watch, 20, 2)
    assert ended.value.actors == 2
    with pytest.raises(PoolSizeChanged) as ended:
        check_for(PoolWatch(POOL, CLUSTER), 70, 4)
    assert ended.value.actors == 4


def test_the_check_runs_at_each_step_of_a_stream(clock: Clock, room: list[int]) -> None:
    context, said = DataContext(), list[str]()
    watch_pool(context, POOL, CLUSTER, said.append)
    callback = context.custom_execution_callback_classes[0]()
    room[0] = 2
    callback.on_execution_step(None)
    clock.now += 100
    with pytest.raises(PoolSizeChanged):
        callback.on_execution_step(None)
    assert said == []


def test_a_ray_without_execution_callbacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray.data._internal.execution.execution_callback", None)
    context, said = DataContext(), list[str]()
    watch_pool(context, POOL, CLUSTER, said.append)
    assert context.custom_execution_callback_classes == []
    assert len(said) == 1
    assert "lost machines and a full disk will not be noticed" in said[0]


def test_without_a_limit_to_the_patience_no_pool_size_is_too_small(clock: Clock, room: list[int]) -> None:
    watch = PoolWatch(replace(POOL, patience_s=-1), CLUSTER)
    room[0] = 2
    for _ in range(1000):
        clock.now += 1000
        watch.check()


def test_a_disk_that_fills_up(clock: Clock, room: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    watch = PoolWatch(POOL, replace(CLUSTER, session=str(tmp_path)))
    clock.now += 1
    watch.check()
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(1 << 30, (1 << 30) - 1, 1))
    clock.now += 1
    with pytest.raises(RayselError, match=rf"^the disk of {tmp_path}, where Ray keeps its session, is full: "):
        watch.check()
