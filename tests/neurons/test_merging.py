"""The merge of rankings, compared with a dictionary that keeps every image and is ranked by the reference."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raysel.neurons import Candidates, Rankings, fold_into, keep_top, keys, merge, merging
from tests import reference
from tests.selecting import select

NEURONS = 3
ALL_ONES = int(keys.unmix32(np.array([0xFFFF_FFFF], np.uint32))[0])

Entry = tuple[int, float, int, int]
"""Neuron, activation, image id, position."""

adjacent_values = [1.0, float(np.nextafter(np.float32(1), np.float32(2))), 6.0, 5.9999995, 1e-45, 3.4e38]
special_values = [0.0, -0.0, -1.0, math.nan, math.inf, -math.inf]
activations = st.sampled_from(adjacent_values + special_values) | st.floats(width=32)
ids = st.sampled_from([0, 1, 2, 3, 5, 8, ALL_ONES, keys.MAX_IMAGES - 1]) | st.integers(0, 40)
"""Few, so that images repeat. The mixed id of ALL_ONES is that of an empty entry."""
batches = st.lists(st.tuples(st.integers(0, NEURONS - 1), activations, ids, st.integers(0, 6)), max_size=12)
scans = st.lists(batches, max_size=6)
depths = st.integers(1, 5)
no_deadline = settings(deadline=None)


def expected(entries: list[Entry], depth: int) -> list[list[tuple[float, int, int]]]:
    """(activation, image id, position) in rank order, per neuron."""
    best: list[dict[int, tuple[float, int]]] = [{} for _ in range(NEURONS)]
    for neuron, activation, image, position in entries:
        a = float(np.float32(activation))
        if math.isfinite(a) and a > 0:
            best[neuron][image] = max(best[neuron].get(image, (0.0, 0)), (a, -position))
    rankings = []
    for images in best:
        found = [(a, image, -position) for image, (a, position) in images.items()]
        order = reference.ranking([a for a, _, _ in found], list(images), depth)
        rankings.append([found[j] for j in order])
    return rankings


def candidates(batch: list[Entry]) -> Candidates:
    usable = [entry for entry in batch if math.isfinite(np.float32(entry[1])) and np.float32(entry[1]) > 0]
    neurons, values, images, positions = ([entry[k] for entry in usable] for k in range(4))
    found = keys.candidate_keys(np.array(values, np.float32), np.array(images, np.int64))
    return Candidates(np.array(neurons, np.int32), found, np.array(positions, np.int32))


def ranked(*batches: list[Entry], depth: int) -> Rankings:
    """The rankings after folding batch by batch."""
    rankings = Rankings.empty(NEURONS, depth)
    for batch in batches:
        fold_into(rankings, candidates(batch))
    return rankings


def content(rankings: Rankings) -> list[list[tuple[float, int, int]]]:
    """In the form of `expected`."""
    rows = zip(rankings.activations.tolist(), rankings.ids.tolist(), rankings.positions.tolist(), strict=True)
    return [[entry for entry in zip(*row, strict=True) if entry[1] >= 0] for row in rows]


def same(a: Rankings, b: Rankings) -> bool:
    return np.array_equal(a.keys, b.keys) and np.array_equal(a.positions, b.positions)


@no_deadline
@given(st.lists(st.integers(0, keys.MAX_IMAGES - 1), min_size=1))
def test_mix32_equals_the_reference_and_is_undone_by_unmix32(numbers: list[int]) -> None:
    mixed = keys.mix32(np.array(numbers, np.int64))
    assert mixed.tolist() == [reference.mix32(number) for number in numbers]
    assert keys.unmix32(mixed).tolist() == numbers


@no_deadline
@given(scans, depths)
def test_folding_batch_by_batch_ranks_all_of_their_images(scan: list[list[Entry]], depth: int) -> None:
    assert content(ranked(*scan, depth=depth)) == expected([entry for batch in scan for entry in batch], depth)


@no_deadline
@given(scans, depths)
def test_merging_rankings_ranks_all_of_their_images(scan: list[list[Entry]], depth: int) -> None:
    parts = [Rankings.empty(NEURONS, depth), *(ranked(batch, depth=depth) for batch in scan)]
    assert content(merge(*parts, depth=depth)) == expected([entry for batch in scan for entry in batch], depth)


@no_deadline
@given(batches, batches, batches, depths)
def test_merge_is_associative_commutative_and_idempotent(
    first: list[Entry], second: list[Entry], third: list[Entry], depth: int
) -> None:
    """Images are in several batches, with activations that differ in the last bit, as after a batch ran twice."""

    def merged(*parts: Rankings) -> Rankings:
        return merge(*parts, depth=depth)

    a, b, c = (ranked(batch, depth=depth) for batch in (first, second, third))
    assert same(merged(a, b), merged(b, a))
    assert same(merged(merged(a, b), c), merged(a, merged(b, c)))
    assert same(merged(merged(a, b), c), merged(a, b, c))
    assert same(merged(a, a), a)
    assert same(merged(a, merged(a, b)), merged(a, b))
    assert same(merged(a, Rankings.empty(NEURONS, depth)), a)


@no_deadline
@given(scans, depths)
def test_keeping_the_top_candidates_changes_no_ranking(scan: list[list[Entry]], depth: int) -> None:
    kept = Candidates.concatenate([keep_top(candidates(batch), depth) for batch in scan])
    rankings = Rankings.empty(NEURONS, depth)
    fold_into(rankings, keep_top(kept, depth))
    assert content(rankings) == expected([entry for batch in scan for entry in batch], depth)


@no_deadline
@given(scans, depths)
def test_the_top_candidates_are_at_most_depth_per_neuron_each_of_another_image(
    scan: list[list[Entry]], depth: int
) -> None:
    kept = keep_top(Candidates.concatenate([candidates(batch) for batch in scan]), depth)
    for neuron in range(NEURONS):
        images = keys.ids_of(kept.keys[kept.neurons == neuron]).tolist()
        assert len(images) == len(set(images)) <= depth


@pytest.mark.parametrize("threads", [False, True])
def test_neurons_with_different_numbers_of_candidates(threads: bool) -> None:
    """The result depends neither on how neurons are cut into blocks nor on the threads that fold them."""
    random, neurons, depth = np.random.default_rng(5), 700, 7
    counts = random.choice([0, 1, 2, 5, 90], neurons, p=[0.1, 0.4, 0.3, 0.1, 0.1])
    neuron = random.permutation(np.repeat(np.arange(neurons, dtype=np.int32), counts))
    values = random.random(len(neuron)).astype(np.float32) + np.float32(0.5)
    images = random.integers(0, 50, len(neuron))
    found = Candidates(neuron, keys.candidate_keys(values, images), np.zeros(len(neuron), np.int32))
    rankings = Rankings.empty(neurons, depth)
    with ThreadPoolExecutor(4) as pool:
        for part in (slice(0, None, 2), slice(1, None, 2)):
            half = Candidates(found.neurons[part], found.keys[part], found.positions[part])
            fold_into(rankings, half, pool.map if threads else map)
    at_once = Rankings.empty(neurons, depth)
    fold_into(at_once, keep_top(found, depth))
    assert same(rankings, at_once)
    for number in range(neurons):
        highest: dict[int, float] = {}
        for image, value in zip(images[neuron == number].tolist(), values[neuron == number].tolist(), strict=True):
            highest[image] = max(highest.get(image, 0.0), value)
        own, order = list(highest), reference.ranking(list(highest.values()), list(highest), depth)
        assert content(rankings[number : number + 1])[0] == [(highest[own[j]], own[j], 0) for j in order]


def test_a_neuron_with_many_candidates_does_not_lengthen_the_rows_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """When images come class by class, a neuron of that class has hundreds of candidates."""
    merged_entries = []

    def counting(*parts: Rankings, depth: int) -> Rankings:
        merged_entries.append(sum(part.keys.size for part in parts))
        return merge(*parts, depth=depth)

    monkeypatch.setattr(merging, "merge", counting)
    neurons, depth, many = 2_000, 10, 3_000
    neuron = np.concatenate([np.arange(neurons), np.zeros(many, int)]).astype(np.int32)
    found = keys.candidate_keys(np.ones(len(neuron), np.float32), np.arange(len(neuron)))
    fold_into(Rankings.empty(neurons, depth), Candidates(neuron, found, np.zeros(len(neuron), np.int32)))
    block = merging._BLOCK_NEURONS
    assert max(merged_entries) <= block * (depth + many + 1)
    assert sum(merged_entries) <= 2 * (neurons * (depth + 1) + block * (many + 1))


@no_deadline
@given(scans, depths)
def test_rankings_are_rebuilt_from_their_entries(scan: list[list[Entry]], depth: int) -> None:
    rankings = ranked(*scan, depth=depth)
    neuron, rank = np.nonzero(rankings.ids >= 0)
    entries = (column[neuron, rank] for column in (rankings.activations, rankings.ids, rankings.positions))
    assert same(Rankings.from_entries(NEURONS, depth, neuron, rank, *entries), rankings)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 6), st.booleans())
def test_cutoffs_of_any_earlier_state_are_safe(seed: int, depth: int, tied: bool) -> None:
    """Batches overlap, and copies of an image differ in the last bit."""
    random = np.random.default_rng(seed)
    base = random.integers(0, 4, (30, NEURONS)) if tied else random.normal(size=(30, NEURONS))
    rankings = Rankings.empty(NEURONS, depth)
    entries: list[Entry] = []
    cutoffs, sent = [rankings.cutoffs], 0
    for _ in range(8):
        images = random.choice(30, size=8, replace=False)
        values = base[images].astype(np.float32)
        values = np.where(random.random(values.shape) < 0.2, np.nextafter(values, np.float32(9)), values)
        positions = random.integers(0, 5, values.shape)
        for j, image in enumerate(images.tolist()):
            entries += [(n, float(values[j, n]), image, int(positions[j, n])) for n in range(NEURONS)]
        found = select(values, positions, images, cutoffs[random.integers(len(cutoffs))])
        sent += len(found)
        fold_into(rankings, found)
        cutoffs.append(rankings.cutoffs)
    assert content(rankings) == expected(entries, depth)
    assert sent <= len(entries)


def test_select_returns_only_what_precedes_the_cutoff() -> None:
    rankings = Rankings.empty(1, 2)
    values = np.array([[5], [4], [3], [2], [1]], np.float32)
    fold_into(rankings, select(values, np.zeros((5, 1), int), np.arange(5), rankings.cutoffs))
    assert content(rankings) == [[(5.0, 0, 0), (4.0, 1, 0)]]
    found = select(np.array([[3.9], [4.1]], np.float32), np.zeros((2, 1), int), np.array([7, 8]), rankings.cutoffs)
    assert keys.ids_of(found.keys).tolist() == [8]
