"""The floor on its way: from the driver's state to actors that poll it and never wait; and what it saves."""

from __future__ import annotations

import math
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from raysel.config import DeriveConfig
from raysel.neurons import Rankings
from raysel.pipeline.scan.cutoffs import CutoffKeeper, CutoffPoll, CutoffPublisher
from tests.chaos.runs import wait_until
from tests.end_to_end.runs import run, zoo_run
from tests.pipeline.corpus import as_tars, corpus

pytestmark = pytest.mark.ray
NEURONS = 3
NONE = Rankings.empty(NEURONS, 1).cutoffs


def with_floors(*floors: int) -> Rankings:
    """Rankings of depth 1."""
    return Rankings(np.array(floors, np.uint64)[:, None], np.zeros((len(floors), 1), np.int32))


@pytest.fixture
def raiser(local_ray: None) -> Iterator[CutoffPublisher]:
    raiser = CutoffPublisher(f"floor-{uuid.uuid4().hex}")
    yield raiser
    raiser.close()


def test_a_keeper_gives_only_what_is_newer_and_takes_nothing_older() -> None:
    keeper = CutoffKeeper()
    assert keeper.newer(0) is None
    keeper.put(20, np.array([7], np.uint64))
    keeper.put(10, np.array([9], np.uint64))
    assert keeper.newer(20) is None
    images, floors = keeper.newer(19) or (0, NONE)
    assert (images, floors.tolist()) == (20, [7])


def test_an_actor_that_polls_sees_what_the_driver_has_put(raiser: CutoffPublisher) -> None:
    poll = CutoffPoll(raiser.name)
    assert poll.poll(NEURONS).tolist() == NONE.tolist()
    for images in (5, 9):
        raiser.put(images, with_floors(images, images + 1, images + 2))
        wait_until(lambda: poll.poll(NEURONS).tolist() == [images, images + 1, images + 2])  # noqa: B023
        assert poll.images == images


def test_a_keeper_that_is_gone_or_never_was_leaves_the_last_floors(raiser: CutoffPublisher) -> None:
    stranger = CutoffPoll("no such keeper")
    assert (stranger.poll(NEURONS).tolist(), stranger.images) == (NONE.tolist(), 0)
    poll = CutoffPoll(raiser.name)
    raiser.put(4, with_floors(1, 2, 3))
    wait_until(lambda: poll.poll(NEURONS).tolist() == [1, 2, 3])
    raiser.close()
    for _ in range(20):
        assert poll.poll(NEURONS).tolist() == [1, 2, 3]


def test_what_a_run_sends_is_the_formula_s(local_ray: None, tmp_path: Path) -> None:
    """With s, the images on their way, as they can be at most here, not as the run says: a floor that never came would
    make all images its s."""
    per_class, depth, call = 400, 10, 8
    images = as_tars(corpus(per_class, unlabelled=0), tmp_path / "tars", 4)
    # A forward takes so long that what was found is folded within a few of them.
    config = zoo_run(tmp_path / "index", images, tmp_path / "log", labor_s=0.1, slice_images=100, rank_depth=depth)
    manifest = run(replace(config, derive=DeriveConfig(n_max=5))).manifest
    count, on_the_way = 3 * per_class, 30 * call
    formula = manifest.counts.neurons * (depth * (1 + math.log(count / depth)) + on_the_way)
    assert manifest.counters["scan.candidates_sent"] <= 1.3 * formula < 0.4 * manifest.counts.neurons * count
    assert manifest.counters["scan.floor_lag"] <= count / 2
