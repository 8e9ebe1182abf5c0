"""A pool of actors beside a cluster that changes, without Ray."""

from __future__ import annotations

import sys

import pytest

from raysel.pipeline.scan.pool import ActorPool, DataContext, PoolSizeChanged, PoolWatch, watch_pool
from tests.pipeline.conftest import Clock

POOL = ActorPool(actors=3, wanted=4, gpu=False, patience_s=60.0)


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

    watch = PoolWatch(POOL)
    for seconds, fitting in ((300, 3), (50, 2), (10, 3), (50, 1), (1000, 0), (50, 2)):
        check_for(watch, seconds, fitting)
    with pytest.raises(PoolSizeChanged) as ended:
        check_for(watch, 20, 2)
    assert ended.value.actors == 2
    with pytest.raises(PoolSizeChanged) as ended:
        check_for(PoolWatch(POOL), 70, 4)
    assert ended.value.actors == 4


def test_the_check_runs_at_each_step_of_a_stream(clock: Clock, room: list[int]) -> None:
    context, said = DataContext(), list[str]()
    watch_pool(context, POOL, said.append)
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
    watch_pool(context, POOL, said.append)
    assert context.custom_execution_callback_classes == []
    assert len(said) == 1
    assert "lost machines will not be noticed" in said[0]


def test_no_limit_to_the_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    context = DataContext()
    watch_pool(context, ActorPool(3, 4, gpu=False, patience_s=-1), pytest.fail)
    assert context.custom_execution_callback_classes == []
