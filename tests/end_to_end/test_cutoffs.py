"""Cutoffs on their way from the driver to actors that poll and never wait, and how many candidates they save."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from raysel.config import DeriveConfig
from raysel.neurons import Rankings
from raysel.pipeline.scan import driver
from raysel.pipeline.scan.call_result import CallResult
from raysel.pipeline.scan.cutoffs import CutoffKeeper, CutoffPoll, cutoff_keeper
from raysel.pipeline.scan.state import RunningState
from tests.chaos.runs import wait_until
from tests.end_to_end.runs import run, zoo_run
from tests.networks import note
from tests.pipeline.corpus import as_tars, corpus

pytestmark = pytest.mark.ray
NEURONS = 3
NONE = Rankings.empty(NEURONS, 1).cutoffs.tolist()


@pytest.fixture
def keeper(local_ray: None) -> Iterator[Any]:
    with cutoff_keeper() as keeper:
        yield keeper


def test_a_keeper_returns_only_newer_cutoffs_and_keeps_no_older_ones() -> None:
    keeper = CutoffKeeper()
    assert keeper.newer(0) is None
    keeper.put(20, np.array([7], np.uint64))
    keeper.put(10, np.array([9], np.uint64))
    assert keeper.newer(20) is None
    images, cutoffs = keeper.newer(19) or (0, np.empty(0))
    assert (images, cutoffs.tolist()) == (20, [7])


def test_a_poll_sees_what_the_driver_published(keeper: Any) -> None:
    poll = CutoffPoll(keeper, NEURONS)
    assert (poll.poll().tolist(), poll.images) == (NONE, 0)
    for images in (5, 9):
        keeper.put.remote(images, np.array([images, images + 1, images + 2], np.uint64))
        wait_until(lambda: poll.poll().tolist() == [images, images + 1, images + 2])  # noqa: B023
        assert poll.images == images


def is_dead(keeper: Any) -> bool:
    """True once Ray refuses a call of it."""
    import ray

    try:
        ray.get(keeper.newer.remote(0))
    except ray.exceptions.RayActorError:
        return True
    return False


def test_without_a_keeper_the_last_cutoffs_remain_in_use(keeper: Any) -> None:
    import ray

    poll = CutoffPoll(keeper, NEURONS)
    keeper.put.remote(4, np.array([1, 2, 3], np.uint64))
    wait_until(lambda: poll.poll().tolist() == [1, 2, 3])
    ray.kill(keeper)
    wait_until(lambda: is_dead(keeper))  # until then, it may still answer
    late = CutoffPoll(keeper, NEURONS)
    for _ in range(20):
        assert poll.poll().tolist() == [1, 2, 3]
        assert late.poll().tolist() == NONE


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file in which a run's driver writes down the images that it takes, once the keeper has its cutoffs."""
    import ray

    log, keepers, take = tmp_path / "log", list[Any](), RunningState.take

    @contextmanager
    def kept() -> Iterator[Any]:
        with cutoff_keeper() as keeper:
            keepers.append(keeper)
            yield keeper

    def noted(state: RunningState, found: CallResult) -> bool:
        ray.get(keepers[-1].newer.remote(0))  # it has the cutoffs of the results before
        note(str(log), f"taken-{len(found.covered) + len(found.bad)}")
        return take(state, found)

    monkeypatch.setattr(driver, "cutoff_keeper", kept)
    monkeypatch.setattr(RunningState, "take", noted)
    return log


def test_a_run_sends_as_many_candidates_as_the_formula(local_ray: None, log: Path, tmp_path: Path) -> None:
    """s is the number of images on their way to the driver. The network waits while there are more."""
    per_class, depth, on_the_way = 400, 10, 240
    images = as_tars(corpus(per_class, unlabelled=0), tmp_path / "tars", 4)
    config = zoo_run(tmp_path / "index", images, log, workers=2, slice_images=100, rank_depth=depth)
    config = replace(config, network=replace(config.network, network_args={"log": str(log), "ahead": on_the_way}))
    manifest = run(replace(config, derive=DeriveConfig(n_max=5))).manifest
    count = 3 * per_class
    formula = manifest.counts.neurons * (depth * (1 + math.log(count / depth)) + on_the_way)
    assert manifest.counters["scan.candidates_sent"] <= 1.3 * formula < 0.4 * manifest.counts.neurons * count
    assert manifest.counters["scan.cutoff_lag"] <= count / 2
