"""A pool of actors beside a cluster that changes or whose disk is full, without Ray."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

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
def machines(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """One string: a letter for each machine with one CPU that is alive."""
    machines = ["abc"]
    monkeypatch.setattr(
        "raysel.pipeline.scan.pool.cluster_now",
        lambda: Cluster(cpus=len(machines[0]), gpus=0, machines=frozenset(machines[0])),
    )
    return machines


def watch_of(patience_s: float = PATIENCE_S, cluster: Cluster = CLUSTER) -> PoolWatch:
    return PoolWatch(POOL, patience_s, cluster)


# Seconds with these machines and so many actors that wait for a place. The last ones end the stream, or none do.
Seconds = tuple[int, str, int]
CASES: dict[str, tuple[list[Seconds], Seconds | None]] = {
    "machines that replace others": (
        [(300, "abc", 0), (50, "ab", 1), (10, "abd", 0), (50, "ad", 1), (300, "ade", 0)],
        None,
    ),
    "a machine that is not replaced": ([(300, "abc", 0), (50, "ab", 1)], (11, "ab", 1)),
    "its actors had no calls yet": ([(300, "abc", 0), (1000, "ab", 0)], None),
    "its actors have other places": ([(300, "abc", 0), (50, "ab", 1), (1000, "ab", 0)], None),
    "another actor has the place on the new machine": ([(300, "ab", 0), (5, "a", 1), (50, "ac", 1)], (11, "ac", 1)),
    "one machine is lost and another joins at once": ([(300, "ab", 0), (50, "ac", 1)], (11, "ac", 1)),
    "a cluster without room is waited for": ([(10, "abc", 0), (1000, "", 3), (50, "a", 2)], (11, "a", 2)),
    "actors that crash": ([(1000, "abc", 1)], None),
    "machines that join": ([(300, "a", 0), (300, "ab", 0), (300, "abc", 0)], None),
    "one that joined is lost": ([(300, "a", 0), (300, "ab", 0), (50, "a", 1)], (11, "a", 1)),
}


@pytest.mark.parametrize("case", CASES)
def test_an_actor_of_a_lost_machine_waits_for_the_patience(clock: Clock, machines: list[str], case: str) -> None:
    before, end = CASES[case]

    def check_for(seconds: int, there: str, restarting: int) -> None:
        machines[0] = there
        for _ in range(seconds):
            clock.now += 1
            watch.check(restarting)

    machines[0] = before[0][1]
    watch = watch_of()
    for each in before:
        check_for(*each)
    if end:
        with pytest.raises(MachineLost):
            check_for(*end)


def test_the_check_runs_at_each_step_of_a_stream(clock: Clock, machines: list[str]) -> None:
    context, said = DataContext(), list[str]()
    watch_pool(context, watch_of, said.append)
    callback = context.custom_execution_callback_classes[0]()
    reader, actors = (Mock(**{"get_actor_info.return_value.restarting": count}) for count in (0, 1))
    executor = Mock(_topology={reader: None, actors: None})
    machines[0] = "ab"
    clock.now += 1
    callback.on_execution_step(executor)
    clock.now += 2 * PATIENCE_S
    with pytest.raises(MachineLost):
        callback.on_execution_step(executor)
    assert said == []


def test_a_ray_without_execution_callbacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray.data._internal.execution.execution_callback", None)
    context, said = DataContext(), list[str]()
    watch_pool(context, watch_of, said.append)
    assert context.custom_execution_callback_classes == []
    assert len(said) == 1
    assert "lost machines and a full disk will not be noticed" in said[0]


def test_without_a_limit_to_the_patience_no_wait_is_too_long(clock: Clock, machines: list[str]) -> None:
    watch = watch_of(patience_s=-1)
    machines[0] = "ab"
    for _ in range(1000):
        clock.now += 1000
        watch.check(1)


def test_a_disk_that_fills_up(
    clock: Clock, machines: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = watch_of(cluster=replace(CLUSTER, session=str(tmp_path)))
    clock.now += 1
    watch.check(0)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(1 << 30, (1 << 30) - 1, 1))
    clock.now += 1
    with pytest.raises(RayselError, match=rf"^the disk of {tmp_path}, where Ray keeps its session, is full: "):
        watch.check(0)
