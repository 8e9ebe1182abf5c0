"""Results of calls on their way to the running state: as rows, merged in the tree, folded."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import raysel.pipeline.scan.call_result as call_result
from raysel.errors import RayselError
from raysel.neurons import Candidates, Rankings
from raysel.pipeline.scan.call_result import SCHEMA, CallResult, merge_rows, rows_per_merge
from raysel.pipeline.scan.state import RunningState
from tests import reference
from tests.selecting import select

NEURONS = 5

bad_images = st.dictionaries(st.integers(0, 2**40), st.text(max_size=20), max_size=3)
few_values = st.sampled_from([0.0, 0.5, 1.0, 6.0, float("nan"), float("inf"), -1.0])


def found_in(
    activations: NDArray[np.float32], ids: NDArray[np.int64], positions: NDArray[np.int32], **more: Any
) -> CallResult:
    """What a call without cutoffs finds in these activations [images, neurons]."""
    candidates = select(activations, positions, ids, Rankings.empty(activations.shape[1], 1).cutoffs)
    return CallResult(ids, more.pop("bad", {}), candidates, **more)


@st.composite
def calls(draw: st.DrawFn) -> list[CallResult]:
    """Calls over distinct images, with many ties; some find nothing."""
    count = draw(st.integers(1, 12))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    ids = random.permutation(1000)[:count].astype(np.int64)
    rows = draw(st.lists(st.lists(few_values, min_size=NEURONS, max_size=NEURONS), min_size=count, max_size=count))
    activations = np.array(rows, np.float32)
    positions = random.integers(0, 50, activations.shape).astype(np.int32)
    cuts = sorted(draw(st.lists(st.integers(0, count), max_size=4)))
    parts = zip([0, *cuts], [*cuts, count], strict=True)
    return [
        found_in(activations[a:b], ids[a:b], positions[a:b], bad={2000 + k: f"bad {k}"}, decode_s=0.5, forward_s=0.25)
        for k, (a, b) in enumerate(parts)
    ]


def assert_same(a: CallResult, b: CallResult) -> None:
    assert a.covered.tolist() == b.covered.tolist()
    assert a.bad == b.bad
    for name in ("neurons", "keys", "positions"):
        x, y = getattr(a.candidates, name), getattr(b.candidates, name)
        assert x.dtype == y.dtype
        assert x.tolist() == y.tolist()
    assert (a.decode_s, a.forward_s) == (b.decode_s, b.forward_s)


@settings(deadline=None)
@given(calls(), bad_images)
def test_a_row_carries_everything(parts: list[CallResult], bad: dict[int, str]) -> None:
    for part in parts:
        found = replace(part, bad=bad)
        row = found.to_row()
        assert (len(row), row.schema) == (1, SCHEMA)
        assert_same(CallResult.from_rows(row), found)


def test_a_call_that_finds_nothing_is_a_row_of_the_same_shape() -> None:
    nothing = CallResult(np.empty(0, np.int64), {}, Candidates.none())
    assert nothing.to_row().schema == SCHEMA
    assert_same(CallResult.from_rows(nothing.to_row()), nothing)


def state(parts: list[pa.Table], depth: int) -> RunningState:
    folded = RunningState.empty(NEURONS, depth, 3000)
    for part in parts:
        folded.take(CallResult.from_rows(part))
    return folded


@settings(deadline=None)
@given(calls(), st.integers(1, 6), st.randoms(use_true_random=False))
def test_a_tree_level_only_changes_how_much_is_sent(parts: list[CallResult], depth: int, random: Any) -> None:
    """Whichever rows it merges, in any order, and even if one of its rows arrives twice."""
    rows = [part.to_row() for part in parts]
    plain = state(rows, depth)
    random.shuffle(rows)
    cut = random.randint(0, len(rows))
    groups = [pa.concat_tables(group) for group in (rows[:cut], rows[cut:]) if group]
    merged = [merge_rows(group, depth) for group in groups]
    assert all(len(row) == 1 for row in merged)
    tree = state([*merged, merged[0]], depth)
    assert tree.rankings().keys.tolist() == plain.rankings().keys.tolist()
    assert tree.rankings().positions.tolist() == plain.rankings().positions.tolist()
    assert tree.covered.tolist() == plain.covered.tolist()
    assert tree.quarantine == plain.quarantine
    assert sum(len(CallResult.from_rows(row).candidates) for row in merged) <= len(merged) * NEURONS * depth
    sent = state(merged, depth)
    assert sent.candidates_sent == plain.candidates_sent  # what the actors sent, not what arrived
    assert (sent.decode_s, sent.forward_s) == (plain.decode_s, plain.forward_s)


@settings(deadline=None)
@given(calls(), st.integers(1, 6))
def test_the_folded_state_equals_the_reference(parts: list[CallResult], depth: int) -> None:
    folded = state([part.to_row() for part in parts], depth)
    for neuron in range(NEURONS):
        entries = []
        for part in parts:
            own = part.candidates.neurons == neuron
            one = Rankings(part.candidates.keys[own][None], part.candidates.positions[own][None])
            entries += list(
                zip(one.activations[0].tolist(), one.ids[0].tolist(), one.positions[0].tolist(), strict=True)
            )
        ranked = reference.ranking([a for a, *_ in entries], [i for _, i, _ in entries], depth)
        kept = folded.rankings().ids[neuron] >= 0
        assert folded.rankings().ids[neuron][kept].tolist() == [entries[j][1] for j in ranked]
        assert folded.rankings().positions[neuron][kept].tolist() == [entries[j][2] for j in ranked]


@settings(deadline=None)
@given(st.lists(calls(), min_size=1, max_size=4), st.integers(1, 6))
def test_a_large_state_folds_several_results_at_a_time_and_is_the_same(scan: list, depth: int) -> None:
    """Rankings and snapshots include results that wait, and these never wait for long."""
    rows = [part.to_row() for parts in scan for part in parts]
    plain = state(rows, depth)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("raysel.pipeline.scan.state.LARGE", 0)
        patch.setattr("raysel.pipeline.scan.state._CANDIDATES_AT_ONCE", 1.0)
        patch.setattr("raysel.pipeline.scan.state._IMAGES_AT_ONCE", 8)
        large, waited = RunningState.empty(NEURONS, depth, 3000), 0
        for row in rows:
            found = CallResult.from_rows(row)
            waited = 0 if large.take(found) else waited + len(found.covered)
            assert waited < 8
        half = rows[: len(rows) // 2]
        snapshot = state(half, depth).arrays()
    assert RunningState.from_arrays(snapshot).rankings().keys.tolist() == state(half, depth).rankings().keys.tolist()
    assert large.rankings().keys.tolist() == plain.rankings().keys.tolist()
    assert large.rankings().positions.tolist() == plain.rankings().positions.tolist()


def test_results_of_a_small_state_wait_for_a_share_of_the_images() -> None:
    """1/16 of those so far, and at most 512, unless there are many candidates."""

    def calls(count: int, images: int) -> list[CallResult]:
        return [CallResult(np.arange(images) + k * images, {}, Candidates.none()) for k in range(count)]

    small = RunningState.empty(NEURONS, 100, 40_000)
    folded_at = [small.done for found in calls(400, 100) if small.take(found)]
    gaps = np.diff([0, *folded_at])
    assert (gaps >= np.minimum(512, np.array(folded_at) / 16)).all()
    assert (gaps < np.minimum(512, np.array(folded_at) / 16) + 100).all()
    many = found_in(np.ones((13, NEURONS), np.float32), np.arange(13), np.zeros((13, NEURONS), int))
    assert small.take(many)


def test_results_wait_in_a_large_state(monkeypatch: pytest.MonkeyPatch) -> None:
    few = [found_in(np.ones((1, NEURONS), np.float32), np.array([k]), np.zeros((1, NEURONS), int)) for k in range(9)]
    small = RunningState.empty(NEURONS, 100, 9)
    assert [small.take(each) for each in few] == [True] * 9
    monkeypatch.setattr("raysel.pipeline.scan.state.LARGE", NEURONS * 100)
    monkeypatch.setattr("raysel.pipeline.scan.state._IMAGES_AT_ONCE", 8)
    large = RunningState.empty(NEURONS, 100, 9)
    assert [large.take(each) for each in few] == [False] * 7 + [True, False]
    assert (large.rankings().ids >= 0).sum() == 9 * NEURONS
    assert large.take(found_in(np.ones((13, NEURONS), np.float32), np.arange(13) % 9, np.zeros((13, NEURONS), int)))


def test_more_images_than_a_ranking_can_number_are_refused_before_anything_is_allocated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(Rankings, "empty")
    with pytest.raises(RayselError, match=r"^4,294,967,297 images are more than .*--limit or --sample.*--shards$"):
        RunningState.empty(NEURONS, 10, 2**32 + 1)


def test_missing_images() -> None:
    folded = RunningState.empty(NEURONS, 3, 8)
    assert folded.missing().tolist() == list(range(8))
    ids = np.array([6, 1, 2])
    shape = (3, NEURONS)
    folded.take(found_in(np.ones(shape, np.float32), ids, np.zeros(shape, np.int32), bad={4: "no image", 0: "empty"}))
    assert folded.missing().tolist() == [3, 5, 7]
    assert folded.done == 5
    folded.take(found_in(np.ones(shape, np.float32), ids, np.zeros(shape, np.int32), bad={4: "no image"}))
    assert (folded.done, folded.missing().tolist()) == (5, [3, 5, 7])  # a call that ran again covers nothing twice
    folded.take(CallResult(np.array([3, 5, 7]), {}, Candidates.none()))
    assert len(folded.missing()) == 0


@pytest.mark.parametrize("covered_first", [True, False])
def test_an_image_that_could_be_used_once_is_not_bad(covered_first: bool) -> None:
    """Whatever happened at another attempt; it is counted once."""
    folded = RunningState.empty(NEURONS, 3, 2)
    used, refused = (
        CallResult(np.array([1]), {}, Candidates.none()),
        CallResult(np.empty(0, int), {1: "?"}, Candidates.none()),
    )
    for found in (used, refused) if covered_first else (refused, used):
        folded.take(found)
    assert (folded.done, folded.quarantine, folded.missing().tolist()) == (1, {}, [0])


@pytest.mark.parametrize(("calls", "least", "most"), [(0, 1, 1), (1, 1, 1), (127, 1, 1), (128, 2, 2), (10**6, 2, 16)])
def test_short_runs_have_no_tree_level_and_long_runs_merge_few_rows(calls: int, least: int, most: int) -> None:
    assert least <= rows_per_merge(calls, 128 * 2_000) <= most


@given(st.integers(0, 10**7), st.integers(0, 1000), st.integers(0, 10**8))
def test_longer_runs_merge_no_fewer_rows_and_larger_networks_no_more(calls: int, more: int, candidates: int) -> None:
    assert 1 <= rows_per_merge(calls, candidates) <= rows_per_merge(calls + more, candidates)
    assert rows_per_merge(calls, candidates + more) <= rows_per_merge(calls, candidates)


@given(st.integers(0, 10**7), st.integers(1, 100_000))
def test_a_tree_level_reads_at_most_a_gigabyte(calls: int, neurons: int) -> None:
    """At 16 bytes per candidate. If one call already has more, there is no tree level."""
    rows = rows_per_merge(calls, 128 * neurons)
    assert rows == 1 or rows * 128 * neurons * 16 <= 1 << 30


def test_a_tree_level_holds_only_some_candidates_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    calls, depth, held = 16, 4, []
    random = np.random.default_rng(1)
    rows = [
        found_in(random.random((8, NEURONS), np.float32), np.arange(8) + 8 * k, np.zeros((8, NEURONS), int)).to_row()
        for k in range(calls)
    ]
    at_once = merge_rows(pa.concat_tables(rows), depth)
    thinning = call_result.keep_top

    def keep_top(candidates: Candidates, depth: int) -> Candidates:
        held.append(len(candidates))
        return thinning(candidates, depth)

    monkeypatch.setattr(call_result, "keep_top", keep_top)
    monkeypatch.setattr(call_result, "_AT_ONCE", 10 * NEURONS)
    bit_by_bit = merge_rows(pa.concat_tables(rows), depth)
    assert max(held) <= (10 + 8 + depth) * NEURONS
    assert len(held) > 4
    one, other = state([at_once], depth), state([bit_by_bit], depth)
    assert one.rankings().keys.tolist() == other.rankings().keys.tolist()
    assert one.candidates_sent == other.candidates_sent == calls * 8 * NEURONS


def test_merged_rows_count_as_selected_by_the_oldest_of_their_cutoffs() -> None:
    rows = [
        CallResult(np.array([k]), {}, Candidates.none(), cutoff_images=images).to_row()
        for k, images in enumerate((7, 3, 9))
    ]
    assert CallResult.from_rows(pa.concat_tables(rows)).cutoff_images == 3
    assert CallResult.from_rows(merge_rows(pa.concat_tables(rows), 4)).cutoff_images == 3
